"""`mcpgate connectors`: what can be connected, and one of them in full."""

from __future__ import annotations

import sys
from typing import Any

from mcpgate import catalog
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.tools import BYTES_PER_TOKEN, listed_bytes
from mcpgate.errors import MCPGateError
from mcpgate.values import Connector


def show_connectors(name: str, *, as_json: bool) -> int:
    """List every connector, or show one; 3 when a file does not load."""
    if name:
        connector = catalog.load_connector(name)
        if as_json:
            print_json(_facts(connector))
        else:
            _show(connector)
        return 0
    connectors, errors = _load_all()
    if as_json:
        print_json([_facts(connector) for connector in connectors])
    else:
        _show_list(connectors)
    for error in errors:
        print(plain(error.message), file=sys.stderr)
    return errors[0].exit_code if errors else 0


def _load_all() -> tuple[list[Connector], list[MCPGateError]]:
    connectors: list[Connector] = []
    errors: list[MCPGateError] = []
    for name in catalog.names("connectors"):
        try:
            connectors.append(catalog.load_connector(name))
        except MCPGateError as error:
            errors.append(error)
    return connectors, errors


def _show_list(connectors: list[Connector]) -> None:
    shown = table("Connector", "Tools", "Sends to", "Source", "What it is for")
    for connector in connectors:
        shown.add_row(
            connector.name,
            str(len(connector.tools)),
            origin(connector),
            connector.source.kind,
            plain(connector.description),
        )
    stdout().print(shown)
    stdout().print("One in full: mcpgate connectors NAME", style="dim")


def _show(connector: Connector) -> None:
    console = stdout()
    console.print(plain(connector.title), style="bold")
    for label, text in _lines(connector):
        console.print(f"{label:<12}{plain(text)}", highlight=False, soft_wrap=True)
    shown = table("Tool", "Category", "Effects", "What it does", "Tokens")
    shown.columns[0].min_width = max(len(tool) for tool in connector.tools)
    shown.columns[-1].justify = "right"
    for tool in connector.tools.values():
        effects = ", ".join(tool.effects) or "–"
        shown.add_row(
            tool.name,
            tool.category,
            effects,
            plain(tool.description),
            str(listed_bytes(tool) // BYTES_PER_TOKEN),
        )
    console.print(shown)


def _lines(connector: Connector) -> list[tuple[str, str]]:
    auth = connector.auth
    secret = f"{auth.label}, sent as {auth.type} to {origin(connector)} and nowhere else" if auth else "none"
    settings = ", ".join(
        f"{name} ({schema.get('description', 'no description')})"
        for name, schema in connector.settings.items()
    )
    lines = [
        ("For", connector.description),
        ("Source", f"{connector.source.kind}, {connector.source.path}"),
        ("Credential", secret),
        ("Found at", auth.help if auth else ""),
        ("Settings", settings),
        ("Reference", connector.docs),
    ]
    return [(label, text) for label, text in lines if text]


def origin(connector: Connector) -> str:
    """Scheme and host a connector sends to, settings still in braces."""
    return "/".join(str(connector.base_url).split("/")[:3])


def _facts(connector: Connector) -> dict[str, Any]:
    return {
        "connector": connector.name,
        "title": connector.title,
        "description": connector.description,
        "source": connector.source.kind,
        "path": connector.source.path,
        "origin": origin(connector),
        "auth": connector.auth.type if connector.auth else None,
        "settings": sorted(connector.settings),
        "tools": [
            {
                "tool": tool.name,
                "category": tool.category,
                "effects": list(tool.effects),
                "tokens": listed_bytes(tool) // BYTES_PER_TOKEN,
            }
            for tool in connector.tools.values()
        ],
    }
