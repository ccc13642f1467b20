"""The counters of an app's rules: one for each rule and currency, however many tools the rule is bound to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from mcpgate.apps import App
from mcpgate.policy.call import Call
from mcpgate.policy.rule import BoundRule, tally_of
from mcpgate.policy.templates.memory import SECONDS, limits_of
from mcpgate.toolset import Toolset
from mcpgate.values import Mode, Tally, Tool

_NAMES: Final = {seconds: name for name, seconds in SECONDS.items()}


@dataclass(frozen=True, slots=True)
class Counter:
    """What a counting rule allows in its window; an empty `app` is every app, a `currency` makes it money.

    Calls of the `sandbox` are counted among themselves.
    """

    app: str
    sandbox: bool
    layer: str
    rule: str
    mode: Mode
    source: str
    limit: int
    tally: Tally

    @property
    def per(self) -> str:
        """The window in a word: minute, hour, day or week."""
        return _NAMES[self.tally.seconds]

    @property
    def reaches(self) -> str:
        """What is counted, in the words of the rule."""
        return ", ".join(selector.text for selector in self.tally.selectors)


def counters(toolset: Toolset) -> list[Counter]:
    """Every counter that holds for an app, each once, in the order of its layers."""
    found: dict[Counter, None] = {}
    for entry in toolset.entries.values():
        for step in entry.bound:
            if isinstance(step, BoundRule):
                found.update(dict.fromkeys(_of(toolset.app, step, entry.tool)))
    return [*found]


def _of(app: App, bound: BoundRule, tool: Tool) -> Iterator[Counter]:
    money = bound.template.looks_at == "money"
    # which currency a call moves is not asked: there is a counter for each
    counted = replace(bound, template=replace(bound.template, looks_at="call")) if money else bound
    tally = tally_of(counted, Call(tool, {}))
    if tally is None:
        return
    config = bound.rule.config
    limits: dict[str, int] = limits_of(config) if money else {"": config["max"]}
    for currency, limit in limits.items():
        yield Counter(
            "" if tally.everyone else app.name,
            app.sandbox,
            bound.layer,
            bound.rule.template,
            bound.rule.mode,
            bound.passing.source,
            limit,
            replace(tally, currency=currency),
        )
