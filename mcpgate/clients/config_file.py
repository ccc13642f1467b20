"""A client's configuration file: read, changed in one place, and put back whole, with a backup beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mcpgate import paths
from mcpgate.clients import UnusableText, json_text, toml_text
from mcpgate.clients.table import Client, Language
from mcpgate.errors import MCPGateError, SpecError
from mcpgate.values import Json

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file as it was read; `data` is None where there is none yet."""

    client: Client
    path: Path
    data: bytes | None
    text: str
    value: Mapping[str, Any]

    @property
    def servers(self) -> Mapping[str, Any]:
        """The entries of servers by their names."""
        servers = self.value.get(self.client.key)
        return servers if isinstance(servers, dict) else {}


def open_config(client: Client, path: Path) -> ConfigFile:
    """Read a client's configuration; raises `SpecError` with the place where it cannot be read."""
    data = _read(path)
    try:
        text = (data or b"").decode("utf-8").removeprefix(_BOM)
        return ConfigFile(client, path, data, text, _parse(client.language, text))
    except UnicodeDecodeError:
        raise SpecError([f"{path}:1:1: this is not UTF-8"], "Nothing was changed.") from None
    except UnusableText as fault:
        raise _wrong(client, path, fault) from None


def with_server(config: ConfigFile, name: str, entry: dict[str, Json] | None) -> str:
    """The text of a configuration with an entry put in, or taken out if None; the rest says what it said."""
    place = (config.client.key, name)
    try:
        if config.client.language == "toml":
            text = toml_text.drop(config.text, place) if entry is None else toml_text.put(config.text, place, entry)
        else:
            text = json_text.drop(config.text, place) if entry is None else json_text.put(config.text, place, entry)
        if _parse(config.client.language, text) != _changed(config.value, place, entry):
            raise UnusableText("this is written in a way that mcpgate cannot change without harm")
    except UnusableText as fault:
        raise _wrong(config.client, config.path, fault) from None
    return text


def save(config: ConfigFile, text: str, now: datetime) -> Path | None:
    """Put a configuration's new text in its place; gives the backup of what was there."""
    if _read(config.path) != config.data:
        raise MCPGateError(f"{config.path} was changed by another program.", "Nothing was written; try again.")
    # the file that a symbolic link leads to is replaced, never the link
    target = os.path.realpath(config.path)
    if "\r\n" in config.text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    data = (_BOM if (config.data or b"").startswith(_BOM.encode()) else "").encode() + text.encode()
    backup = None
    try:
        if config.data is None:
            paths.write_private(target, data)
            return None
        backup = _free(config.path.with_name(f"{config.path.name}.bak-{now:%Y%m%d-%H%M%S}"))
        paths.write_private(str(backup), config.data)
        draft = f"{target}.mcpgate"
        paths.write_private(draft, data)
        _keep_rights(target, draft)
        os.replace(draft, target)
    except OSError as error:
        raise MCPGateError(f"{config.path} cannot be written: {error.strerror}.", "It is as it was.") from None
    return backup


def snippet(client: Client, name: str, entry: dict[str, Json]) -> str:
    """A configuration that holds this entry alone, for a person to paste."""
    if client.language == "toml":
        return toml_text.write((client.key, name), entry).rstrip()
    return json_text.write({client.key: {name: entry}})


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MCPGateError(f"{path} cannot be read: {error.strerror}.", "Nothing was changed.") from None


def _parse(language: Language, text: str) -> dict[str, Any]:
    if language == "toml":
        return toml_text.read(text)
    return json_text.read(text, comments=language == "jsonc")


def _changed(tree: Mapping[str, Any], place: Sequence[str], value: Json) -> dict[str, Any]:
    """A tree with a value at a place, or without what is there if it is None."""
    key, *rest = place
    if rest:
        return {**tree, key: _changed(tree.get(key, {}), rest, value)}
    return {**{name: item for name, item in tree.items() if name != key}, **({} if value is None else {key: value})}


def _wrong(client: Client, path: Path, fault: UnusableText) -> SpecError:
    place = f"{path}:{fault.line}:{fault.column}: {fault.why}"
    return SpecError([place], f"Nothing was changed. Mend it, or paste the entry under {client.key} yourself.")


def _keep_rights(target: str, draft: str) -> None:
    """Give a file the mode of another, and its owner as far as that is allowed."""
    status = os.stat(target)
    os.chmod(draft, stat.S_IMODE(status.st_mode))
    if hasattr(os, "chown"):
        try:
            os.chown(draft, status.st_uid, status.st_gid)
        except PermissionError:
            pass


def _free(path: Path) -> Path:
    """This path, or one like it that is not taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
