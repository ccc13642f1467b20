"""Commands run inside the test, with a home of their own and no key in the environment."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpgate.__main__ import main
from mcpgate.cli.vaults import sealed_vault
from mcpgate.vault.os_keyring import Keyring
from tests.standins.keyring import MemoryBackend

KEY = "sk_test_CanaryCanaryCanary"
ROOT = Path(__file__).parents[2]
LOST_WITHIN = 60
PROMPT = re.compile(r"\(not shown\): |The same again: ")
TERMINAL = """
import os, sys
from mcpgate.vault import os_keyring
from tests.standins.keyring import MemoryBackend
keyring = os_keyring.Keyring("Test keyring", MemoryBackend())
os_keyring.find_keyring = lambda name="": keyring if "KEYRING" in os.environ else None
from mcpgate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    for name in [name for name in os.environ if name.startswith("MCPGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MCPGATE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "160")
    return home


@pytest.fixture
def mcpgate(home: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Ran:
        code = main(list(words))
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> MemoryBackend:
    backend = MemoryBackend()

    def find(name: str = "") -> Keyring | None:
        return Keyring("Test keyring", backend) if name in ("", "Test keyring") else None

    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", find)
    return backend


@pytest.fixture
def headless(keyring: MemoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a keyring, whatever other fixtures bring."""
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: None)


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a text on stdin."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def connect(mcpgate: Run, keyring: MemoryBackend, give: Callable[[str], None]) -> Run:
    """`mcpgate connect` with a key on stdin."""

    def run(*words: str, key: str = KEY) -> Ran:
        give(f"{key}\n")
        return mcpgate("connect", *words)

    return run


@pytest.fixture
def typed(home: Path) -> Run:
    """A command at a terminal, and what a person types there, one answer for each prompt."""
    if sys.platform == "win32":
        pytest.skip("a pseudo-terminal is a thing of Unix")

    def run(*words: str, answers: tuple[str, ...] = (), keyring: bool = False) -> Ran:
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", TERMINAL, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **({"KEYRING": "1"} if keyring else {})},
        )
        os.close(theirs)
        seen, left = "", list(answers)
        overdue = threading.Timer(LOST_WITHIN, process.kill)
        overdue.start()
        try:
            while more := _read(ours):
                seen += more
                if left and len(PROMPT.findall(seen)) > len(answers) - len(left):
                    os.write(ours, f"{left.pop(0)}\n".encode())
            code = process.wait()
        finally:
            overdue.cancel()
            process.kill()
            process.wait()
            os.close(ours)
        assert not left, f"{len(left)} answers were not asked for: {seen}"
        return Ran(code, seen.replace("\r\n", "\n"), "")

    return run


def _read(descriptor: int) -> str:
    try:
        return os.read(descriptor, 4096).decode()
    except OSError:  # the other end is closed
        return ""


def kept() -> dict[str, str]:
    """The secret of each account in the vault."""
    return {
        f"{each.binding.connector}/{each.binding.account}": each.secrets["secret"].reveal()
        for each in sealed_vault().opened()
    }


def leaks(home: Path, *ran: Ran, key: str = KEY) -> list[str]:
    """Every place that shows the key or an encoding of it."""
    texts = {path.name: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    texts |= {f"{number} {each.code}": (each.out + each.err).encode() for number, each in enumerate(ran)}
    forms = (key, key[:16], key[-12:], base64.b64encode(key.encode()).decode()[:16])
    return [name for name, text in texts.items() if any(form.encode() in text for form in forms)]
