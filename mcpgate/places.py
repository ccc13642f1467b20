"""Places: dotted paths into JSON, the one path syntax of connectors and policies.

`data.-1.id` picks with a number from a list, `*` is any key, `\\.` is a dot inside a key, a name reaches
through lists, and `header:NAME` reads a header of the reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()
_HEADER = "header:"
_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
_INDEX = re.compile(r"-?\d+\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """One place, as it was written (`text`) and as it is walked (`keys`, or the name of a `header`)."""

    text: str
    keys: tuple[str, ...]
    header: str | None = None

    def __str__(self) -> str:
        return self.text

    def all(self, value: Any, headers: Mapping[str, str] | None = None) -> list[Any]:
        """Everything found at this place, in order; nothing is an empty list."""
        if self.header is not None:
            found = (headers or {}).get(self.header.lower())
            return [] if found is None else [found]
        return list(_walk(value, self.keys))

    def first(self, value: Any, headers: Mapping[str, str] | None = None) -> Any:
        """The first thing found at this place, or `MISSING`."""
        found = self.all(value, headers)
        return found[0] if found else MISSING


def parse_place(text: str) -> Place:
    """Read a place from its text; the caller has checked that no key is empty."""
    if text.startswith(_HEADER):
        return Place(text, (), text[len(_HEADER) :].strip())
    return Place(text, tuple(key.replace("\\.", ".") for key in _UNESCAPED_DOT.split(text)))


def _walk(value: Any, keys: tuple[str, ...]) -> Iterator[Any]:
    if not keys:
        yield value
        return
    key, rest = keys[0], keys[1:]
    if isinstance(value, list):
        if _INDEX.match(key):
            index = int(key)
            if -len(value) <= index < len(value):
                yield from _walk(value[index], rest)
        else:
            for item in value:
                yield from _walk(item, rest if key == "*" else keys)
    elif isinstance(value, dict):
        if key == "*":
            for item in value.values():
                yield from _walk(item, rest)
        elif key in value:
            yield from _walk(value[key], rest)
