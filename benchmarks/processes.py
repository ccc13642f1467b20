"""The processes that are measured: started, watched, and ended whatever interrupts the run."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Final

_ENDS: Final = 1.0


class FailedError(RuntimeError):
    """A subject ended, did not answer, or answered something else than what it was asked for."""


# what one call of a subject may raise: a run goes on without it
FAILURES: Final = (FailedError, OSError, ValueError, KeyError, TypeError, IndexError)


class Interrupts:
    """SIGTERM and Ctrl-C, which wait while a process is being started or ended."""

    def __init__(self) -> None:
        self._depth = 0
        self._came = 0

    def install(self) -> None:
        """Take the signals: each leaves the program by `SystemExit`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let them wait until the end of the block."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._came and not self._depth:
                came, self._came = self._came, 0
                raise SystemExit(128 + came)

    def _take(self, number: int, _: FrameType | None) -> None:
        if not self._depth:
            raise SystemExit(128 + number)
        self._came = number


INTERRUPTS: Final = Interrupts()
_STARTED: Final[set[subprocess.Popen[bytes]]] = set()


def start(
    command: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str] | None = None,
    *,
    given: int = subprocess.DEVNULL,
    said: int | IO[bytes] = subprocess.DEVNULL,
    errors: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """A process that `end` or, at the latest, `end_all` ends."""
    with INTERRUPTS.held():
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=given, stdout=said, stderr=errors, bufsize=0
        )
        _STARTED.add(process)
    return process


def end(process: subprocess.Popen[bytes], *, asked: bool = False) -> None:
    """Close its pipes, give it a second, then kill it; one that was not `asked` otherwise is told to end."""
    with INTERRUPTS.held():
        if process.stdin:
            process.stdin.close()
        if not asked:
            process.terminate()
        try:
            process.wait(_ENDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        _STARTED.discard(process)


def end_all() -> None:
    """End whatever is left."""
    with INTERRUPTS.held():
        for process in [*_STARTED]:
            end(process)


def worked(pid: int) -> float:
    """Seconds of the processor that a process has taken, or this one (0); 0 where the system does not say."""
    if not pid:
        return time.process_time()
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def peak(pid: int) -> float:
    """The most memory it ever had, in MiB; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
