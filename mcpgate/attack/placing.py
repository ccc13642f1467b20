"""Puts values into arguments, and makes up what a schema takes. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpgate.attack.spelling import text_for
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys, choices, member
from mcpgate.values import Json

_INDEX: Final = re.compile(r"-?\d+\Z")
_FORMATS: Final = {
    "date": "2031-05-06",
    "date-time": "2031-05-06T10:00:00Z",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "uri": "https://example.com/a",
    "email": "a@example.com",
    "hostname": "example.com",
}


def put(tree: Any, keys: Keys, value: Json, schema: Any) -> Json:
    """A copy with a value at a field; what has to be there on the way is made up."""
    if not keys:
        return copy.deepcopy(value)
    schema = schema if isinstance(schema, Mapping) else {}
    items = _items(schema)
    if isinstance(tree, list) or (tree is MISSING and items is not None):
        first, *others = tree if isinstance(tree, list) and tree else [MISSING]
        used = keys[0] == "*" or _INDEX.match(keys[0])
        return [put(first, keys[1:] if used else keys, value, items or {}), *copy.deepcopy(others)]
    made = copy.deepcopy(tree) if isinstance(tree, dict) else least(schema)
    key = "any" if keys[0] == "*" else keys[0]
    inner = next(iter(member(schema, key)), {})
    made[key] = put(made.get(key, MISSING), keys[1:], value, inner)
    return made


def drop(tree: Any, keys: Keys) -> Any:
    """A copy without what stands at a field, in each element of a list."""
    if isinstance(tree, list):
        used = keys[0] == "*" or _INDEX.match(keys[0])
        if used and len(keys) == 1:
            return []
        return [drop(item, keys[1:] if used else keys) for item in tree]
    if not isinstance(tree, dict):
        return tree
    found = [key for key in tree if key == keys[0] or keys[0] == "*"]
    kept = dict(tree)
    for key in found:
        if len(keys) == 1:
            del kept[key]
        else:
            kept[key] = drop(tree[key], keys[1:])
    return kept


def at(tree: Any, keys: Keys) -> Json:
    """The first value that stands at a field, or `MISSING`."""
    for key in keys:
        while isinstance(tree, list):
            if not tree:
                return MISSING
            tree = tree[0]
            if key == "*" or _INDEX.match(key):
                break
        else:
            if not isinstance(tree, dict) or key not in tree:
                return MISSING
            tree = tree[key]
    return tree


def least(schema: Mapping[str, Any]) -> dict[str, Json]:
    """An object with no more in it than its schema asks for."""
    known, found = schema.get("properties", {}), {}
    for part in (schema, *(choice for choice in choices(schema) if isinstance(choice, Mapping))):
        found.update({key: sample(known.get(key, {})) for key in part.get("required", ())})
        if found:
            break
    return found


def sample(schema: Any) -> Json:
    """One value that a schema takes; an object or a list has something in it."""
    return next(samples(schema), "a1")


def samples(schema: Any) -> Iterator[Json]:
    """Values that a schema may take, the likeliest first."""
    if not isinstance(schema, Mapping):
        yield "a1"
        return
    if "const" in schema:
        yield schema["const"]
        return
    for given in ("default", "examples", "enum"):
        if given in schema:
            yield from [schema[given]] if given == "default" else schema[given]
    if "enum" in schema:
        return
    types = schema.get("type", "object" if "properties" in schema else "")
    for kind in [types] if isinstance(types, str) else types:
        yield from _of_type(kind, schema)
    for choice in choices(schema):
        yield from samples(choice)


def _of_type(kind: str, schema: Mapping[str, Any]) -> Iterator[Json]:
    if kind in ("integer", "number"):
        yield from _numbers(schema)
    elif kind == "string":
        yield from _texts(schema)
    elif kind == "boolean":
        yield from (False, True)
    elif kind == "null":
        yield None
    elif kind == "array":
        yield [sample(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
    elif kind == "object":
        bare, known = least(schema), schema.get("properties", {})
        extra = schema.get("additionalProperties", False)
        if not bare:
            key = next(iter(known), "note")
            filled = {key: sample(known.get(key, extra))} if known or extra is not False else {}
            yield from [filled] if filled else []
        yield bare


def _numbers(schema: Mapping[str, Any]) -> Iterator[Json]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + 1
    step = schema.get("multipleOf", 1)
    yield from (each for each in (low, step, high) if each is not None)


def _texts(schema: Mapping[str, Any]) -> Iterator[str]:
    if "pattern" in schema:
        yield from text_for(schema["pattern"])
    if "format" in schema:
        yield _FORMATS.get(schema["format"], "a1")
    longest = schema.get("maxLength", 10**6)
    for text in ("a1", "1", "abc"):
        yield (text * (schema.get("minLength", 1) // len(text) + 1))[: max(1, min(longest, 10**5))]


def _items(schema: Mapping[str, Any]) -> Any:
    """The schema of a list's elements, None where no list may stand."""
    if "items" in schema:
        return schema["items"]
    found = (_items(choice) for choice in choices(schema) if isinstance(choice, Mapping))
    return next((items for items in found if items is not None), None)
