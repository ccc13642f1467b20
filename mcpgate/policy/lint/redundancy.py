"""Whether a rule can deny anything: against its tool's own schema, and beside another rule.

Both answer only where they are sure: a rule that may deny a single call is not called needless.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.fields import Keys, keys_inside, subschemas
from mcpgate.policy.folding import fold, same
from mcpgate.policy.lint.counting import counted_as_well
from mcpgate.policy.reading import BEFORE, has
from mcpgate.policy.rule import BoundRule
from mcpgate.values import Json, Tool

_NUMBERS: Final = frozenset({"integer", "number", "null"})
_BETWEEN: Final = frozenset({"max_value", "min_value", "value_range"})
_SINGLE_VALUES: Final = _BETWEEN | {"allow_values", "block_values"}


def places(step: BoundRule) -> tuple[Keys, ...]:
    """Every place that a rule looks at."""
    return tuple(keys for reading in step.readings for keys in reading.places)


def fields(step: BoundRule) -> str:
    """The fields that a rule looks at, in words."""
    return ", ".join(reading.field for reading in step.readings)


def idle(step: BoundRule, tool: Tool) -> str:
    """Why a rule can never deny what a call of a tool says; empty where it may."""
    looks_at, name = step.template.looks_at, step.rule.template
    if looks_at in ("call", "money", "tool") or (looks_at == "texts" and not step.readings):
        return ""
    if not any(has(tool, keys) for keys in places(step)):
        return f"{tool.name} has no {fields(step) or 'field that it looks at'}"
    if looks_at == "fields":
        if step.template.block:
            return ""
        if not step.closed:
            return f"with when_missing: allow, {name} asks for nothing"
        always = all(always_given(tool.schema, keys) for keys in places(step))
        return f"{tool.name} itself always asks for {fields(step)}" if always else ""
    if any(keys[0] == BEFORE for keys in places(step)) or any(reading.joint for reading in step.readings):
        return ""
    schemas = [schema for keys in places(step) for schema in subschemas(tool.schema, keys)]
    if looks_at != "field":
        schemas = [inner for schema in schemas for inner in _opened(schema)]
    if not all(_always_passes(step, schema, tool) for schema in schemas):
        return ""
    idly = f"{tool.name} itself takes nothing at {fields(step)} that {name} would deny"
    if step.closed and not all(always_given(tool.schema, keys) for keys in places(step)):
        idly += ", so all it does is ask that it be given, which required_fields says plainly"
    return idly


def values_refused(step: BoundRule, tool: Tool) -> list[Json]:
    """All that a tool takes where a limit looks, if it lists that and the limit denies each of them."""
    if step.template.block or step.template.looks_at not in ("values", "texts"):
        return []
    spots = [keys for reading in step.readings if not reading.joint for keys in reading.places]
    schemas = [schema for keys in spots for schema in subschemas(tool.schema, keys)]
    taken = [values_listed(inner) for schema in schemas for inner in _opened(schema)]
    if not all(taken) or any(_passes(step, value, tool) for values in taken for value in values):
        return []
    return [value for values in taken for value in values]


def always_given(schema: Any, keys: Keys) -> bool:
    """Whether every call that fits a schema has something at a field."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if kind == "array":
        filled = schema.get("minItems", 0) > 0
        return filled and (not keys or always_given(schema.get("items"), keys_inside(keys)))
    if not keys:
        return isinstance(kind, str) and kind != "null"
    required = kind == "object" and keys[0] in schema.get("required", ())
    return required and always_given(schema.get("properties", {}).get(keys[0]), keys[1:])


def highest(schema: Mapping[str, Any]) -> float:
    """The highest number that a schema takes; infinity where it sets no end."""
    return float(min(schema.get(key, float("inf")) for key in ("maximum", "exclusiveMaximum")))


def is_number(schema: Mapping[str, Any]) -> bool:
    """Whether all that a schema takes is numbers, null aside."""
    kinds = schema.get("type")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    return bool(kinds - {"null"}) and kinds <= _NUMBERS


def needless(step: BoundRule, other: BoundRule, tool: Tool) -> bool:
    """Whether another rule denies every call of a tool that a rule denies."""
    if other.rule.mode != "enforce" and step.rule.mode == "enforce":
        return False
    absent_denied = step.closed and not all(always_given(tool.schema, keys) for keys in places(step))
    if absent_denied and not other.closed:
        return False
    if step.template.seconds is not None or other.template.seconds is not None:
        return counted_as_well(step, other, tool)
    same_template = step.rule.template == other.rule.template
    if step.template.looks_at not in ("fields", "call", "money"):
        if _spots(step) != _spots(other):
            return False
        if {step.rule.template, other.rule.template} <= _BETWEEN:
            return _within(step, other)
        if other.rule.template == "allow_values" and step.rule.template in _SINGLE_VALUES:
            return all(_passes(step, value, tool) for value in other.rule.config["values"])
    return same_template and _as_tight(step, other)


def taken_away(step: BoundRule, other: BoundRule) -> bool:
    """Whether another rule blocks all that a rule looks at."""
    if not (other.template.block and other.template.looks_at == "fields") or other.rule.mode != "enforce":
        return False
    looked_at = places(step)
    return (
        other.template is not step.template
        and bool(looked_at)
        and all(any(keys[: len(gone)] == gone for gone in places(other)) for keys in looked_at)
    )


def _opened(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema of a list's elements instead of the list's."""
    if isinstance(schema.get("items"), Mapping):
        yield from _opened(schema["items"])
    else:
        yield schema


def _always_passes(step: BoundRule, schema: Mapping[str, Any], tool: Tool) -> bool:
    """Whether a rule lets everything pass that a schema takes."""
    config, looks_at = step.rule.config, step.template.looks_at
    listed = values_listed(schema)
    if listed and looks_at in ("values", "texts"):
        return all(_passes(step, value, tool) for value in listed)
    if step.rule.template in _BETWEEN:
        lowest = max(schema.get(key, float("-inf")) for key in ("minimum", "exclusiveMinimum"))
        low, high = _bounds(config)
        return is_number(schema) and lowest >= low and highest(schema) <= high
    if step.rule.template == "max_items":
        most = {"array": "maxItems", "object": "maxProperties"}.get(str(schema.get("type")), "")
        return bool(schema.get(most, float("inf")) <= config["max"])
    if step.rule.template == "content_length":
        return (
            schema.get("type") == "string" and schema.get("maxLength", float("inf")) <= config["max_length"]
        )
    return False


def values_listed(schema: Mapping[str, Any]) -> list[Json]:
    """Every value that a schema takes, where it lists them."""
    if schema.get("type") == "boolean":
        return [True, False]
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return [value for value in values if value is not None]


def _passes(step: BoundRule, value: Json, tool: Tool) -> bool:
    config = {**step.rule.config, "field": fields(step)}
    try:
        return step.template.check(config, Call(tool, {}), [value]) is None
    except UndecidableError:
        return False


def _spots(step: BoundRule) -> list[tuple[tuple[Keys, ...], str]]:
    """The places of each reading, and what joins them."""
    return [(reading.places, reading.joint) for reading in step.readings]


def _bounds(config: Mapping[str, Json]) -> tuple[float, float]:
    return config.get("min", float("-inf")), config.get("max", float("inf"))


def _within(step: BoundRule, other: BoundRule) -> bool:
    (low, high), (other_low, other_high) = _bounds(step.rule.config), _bounds(other.rule.config)
    return bool(low <= other_low and other_high <= high)


def _as_tight(step: BoundRule, other: BoundRule) -> bool:
    """Whether another rule of the same template is at least as tight, key by key."""
    mine, theirs = dict(step.rule.config), dict(other.rule.config)
    if step.rule.template == "max_amount":
        return all(mine.get(currency, -1) >= limit for currency, limit in theirs.items())
    if step.template.looks_at != "fields":
        # the field was compared already, by its places
        mine.pop("field", None), theirs.pop("field", None)
    return mine.keys() == theirs.keys() and all(
        _key_as_tight(key, mine[key], theirs[key], block=step.template.block) for key in mine
    )


def _key_as_tight(key: str, mine: Json, theirs: Json, *, block: bool) -> bool:
    if isinstance(mine, list) and isinstance(theirs, list):
        if key == "fields":
            return set(mine) <= set(theirs)
        if (block or key.startswith("block_")) and not key.startswith("allow_"):
            return {fold(value) for value in mine} <= {fold(value) for value in theirs}
        return all(any(same(value, other) for other in mine) for value in theirs)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (mine, theirs))
    if numbers and key in ("max", "max_length"):
        return bool(theirs <= mine)
    if numbers and key == "min":
        return bool(theirs >= mine)
    return same(mine, theirs)
