"""`mcpgate install`: an entry for mcpgate in the configuration of an MCP client."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mcpgate.cli.console import plain, print_json, stdout
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.clients.config_file import ConfigFile, open_config, save, snippet, with_server
from mcpgate.clients.entry import Entry, build_entry, is_own, merged
from mcpgate.clients.table import BY_NAME, CLIENTS, Client, config_path, is_installed
from mcpgate.errors import MCPGateError, UsageError
from mcpgate.json_schema import compile_pattern
from mcpgate.secrets import MASK
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.toolset import Toolset
from mcpgate.vault.environment import variable
from mcpgate.values import Json

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_SECRET_NAME: Final = re.compile(r"MCPGATE_\w+_KEY")
_LEAST_SECRET: Final = 6
_FLAGS: Final = {
    "presets": "--preset",
    "policies": "--policy",
    "only": "--only",
    "without": "--without",
    "settings": "--setting",
}


def install(client_name: str, options: Options, *, name: str, write: bool, project: bool) -> None:
    """Show the entry and where it belongs, or put it there."""
    client = _client(client_name)
    if not options.connectors:
        raise UsageError("Which connector?", f"For example: mcpgate install {client.name} stripe")
    toolset = open_toolset(options)
    name = _checked_name(name or _default_name(toolset))
    entry = build_entry(words_of(options))
    _refuse_secrets(toolset, (name, *entry.texts))
    _refuse_variables(client, entry)
    config = open_config(client, _path(client, project))
    before = config.servers.get(name)
    after = merged(before, entry.value(client))
    notes = list(_notes(client, toolset, options, project))
    if before == after:
        _say(f"Already there: {name} in {config.path}", *notes, "Nothing to do.")
    elif write:
        text = with_server(config, name, after)
        if before is not None:
            _show_change(client, name, before, after)
        backup = save(config, text, datetime.now().astimezone())
        _say(f"Written: {name} in {config.path}", *_told(backup), *notes, client.after)
    elif before is not None:
        _say(f"{config.path} has another {name}:", "")
        _show_change(client, name, before, after)
        _say(*notes, "Nothing was written. --write replaces it, --name NAME gives this one another name.")
    else:
        _say(f"For {client.title}, in {config.path}:", "", snippet(client, name, after), "")
        _say(*notes, "Nothing was written. --write puts it there.")


def remove(client_name: str, *, connectors: tuple[str, ...], name: str, write: bool, project: bool) -> None:
    """Take an entry of mcpgate out again, or show which one would go."""
    client = _client(client_name)
    config = open_config(client, _path(client, project))
    own = [each for each, value in config.servers.items() if is_own(value)]
    wanted = name or (connectors[0] if len(connectors) == 1 else "")
    if not own:
        _say(f"There is no mcpgate in {config.path}", "Nothing to do.")
        return
    if not wanted and len(own) > 1:
        raise UsageError(f"There are several in {config.path}: {', '.join(own)}.", "Say which: --name NAME")
    name = wanted or own[0]
    if name not in own:
        near = did_you_mean(name, own)
        raise UsageError(f"{config.path} has no entry '{name}' that runs mcpgate{near}", f"It has: {', '.join(own)}")
    text = with_server(config, name, None)
    if not write:
        _say(f"Would be taken out: {name} in {config.path}", "Nothing was written. Add --write to do it.")
        return
    backup = save(config, text, datetime.now().astimezone())
    _say(f"Taken out: {name} in {config.path}", *_told(backup))


def list_clients(*, project: bool, as_json: bool) -> None:
    """Print which clients are on this machine, where each keeps its servers, and which of them run mcpgate."""
    rows = [_row(client, project) for client in CLIENTS if client.project or not project]
    if as_json:
        print_json(rows)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Client", "Found", "mcpgate", "Configuration"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "Client")
    for row in rows:
        runs = Text("cannot be read", "red") if row["fault"] else Text(", ".join(row["servers"]) or "–")
        table.add_row(row["client"], "yes" if row["found"] else "–", runs, plain(row["config"]))
    stdout().print(table)
    _say(*(row["fault"] for row in rows if row["fault"]))


def words_of(options: Options) -> tuple[str, ...]:
    """The words of the `mcpgate run` that the options describe, from any working directory."""
    words = ["run", *(_absolute(name, options) for name in options.connectors)]
    for field, flag in _FLAGS.items():
        for text in getattr(options, field):
            connector, equals, path = text.partition("=")
            named = field == "presets" and equals
            words += [flag, f"{connector}={_absolute(path, options)}" if named else _absolute(text, options)]
    return (*words, *(["--sandbox"] if options.sandbox else []), *(["--live"] if options.live else []))


def _absolute(text: str, options: Options) -> str:
    """The absolute path of what was read as a file of that path; a name as it is."""
    return os.path.abspath(text) if Path(text) in options.files else text


def _client(name: str) -> Client:
    if name not in BY_NAME:
        what = f"There is no client '{name}'{did_you_mean(name, list(BY_NAME))}" if name else "Which client?"
        raise UsageError(what, f"Known are: {', '.join(BY_NAME)}. What is here: mcpgate install --list")
    return BY_NAME[name]


def _path(client: Client, project: bool) -> Path:
    if not project:
        return config_path(client, sys.platform, os.environ, os.path.expanduser("~"))
    if not client.project:
        raise UsageError(f"{client.title} has no configuration for a project.", "Leave --project out.")
    return Path.cwd() / client.project


def _default_name(toolset: Toolset) -> str:
    grants = toolset.app.grants
    return grants[0].connector.name if len(grants) == 1 else "mcpgate"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name}: up to 32 letters, digits, hyphens and underscores.")
    return name


def _refuse_secrets(toolset: Toolset, texts: tuple[str, ...]) -> None:
    """No secret gets into a client's file: none from the environment, none that looks like one."""
    held = [text.strip() for name, text in os.environ.items() if _SECRET_NAME.fullmatch(name)]
    auths = [grant.connector.auth for grant in toolset.app.grants]
    matches = [compile_pattern(kind.match) for auth in auths if auth is not None for kind in auth.kinds]
    for text in texts:
        parts = {text, text.rpartition("=")[2]}
        if any(len(secret) >= _LEAST_SECRET and secret in text for secret in held) or any(
            match.fullmatch(part) for match in matches for part in parts
        ):
            hint = "Keys do not belong into a client's file. Keep it with: mcpgate connect"
            raise UsageError("One of the values is a key. Nothing was written.", hint)


def _refuse_variables(client: Client, entry: Entry) -> None:
    for text in entry.texts:
        if client.expands and re.search(client.expands, text):
            raise UsageError(
                f"{client.title} would replace a part of {text} by a variable.", "Use a path without a $."
            )
        if not text.isprintable():
            raise UsageError(f"{plain(ascii(text))} cannot be written into a configuration.")


def _notes(client: Client, toolset: Toolset, options: Options, project: bool) -> Iterator[str]:
    """What a person has to know of an entry."""
    listed = sum(entry.denied is None for entry in toolset.entries.values())
    presets = ", ".join(dict.fromkeys(grant.preset.name for grant in toolset.app.grants))
    yield f"It offers {listed} of {len(toolset.entries)} tools ({presets})."
    if not listed:
        yield "Nothing is allowed: see why with mcpgate tools."
    if options.live:
        yield "It accepts a live key: real money moves."
    if not options.sandbox:
        for grant in toolset.app.grants:
            if grant.connector.auth is None:
                continue
            key = variable(grant.connector.name)
            if os.environ.get(key, "").strip():
                yield f"{key} is set in this shell only: {client.title} may not see it."
            else:
                yield f"There is no key for {grant.connector.title} yet."
    if project:
        yield "Its paths are those of this machine: others of the project have to install their own."
    elif not is_installed(client, sys.platform, os.environ, os.path.expanduser("~")):
        yield f"{client.title} was not found on this machine."


def _show_change(client: Client, name: str, before: Any, after: dict[str, Json]) -> None:
    """Print what changes in an entry, line by line; what may be secret is masked."""
    old, new = (snippet(client, name, _masked(value)).splitlines() for value in (before, after))
    lines = difflib.unified_diff(old, new, lineterm="", n=len(old) + len(new))
    colors = {"+": "green", "-": "red"}
    for line in list(lines)[3:]:
        stdout().print(plain(line), style=colors.get(line[0], ""), highlight=False, soft_wrap=True)
    print()


def _masked(value: Any) -> Any:
    """An entry whose environment, headers and keys are hidden, but for what is ours."""
    if not isinstance(value, dict):
        return {"": value}
    hidden = ("env", "headers", "http_headers")
    return {
        key: {name: text if name == "MCPGATE_HOME" else MASK for name, text in item.items()}
        if key in hidden and isinstance(item, dict)
        else item
        for key, item in value.items()
    }


def _row(client: Client, project: bool) -> dict[str, Any]:
    path = _path(client, project)
    row: dict[str, Any] = {
        "client": client.name,
        "title": client.title,
        "found": path.exists() or is_installed(client, sys.platform, os.environ, os.path.expanduser("~")),
        "config": str(path),
        "exists": path.exists(),
        "servers": [],
        "fault": "",
    }
    try:
        config: ConfigFile = open_config(client, path)
        row["servers"] = [name for name, value in config.servers.items() if is_own(value)]
    except MCPGateError as error:
        row["fault"] = error.message
    return row


def _told(backup: Path | None) -> Iterator[str]:
    if backup is not None:
        yield f"Backup: {backup}"


def _say(*lines: str) -> None:
    for line in lines:
        stdout().print(plain(line), highlight=False, soft_wrap=True)
