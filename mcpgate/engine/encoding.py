"""One encoder for queries and forms: `items[0][price]=…`, the bytes the official clients send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus

from mcpgate.errors import ArgumentsError


def scalar(value: Any) -> str:
    """A scalar as queries and forms write it: true, 20 (never 20.0), plain decimals."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    return str(value)


def pairs(name: str, value: Any, lists: str) -> Iterator[tuple[str, str]]:
    """The pairs one parameter becomes. None and empty lists and objects vanish; `""` is sent.

    `lists` says how a plain list is written: repeat, comma, brackets or indexed; a list of objects is always
    indexed. Raises `ArgumentsError` for map keys that are empty or have brackets, and under comma for entries
    with a comma.
    """
    if value is None:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not key or "[" in key or "]" in key:
                wrong = "has a bracket" if key else "is empty"
                raise ArgumentsError(f"{name}: the key {key!r} {wrong}, which cannot be sent")
            yield from pairs(f"{name}[{key}]", item, lists)
    elif isinstance(value, list):
        yield from _list(name, value, lists)
    else:
        yield name, scalar(value)


def _list(name: str, items: list[Any], lists: str) -> Iterator[tuple[str, str]]:
    if lists == "indexed" or any(isinstance(item, dict | list) for item in items):
        for index, item in enumerate(items):
            yield from pairs(f"{name}[{index}]", item, lists)
    elif lists == "comma":
        texts = [scalar(item) for item in items if item is not None]
        for text in texts:
            if "," in text:
                raise ArgumentsError(
                    f"{name}: {text!r} has a comma, and this API separates entries by commas"
                )
        if texts:
            yield name, ",".join(texts)
    else:
        for item in items:
            yield from pairs(f"{name}[]" if lists == "brackets" else name, item, lists)


def form(items: Iterable[tuple[str, str]]) -> bytes:
    """An `application/x-www-form-urlencoded` body with literal brackets and + for space."""
    return "&".join(f"{quote_plus(name, '[]')}={quote_plus(value, '[]')}" for name, value in items).encode()


def query(items: Iterable[tuple[str, str]]) -> str:
    """A query string, percent-encoded but for the brackets of nested names."""
    return "&".join(f"{quote(name, '[]')}={quote(value, '')}" for name, value in items)
