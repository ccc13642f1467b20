"""The clients that `mcpgate install` knows, as values, and where each keeps its servers on each platform."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["json", "jsonc", "toml"]


@dataclass(frozen=True, slots=True)
class Client:
    """One client: its configuration file, the key its servers lie under, and what an entry looks like.

    Paths are templates over the folders of `roots`. `typed` entries name their transport; `expands` matches
    what the client replaces in an entry's texts; `after` is what a person does once the entry is there.
    """

    name: str
    title: str
    language: Language
    key: str
    files: tuple[str, ...]
    signs: tuple[str, ...]
    after: str
    program: str = ""
    project: str = ""
    typed: bool = False
    expands: str = ""
    windows_files: tuple[str, ...] = ()


CLIENTS: Final = (
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        language="json",
        key="mcpServers",
        files=("{config}/Claude/claude_desktop_config.json",),
        # packaged apps see a folder of their own in the place of %APPDATA%
        windows_files=(
            "{local}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
        ),
        signs=("{config}/Claude", "{local}/Packages/Claude_pzs8sxrjxfjjc"),
        after="Quit Claude Desktop and open it again; closing its window is not enough.",
    ),
    Client(
        name="claude-code",
        title="Claude Code",
        language="json",
        key="mcpServers",
        files=("{claude}/.claude.json",),
        signs=("{claude}/.claude.json", "{home}/.claude"),
        after="Start Claude Code anew and look at /mcp.",
        program="claude",
        project=".mcp.json",
        typed=True,
        expands=r"\$\{",
    ),
    Client(
        name="cursor",
        title="Cursor",
        language="jsonc",
        key="mcpServers",
        files=("{home}/.cursor/mcp.json",),
        signs=("{home}/.cursor",),
        after="Restart Cursor and look at its MCP settings.",
        program="cursor",
        project=".cursor/mcp.json",
        typed=True,
        expands=r"\$\{",
    ),
    Client(
        name="vscode",
        title="VS Code",
        language="jsonc",
        key="servers",
        files=("{config}/Code/User/mcp.json",),
        signs=("{config}/Code",),
        after="In VS Code run the command “MCP: List Servers” and start it.",
        program="code",
        project=".vscode/mcp.json",
        typed=True,
        expands=r"\$\{",
    ),
    Client(
        name="codex",
        title="Codex",
        language="toml",
        key="mcp_servers",
        files=("{codex}/config.toml",),
        signs=("{codex}",),
        after="Start Codex anew and look at /mcp.",
        program="codex",
        project=".codex/config.toml",
    ),
    Client(
        name="gemini",
        title="Gemini CLI",
        language="jsonc",
        key="mcpServers",
        files=("{gemini}/.gemini/settings.json",),
        signs=("{gemini}/.gemini",),
        after="Start Gemini CLI anew and look at /mcp.",
        program="gemini",
        project=".gemini/settings.json",
        expands=r"\$[{\w]",
    ),
)
BY_NAME: Final[Mapping[str, Client]] = {client.name: client for client in CLIENTS}


def roots(platform: str, environ: Mapping[str, str], home: str) -> dict[str, PurePath]:
    """The folders that the paths of clients begin with, on `platform` as `sys.platform` names it."""
    flavour = PureWindowsPath if platform == "win32" else PurePosixPath
    user = flavour(home)

    def folder(variable: str, otherwise: PurePath) -> PurePath:
        chosen = flavour(environ.get(variable, ""))
        return chosen if chosen.is_absolute() else otherwise

    if platform == "win32":
        config = folder("APPDATA", user / "AppData" / "Roaming")
    elif platform == "darwin":
        config = user / "Library" / "Application Support"
    else:
        config = folder("XDG_CONFIG_HOME", user / ".config")
    return {
        "home": user,
        "config": config,
        "local": folder("LOCALAPPDATA", user / "AppData" / "Local"),
        "claude": folder("CLAUDE_CONFIG_DIR", user),
        "codex": folder("CODEX_HOME", user / ".codex"),
        "gemini": folder("GEMINI_CLI_HOME", user),
    }


def config_paths(client: Client, platform: str, environ: Mapping[str, str], home: str) -> list[PurePath]:
    """Where the client may keep its servers on a platform, the likeliest last."""
    found = roots(platform, environ, home)
    templates = (client.windows_files if platform == "win32" else ()) + client.files
    return [type(found["home"])(template.format_map(found)) for template in templates]


def config_path(client: Client, platform: str, environ: Mapping[str, str], home: str) -> Path:
    """Where the client keeps its servers on this machine; the file may not exist yet."""
    *rarer, usual = (Path(path) for path in config_paths(client, platform, environ, home))
    return next((path for path in rarer if path.parent.is_dir()), usual)


def is_installed(client: Client, platform: str, environ: Mapping[str, str], home: str) -> bool:
    """Whether there are signs of the client on this machine: its folder, or its program on the PATH."""
    found = roots(platform, environ, home)
    if any(Path(sign.format_map(found)).exists() for sign in client.signs):
        return True
    return bool(client.program and shutil.which(client.program, path=environ.get("PATH", "")))
