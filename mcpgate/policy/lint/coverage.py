"""Whether rules cover an effect of a tool: for money, whether they bound the sum. Pure.

- A tool that says what it moves (`money`) is bounded by `max_amount` or `budget`, or by a limit on the amount
  itself; where amounts stand in a list, its length has to be bounded as well.
- One that does not is bounded when `allow_values` says what it may be given, and every number and every list
  on the way there has an end. Which field decides over the sum is taken on the author's word.
- Any other effect is covered by any rule that can deny something there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mcpgate.policy.fields import Keys, field_names, split_field, subschemas
from mcpgate.policy.lint.redundancy import highest, idle, is_number, places
from mcpgate.policy.rule import BoundRule
from mcpgate.values import Tool

MONEY_EFFECTS: Final = ("money_in", "money_out", "commitment")
SUMS: Final = frozenset({"max_amount", "budget"})
_BOUNDS: Final = frozenset({"max_value", "value_range", "allow_values"})


def covers(effect: str, tool: Tool, steps: Sequence[BoundRule]) -> bool:
    """Whether these rules, bound to a tool, cover an effect of it."""
    return not gaps(tool, steps) if effect in MONEY_EFFECTS else any(not idle(step, tool) for step in steps)


def gaps(tool: Tool, steps: Sequence[BoundRule]) -> list[str]:
    """What would still have to be limited, so that what a tool moves is bounded; nothing when it is."""
    live = [step for step in steps if not idle(step, tool)]
    if any(step.rule.template in SUMS for step in live):
        return []
    if tool.money is None:
        return [*_unlisted(live), *_open_numbers(tool, live), *_open_lists(tool, live)]
    capped = [keys for step in live if limits_amount(tool, step) for keys in places(step)]
    ways = [[*_endless(tool, live, keys)] for keys in capped]
    return min(ways, key=len) if ways else ["max_amount: { usd: 50000 }"]


def amounts(tool: Tool) -> list[Keys]:
    """Where a tool has its amount."""
    return [] if tool.money is None else [place.keys for place in tool.money.amount]


def limits_amount(tool: Tool, step: BoundRule) -> bool:
    """Whether a rule bounds what stands where a tool has its amount."""
    return step.rule.template in _BOUNDS and any(keys in amounts(tool) for keys in places(step))


def _unlisted(live: Sequence[BoundRule]) -> Iterator[str]:
    if not any(step.rule.template == "allow_values" for step in live):
        yield "allow_values on the ids it takes"


def _open_numbers(tool: Tool, live: Sequence[BoundRule]) -> Iterator[str]:
    """Every number without an end in the tool's schema or in a rule."""
    for name in dict.fromkeys(field_names(tool.schema)):
        keys = split_field(name)
        schemas = [schema for schema in subschemas(tool.schema, keys) if is_number(schema)]
        endless = any(highest(schema) == float("inf") and "enum" not in schema for schema in schemas)
        if endless and not any(_ends(step, keys) for step in live):
            yield f"max_value on {name}"


def _ends(step: BoundRule, keys: Keys) -> bool:
    """Whether a rule puts an end to the number at a field, or blocks it."""
    if step.rule.template == "block_fields":
        return any(keys[: len(gone)] == gone for gone in places(step))
    return step.rule.template in _BOUNDS and keys in places(step)


def _open_lists(tool: Tool, live: Sequence[BoundRule]) -> list[str]:
    """The lists without an end on the way to the field whose values are listed; all of them where none is."""
    listed = [keys for step in live if step.rule.template == "allow_values" for keys in places(step)]
    if listed:
        return min(([*_endless(tool, live, keys)] for keys in listed), key=len)
    every = [text for name in field_names(tool.schema) for text in _endless(tool, live, split_field(name))]
    return [*dict.fromkeys(every)]


def _endless(tool: Tool, live: Sequence[BoundRule], keys: Keys) -> Iterator[str]:
    """Each list without an end on the way to a field."""
    for way in (keys[:end] for end in range(1, len(keys) + 1)):
        lists = [schema for schema in subschemas(tool.schema, way) if "items" in schema]
        limited = any(
            step.rule.template in ("max_items", "block_fields") and way in places(step) for step in live
        )
        if any("maxItems" not in schema for schema in lists) and not limited:
            yield f"max_items on {'.'.join(way)}"
