"""`mcpgate apps list` and `show`: what there is, and what of it an agent gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcpgate.apps import switch_of
from mcpgate.cli.apps.kept import by_policy, found
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.vaults import config
from mcpgate.errors import MCPGateError
from mcpgate.store.config import Freeze, StoredApp, StoredGrant
from mcpgate.toolset import Toolset
from mcpgate.vault.binding import said

_MARKS = {"on": "on", "off": "off", "new": "off, new", "changed": "off, changed"}


def show_list(*, as_json: bool) -> None:
    """Print every app, or the same facts as JSON."""
    kept = config()
    freezes = kept.freezes()
    rows = [_facts(app, freezes) for app in kept.all()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        print("There is no app. Make one: mcpgate apps create NAME --connector CONNECTOR")
        return
    shown = table("App", "State", "Connectors", "Rules", "Created")
    for row in rows:
        connectors = (f"{each['name']} ({each['preset']}{_live(each)})" for each in row["grants"])
        rules = ", ".join(row["rules"]) or "–"
        shown.add_row(row["app"], row["state"], ", ".join(connectors) or "–", rules, row["created"][:10])
    stdout().print(shown)


def show(name: str, *, as_json: bool) -> int:
    """Print an app with each of its tools, or the facts as JSON; 0, or the exit code of its fault."""
    kept = config()
    app = found(kept, name)
    facts, fault, toolset = _facts(app, kept.freezes()), None, None
    try:
        toolset = by_policy(app, kept)
    except MCPGateError as error:
        fault = error
    facts["tools"] = [] if toolset is None else list(_tools(app, toolset))
    facts["fault"] = None if fault is None else fault.message
    if as_json:
        print_json(facts)
    else:
        _print(facts)
        if fault is not None:
            print(plain(f"It offers nothing, for it cannot be opened:\n{fault.message}"))
            print(plain(fault.hint))
    return 0 if fault is None else fault.exit_code


def _facts(app: StoredApp, freezes: tuple[Freeze, ...]) -> dict[str, Any]:
    return {
        "app": app.name,
        "state": ", ".join(_states(app, freezes)) or "active",
        "created": app.created,
        "expires": app.expires or None,
        "paused": app.paused,
        "discovery": app.discovery,
        "sandbox": app.sandbox,
        "rules": [policy.name for policy in app.rules],
        "grants": [_grant(grant) for grant in app.grants],
    }


def _states(app: StoredApp, freezes: tuple[Freeze, ...]) -> Iterator[str]:
    names = {grant.name for grant in app.grants}
    if app.sandbox:
        yield "sandbox"
    if app.paused:
        yield "paused"
    if app.expired():
        yield "expired"
    for freeze in freezes:
        if freeze.app in ("", app.name) and freeze.connector in {"", *names}:
            yield f"frozen ({freeze.what})"


def _grant(grant: StoredGrant) -> dict[str, Any]:
    return {
        "name": grant.name,
        "connector": grant.connector,
        "account": grant.account or None,
        "preset": grant.preset,
        "settings": dict(grant.settings),
        "live": grant.live,
    }


def _tools(app: StoredApp, toolset: Toolset) -> Iterator[dict[str, Any]]:
    by_name = {grant.name: grant for grant in app.grants}
    for entry in toolset.entries.values():
        connector = entry.grant.connector
        switch = switch_of(by_name[connector.name].tools, connector, entry.tool)
        yield {
            "tool": entry.tool.name,
            "category": entry.tool.category,
            "effects": list(entry.tool.effects),
            "switch": switch,
            "verdict": "denied" if entry.denied else "allowed",
            "why": entry.denied.says if entry.denied else "",
            "listed": switch == "on" and entry.denied is None,
        }


def _print(facts: dict[str, Any]) -> None:
    console = stdout()
    lines = [
        ("App", f"{facts['app']}, {facts['state']}"),
        ("Created", facts["created"]),
        ("Expires", facts["expires"] or ""),
        ("Discovery", "yes" if facts["discovery"] else ""),
        ("Sandbox", "yes: answered from samples" if facts["sandbox"] else ""),
        ("Rules", ", ".join(facts["rules"])),
        *(("Connector", _grant_line(each)) for each in facts["grants"]),
    ]
    for label, text in lines:
        if text:
            console.print(f"{label:<12}{plain(text)}", highlight=False, soft_wrap=True)
    if not facts["tools"]:
        return
    shown = table("Tool", "Category", "Effects", "Switch", "Policy")
    for row in facts["tools"]:
        why = row["why"].removeprefix(f"{row['tool']} is ") or "allowed"
        effects = ", ".join(row["effects"]) or "–"
        shown.add_row(row["tool"], row["category"], effects, _MARKS[row["switch"]], plain(why))
    console.print(shown)
    listed = sum(row["listed"] for row in facts["tools"])
    console.print(f"{listed} of {len(facts['tools'])} tools listed.", highlight=False)
    if any(row["switch"] in ("new", "changed") for row in facts["tools"]):
        name = facts["app"]
        print(f"What is new or was changed stays off until: mcpgate apps enable {name} TOOL")


def _grant_line(grant: dict[str, Any]) -> str:
    account = f", account {grant['account']}" if grant["account"] else ""
    settings = f", {said(grant['settings'])}" if grant["settings"] else ""
    return f"{grant['connector']}: {grant['preset']}{account}{settings}{_live(grant)}"


def _live(grant: dict[str, Any]) -> str:
    return ", live" if grant["live"] else ""
