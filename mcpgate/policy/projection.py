"""Writes limits into the schema that is listed, so that the model does not try what would be refused.

Only shown: arguments are checked against the tool's own schema, so that a refusal always names its rule.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from mcpgate.places import Place
from mcpgate.policy.binding import Bound
from mcpgate.policy.fields import Keys, choices, keys_inside
from mcpgate.policy.reading import BEFORE
from mcpgate.policy.rule import BoundRule
from mcpgate.policy.templates.memory import window_of
from mcpgate.policy.templates.shown import at_most, describe, only
from mcpgate.values import Json, Money, Tool


def project(tool: Tool, bound: Bound) -> dict[str, Json]:
    """The tool's input schema with every enforced rule written into it."""
    schema = copy.deepcopy(dict(tool.schema))
    for step in bound:
        if isinstance(step, BoundRule) and step.rule.mode != "observe":
            _project_rule(tool, step, schema)
    return schema


def _project_rule(tool: Tool, step: BoundRule, schema: dict[str, Json]) -> None:
    template, config = step.template, step.rule.config
    if template.looks_at == "money" and tool.money is not None:
        _project_money(tool.money, config, schema)
    if template.looks_at == "call":
        template.project(config, schema)
    if template.looks_at == "texts" and not step.readings:
        for place in _texts(schema):
            template.project(config, place)
    for reading in step.readings:
        for keys in reading.places:
            if keys[0] == BEFORE and tool.lookup is not None:
                continue
            if template.block and template.looks_at == "fields":
                _remove(schema, keys)
                continue
            for place in _places(schema, keys, require=step.closed and len(reading.places) == 1):
                opened = (
                    _opened(place, require=step.closed)
                    if template.looks_at in ("values", "texts")
                    else (place,)
                )
                for subschema in opened:
                    template.project({**config, "field": reading.field}, subschema)


def _texts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema of a text that an agent words itself."""
    if not isinstance(schema, dict):
        return
    if schema.get("type", "string") == "string" and not schema.keys() & {"enum", "const", "properties"}:
        yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), *choices(schema)):
        yield from _texts(inner)


def _project_money(money: Money, limits: Mapping[str, Json], schema: dict[str, Json]) -> None:
    """The largest of the limits, the currencies that have one, and a line with them all."""
    limits, per = {name: limit for name, limit in limits.items() if name != "per"}, limits.get("per")
    together = f" in all in any {window_of({'per': per})}" if per else ""
    line = "At most " + ", ".join(f"{limit} {name}" for name, limit in limits.items()) + f"{together}."
    for subschema in _money_places(money.amount, schema):
        at_most("maximum", "max")({"max": max(limits.values())}, subschema)
        describe(subschema, line)
    for subschema in _money_places(money.currency, schema):
        only({"values": list(limits)}, subschema)


def _money_places(places: tuple[Place, ...], schema: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """Where a figure is looked for first; it has to be given where it is looked for nowhere else."""
    for place in _places(schema, places[0].keys, require=len(places) == 1):
        yield from _opened(place, require=False)


def _places(schema: Any, keys: Keys, *, require: bool) -> Iterator[dict[str, Any]]:
    """The schemas at a field; with `require`, each step on the way becomes required."""
    if not isinstance(schema, dict):
        return
    if not keys:
        yield schema
        return
    for choice in choices(schema):
        yield from _places(choice, keys, require=require)
    if "items" in schema:
        _fill(schema, require)
        yield from _places(schema["items"], keys_inside(keys), require=require)
    if keys[0] == "*":
        for inner in (*schema.get("properties", {}).values(), schema.get("additionalProperties")):
            yield from _places(inner, keys[1:], require=require)
    elif (inner := _member(schema, keys[0])) is not None:
        if require and keys[0] not in schema.get("required", ()):
            schema["required"] = [*schema.get("required", ()), keys[0]]
        yield from _places(inner, keys[1:], require=require)


def _member(schema: dict[str, Any], key: str) -> Json:
    """The schema of an object's member; one of a map gets its own, so that it alone can be limited."""
    extra = schema.get("additionalProperties", False)
    if key not in schema.get("properties", {}) and extra is not False:
        own = copy.deepcopy(extra) if isinstance(extra, dict) else {}
        schema["properties"] = {**schema.get("properties", {}), key: own}
    return schema.get("properties", {}).get(key)


def _opened(schema: dict[str, Any], *, require: bool) -> Iterator[dict[str, Any]]:
    """The schema of a list's elements instead of the list's."""
    if not isinstance(schema.get("items"), dict):
        yield schema
        return
    _fill(schema, require)
    yield from _opened(schema["items"], require=require)


def _fill(schema: dict[str, Any], require: bool) -> None:
    if require:
        schema["minItems"] = max(1, schema.get("minItems", 1))


def _remove(schema: dict[str, Any], keys: Keys) -> None:
    for parent in _places(schema, keys[:-1], require=False):
        for holder in _opened(parent, require=False):
            holder.get("properties", {}).pop(keys[-1], None)
            if holder.get("additionalProperties", False) is not False:
                describe(holder, f"Leave out {keys[-1]}.")
