"""Rules that count: whether they bound a sum, and whether one can deny anything beside another. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mcpgate.policy.rule import BoundRule
from mcpgate.policy.templates.memory import limits_of
from mcpgate.values import Tool


def together(steps: Sequence[BoundRule]) -> bool:
    """Whether rules that bound what each call moves bound what all of them move."""
    return any(step.template.seconds is not None and not step.template.identical for step in steps)


def counted_as_well(step: BoundRule, other: BoundRule, tool: Tool) -> bool:
    """Whether another rule denies every call of a tool that a rule denies, where one of the two counts.

    Of two that count, the other has to count all that this one does, and as far back.
    """
    mine, theirs = step.rule.config, other.rule.config
    if other.template.looks_at == "money" and step.template.looks_at == "money":
        if not all(mine.get(currency, -1) >= limit for currency, limit in limits_of(theirs).items()):
            return False
        if step.template.seconds is None:
            return True  # whatever was spent, one call alone cannot move more than a budget
    if step.template.seconds is None or other.template.seconds is None:
        return False
    # a name that is this tool's own takes in no other one
    known = {selector.text for selector in other.rule.selectors} | {tool.name}
    wider = {selector.text for selector in step.rule.selectors} <= known and _counts_for(step, other)
    if not wider or other.template.seconds(theirs) < step.template.seconds(mine):
        return False
    if step.template.looks_at == "money" or other.template.looks_at == "money":
        return step.template is other.template
    return bool(theirs["max"] <= mine["max"]) and (step.template.identical or not other.template.identical)


def _counts_for(step: BoundRule, other: BoundRule) -> bool:
    """Whether another rule counts for all those that a rule counts for, by the layers that hold them."""
    layers = (step.layer, other.layer)
    return step.layer == other.layer or other.layer == "account" or layers == ("preset", "rules")


def lets_nothing_pass(step: BoundRule) -> bool:
    """Whether a rule counts, and its limit is reached before anything was."""
    config = step.rule.config
    limits = config.values() if step.template.looks_at == "call" else limits_of(config).values()
    return step.template.seconds is not None and not any(isinstance(each, int) and each for each in limits)
