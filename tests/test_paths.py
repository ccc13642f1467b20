"""Where a person's own files lie, and that nobody else can read them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from mcpgate import paths


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("environment", "home", "cache"),
    [
        ({"MCPGATE_HOME": "~/gate"}, "/u/gate", "/u/gate/cache"),
        ({"MCPGATE_HOME": "/g/../gate/"}, "/gate", "/gate/cache"),
        ({}, "/u/.config/mcpgate", "/u/.cache/mcpgate"),
        ({"MCPGATE_HOME": ""}, "/u/.config/mcpgate", "/u/.cache/mcpgate"),
        ({"XDG_CONFIG_HOME": "/c", "XDG_CACHE_HOME": "/k"}, "/c/mcpgate", "/k/mcpgate"),
        # the specification: a path that is not absolute is to be ignored
        ({"XDG_CONFIG_HOME": "c", "XDG_CACHE_HOME": ""}, "/u/.config/mcpgate", "/u/.cache/mcpgate"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_folders(environment: dict[str, str], home: str, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCPGATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, text in {"HOME": "/u", **environment}.items():
        monkeypatch.setenv(name, text)
    assert (paths.home_folder(), paths.cache_folder()) == (home, cache)
    assert str(paths.home()) == home


@pytest.mark.parametrize(
    ("platform", "home", "cache"),
    [
        ("darwin", "/u/Library/Application Support/mcpgate", "/u/Library/Caches/mcpgate"),
        ("win32", "/u/AppData/Local/mcpgate", "/u/AppData/Local/mcpgate"),
    ],
)
def test_folders_of_other_platforms(
    platform: str, home: str, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", "/u")
    for name in ("MCPGATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert (paths.home_folder(), paths.cache_folder()) == (home, cache)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        file = tmp_path / "home" / "cache" / "a.json"
        paths.write_private(str(file), b"one")
        paths.write_private(str(file), b"two")
    finally:
        os.umask(old)
    assert file.read_bytes() == b"two"
    assert mode(file) == 0o600
    assert {mode(file.parent), mode(file.parent.parent)} == {0o700}
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_made_is_an_ordinary_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        paths.write_private(str(tmp_path / "file" / "a.json"), b"")
