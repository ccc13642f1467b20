"""Binds policies to a tool, once per load: what is settled by then, and the rules each call must pass."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mcpgate.policy.call import Call
from mcpgate.policy.fields import field_names, split_field
from mcpgate.policy.reading import has, named_fields
from mcpgate.policy.rule import BoundRule, LayerName, bind_rule, evaluate
from mcpgate.selectors import first_match, matches, names_tools
from mcpgate.values import Finding, Policy, Rule, Selector, Tool


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the layers, in order: app (tools switched on), account, ceiling (of its credential), preset,
    rules (the app's own)."""

    name: LayerName
    policies: tuple[Policy, ...]


# the kinds of policy that deny what they do not allow; others without an allow narrow nothing
_CLOSED: Final = ("preset", "ceiling")
# what a person did says itself why, and how it is undone
_BY_PEOPLE: Final = ("switches", "freeze")
_RAISED: Final = (
    "The key was connected for no more; a person raises that by connecting it again, with --allow."
)
_NEAR: Final = 0.75

Bound: TypeAlias = tuple[Finding | BoundRule, ...]


def bind(tool: Tool, layers: Iterable[Layer]) -> Bound:
    """Everything that the layers say of a tool, in the order of deciding."""
    pairs = ((layer.name, policy) for layer in layers for policy in layer.policies)
    return tuple(step for layer, policy in pairs for step in _bind_policy(tool, layer, policy))


def settled(bound: Bound) -> Finding | None:
    """The finding that denies the tool whatever its arguments are; such a tool is not listed."""
    return next((step for step in bound if isinstance(step, Finding) and step.verdict == "deny"), None)


def _bind_policy(tool: Tool, layer: LayerName, policy: Policy) -> Iterator[Finding | BoundRule]:
    yield _selected(tool, layer, policy)
    for rule in policy.rules:
        if any(matches(selector, tool) for selector in rule.selectors):
            yield _bind_rule(tool, layer, rule)


def _selected(tool: Tool, layer: LayerName, policy: Policy) -> Finding:
    name = policy.name if policy.kind == "flags" else f"{policy.kind} {policy.name}"
    reason = _RAISED if policy.kind == "ceiling" else ""
    denied = first_match(policy.deny, tool)
    if denied is not None and policy.kind in _BY_PEOPLE:
        says = f"{tool.name} is {denied.origin}"
        return Finding(layer, policy.kind, "deny", says, reason=policy.description)
    if denied is not None:
        says = f"{tool.name} is denied by the {name} (deny: {denied.text})"
        return Finding(layer, policy.kind, "deny", says, source=denied.origin, reason=reason)
    if policy.allow is None and policy.kind not in _CLOSED:
        return Finding(layer, policy.kind, "allow", f"the {name} does not deny {tool.name}")
    allowed = first_match(policy.allow or (), tool)
    if allowed is None:
        what = ", ".join(selector.text for selector in policy.allow or ()) or "nothing"
        says = f"{tool.name} is not among what the {name} allows ({what})"
        return Finding(layer, policy.kind, "deny", says, reason=reason)
    says = f"allowed by the {name} (allow: {allowed.text})"
    return Finding(layer, policy.kind, "allow", says, allowed.origin)


def _bind_rule(tool: Tool, layer: LayerName, rule: Rule) -> Finding | BoundRule:
    bound = bind_rule(layer, rule, tool)
    looks_at = bound.template.looks_at
    if looks_at == "tool" or (looks_at == "money" and tool.money is None):
        return evaluate(bound, Call(tool, {}))
    if not (bound.lacking and bound.closed) or rule.mode == "observe":
        return bound
    says = f"{tool.name} has no {bound.lacking}, which {rule.template} must guard"
    field = bound.readings[0].field if bound.readings else ""
    return Finding(layer, rule.template, "deny", says, bound.passing.source, field, reason=rule.reason)


def unmatched(
    policy: Policy, tools: Sequence[Tool], every: Sequence[Tool], connectors: Iterable[str]
) -> Iterator[tuple[str, str, str, list[str]]]:
    """Typos that would unguard: (origin, what is wrong, the word, the words it may have meant).

    A tool name or glob that begins with the name of a connector that is present, or nearly so, must match
    something among `every` tool, one of a flag always; and a field must exist in at least one of the policy's
    `tools` that its rule matches.
    """
    present = list(connectors)
    names = [tool.name for tool in every]
    for selector in _selectors(policy):
        if not names_tools(selector) or any(matches(selector, tool) for tool in every):
            continue
        if policy.kind == "flags" or _is_about(selector, present):
            yield selector.origin, f"no tool is called '{selector.text}'", selector.text, names
    for rule in policy.rules:
        reached = [tool for tool in tools if any(matches(selector, tool) for selector in rule.selectors)]
        for field in named_fields(rule.template, rule.config) if reached else ():
            if not any(has(tool, split_field(field)) for tool in reached):
                known = sorted({name for tool in reached for name in field_names(tool.schema)})
                yield rule.origin, f"no tool that {rule.template} reaches has a field '{field}'", field, known


def _is_about(selector: Selector, connectors: list[str]) -> bool:
    """Whether a name or glob is one of these connectors' tools, or has its name misspelt."""
    owner = re.split("[_*?]", selector.text, maxsplit=1)[0]
    return owner in connectors or bool(difflib.get_close_matches(owner, connectors, n=1, cutoff=_NEAR))


def _selectors(policy: Policy) -> Iterator[Selector]:
    yield from policy.allow or ()
    yield from policy.deny
    for rule in policy.rules:
        yield from rule.selectors
