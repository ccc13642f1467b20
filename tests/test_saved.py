"""The saved toolset holds as long as everything that went in, and a broken one is as good as none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpgate import paths, saved

WORDS = ["run", "shop", "--preset", "read-only"]
LISTING = {"instructions": "Größe", "tools": [{"name": "shop_get"}]}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that went into a listing which is saved."""
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "shop.yaml"
    source.write_text("one")
    assert saved.find(WORDS) is None
    saved.save(WORDS, [str(source)], LISTING)
    assert saved.find(WORDS) == LISTING
    return source


def entry() -> Path:
    (found,) = Path(paths.cache_folder()).iterdir()
    return found


def own_preset(source: Path, _: pytest.MonkeyPatch) -> None:
    folder = paths.home() / "presets"
    folder.mkdir()
    (folder / "read-only.yaml").write_text("anything")


CHANGES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "its file changed": lambda source, _: source.write_text("two"),
    "its file is gone": lambda source, _: source.unlink(),
    "an own file may shadow a shipped one": own_preset,
    "another folder": lambda source, patch: patch.chdir(source.parent / "home"),
    "another home": lambda source, patch: patch.setenv("MCPGATE_HOME", str(source.parent / "other")),
    "a key in the environment, which has no ceiling": lambda _, patch: patch.setenv("MCPGATE_SHOP_KEY", "k"),
    "another version": lambda _, patch: patch.setattr(saved, "__version__", "0"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_holds_only_as_long_as_all_that_went_in(
    source: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], object]
) -> None:
    change(source, monkeypatch)
    assert saved.find(WORDS) is None


@pytest.mark.parametrize(
    "words", [["run", "shop"], [*WORDS, "--live"], ["run", "shop", "read-only", "--preset"]]
)
def test_other_words_are_another_listing(source: Path, words: list[str]) -> None:
    assert saved.find(words) is None
    saved.save(words, [], {"tools": []})
    assert saved.find(WORDS) == LISTING


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"3",
        b"{}",
        b"[" * 100_000,
        json.dumps({"files": [], "own": []}).encode(),
        json.dumps({"files": [], "own": [], "listing": 3}).encode(),
        json.dumps({"files": [], "own": [], "listing": {"tools": 3}}).encode(),
        json.dumps({"files": [3], "own": [], "listing": LISTING}).encode(),
        json.dumps({"files": [["nowhere", "x"]], "own": [], "listing": LISTING}).encode(),
    ],
)
def test_a_broken_file_is_as_good_as_none(source: Path, content: bytes) -> None:
    entry().write_bytes(content)
    assert saved.find(WORDS) is None


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_fail(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    saved.save(WORDS, [], LISTING)
    assert saved.find(WORDS) is None
