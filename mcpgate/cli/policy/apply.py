"""`mcpgate policy apply` and `policy show`: the policy that the database keeps for every app."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import suppress

from mcpgate import catalog, saved
from mcpgate.apps import App, Grant
from mcpgate.cli.apps.apps import rules_of
from mcpgate.cli.apps.kept import text_differences
from mcpgate.cli.asking import agree
from mcpgate.cli.console import print_json
from mcpgate.cli.live import open_stored
from mcpgate.cli.opening import KEPT_POLICY, account_policy, account_rules
from mcpgate.cli.policy.scope import EVERYTHING
from mcpgate.cli.vault.vault import say
from mcpgate.cli.vaults import config
from mcpgate.errors import MCPGateError, SpecError, UsageError
from mcpgate.store.config import Config, StoredApp
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Account, Connector, Policy


def apply(file: str, *, remove: bool, yes: bool) -> None:
    """Put a policy file in the place of the one that is kept, or take that away; tells first what changes."""
    if bool(file) == remove:
        raise UsageError("Give a policy file, or --remove.", "The one that holds now: mcpgate policy show")
    kept = config()
    before = kept.account_policy()
    made = rules_of(file) if file else None
    after = made.text if made is not None else ""
    if after == before:
        say("Nothing to do.")
        return
    apps = [(stored.name, *_opened(stored, kept, after)) for stored in kept.all()]
    broken = [
        f"app {name}: {line}"
        for name, was, now in apps
        if isinstance(was, Toolset) and isinstance(now, MCPGateError)
        for line in now.message.splitlines()
    ]
    if broken:
        hint = "Nothing was done. A rule that names a field or tool that is not there guards nothing."
        raise SpecError(broken, hint)
    counts = [
        f"~ app {name}: {_count(was)} → {_count(now)} tools"
        for name, was, now in apps
        if isinstance(was, Toolset) and isinstance(now, Toolset) and _count(was) != _count(now)
    ]
    say(*text_differences(before, after), *_tools(before, after), *counts)
    agree("Apply this?", yes=yes)
    kept.set_account_policy(after, before)
    saved.forget()
    if made is None:
        say("The database keeps no policy for every app any more.")
    else:
        say(f"{made.name} holds for every app, from its next call.")


def show(*, as_json: bool) -> None:
    """Print the policy that is kept, text for text."""
    text = config().account_policy()
    if as_json:
        print_json({"policy": _policy(text).name if text else None, "text": text})
    elif text:
        say(text.rstrip("\n"))
    else:
        say("The database keeps no policy for every app. Put one there: mcpgate policy apply FILE")
    with suppress(MCPGateError):
        own = account_policy()
        if own is not None and not as_json:
            say(f"# {own.name} in the folder of mcpgate holds as well.")


def _policy(text: str) -> Policy:
    return catalog.read_kept_policy(KEPT_POLICY, text)


def _tools(before: str, after: str) -> Iterator[str]:
    """Each tool of a known connector that comes to be denied or is no longer, where a preset allows it."""
    for name in catalog.names("connectors"):
        try:
            connector = catalog.load_connector(name)
            now = _denied(connector, after)
        except MCPGateError as error:
            yield f"! {name} will not run: {error.message}"
            continue
        try:
            was = _denied(connector, before)
        except MCPGateError:
            was = {}
            yield f"~ {name} could not run, and can now"
        for tool, why in now.items():
            if why and not was.get(tool):
                yield f"- {tool}: listed → not listed, {why.removeprefix(f'{tool} is ')}"
            elif was.get(tool) and not why:
                yield f"+ {tool}: not listed → listed"


def _denied(connector: Connector, text: str) -> dict[str, str]:
    """Why each tool of a connector is denied for every app, empty where it is not."""
    grant = Grant(Account(connector, str(connector.base_url), "", {}), EVERYTHING)
    toolset = build_toolset(App("policy", (grant,), account_rules=account_rules(text, [])))
    return {name: entry.denied.says if entry.denied else "" for name, entry in toolset.entries.items()}


def _opened(
    stored: StoredApp, kept: Config, after: str
) -> tuple[Toolset | MCPGateError, Toolset | MCPGateError]:
    """The toolset of an app before and after, or for each why there is none."""
    try:
        app = open_stored(stored, kept, [])
        was = build_toolset(app)
    except MCPGateError as error:
        return error, error
    try:
        return was, build_toolset(dataclasses.replace(app, account_rules=account_rules(after, [])))
    except MCPGateError as error:
        return was, error


def _count(toolset: Toolset) -> int:
    return sum(entry.denied is None for entry in toolset.entries.values())
