"""A client's file on disk: whole, with its rights, its links and a backup; or not touched at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mcpgate.clients.config_file import open_config, save, with_server, without_server
from mcpgate.clients.entry import is_own, merged
from mcpgate.clients.table import BY_NAME
from mcpgate.errors import MCPGateError, SpecError

ENTRY: dict[str, Any] = {"command": "/m/mcpgate", "args": ["run", "x"]}
NOW = datetime(2026, 11, 22, 9, 5, 0, tzinfo=UTC)
CURSOR, CODEX, CODE = BY_NAME["cursor"], BY_NAME["codex"], BY_NAME["claude-code"]


def change(path: Path, client: Any = CURSOR) -> Path | None:
    config = open_config(client, path)
    return save(config, with_server(config, "x", ENTRY), NOW)


def test_a_new_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "mcp.json"
    assert change(path) is None
    assert [path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777] == [0o600, 0o700]
    assert list(path.parent.iterdir()) == [path]


def test_the_backup_is_what_was_there_and_the_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b'\xef\xbb\xbf{\r\n  "a": 1\r\n}\r\n')
    path.chmod(0o640)
    before = path.read_bytes()
    backup = change(path)
    assert backup == tmp_path / "mcp.json.bak-20261122-090500"
    assert backup.read_bytes() == before
    assert backup.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o640
    after = path.read_bytes()
    assert after.startswith(b'\xef\xbb\xbf{\r\n  "a": 1,\r\n  "mcpServers": {\r\n')
    assert after.count(b"\n") == after.count(b"\r\n")
    config = open_config(CURSOR, path)
    assert save(config, without_server(config, "x"), NOW) == tmp_path / "mcp.json.bak-20261122-090500-2"
    assert len(list(tmp_path.iterdir())) == 3


def test_line_ends_of_both_kinds_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"a = 1\r\nb = 2\n")
    change(path, CODEX)
    assert path.read_bytes().startswith(b"a = 1\r\nb = 2\n\n[mcp_servers.x]\n")


@pytest.mark.parametrize("there", [True, False], ids=["kept", "dangling"])
def test_a_symbolic_link_stays_one(there: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    target.parent.mkdir()
    if there:
        target.write_text("{}")
    link.symlink_to(target)
    backup = change(link)
    assert link.is_symlink()
    assert "mcpgate" in target.read_text()
    assert [each.name for each in target.parent.iterdir()] == ["mcp.json"]
    assert backup == (tmp_path / "mcp.json.bak-20261122-090500" if there else None)


@pytest.mark.parametrize(
    ("client", "data", "says"),
    [
        (CURSOR, b'{\n  "a": \n}', ":3:1: Expecting value"),
        (CURSOR, b"[]", ":1:1: an object is wanted here"),
        (CURSOR, b'{"mcpServers": []}', ":1:1: mcpServers holds no servers by name"),
        (CURSOR, '{"a": "ü"}'.encode("utf-16"), ":1:1: this is not UTF-8"),
        (CURSOR, b'{"mcpServers": {"x": 1, "x": 2}}', "in a way that mcpgate cannot change without harm"),
        (CODE, b"{\n  // c\n}", ":2:3: Expecting property name"),
        (CODEX, b"a = 1\nb = \n", ":2:5: Invalid value"),
        (CODEX, b"mcp_servers = { y = { command = 'z' } }\n", ": Cannot declare"),
        (CODEX, b"[mcp_servers]\nx = { command = 'z' }\n", ": Cannot declare"),
        (CODEX, b"[[mcp_servers]]\n", ":1:1: mcp_servers holds no servers by name"),
    ],
)
def test_what_cannot_be_changed_is_left_alone(client: Any, data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(data)
    with pytest.raises(SpecError) as caught:
        change(path, client)
    assert caught.value.message.startswith(f"{path}:")
    assert says in caught.value.message
    assert "\n" not in caught.value.message
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_change_in_between_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    config = open_config(CURSOR, path)
    path.write_text('{"theirs": 1}')
    with pytest.raises(MCPGateError, match="just changed by another program"):
        save(config, with_server(config, "x", ENTRY), NOW)
    assert path.read_text() == '{"theirs": 1}'
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    (tmp_path / "mcp.json.mcpgate").mkdir()
    with pytest.raises(MCPGateError, match="cannot be written: Is a directory"):
        change(path)
    assert path.read_text() == "{}"


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(MCPGateError, match="cannot be read: Is a directory"):
        change(tmp_path)


@pytest.mark.parametrize(
    ("value", "own"),
    [
        ({"command": "/a/mcpgate", "args": ["run", "x"]}, True),
        ({"command": r"C:\a\mcpgate.exe", "args": ["run", "x"]}, True),
        ({"command": "python3", "args": ["-P", "-m", "mcpgate", "run"]}, True),
        ({"command": "uvx", "args": ["mcpgate", "run", "x"]}, True),
        ({"command": "/a/mcpgate", "args": ["serve"]}, False),
        ({"command": "npx", "args": ["-y", "x-mcp"]}, False),
        ({"url": "https://mcp.example.com"}, False),
        ({"command": "/a/mcpgate", "args": "run"}, False),
        ("mcpgate run", False),
        (None, False),
    ],
)
def test_whose_entry_it_is(value: Any, own: bool) -> None:
    assert is_own(value) is own


def test_what_a_person_added_to_our_entry_stays() -> None:
    ours = {
        "command": "/old/mcpgate",
        "args": ["run", "y"],
        "timeout": 5,
        "env": {"K": "v", "MCPGATE_HOME": "/o"},
    }
    assert merged(ours, ENTRY) == {**ENTRY, "timeout": 5, "env": {"K": "v"}}
    assert merged(ours, {**ENTRY, "env": {"MCPGATE_HOME": "/n"}})["env"] == {"K": "v", "MCPGATE_HOME": "/n"}
    assert merged({"url": "https://x", "headers": {}}, ENTRY) == ENTRY
