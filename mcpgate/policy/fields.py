"""Fields of guardrails: dotted paths into arguments, where a list on the way means each of its elements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpgate.places import MISSING

_UNESCAPED_DOT: Final = re.compile(r"(?<!\\)\.")


def split_field(field: str) -> tuple[str, ...]:
    r"""The keys of a field: `metadata.a\.b` is ("metadata", "a.b")."""
    return tuple(key.replace("\\.", ".") for key in _UNESCAPED_DOT.split(field))


def read_field(arguments: Any, keys: tuple[str, ...]) -> list[Any]:
    """Every value at a field, `MISSING` for each place where the path ends early.

    An empty list and null on the way or at the end are missing too.
    """
    return list(_read(arguments, keys))


def _read(value: Any, keys: tuple[str, ...]) -> Iterator[Any]:
    if value is None or value == []:
        yield MISSING
    elif isinstance(value, list) and keys:
        for item in value:
            yield from _read(item, keys)
    elif not keys:
        yield value
    elif isinstance(value, dict) and keys[0] in value:
        yield from _read(value[keys[0]], keys[1:])
    else:
        yield MISSING


def has_field(schema: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    """Whether a schema has a place for a field."""
    return any(True for _ in subschemas(schema, keys))


def subschemas(schema: Any, keys: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    """Every schema that stands at a field, through lists, maps and choices."""
    if not isinstance(schema, Mapping):
        if schema is True:
            yield {}
        return
    if not keys:
        yield schema
        return
    for key in ("anyOf", "oneOf", "allOf"):
        for choice in schema.get(key, ()):
            yield from subschemas(choice, keys)
    if "items" in schema:
        yield from subschemas(schema["items"], keys)
    properties = schema.get("properties", {})
    if keys[0] in properties:
        yield from subschemas(properties[keys[0]], keys[1:])
    elif schema.get("additionalProperties", False) is not False:
        yield from subschemas(schema["additionalProperties"], keys[1:])


def field_names(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every field a schema names, for messages."""
    for name, subschema in schema.get("properties", {}).items():
        field = prefix + name.replace(".", "\\.")
        yield field
        yield from field_names(subschema, field + ".")
        if isinstance(subschema.get("items"), Mapping):
            yield from field_names(subschema["items"], field + ".")
