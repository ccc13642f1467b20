"""Tells of most sound values that they fit a schema, for far less than a validator takes. Pure.

A validator can say what is wrong, and so goes through a schema anew for each value. Here a schema becomes
functions, once, that say yes only where they are certain. All else, a value that does not fit or a keyword
that is not known here, is left to the validator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final, TypeAlias

Json = Any
Fits: TypeAlias = Callable[[Json], bool]
Compile: TypeAlias = Callable[[str], Any]

_SAY_NOTHING: Final = frozenset({"type", "title", "description", "default", "examples"})
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"enum", "minLength", "maxLength", "pattern"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties", "maxProperties"}),
}


def fitting(schema: Json, compile_pattern: Compile) -> Fits:
    """What tells whether a value certainly fits; `compile_pattern` makes what searches for a `pattern`."""
    if schema is True:
        return _always
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if not isinstance(kind, str) or kind not in _KNOWN or not schema.keys() <= _SAY_NOTHING | _KNOWN[kind]:
        return _never
    if kind == "string":
        return _string(schema, compile_pattern)
    if kind == "array":
        return _list(schema, compile_pattern)
    if kind == "object":
        return _object(schema, compile_pattern)
    return _boolean if kind == "boolean" else _number(schema, (int,) if kind == "integer" else (int, float))


def _always(value: Json) -> bool:
    return True


def _never(value: Json) -> bool:
    return False


def _boolean(value: Json) -> bool:
    return isinstance(value, bool)


def _number(schema: Mapping[str, Json], types: tuple[type, ...]) -> Fits:
    low, high = schema.get("minimum", -inf), schema.get("maximum", inf)
    # by its type, for to Python true is an integer
    return lambda value: type(value) in types and low <= value <= high


def _string(schema: Mapping[str, Json], compile_pattern: Compile) -> Fits:
    least, most, allowed = schema.get("minLength", 0), schema.get("maxLength", inf), schema.get("enum")
    search = compile_pattern(schema["pattern"]).search if "pattern" in schema else _always
    return lambda value: (
        isinstance(value, str)
        and least <= len(value) <= most
        and (allowed is None or value in allowed)
        and bool(search(value))
    )


def _list(schema: Mapping[str, Json], compile_pattern: Compile) -> Fits:
    least, most = schema.get("minItems", 0), schema.get("maxItems", inf)
    each = fitting(schema.get("items", True), compile_pattern)
    return lambda value: (
        isinstance(value, list) and least <= len(value) <= most and all(each(item) for item in value)
    )


def _object(schema: Mapping[str, Json], compile_pattern: Compile) -> Fits:
    named = {name: fitting(inner, compile_pattern) for name, inner in schema.get("properties", {}).items()}
    others = fitting(schema.get("additionalProperties", True), compile_pattern)
    required, most = frozenset(schema.get("required", ())), schema.get("maxProperties", inf)
    return lambda value: (
        isinstance(value, dict)
        and len(value) <= most
        and required <= value.keys()
        and all(named.get(key, others)(item) for key, item in value.items())
    )
