"""Where each client keeps its servers, on the three platforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mcpgate.clients.table import BY_NAME, CLIENTS, Client, config_path, config_paths, is_installed

LINUX, MAC, WINDOWS = ("linux", "/home/you"), ("darwin", "/Users/you"), ("win32", r"C:\Users\you")
ROAMING = r"C:\Users\you\AppData\Roaming"
PACKAGED = r"C:\Users\you\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude"
SUPPORT = "/Users/you/Library/Application Support"


@pytest.mark.parametrize(
    ("client", "machine", "environ", "paths"),
    [
        ("claude-desktop", LINUX, {}, ["/home/you/.config/Claude/claude_desktop_config.json"]),
        ("claude-desktop", LINUX, {"XDG_CONFIG_HOME": "/x"}, ["/x/Claude/claude_desktop_config.json"]),
        ("claude-desktop", MAC, {"XDG_CONFIG_HOME": "/x"}, [f"{SUPPORT}/Claude/claude_desktop_config.json"]),
        (
            "claude-desktop",
            WINDOWS,
            {},
            [rf"{PACKAGED}\claude_desktop_config.json", rf"{ROAMING}\Claude\claude_desktop_config.json"],
        ),
        (
            "claude-desktop",
            WINDOWS,
            {"APPDATA": r"D:\roaming", "LOCALAPPDATA": r"D:\local"},
            [
                r"D:\local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude\claude_desktop_config.json",
                r"D:\roaming\Claude\claude_desktop_config.json",
            ],
        ),
        ("claude-code", LINUX, {}, ["/home/you/.claude.json"]),
        ("claude-code", WINDOWS, {}, [r"C:\Users\you\.claude.json"]),
        ("claude-code", MAC, {"CLAUDE_CONFIG_DIR": "/Users/you/c"}, ["/Users/you/c/.claude.json"]),
        ("cursor", MAC, {}, ["/Users/you/.cursor/mcp.json"]),
        ("cursor", WINDOWS, {}, [r"C:\Users\you\.cursor\mcp.json"]),
        ("vscode", LINUX, {"XDG_CONFIG_HOME": "relative"}, ["/home/you/.config/Code/User/mcp.json"]),
        ("vscode", MAC, {}, [f"{SUPPORT}/Code/User/mcp.json"]),
        ("vscode", WINDOWS, {"APPDATA": ROAMING}, [rf"{ROAMING}\Code\User\mcp.json"]),
        ("codex", LINUX, {}, ["/home/you/.codex/config.toml"]),
        ("codex", WINDOWS, {"CODEX_HOME": r"D:\codex"}, [r"D:\codex\config.toml"]),
        ("gemini", LINUX, {}, ["/home/you/.gemini/settings.json"]),
        ("gemini", MAC, {"GEMINI_CLI_HOME": "/g"}, ["/g/.gemini/settings.json"]),
        ("gemini", WINDOWS, {}, [r"C:\Users\you\.gemini\settings.json"]),
    ],
)
def test_where_a_client_keeps_its_servers(
    client: str, machine: tuple[str, str], environ: Mapping[str, str], paths: list[str]
) -> None:
    platform, home = machine
    assert [str(path) for path in config_paths(BY_NAME[client], platform, environ, home)] == paths


def test_a_packaged_app_is_preferred_where_it_is(tmp_path: Path) -> None:
    packaged, usual = tmp_path / "packaged", tmp_path / "usual"
    client = replace(BY_NAME["claude-desktop"], files=(f"{packaged}/config.json", f"{usual}/config.json"))
    assert config_path(client, "linux", {}, str(tmp_path)).parent == usual
    packaged.mkdir()
    assert config_path(client, "linux", {}, str(tmp_path)).parent == packaged


@pytest.mark.parametrize("client", CLIENTS, ids=BY_NAME)
def test_signs_of_a_client(client: Client, tmp_path: Path) -> None:
    home, environ = str(tmp_path), {"PATH": str(tmp_path / "bin")}
    assert not is_installed(client, "linux", environ, home)
    if client.program:
        program = tmp_path / "bin" / client.program
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        assert is_installed(client, "linux", environ, home)
        program.unlink()
    path = config_path(client, "linux", environ, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    assert is_installed(client, "linux", environ, home)
