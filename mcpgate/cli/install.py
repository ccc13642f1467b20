"""`mcpgate install`: an entry for mcpgate in the configuration of an MCP client."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mcpgate import catalog
from mcpgate.apps import Grant
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.entry_words import refuse_secrets, refuse_variables, words_of
from mcpgate.cli.live import open_any
from mcpgate.cli.opening import Options
from mcpgate.cli.vaults import sealed_vault
from mcpgate.clients.config_file import open_config, save, snippet, with_server, without_server
from mcpgate.clients.entry import build_entry, is_own, merged
from mcpgate.clients.table import BY_NAME, CLIENTS, Client, config_path, is_installed
from mcpgate.errors import MCPGateError, SpecError, UsageError
from mcpgate.secrets import MASK
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Json
from mcpgate.vault.binding import DEFAULT
from mcpgate.vault.environment import variable
from mcpgate.vault.kinds import connect_command

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_SECRET_FLAG: Final = re.compile(r"(?i)(--?[\w-]*(?:key|token|secret|password|header)[\w-]*)(=.*)?")


def install(client_name: str, options: Options, *, name: str, write: bool, project: bool) -> None:
    """Show the entry and where it belongs, or put it there."""
    client = _client(client_name)
    if not options.connectors and not options.app:
        known = ", ".join(catalog.names("connectors"))
        raise UsageError("Which connector?", f"mcpgate install {client.name} CONNECTOR: a path, or {known}.")
    toolset = build_toolset(open_any(options))
    name = _checked_name(name or options.app or _default_name(toolset))
    entry = build_entry(words_of(options))
    refuse_secrets(toolset, (name, *entry.texts))
    refuse_variables(client, entry)
    path = _path(client, project)
    try:
        config = open_config(client, path)
        before = config.servers.get(name)
        after = merged(before, entry.value(client))
        text = "" if before == after else with_server(config, name, after)
    except SpecError:
        _say(f"To be pasted into {path}:", "", snippet(client, name, entry.value(client)), "")
        raise
    notes = list(_notes(client, toolset, options, after, project))
    if before == after:
        _say(f"Already there: {name} in {config.path}", *notes, "Nothing to do.")
    elif write:
        if before is not None:
            _show_change(client, name, before, after)
        backup = save(config, text, datetime.now().astimezone())
        done = "Written" if before is None else "Replaced"
        _say(f"{done}: {name} in {config.path}", *_told(backup), *notes, client.after)
    elif before is not None:
        _say(f"{config.path} has another {name}:", "")
        _show_change(client, name, before, after)
        _say(*notes, "Nothing was written. --write replaces it, --name NAME gives this one another name.")
    else:
        _say(f"For {client.title}, in {config.path}:", "", snippet(client, name, after), "")
        _say(*notes, "Nothing was written. --write puts it there.")


def remove(client_name: str, *, connectors: Sequence[str], name: str, write: bool, project: bool) -> None:
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
        raise UsageError(
            f"{config.path} has no entry '{name}' that runs mcpgate{near}", f"It has: {', '.join(own)}"
        )
    text = without_server(config, name)
    if not write:
        _say(f"Would be taken out: {name} in {config.path}", "Nothing was written. Add --write to do it.")
        return
    backup = save(config, text, datetime.now().astimezone())
    _say(f"Taken out: {name} in {config.path}", *_told(backup))


def list_clients(*, project: bool, as_json: bool) -> None:
    """Print which clients are here, where each keeps its servers, and which of these run mcpgate."""
    rows = [_row(client, project) for client in CLIENTS if client.project or not project]
    if as_json:
        print_json(rows)
        return
    shown = table("Client", "Found", "Runs mcpgate as", "Configuration")
    for row in rows:
        servers = "cannot be read" if row["fault"] else ", ".join(row["servers"])
        shown.add_row(
            row["client"], "yes" if row["found"] else "–", plain(servers) or "–", plain(row["config"])
        )
    stdout().print(shown)
    _say(*(row["fault"] for row in rows if row["fault"]))


def _client(name: str) -> Client:
    if name not in BY_NAME:
        what = f"There is no client '{name}'{did_you_mean(name, list(BY_NAME))}" if name else "Which client?"
        raise UsageError(what, f"Known are: {', '.join(BY_NAME)}. What is here: mcpgate install --list")
    return BY_NAME[name]


def _path(client: Client, project: bool) -> Path:
    if not project:
        return config_path(client, sys.platform, os.environ, str(Path.home()))
    if not client.project:
        raise UsageError(f"{client.title} has no configuration for a project.", "Leave --project out.")
    return Path.cwd() / client.project


def _is_here(client: Client) -> bool:
    return is_installed(client, sys.platform, os.environ, str(Path.home()))


def _default_name(toolset: Toolset) -> str:
    grants = toolset.app.grants
    return grants[0].connector.name if len(grants) == 1 else "mcpgate"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name}: up to 32 letters, digits, hyphens and underscores.")
    return name


def _notes(
    client: Client, toolset: Toolset, options: Options, entry: dict[str, Json], project: bool
) -> Iterator[str]:
    """What a person has to know of an entry."""
    listed = sum(entry.denied is None for entry in toolset.entries.values())
    presets = ", ".join(dict.fromkeys(grant.preset.name for grant in toolset.app.grants))
    yield f"It offers {listed} of {len(toolset.entries)} tools ({presets})."
    if not listed:
        yield "Nothing is allowed: see why with mcpgate tools."
    if options.live:
        yield "It accepts a live key: real money moves."
    if not toolset.app.sandbox and not options.sandbox:
        for grant in toolset.app.grants:
            if grant.connector.auth is not None:
                yield _key_note(client, grant, entry)
    if project:
        yield "Its paths are those of this machine: others of the project have to install their own."
    elif not _is_here(client):
        yield f"{client.title} was not found on this machine."


def _key_note(client: Client, grant: Grant, entry: dict[str, Json]) -> str:
    """Whether the server will find its key when the client starts it."""
    connector, account = grant.connector, grant.account.name or DEFAULT
    key, environment = variable(connector.name), entry.get("env")
    connect = f"connect one: {connect_command(connector, account)}"
    if isinstance(environment, dict) and key in environment:
        return f"{key} stands in that file; to have it out of there, {connect}"
    row = sealed_vault().find(connector.name, account)
    if row is not None:
        fault = row.fault(replace(grant.account, name=account))
        if fault:
            return f"The account {connector.name}/{account} {fault}; {connect}"
        if row.mode == "live" and not grant.account.live:
            return f"The account {connector.name}/{account} has a live key, which runs only with --live."
        return f"Its key is the account {connector.name}/{account}{f' ({row.mode})' if row.mode else ''}."
    if os.environ.get(key, "").strip():
        return f"{key} is set in this shell, and a client started elsewhere does not see it; {connect}"
    return f"There is no key for {connector.title} yet; {connect}"


def _show_change(client: Client, name: str, before: Any, after: dict[str, Json]) -> None:
    """Print what changes in an entry, line by line; what may be secret is masked."""
    old, new = (snippet(client, name, _masked(value)).splitlines() for value in (before, after))
    lines = difflib.unified_diff(old, new, lineterm="", n=len(old) + len(new))
    colors = {"+": "green", "-": "red"}
    for line in list(lines)[3:]:
        stdout().print(plain(line), style=colors.get(line[0], ""), highlight=False, soft_wrap=True)
    print()


def _masked(value: Any) -> Any:
    """What a client holds under a name, without what may be a secret in it."""
    if isinstance(value, dict):
        return {
            key: {name: text if name == "MCPGATE_HOME" else MASK for name, text in item.items()}
            if isinstance(item, dict)
            else _masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        shown, hide = [], False
        for item in value:
            found = _SECRET_FLAG.fullmatch(str(item))
            shown.append(MASK if hide else f"{found[1]}={MASK}" if found and found[2] else _masked(item))
            hide = found is not None and not found[2]
        return shown
    is_address = isinstance(value, str) and "://" in value
    return re.sub(r"\?.*|//.*@", f"?{MASK}", value) if is_address else value


def _row(client: Client, project: bool) -> dict[str, Any]:
    path = _path(client, project)
    row: dict[str, Any] = {
        "client": client.name,
        "title": client.title,
        "found": path.exists() or _is_here(client),
        "config": str(path),
        "exists": path.exists(),
        "servers": [],
        "fault": "",
    }
    try:
        servers = open_config(client, path).servers
        row["servers"] = [name for name, value in servers.items() if is_own(value)]
    except MCPGateError as error:
        row["fault"] = error.message
    return row


def _told(backup: Path | None) -> Iterator[str]:
    if backup is not None:
        yield f"Backup: {backup}"


def _say(*lines: str) -> None:
    for line in lines:
        stdout().print(plain(line), highlight=False, soft_wrap=True)
