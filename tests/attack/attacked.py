"""A policy under attack: made of values, so that it needs no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from mcpgate.apps import App, Grant
from mcpgate.cli.policy.attack_run import Report, attack
from mcpgate.policy.templates import TEMPLATES
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Account, Connector, Policy, Rule, Selector
from tests.policy.shop import EVERYTHING, SHOP, connector, policy

Guardrail = Mapping[str, Any]


@cache
def form_shop() -> Connector:
    """The made-up shop, which takes forms instead of JSON."""
    return connector(SHOP.replace("base_url:", "encoding: form\nbase_url:"))


def rules(guardrails: Sequence[Guardrail]) -> Policy:
    """A policy file's policy, from guardrails as a file has them."""
    found = [rule for at, entry in enumerate(guardrails, 3) for rule in _rules(entry, at)]
    return Policy("rules", "policy", "", None, (), tuple(found))


def _rules(entry: Guardrail, line: int) -> list[Rule]:
    selected = entry["for"] if isinstance(entry["for"], list) else [entry["for"]]
    extra = {key: entry[key] for key in ("mode", "when_missing") if key in entry}
    return [
        Rule(name, config, tuple(map(Selector, selected)), "rules", f"rules.yaml:{line}", **extra)
        for name, config in entry.items()
        if name in TEMPLATES
    ]


def toolset(made: Policy, shop: Connector | None = None, preset: str = EVERYTHING) -> Toolset:
    """The shop under a policy."""
    under = made if made.kind == "preset" else policy(preset)
    made_of = shop or connector()
    grant = Grant(Account(made_of, str(made_of.base_url), "", {}), under)
    return build_toolset(App("test", (grant,), rules=() if made.kind == "preset" else (made,)))


def attacked(*guardrails: Guardrail | str, form: bool = False) -> Report:
    """What becomes of an attack in the shop on guardrails, or on the text of a preset or policy."""
    texts = [each for each in guardrails if isinstance(each, str)]
    made = policy(texts[0]) if texts else rules([each for each in guardrails if not isinstance(each, str)])
    return attack(made, toolset(made, form_shop() if form else None))


def told(report: Report) -> list[str]:
    """What got through, for the message of a test."""
    return [
        f"row {each.attempt.row}, {each.attempt.trick}: {each.arrives} ({each.rule} on {each.tool})"
        for each in report.through
    ]
