"""The ceiling: a preset sealed beside a credential, the most that it may ever be used for.

It is kept as the text of a preset with everything it extends, so that no file can change it later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from mcpgate.errors import UsageError
from mcpgate.policy.binding import Bound, Layer, bind, settled
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide, explain
from mcpgate.spec.policy import read_policy
from mcpgate.values import Account, Policy, Request, Rule, Selector, Tool

_NAME = "ceiling"


def document(preset: Policy) -> str:
    """A preset with all it extends, as the text that is sealed; raises `UsageError`."""
    entries = [_entry(rule) for rule in preset.rules]
    facts: dict[str, Any] = {
        "preset": preset.name,
        "allow": _texts(preset.allow or ()),
        "deny": _texts(preset.deny),
        "guardrails": entries,
    }
    text = json.dumps({key: value for key, value in facts.items() if value}, ensure_ascii=False)
    if not preset.allow:
        raise UsageError(f"The preset {preset.name} allows nothing, so it is no ceiling.", "Name another.")
    return text


def ceiling_of(text: str) -> Policy:
    """A sealed text as a layer of its own among an app's policies."""
    return replace(preset_of(text), kind="ceiling")


@lru_cache(maxsize=64)
def preset_of(text: str) -> Policy:
    """The preset of a sealed text."""
    return read_policy(_NAME, text.encode())


def beyond(ceiling: str, request: Request, account: Account) -> str:
    """Why a request is more than a ceiling allows; nothing where it is within, or where there is none."""
    if not ceiling:
        return ""
    bound = _bound(ceiling, request.tool)
    denied = settled(bound)
    if denied is not None:
        return denied.says
    if request.purpose == "lookup":
        # a read for the sake of a decision; what is decided on is held against every rule
        return ""
    call = Call(request.tool, request.arguments, request.before, now=request.now, settings=account.settings)
    decision = decide(bound, call)
    return explain(decision.reason).rstrip(".") if decision.reason is not None else ""


def _bound(ceiling: str, tool: Tool) -> Bound:
    return bind(tool, (Layer("preset", (preset_of(ceiling),)),))


def _texts(selectors: tuple[Selector, ...]) -> list[str]:
    return [selector.text for selector in selectors]


def _entry(rule: Rule) -> Mapping[str, Any]:
    entry = {
        "for": _texts(rule.selectors),
        rule.template: dict(rule.config),
        "mode": rule.mode,
        "reason": rule.reason,
        "when_missing": rule.when_missing,
    }
    return {key: value for key, value in entry.items() if value or key == rule.template}
