"""Tools that tell an agent what it has: its connectors, and what each tool does. Off unless an app wants it.

They say nothing that `tools/list` does not stand for: a tool that is denied is not told here either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from mcpgate.errors import ArgumentsError
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.toolset import Entry, Toolset
from mcpgate.values import Json, Outcome, Tool

LIST_CONNECTORS: Final = "mcpgate_list_connectors"
TOOL_METADATA: Final = "mcpgate_tool_metadata"

_HINTS: Final = {
    "readOnlyHint": True,
    "destructiveHint": False,
    "idempotentHint": True,
    "openWorldHint": False,
}
DISCOVERY_TOOLS: Final[list[dict[str, Json]]] = [
    {
        "name": LIST_CONNECTORS,
        "title": "List connectors",
        "description": "The APIs that you can use here, and how many tools each has.",
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": _HINTS,
    },
    {
        "name": TOOL_METADATA,
        "title": "Tool metadata",
        "description": "What tools do: category, risk and effects. Without tool, of all of them.",
        "inputSchema": {
            "type": "object",
            "properties": {"tool": {"type": "string", "description": "A tool's name."}},
            "additionalProperties": False,
        },
        "annotations": _HINTS,
    },
]
DISCOVERY_NAMES: Final = frozenset(tool["name"] for tool in DISCOVERY_TOOLS)


def listing_of(toolset: Toolset) -> dict[str, Json]:
    """What an agent is told when it connects: its tools, and these where the app wants them."""
    listing = toolset.listing()
    if not toolset.app.discovery:
        return listing
    return {**listing, "tools": [*listing["tools"], *DISCOVERY_TOOLS]}


def discover(toolset: Toolset, name: str, arguments: dict[str, Json]) -> Outcome:
    """The answer to a discovery tool; raises `ArgumentsError`."""
    offered = [entry for entry in toolset.entries.values() if entry.denied is None]
    known = ["tool"] if name == TOOL_METADATA else []
    for given in arguments:
        if given not in known:
            raise ArgumentsError(f"{name} takes no argument '{given[:80]}'{did_you_mean(given[:80], known)}")
    if name == LIST_CONNECTORS:
        return _answer([_connector(grant.connector.name, toolset, offered) for grant in toolset.app.grants])
    return _answer([_metadata(entry.tool) for entry in _chosen(arguments.get("tool"), offered)])


def risk_of(tool: Tool) -> str:
    """How much harm a call can do, by category and effects: low, medium or high."""
    if tool.category == "read":
        return "low"
    return "high" if tool.effects or tool.category == "delete" else "medium"


def _chosen(name: Json, offered: list[Entry]) -> Iterable[Entry]:
    if name is None:
        return offered
    if not isinstance(name, str):
        raise ArgumentsError("tool must be a string", "Give a tool's name.")
    found = [entry for entry in offered if entry.tool.name == name]
    if not found:
        near = did_you_mean(name[:80], [entry.tool.name for entry in offered])
        raise ArgumentsError(f"There is no tool '{name[:80]}' here{near}")
    return found


def _connector(name: str, toolset: Toolset, offered: list[Entry]) -> dict[str, Any]:
    grant = next(grant for grant in toolset.app.grants if grant.connector.name == name)
    facts = {
        "connector": name,
        "title": grant.connector.title,
        "description": grant.connector.description,
        "docs": grant.connector.docs,
        "preset": grant.preset.name,
        "tools": sum(entry.tool.connector == name for entry in offered),
    }
    return {key: fact for key, fact in facts.items() if fact != ""}


def _metadata(tool: Tool) -> dict[str, Any]:
    facts = {
        "tool": tool.name,
        "title": tool.title,
        "connector": tool.connector,
        "category": tool.category,
        "risk": risk_of(tool),
        "effects": list(tool.effects),
        "summary": str(tool.summary) if tool.summary is not None else "",
    }
    return {key: fact for key, fact in facts.items() if fact != ""}


def _answer(found: list[dict[str, Any]]) -> Outcome:
    return Outcome(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
