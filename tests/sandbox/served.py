"""`mcpgate sandbox` as a person starts it: a process on a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

START_WITHIN = 30


@dataclass(frozen=True)
class Served:
    """A sandbox that is up: its process, what it said first, and where it is."""

    process: subprocess.Popen[str]
    said: str

    @property
    def address(self) -> str:
        """The address that it told."""
        return self.said.split(": ", 1)[1].split("\n")[0]

    @property
    def origin(self) -> str:
        """Its scheme, host and port."""
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.address))

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.address).port or 0

    def stop(self, signal: int) -> tuple[int, str, str]:
        """Send it a signal: its exit code, and what it said after it was up."""
        self.process.send_signal(signal)
        out, err = self.process.communicate(timeout=START_WITHIN)
        return self.process.returncode, out, err


@contextmanager
def sandbox(*words: str, port: int = 0) -> Iterator[Served]:
    """A sandbox with an empty home, ended with the block if it was not before."""
    with tempfile.TemporaryDirectory() as home, _started(home, *words, "--port", str(port)) as process:
        assert process.stdout is not None
        overdue = threading.Timer(START_WITHIN, process.kill)
        overdue.start()
        lines: list[str] = []
        # the last one it says, or nothing more
        while not lines or not (lines[-1].startswith("Stop") or lines[-1] == ""):
            lines.append(process.stdout.readline())
        overdue.cancel()
        yield Served(process, "".join(lines))


@contextmanager
def _started(home: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MCPGATE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "mcpgate", "sandbox", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"MCPGATE_HOME": home},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
