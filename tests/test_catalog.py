"""Connectors and presets by name and by path; what is one's own never stands in for what is shipped."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from mcpgate import catalog, paths
from mcpgate.errors import MCPGateError, NotFoundError, SpecError
from mcpgate.spec.yaml_text import MAX_BYTES
from tests.spec.files import text

READ = "preset: {}\nallow: [read]\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder, and another one to work in."""
    home = tmp_path / "home"
    (home / "connectors").mkdir(parents=True)
    (home / "presets").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("MCPGATE_HOME", str(home))
    monkeypatch.chdir(tmp_path / "work")
    return home


def told(call: object, *arguments: object) -> MCPGateError:
    with pytest.raises(MCPGateError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


def test_what_is_shipped_is_found_by_name(home: Path) -> None:
    assert {"read-only", "transact", "full-access"} <= catalog.names("presets").keys()
    for name, path in catalog.names("connectors").items():
        found = catalog.load_connector(name)
        assert (found.name, found.source.kind, found.source.path) == (name, "shipped", str(path))
    assert all(story.name.endswith(".demo.yaml") for story in catalog.stories())
    assert not [name for name in catalog.names("connectors") if name.endswith(".demo")]


def test_ones_own_is_found_by_name_and_any_file_by_path(home: Path) -> None:
    own, here = home / "connectors" / "shop.yml", Path("other.yaml")
    own.write_text(text())
    here.write_text(text("timeout: 5"))
    files: list[Path] = []
    by_name, by_path = catalog.load_connector("shop", files), catalog.load_connector("./other.yaml", files)
    assert by_name.source.kind == "own"
    assert (by_path.source.kind, by_path.timeout) == ("file", 5.0)
    assert by_path.source.digest == hashlib.sha256(here.read_bytes()).hexdigest() != by_name.source.digest
    assert files == [own, here]
    assert catalog.known_connector("shop") == by_name
    assert catalog.known_connector("other") is None


@pytest.mark.parametrize("room", ["connectors", "presets"])
def test_a_shipped_name_cannot_be_shadowed(home: Path, room: catalog.Room) -> None:  # row 15
    shipped = next(iter(catalog.names(room)))
    own = home / room / f"{shipped}.yml"
    own.write_text("anything")
    error = told(catalog.names, room)
    assert error.message == f"{own}:1:1: '{shipped}' is the name of one of the shipped {room}"
    assert "cannot be replaced" in error.hint
    load = (
        catalog.load_connector if room == "connectors" else lambda name: catalog.load_policy(name, "preset")
    )
    assert told(load, shipped).message == error.message


def test_two_of_ones_own_cannot_share_a_name(home: Path) -> None:
    for suffix in ("yaml", "yml"):
        (home / "presets" / f"mine.{suffix}").write_text(READ.format("mine"))
    assert "mine.yaml has the same name" in told(catalog.names, "presets").message


def test_a_file_bears_the_name_it_is_found_by(home: Path) -> None:
    (home / "connectors" / "store.yaml").write_text(text())
    (home / "presets" / "mine.yaml").write_text(READ.format("yours"))
    assert told(catalog.load_connector, "store").message.endswith(
        "connector 'shop' lies in a file called 'store.yaml'"
    )
    assert told(catalog.load_policy, "mine", "preset").message.endswith(
        "preset 'yours' lies in a file called 'mine.yaml'"
    )
    assert catalog.load_policy(str(home / "presets" / "mine.yaml"), "preset").name == "yours"


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        (
            "read-onyl",
            "There is no preset 'read-onyl'; did you mean 'read-only'?",
            "such as ./read-onyl.yaml",
        ),
        ("zzz", "There is no preset 'zzz'", "full-access"),
        ("./zzz.yaml", "zzz.yaml cannot be read: No such file or directory", "Check the path."),
        (".", "There is no preset '.'", ""),
        ("../work/", "../work cannot be read: Is a directory", ""),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest_name(home: Path, name: str, says: str, hint: str) -> None:
    error = told(catalog.load_policy, name, "preset")
    assert isinstance(error, NotFoundError)
    assert error.message == says
    assert hint in error.hint


def test_a_preset_and_a_policy_file_are_not_taken_for_each_other(home: Path) -> None:
    Path("house.yaml").write_text("policy: house\ndeny: [delete]\n")
    Path("mine.yaml").write_text(READ.format("mine"))
    assert catalog.load_policy("house.yaml", "policy").deny[0].text == "delete"
    assert (
        "house.yaml:1:1: this is a policy; a preset is wanted here"
        in told(catalog.load_policy, "house.yaml", "preset").message
    )
    assert (
        "mine.yaml:1:1: this is a preset; a policy is wanted here"
        in told(catalog.load_policy, "mine.yaml", "policy").message
    )


def test_a_preset_takes_in_all_that_it_extends_once(home: Path) -> None:
    (home / "presets" / "shared.yaml").write_text(
        "preset: shared\nallow: [read]\nguardrails: [{ for: write, block_delete: {} }]\n"
    )
    folder = Path("sub")
    folder.mkdir()
    (folder / "left.yaml").write_text("preset: left\nextends: shared\ndeny: [delete]\n")
    (folder / "right.yaml").write_text("preset: right\nextends: [shared, ./left.yaml]\nallow: [write]\n")
    Path("top.yaml").write_text(
        "preset: top\nextends: [sub/right.yaml, sub/../sub/left.yaml]\nallow: [a_*]\n"
    )
    files: list[Path] = []
    found = catalog.load_policy("top.yaml", "preset", files)
    assert [each.text for each in found.allow or ()] == ["read", "write", "a_*"]
    assert [each.text for each in found.deny] == ["delete"]
    assert [rule.template for rule in found.rules] == ["block_delete"]
    assert sorted(path.name for path in files) == ["left.yaml", "right.yaml", "shared.yaml", "top.yaml"]


def test_a_preset_that_extends_itself_is_an_error(home: Path) -> None:
    Path("a.yaml").write_text("preset: a\nextends: ./b.yaml\n")
    Path("b.yaml").write_text("preset: b\nextends: [../work/a.yaml]\n")
    Path("self.yaml").write_text("preset: self\nextends: ../work/../work/self.yaml\n")
    Path("again.yaml").symlink_to("link.yaml")
    Path("link.yaml").write_text("preset: link\nextends: ./again.yaml\n")
    assert told(catalog.load_policy, "a.yaml", "preset").message == (
        "a.yaml:1:1: this extends itself: a.yaml → b.yaml → a.yaml"
    )
    assert "self.yaml → self.yaml" in told(catalog.load_policy, "./self.yaml", "preset").message
    assert "link.yaml → link.yaml" in told(catalog.load_policy, "link.yaml", "preset").message


def test_presets_that_extend_each_other_many_times_are_read_once(home: Path) -> None:
    for number in range(40):
        above = f"[./p{number + 1}.yaml, ../work/p{number + 1}.yaml]" if number < 39 else "read-only"
        Path(f"p{number}.yaml").write_text(f"preset: p{number}\nextends: {above}\ndeny: [a_{number}]\n")
    began = time.perf_counter()
    assert len(catalog.load_policy("p0.yaml", "preset").deny) == 40
    assert time.perf_counter() - began < 5


def test_a_base_that_is_not_there_is_told_with_the_file_that_wants_it(home: Path) -> None:
    Path("bot.yaml").write_text("preset: bot\nextends: transakt\n")
    error = told(catalog.load_policy, "bot.yaml", "preset")
    assert isinstance(error, SpecError)
    assert error.message == "bot.yaml:1:1: extends: There is no preset 'transakt'; did you mean 'transact'?"
    assert "read-only" in error.hint
    Path("bot.yaml").write_text("preset: bot\nextends: ./bot2.yaml\n")
    Path("bot2.yaml").write_text("policy: bot2\ndeny: [read]\n")
    assert "bot2.yaml:1:1: this is a policy" in told(catalog.load_policy, "bot.yaml", "preset").message


def test_no_more_of_a_file_is_read_than_is_too_much(home: Path) -> None:  # row 21
    with Path("huge.yaml").open("wb") as file:
        file.truncate(MAX_BYTES * 100)
    assert len(catalog.read_file(Path("huge.yaml"))) == MAX_BYTES + 1
    assert "bytes; no more are read" in told(catalog.load_connector, "huge.yaml").message


def test_messages_show_a_path_as_it_is_seen_from_here(home: Path) -> None:
    Path("bad.yaml").write_text("connector: 1\n")
    away = home / "connectors" / "bad.yaml"
    away.write_text("connector: 1\n")
    assert told(catalog.load_connector, str(Path("bad.yaml").absolute())).message.startswith("bad.yaml:1:1: ")
    assert told(catalog.load_connector, "bad").message.startswith(f"{away}:1:1: ")


def test_the_shipped_folders_lie_beside_the_package_or_in_it() -> None:
    assert paths.shipped("presets").name == "presets"
    assert (paths.shipped("presets") / "read-only.yaml").is_file()
