"""A vault of its own for each test, and an Argon2id that takes no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpgate.vault import providers
from tests.vault.vaults import Rig


@pytest.fixture
def rigged(tmp_path: Path) -> Iterator[Rig]:
    """A folder for a vault."""
    rig = Rig(tmp_path / "vault")
    yield rig
    rig.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with the least that it takes."""
    monkeypatch.setattr(providers, "_KIB", 32)
    monkeypatch.setattr(providers, "_PASSES", 1)
