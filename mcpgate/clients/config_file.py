"""A client's configuration file: read, changed in one place, and put back whole, with a backup beside it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mcpgate import paths
from mcpgate.clients import TextError, json_text, toml_text
from mcpgate.clients.table import Client
from mcpgate.errors import MCPGateError, SpecError
from mcpgate.values import Json

_BOM: Final = b"\xef\xbb\xbf"
_LONE_LINE_END: Final = re.compile(r"(?<!\r)\n")


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
        servers: Mapping[str, Any] = self.value.get(self.client.key, {})
        return servers


def open_config(client: Client, path: Path) -> ConfigFile:
    """Read a client's configuration; raises `SpecError` with the place where it cannot be used."""
    data = _read(path)
    try:
        text = (data or b"").removeprefix(_BOM).decode("utf-8")
        value = _parse(client, text)
        if not isinstance(value.get(client.key, {}), dict):
            raise TextError(f"{client.key} holds no servers by name")
    except UnicodeDecodeError:
        raise _wrong(client, path, TextError("this is not UTF-8")) from None
    except TextError as fault:
        raise _wrong(client, path, fault) from None
    return ConfigFile(client, path, data, text, value)


def with_server(config: ConfigFile, name: str, entry: dict[str, Json]) -> str:
    """The text of a configuration with an entry put in; raises `SpecError` where that would do harm."""
    put = toml_text.put if config.client.language == "toml" else json_text.put
    text = put(config.text, (config.client.key, name), entry)
    return _checked(config, text, {**config.servers, name: entry})


def without_server(config: ConfigFile, name: str) -> str:
    """The text of a configuration with an entry taken out; raises `SpecError` where that would do harm."""
    drop = toml_text.drop if config.client.language == "toml" else json_text.drop
    text = drop(config.text, (config.client.key, name))
    return _checked(config, text, {other: entry for other, entry in config.servers.items() if other != name})


def save(config: ConfigFile, text: str, now: datetime) -> Path | None:
    """Put a configuration's new text in its place, whole; gives the backup of what was there."""
    if _read(config.path) != config.data:
        raise MCPGateError(f"{config.path} was just changed by another program.", "Try again.")
    if "\r\n" in config.text and not _LONE_LINE_END.search(config.text):
        text = _LONE_LINE_END.sub("\r\n", text)
    # a symbolic link stays one: the file that it leads to is replaced
    target = Path(os.path.realpath(config.path))
    try:
        if config.data is None:
            paths.write_private(str(target), text.encode())
            return None
        backup = _free(config.path.with_name(f"{config.path.name}.bak-{now:%Y%m%d-%H%M%S}"))
        paths.write_private(str(backup), config.data)
        draft = target.with_name(f"{target.name}.mcpgate")
        paths.write_private(str(draft), (_BOM if config.data.startswith(_BOM) else b"") + text.encode())
        _keep_rights(target, draft)
        draft.replace(target)
    except OSError as error:
        raise MCPGateError(
            f"{config.path} cannot be written: {error.strerror}.", "It is as it was."
        ) from None
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


def _parse(client: Client, text: str) -> dict[str, Any]:
    if client.language == "toml":
        return toml_text.read(text)
    return json_text.read(text, comments=client.language == "jsonc")


def _checked(config: ConfigFile, text: str, servers: Mapping[str, Any]) -> str:
    """A new text, when it says these servers and beside them what it said before."""
    try:
        says = _parse(config.client, text)
        now = says.pop(config.client.key, {})
        before = {key: value for key, value in config.value.items() if key != config.client.key}
        if (says, now) != (before, servers):
            raise TextError(
                f"{config.client.key} is written in a way that mcpgate cannot change without harm"
            )
    except TextError as fault:
        raise _wrong(config.client, config.path, fault) from None
    return text


def _wrong(client: Client, path: Path, fault: TextError) -> SpecError:
    place = f"{path}:{fault.line}:{fault.column}: {fault.why}"
    return SpecError([place], f"Nothing was changed. Mend it, or edit {client.key} there by hand.")


def _keep_rights(target: Path, draft: Path) -> None:
    """Give a draft the mode of the file that it replaces, and its owner as far as that is allowed."""
    status = target.stat()
    if hasattr(os, "chown"):
        try:
            os.chown(draft, status.st_uid, status.st_gid)
        except PermissionError:
            pass
    draft.chmod(stat.S_IMODE(status.st_mode))


def _free(path: Path) -> Path:
    """The path itself, or one like it that is not taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
