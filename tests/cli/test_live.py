"""Apps that stay true to what they were made of, whatever is changed while they are used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.catalog import load_connector, load_policy
from mcpgate.cli.live import live_toolset
from mcpgate.toolset import LiveToolset, Toolset

CONNECTOR = """\
connector: shop
base_url: https://shop.example
tools:
  shop_ping: { description: Ping., category: read, request: GET /ping }
"""
PRESET = "preset: p\nallow: [read]\n"


class Rig:
    """An app made of two files in a folder, and how often it was opened."""

    def __init__(self, folder: Path) -> None:
        self.connector, self.preset = folder / "shop.yaml", folder / "preset.yaml"
        self.connector.write_text(CONNECTOR)
        self.preset.write_text(PRESET)
        self.version = 1
        self.opened = 0
        self.meanwhile: Callable[[], object] = lambda: None
        self.live: LiveToolset = live_toolset(lambda: self.version, self.open)

    def open(self, files: list[Path]) -> App:
        self.opened += 1
        connector = load_connector(str(self.connector), files)
        self.meanwhile()
        preset = load_policy(str(self.preset), "preset", files)
        # a file may be noted more than once, as a preset of two connectors is
        load_connector(str(self.connector), files)
        return App("app", (Grant(open_account(connector, {}), preset),))

    def current(self) -> Toolset:
        return self.live.current()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return Rig(tmp_path)


def test_what_has_not_changed_is_opened_once(rig: Rig) -> None:
    assert rig.current() is rig.current() is rig.current()
    assert rig.opened == 1


def longer(rig: Rig) -> None:
    rig.preset.write_text(PRESET + "\n")


def replaced(rig: Rig) -> None:
    other, before = rig.preset.with_name("other"), rig.preset.stat()
    other.write_text(PRESET)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(rig.preset)


def touched(rig: Rig) -> None:
    os.utime(rig.connector, ns=(0, 0))


def for_every_app(rig: Rig) -> None:
    (rig.preset.parent / "home" / "policy.yaml").write_text("policy: all\ndeny: [read]\n")


def another_version(rig: Rig) -> None:
    rig.version += 1


@pytest.mark.parametrize("change", [longer, replaced, touched, for_every_app, another_version])
def test_what_has_changed_is_opened_anew_at_the_next_question(
    change: Callable[[Rig], None], rig: Rig
) -> None:
    before = rig.current()
    change(rig)
    assert rig.current() is not before
    assert rig.current() is rig.current()
    assert rig.opened == 2


def test_what_changes_while_it_is_opened_is_opened_once_more(rig: Rig) -> None:
    """Also where the same file is read again later: the first reading was of what it was before."""
    rig.meanwhile = lambda: rig.connector.write_text(CONNECTOR.replace("Ping.", "Another ping."))
    rig.current()
    rig.meanwhile = lambda: None
    assert rig.current().find("shop_ping").tool.description == "Another ping."
    assert rig.opened == 2
