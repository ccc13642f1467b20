"""Finds a call that a policy lets through; each attempt differs from it by one thing. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mcpgate.attack.attempt import BEFORE, Shot, Target
from mcpgate.attack.families import assault_of
from mcpgate.attack.families.dates import times
from mcpgate.attack.placing import sample, samples
from mcpgate.attack.reach import reaches, target_of
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys, split_field, subschemas
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.values import Json, Rule, Tool

_MOST_TRIES: Final = 150
_MOST_CHOICES: Final = 24


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was not made, and at which fields."""

    says: str
    fields: tuple[str, ...] = ()


Probe = Callable[[Shot], Refusal | None]


def honest_call(
    tool: Tool, rules: Iterable[Rule], probe: Probe, first: Rule | None = None
) -> tuple[Shot, str]:
    """A call that passes every rule on a tool, or one that was tried and why it did not pass.

    The fields of the rule `first` are given wherever that is allowed. The reason is that of the first try,
    which had the likeliest values.
    """
    on_tool = [rule for rule in rules if rule.mode != "observe" and reaches(rule, tool)]
    on_tool.sort(key=lambda rule: rule is not first)
    last = Shot(tool, {}), "nothing was found to try"
    for group in _groups(tool):
        choices = _choices(tool, on_tool, group)
        last = _search(Shot(tool, {}, now=_moment(tool, on_tool)), choices, probe)
        if not last[1]:
            return last
    return last


def _moment(tool: Tool, rules: list[Rule]) -> float:
    """A time within the hours of every rule that has some."""
    windows = [target_of(rule, tool) for rule in rules if rule.template == "time_window"]
    open_at = [set(times(target, inside=True)) for target in windows]
    return min(set.intersection(*open_at), default=EXAMPLE_NOW) if open_at else EXAMPLE_NOW


def _groups(tool: Tool) -> Iterator[tuple[str, ...]]:
    """The arguments that have to be given, one choice of each group after the other."""
    required = tuple(tool.schema.get("required", ()))
    looked_up = tool.lookup.names if tool.lookup is not None else ()
    wanted = (*required, *(name for name in looked_up if name not in required))
    groups = (*tool.exactly_one, *tool.at_least_one)
    if not groups:
        yield wanted
        return
    for at in range(max(map(len, groups))):
        chosen = []
        for group in groups:
            there = [name for name in group if name in wanted]
            chosen += [] if there else [group[at % len(group)]]
        yield tuple(dict.fromkeys((*wanted, *chosen)))
    yield tuple(dict.fromkeys((*required, *(group[0] for group in groups))))


def _choices(tool: Tool, rules: list[Rule], given: tuple[str, ...]) -> dict[Keys, list[Json]]:
    """For each field the values to try: first those that the rules speak of, then those of its schema."""
    found: dict[Keys, list[Json]] = {}
    for rule in rules:
        target = target_of(rule, tool)
        for keys, value in assault_of(rule.template).honest(target):
            values = found.setdefault(keys, [])
            if len(values) < _MOST_CHOICES and not any(value is other for other in values):
                values.append(value)
        for keys in _currencies(target):
            found.setdefault(keys, ["usd"])
    for name in given:
        if not any(keys[0] == name for keys in found):
            found[(name,)] = []
    for keys, values in found.items():
        if keys[0] != BEFORE:
            schemas = list(subschemas(tool.schema, keys))
            known = [value for schema in schemas for value in samples(schema)]
            values += [value for value in known if value not in values][:_MOST_CHOICES]
            values += [[value] for value in values[:6] if any("items" in schema for schema in schemas)]
    exclusive = {name for group in tool.exactly_one for name in group} - set(given)
    return {keys: values or ["a1"] for keys, values in found.items() if keys[0] not in exclusive}


def _currencies(target: Target) -> Iterator[Keys]:
    """The currency beside a figure, where it is an argument."""
    money = target.tool.money
    amounts = [place.keys for place in money.amount] if money is not None else []
    if money is not None and any(keys in amounts for keys in target.spots):
        yield from (place.keys for place in money.currency[:1] if place.keys[0] != BEFORE)


def _search(start: Shot, choices: dict[Keys, list[Json]], probe: Probe) -> tuple[Shot, str]:
    """Try values, each time another one at a field that was complained of."""
    at = dict.fromkeys(choices, 0)
    turn = list(choices)
    says = ""
    shot = start
    for step in range(_MOST_TRIES):
        shot = _build(start, choices, at)
        refusal = probe(shot)
        if refusal is None:
            return shot, ""
        says = says or refusal.says
        blamed = [keys for keys in turn if _is_blamed(keys, refusal) and at[keys] + 1 < len(choices[keys])]
        spare = [keys for keys in turn if at[keys] + 1 < len(choices[keys])]
        if not blamed and not spare:
            break
        at[blamed[0] if blamed else spare[step % len(spare)]] += 1
    return shot, says


def _build(start: Shot, choices: dict[Keys, list[Json]], at: dict[Keys, int]) -> Shot:
    shot = start
    for keys in sorted(choices, key=len):
        value = choices[keys][at[keys]]
        if value is not MISSING:
            shot = shot.put(keys, value)
    return shot


def _is_blamed(keys: Keys, refusal: Refusal) -> bool:
    for field in refusal.fields:
        for part in field.replace("/", ", ").replace(" to ", ", ").split(", "):
            named = tuple(split_field(part)) if part else ()
            short = min(len(named), len(keys))
            if named and named[:short] == keys[:short]:
                return True
    return False


def plain_call(tool: Tool) -> Shot:
    """A call that the tool's own schema takes, whatever rules there are."""
    group = next(_groups(tool))
    properties = tool.schema.get("properties", {})
    given = [name for name in group if name in properties]
    shot = Shot(tool, {})
    for name in given:
        shot = dataclasses.replace(shot, arguments={**shot.arguments, name: sample(properties[name])})
    return shot
