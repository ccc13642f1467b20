"""Every text in a call's arguments, each with the field it stands at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mcpgate.policy.fields import choices, member

_LONG_NUMBER: Final = 10**8


def texts(value: Any, schemas: Sequence[Mapping[str, Any]], field: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a value: texts themselves, long numbers as text, and the keys that no schema names."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, int | float) and abs(value) >= _LONG_NUMBER:
        yield field, str(int(value) if value == int(value) else value)
    elif isinstance(value, list):
        inside = [inner for schema in schemas for inner in _items(schema)]
        for item in value:
            yield from texts(item, inside, field)
    elif isinstance(value, dict):
        for key, item in value.items():
            at = f"{field}.{_escape(key)}".removeprefix(".")
            if not any(_names(schema, key) for schema in schemas):
                yield at, key
            yield from texts(item, [inner for schema in schemas for inner in member(schema, key)], at)


def _items(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema.get("items"), Mapping):
        yield schema["items"]
    for choice in choices(schema):
        if isinstance(choice, Mapping):
            yield from _items(choice)


def _names(schema: Any, key: str) -> bool:
    if not isinstance(schema, Mapping):
        return False
    return key in schema.get("properties", {}) or any(_names(choice, key) for choice in choices(schema))


def _escape(key: str) -> str:
    return key.replace(".", "\\.")
