"""Fields of guardrails: dotted paths into arguments, where a list on the way means each of its elements.

They are written as places are: `*` is any key, a number picks from a list, `\\.` is a dot inside a key. What
a place passes over in silence is told here: `MISSING` for each spot where the path ends early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpgate.places import MISSING

Keys = tuple[str, ...]

_UNESCAPED_DOT: Final = re.compile(r"(?<!\\)\.")
_INDEX: Final = re.compile(r"-?\d+\Z")
_CHOICES: Final = ("anyOf", "oneOf", "allOf")


def split_field(field: str) -> Keys:
    r"""The keys of a field: `metadata.a\.b` is ("metadata", "a.b")."""
    return tuple(key.replace("\\.", ".") for key in _UNESCAPED_DOT.split(field))


def is_missing(value: Any) -> bool:
    """Whether what was found at a field counts as missing: nothing, null, or nothing but such inside."""
    if isinstance(value, dict | list):
        return all(is_missing(item) for item in (value.values() if isinstance(value, dict) else value))
    return value is MISSING or value is None


def read_field(arguments: Any, keys: Keys, *, opened: bool = False) -> list[Any]:
    """All that stands at a field; `opened` gives a list's elements instead of the list that stands there."""
    return list(_read(arguments, keys, opened))


def _read(value: Any, keys: Keys, opened: bool) -> Iterator[Any]:
    if not keys:
        if opened and isinstance(value, list) and value:
            for item in value:
                yield from _read(item, keys, opened)
        else:
            yield value
        return
    children, rest = _children(value, keys)
    if not children:
        yield MISSING
    for child in children:
        yield from _read(child, rest, opened)


def _children(value: Any, keys: Keys) -> tuple[list[Any], Keys]:
    """Where the first key leads from here, and the keys that are left then."""
    key, rest = keys[0], keys[1:]
    if isinstance(value, list):
        if not _INDEX.match(key):
            return value, rest if key == "*" else keys
        index = int(key)
        return ([value[index]] if -len(value) <= index < len(value) else []), rest
    if not isinstance(value, dict):
        return [], rest
    if key == "*":
        return list(value.values()), rest
    return ([value[key]] if key in value else []), rest


def has_field(schema: Mapping[str, Any], keys: Keys) -> bool:
    """Whether a schema has a place for a field."""
    return any(True for _ in subschemas(schema, keys))


def subschemas(schema: Any, keys: Keys) -> Iterator[Mapping[str, Any]]:
    """Every schema that stands at a field, through lists, maps and choices."""
    if not isinstance(schema, Mapping):
        if schema is True:
            yield {}
        return
    if not keys:
        yield schema
        return
    for choice in choices(schema):
        yield from subschemas(choice, keys)
    if "items" in schema:
        yield from subschemas(schema["items"], keys_inside(keys))
    for inner in _members(schema, keys[0]):
        yield from subschemas(inner, keys[1:])


def member(schema: Any, key: str) -> list[Mapping[str, Any]]:
    """Every schema that an object's member of exactly this name may have, through choices."""
    if not isinstance(schema, Mapping):
        return []
    own = [inner if isinstance(inner, Mapping) else {} for inner in _named(schema, key)]
    return [*own, *(inner for choice in choices(schema) for inner in member(choice, key))]


def choices(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The alternatives of a schema, and the parts it is made of."""
    return (choice for keyword in _CHOICES for choice in schema.get(keyword, ()))


def keys_inside(keys: Keys) -> Keys:
    """The keys that are left inside a list: `*` and a number are used up by it, a name reaches through."""
    return keys[1:] if keys[0] == "*" or _INDEX.match(keys[0]) else keys


def _members(schema: Mapping[str, Any], key: str) -> Iterator[Any]:
    if key == "*":
        yield from schema.get("properties", {}).values()
    yield from _named(schema, key)


def _named(schema: Mapping[str, Any], key: str) -> Iterator[Any]:
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties", False)
    if key in properties:
        yield properties[key]
    elif extra is not False:
        yield extra


def field_names(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every field a schema names, for messages."""
    for name, subschema in schema.get("properties", {}).items():
        field = prefix + name.replace(".", "\\.")
        yield field
        yield from field_names(subschema, field + ".")
        if isinstance(subschema.get("items"), Mapping):
            yield from field_names(subschema["items"], field + ".")
