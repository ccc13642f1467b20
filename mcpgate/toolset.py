"""Grant × connector × policy → the tools listed, the verdict on each, its rules and its validator.

Built once per load, so that a call costs the same with fifteen tools and with a thousand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcpgate.apps import App, Grant
from mcpgate.errors import SpecError, UnknownToolError, UsageError
from mcpgate.places import Place
from mcpgate.policy.binding import Bound, Layer, bind, settled, unmatched
from mcpgate.policy.decide import counts
from mcpgate.policy.projection import project
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Finding, Json, Policy, Tool


@dataclass
class Entry:
    """One tool of an app: what is bound to it, and why it is denied if it is.

    `lookup` is the read that tells what a rule needs and the arguments do not say; `mask` the places of a
    reply that are hidden from the agent; `counts` says whether a rule has to ask the ledger.
    """

    tool: Tool
    app: App
    grant: Grant
    bound: Bound
    denied: Finding | None
    lookup: Tool | None = None
    mask: tuple[Place, ...] = ()
    counts: bool = False
    policy_digest: str = ""
    _validator: Any = field(default=None, repr=False)

    @property
    def acts(self) -> bool:
        """Whether a call of it changes something."""
        return self.tool.category != "read"

    @property
    def validator(self) -> Any:
        """The validator of the tool's own schema, built at its first use and kept."""
        if self._validator is None:
            from mcpgate.json_schema import build_validator

            self._validator = build_validator(self.tool.schema)
        return self._validator


@dataclass(frozen=True)
class Toolset:
    """Every tool of the connectors granted to an app, by name; `version` is that of the configuration."""

    app: App
    entries: Mapping[str, Entry]
    version: int = 0
    _listing: dict[str, Json] = field(default_factory=dict, repr=False, compare=False)

    def current(self) -> Toolset:
        """The toolset itself: it is what it is."""
        return self

    def find(self, name: str) -> Entry:
        """The entry of a tool, denied or not; raises `UnknownToolError` for a tool that was never granted."""
        entry = self.entries.get(name)
        if entry is None:
            known = [name for name, entry in self.entries.items() if entry.denied is None]
            raise UnknownToolError(f"Unknown tool: {name[:80]}{did_you_mean(name[:80], known)}")
        return entry

    def listing(self) -> dict[str, Json]:
        """What an agent is told when it connects: instructions, and the tools that are not denied.

        It is put together once, and not to be changed.
        """
        if not self._listing:
            said = (grant.connector.instructions for grant in self.app.grants)
            offered = (entry for entry in self.entries.values() if entry.denied is None)
            self._listing["instructions"] = "\n\n".join(filter(None, said))
            self._listing["tools"] = [list_tool(entry.tool, entry.bound) for entry in offered]
        return self._listing


class LiveToolset:
    """The toolset of an app whose configuration changes: built anew whenever its version is another one.

    `fresh` says whether the files that it was made of are as they were.
    """

    def __init__(
        self, version: Callable[[], int], build: Callable[[], App], fresh: Callable[[], bool]
    ) -> None:
        self._version = version
        self._build = build
        self._fresh = fresh
        self._toolset: Toolset | None = None

    def current(self) -> Toolset:
        """The toolset of this moment; raises what building it raises, and then nothing is offered."""
        version = self._version()
        if self._toolset is None or self._toolset.version != version or not self._fresh():
            self._toolset = None
            self._toolset = build_toolset(self._build(), version)
        return self._toolset


def build_toolset(app: App, version: int = 0) -> Toolset:
    """Bind every policy of an app to its tools; raises `SpecError` for rules that guard nothing."""
    _check_rules(app)
    entries: dict[str, Entry] = {}
    for grant in app.grants:
        layers = app.layers(grant)
        digest, mask = hashlib.sha256(repr(layers).encode()).hexdigest(), _mask(layers)
        for tool in grant.connector.tools.values():
            if tool.name in entries:
                raise UsageError(f"The connector {grant.connector.name} was given twice.")
            bound = bind(tool, layers)
            entries[tool.name] = Entry(
                tool, app, grant, bound, settled(bound), lookup_of(tool), mask, counts(bound), digest
            )
    return Toolset(app, entries, version)


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


def _mask(layers: Iterable[Layer]) -> tuple[Place, ...]:
    policies = (policy for layer in layers for policy in layer.policies)
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
