"""Commands run inside the test, with a home of their own and no key in the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpgate.__main__ import main


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("MCPGATE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("MCPGATE_STRIPE_KEY", raising=False)
    return home


@pytest.fixture
def mcpgate(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*words: str) -> Ran:
        code = main(list(words))
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
