"""The entry of a server: how a client starts this mcpgate, whatever its folder and environment are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Any

from mcpgate import paths
from mcpgate.clients.table import Client
from mcpgate.values import Json

# what may move the folder of a person's own files, and is not there when a client starts a server
_MOVES_HOME = ("MCPGATE_HOME", "XDG_CONFIG_HOME")
# a path, and no secret: a server finds the vault's passphrase there
_PASSPHRASE_FILE = "MCPGATE_PASSPHRASE_FILE"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Entry:
    """How a server is started: a program, its arguments, and what it needs to find in its environment."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that will be written down."""
        return (self.command, *self.arguments, *self.environment.values())

    def value(self, client: Client) -> dict[str, Json]:
        """The entry as a client wants it."""
        value: dict[str, Json] = {"type": "stdio"} if client.typed else {}
        value |= {"command": self.command, "args": list(self.arguments)}
        if self.environment:
            value["env"] = dict(self.environment)
        return value


def build_entry(words: Sequence[str]) -> Entry:
    """The entry that runs this very mcpgate with these words."""
    python = Path(sys.executable)
    script = python.with_name("mcpgate.exe" if sys.platform == "win32" else "mcpgate")
    # -P: else a folder called mcpgate in the client's working directory would be run in our place
    start = [str(script)] if script.is_file() else [str(python), "-P", "-m", "mcpgate"]
    moved = any(os.environ.get(name) for name in _MOVES_HOME)
    environment = {"MCPGATE_HOME": paths.home_folder()} if moved else {}
    passphrase = os.environ.get(_PASSPHRASE_FILE, "")
    if passphrase:
        environment[_PASSPHRASE_FILE] = str(Path(passphrase).absolute())
    return Entry(start[0], (*start[1:], *words), environment)


def is_own(value: Any) -> bool:
    """Whether an entry that a client holds runs mcpgate, this one or another."""
    if not isinstance(value, dict) or not isinstance(value.get("args"), list):
        return False
    program = PureWindowsPath(str(value.get("command", ""))).stem
    return ("mcpgate", "run") in pairwise((program, *map(str, value["args"])))


def merged(value: Any, entry: dict[str, Json]) -> dict[str, Json]:
    """The entry with what a person added to the one of ours that is there; another's leaves nothing."""
    if not is_own(value):
        return entry
    environment = value.get("env")
    added = environment if isinstance(environment, dict) else {}
    kept = {name: text for name, text in added.items() if name != "MCPGATE_HOME"}
    ours = entry.get("env")
    both = {**kept, **(ours if isinstance(ours, dict) else {})}
    rest = {key: item for key, item in value.items() if key != "env"}
    return {**rest, **entry, **({"env": both} if both else {})}
