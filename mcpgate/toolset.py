"""Grant × connector × policy → the tools listed, the verdict on each, its rules and its validator.

Built once per load, so that a call costs the same with fifteen tools and with a thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcpgate.apps import App, Grant
from mcpgate.errors import SpecError, UnknownToolError, UsageError
from mcpgate.places import Place
from mcpgate.policy.binding import Bound, bind, settled, unmatched
from mcpgate.policy.projection import project
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Finding, Json, Policy, Tool


@dataclass
class Entry:
    """One tool of an app: what is bound to it, and why it is denied if it is.

    `lookup` is the read that tells what a rule needs and the arguments do not say; `mask` the places of a
    reply that are hidden from the agent.
    """

    tool: Tool
    grant: Grant
    bound: Bound
    denied: Finding | None
    lookup: Tool | None = None
    mask: tuple[Place, ...] = ()
    _validator: Any = field(default=None, repr=False)

    @property
    def validator(self) -> Any:
        """The validator of the tool's own schema, built at its first use and kept."""
        if self._validator is None:
            from mcpgate.json_schema import build_validator

            self._validator = build_validator(self.tool.schema)
        return self._validator


@dataclass(frozen=True)
class Toolset:
    """Every tool of the connectors granted to an app, by name."""

    app: App
    entries: Mapping[str, Entry]

    def find(self, name: str) -> Entry:
        """The entry of a tool, denied or not; raises `UnknownToolError` for a tool that was never granted."""
        entry = self.entries.get(name)
        if entry is None:
            known = [name for name, entry in self.entries.items() if entry.denied is None]
            raise UnknownToolError(f"Unknown tool: {name[:80]}{did_you_mean(name[:80], known)}")
        return entry

    def listing(self) -> dict[str, Json]:
        """What an agent is told when it connects: instructions, and the tools that are not denied."""
        said = (grant.connector.instructions for grant in self.app.grants)
        offered = (entry for entry in self.entries.values() if entry.denied is None)
        return {
            "instructions": "\n\n".join(filter(None, said)),
            "tools": [list_tool(entry.tool, entry.bound) for entry in offered],
        }


def build_toolset(app: App) -> Toolset:
    """Bind every policy of an app to its tools; raises `SpecError` for rules that guard nothing."""
    _check_rules(app)
    entries: dict[str, Entry] = {}
    for grant in app.grants:
        for tool in grant.connector.tools.values():
            if tool.name in entries:
                raise UsageError(f"The connector {grant.connector.name} was given twice.")
            bound = bind(tool, app.layers(grant))
            entries[tool.name] = Entry(tool, grant, bound, settled(bound), lookup_of(tool), _mask(app, grant))
    return Toolset(app, entries)


def lookup_of(tool: Tool) -> Tool | None:
    """The read behind a tool's `lookup`, as a tool of its own that nobody is offered."""
    if tool.lookup is None:
        return None
    return Tool(
        name=tool.name,
        connector=tool.connector,
        description="",
        category="read",
        effects=(),
        schema=tool.schema,
        request=tool.lookup,
        query={},
        body={},
        digest=tool.digest,
        headers=tool.headers,
    )


def _mask(app: App, grant: Grant) -> tuple[Place, ...]:
    policies = (policy for layer in app.layers(grant) for policy in layer.policies)
    return tuple(dict.fromkeys(place for policy in policies for place in policy.mask))


def list_tool(tool: Tool, bound: Bound) -> dict[str, Json]:
    """One tool as `tools/list` shows it, with the limits bound to it projected into the schema."""
    groups = [f"Give exactly one of {', '.join(group)}." for group in tool.exactly_one]
    groups += [f"Give at least one of {', '.join(group)}." for group in tool.at_least_one]
    return {
        "name": tool.name,
        "title": tool.title,
        "description": " ".join([tool.description, *groups]),
        "inputSchema": project(tool, bound),
        "annotations": tool.annotations,
    }


def _check_rules(app: App) -> None:
    every = [tool for grant in app.grants for tool in grant.connector.tools.values()]
    reached: list[tuple[Policy, list[Tool]]] = [
        (policy, every) for policy in (*app.switches, *app.account_rules, *app.rules)
    ]
    reached += [
        (grant.ceiling, list(grant.connector.tools.values())) for grant in app.grants if grant.ceiling
    ]
    for preset in {id(grant.preset): grant.preset for grant in app.grants}.values():
        granted = [grant for grant in app.grants if grant.preset is preset]
        reached.append((preset, [tool for grant in granted for tool in grant.connector.tools.values()]))
    present = [grant.connector.name for grant in app.grants]
    found = [(policy, _problems(policy, tools, every, present)) for policy, tools in reached]
    for policy, problems in found:
        if problems and policy.kind == "flags":
            raise UsageError("\n".join(problems))
    if any(problems for _, problems in found):
        raise SpecError([problem for _, problems in found for problem in problems])


def _problems(policy: Policy, tools: list[Tool], every: list[Tool], present: Iterable[str]) -> list[str]:
    """A preset may name tools of a connector under another preset, so names are held against all."""
    return [
        f"{origin}: {message}{did_you_mean(word, known)}"
        for origin, message, word, known in unmatched(policy, tools, every, present)
    ]
