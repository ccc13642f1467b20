"""`mcpgate tools`: every tool of a connector, allowed or denied and why."""

from __future__ import annotations

import json
from typing import Any

from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.live import open_any
from mcpgate.cli.opening import Options
from mcpgate.policy.binding import Bound
from mcpgate.toolset import Entry, build_toolset, list_tool
from mcpgate.values import Tool

# one token of English or JSON is about four bytes
BYTES_PER_TOKEN = 4


def show_tools(options: Options, *, as_json: bool) -> None:
    """Print the table, or the same facts as JSON."""
    entries = build_toolset(open_any(options)).entries.values()
    rows = [_row(entry) for entry in entries]
    if as_json:
        print_json(rows)
        return
    from rich.text import Text

    shown = table("Tool", "Category", "Effects", "Verdict", "Tokens")
    shown.columns[0].min_width = max(len(row["tool"]) for row in rows)
    shown.columns[-1].justify = "right"
    for row in rows:
        allowed = row["verdict"] == "allowed"
        verdict = (
            Text("allowed", "green")
            if allowed
            else Text(plain(row["why"].removeprefix(f"{row['tool']} is ")), "red")
        )
        tokens = str(row["tokens"]) if allowed else "–"
        shown.add_row(row["tool"], row["category"], ", ".join(row["effects"]) or "–", verdict, tokens)
    console = stdout()
    console.print(shown)
    listed = [row for row in rows if row["verdict"] == "allowed"]
    size = sum(row["bytes"] for row in listed)
    console.print(
        f"{len(listed)} of {len(rows)} tools listed: {size:,} bytes, "
        f"about {size // BYTES_PER_TOKEN:,} tokens.",
        highlight=False,
    )


def _row(entry: Entry) -> dict[str, Any]:
    size = listed_bytes(entry.tool, entry.bound)
    return {
        "tool": entry.tool.name,
        "category": entry.tool.category,
        "effects": list(entry.tool.effects),
        "verdict": "denied" if entry.denied else "allowed",
        "why": entry.denied.says if entry.denied else "",
        "bytes": size,
        "tokens": size // BYTES_PER_TOKEN,
    }


def listed_bytes(tool: Tool, bound: Bound = ()) -> int:
    """What listing a tool costs, in bytes."""
    return len(json.dumps(list_tool(tool, bound), ensure_ascii=False, separators=(",", ":")).encode())
