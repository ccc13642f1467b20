"""`mcpgate presets`: what there is, and what one of them allows on a connector."""

from __future__ import annotations

from typing import Any

from mcpgate import catalog
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.cli.tools import show_tools
from mcpgate.values import Policy


def show_presets(name: str, connector: str, *, as_json: bool) -> None:
    """List every preset, or show one; on a connector, with the tools it allows."""
    if name and connector:
        show_tools(Options((connector,), presets=(name,)), as_json=as_json)
        return
    names = [name] if name else list(catalog.names("presets"))
    rows = [_row(catalog.load_policy(each, "preset"), each, connector) for each in names]
    if as_json:
        print_json(rows[0] if name else rows)
    elif name:
        _show(rows[0])
    else:
        _show_list(rows, connector)


def _row(preset: Policy, name: str, connector: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "preset": preset.name,
        "description": preset.description,
        "extends": list(preset.extends),
        "allow": [selector.text for selector in preset.allow or ()],
        "deny": [selector.text for selector in preset.deny],
        "guardrails": [
            f"{rule.template} for {', '.join(selector.text for selector in rule.selectors)}"
            for rule in preset.rules
        ],
        "mask": [str(place) for place in preset.mask],
    }
    if connector:
        entries = open_toolset(Options((connector,), presets=(name,))).entries
        row["tools"] = [tool for tool, entry in entries.items() if entry.denied is None]
        row["denied"] = [tool for tool, entry in entries.items() if entry.denied is not None]
    return row


def _show_list(rows: list[dict[str, Any]], connector: str) -> None:
    headings = ["Preset", "Allows", "Denies", "What it is for", *([f"On {connector}"] if connector else [])]
    shown = table(*headings)
    for row in rows:
        cells = [
            row["preset"],
            ", ".join(row["allow"]),
            ", ".join(row["deny"]) or "–",
            plain(row["description"]),
        ]
        if connector:
            cells.append(f"{len(row['tools'])} of {len(row['tools']) + len(row['denied'])} tools")
        shown.add_row(*cells)
    stdout().print(shown)
    stdout().print("What one allows: mcpgate presets NAME --on CONNECTOR", style="dim")


def _show(row: dict[str, Any]) -> None:
    console = stdout()
    console.print(row["preset"], style="bold")
    for label, text in (
        ("For", row["description"]),
        ("Extends", ", ".join(row["extends"])),
        ("Allows", ", ".join(row["allow"])),
        ("Denies", ", ".join(row["deny"])),
        ("Guardrails", "; ".join(row["guardrails"])),
        ("Masks", ", ".join(row["mask"])),
    ):
        if text:
            console.print(f"{label:<12}{plain(text)}", highlight=False, soft_wrap=True)
    console.print("What it allows on a connector: mcpgate presets NAME --on CONNECTOR", style="dim")
