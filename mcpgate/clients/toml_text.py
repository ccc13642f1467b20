"""TOML that people keep: read, and changed without touching the rest of the text, comments and all.

A server is a table with a header of its own, and may have tables below it. One that is written otherwise, as
a part of a line, cannot be changed here: whoever changes a text compares what it says before and after.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mcpgate.clients import TextError
from mcpgate.values import Json

_PLACE: Final = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Statement:
    """One statement, blank line or comment: its first line, the one after its last, and its table."""

    start: int
    stop: int
    table: tuple[str, ...]
    kind: Literal["header", "value", "empty"]


def read(text: str) -> dict[str, Any]:
    """What a text says."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.fullmatch(str(error))
        line, column = (int(found[2]), int(found[3])) if found else (text.count("\n") + 1, 1)
        raise TextError(found[1] if found else str(error), line, column) from None
    except RecursionError as error:
        raise TextError(str(error)) from None


def put(text: str, path: Sequence[str], value: dict[str, Json]) -> str:
    """The text with the table `value` at `path`: in the place of what is there, else at the end."""
    lines = _LINE.findall(text)
    own = _lines_of(lines, tuple(path))
    written = write(path, value)
    if own:
        first = min(own)
        kept = [line for number, line in enumerate(lines) if number >= first and number not in own]
        return "".join([*lines[:first], written, *kept])
    before = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + before + written


def drop(text: str, path: Sequence[str]) -> str:
    """The text without the table at `path` and those below it."""
    lines = _LINE.findall(text)
    own = _lines_of(lines, tuple(path))
    # the blank line above a table goes with it
    above = min(own, default=0) - 1
    if above >= 0 and not lines[above].strip():
        own.add(above)
    return "".join(line for number, line in enumerate(lines) if number not in own)


def write(path: Sequence[str], value: dict[str, Json]) -> str:
    """A table with its header."""
    lines = [
        f"[{'.'.join(map(_key, path))}]",
        *(f"{_key(key)} = {_inline(item)}" for key, item in value.items()),
    ]
    return "\n".join(lines) + "\n"


def _lines_of(lines: Sequence[str], path: tuple[str, ...]) -> set[int]:
    """The lines of the table at `path` and of those below it; of comments only those between values."""
    own: set[int] = set()
    between: list[int] = []
    for statement in _statements(lines):
        span = range(statement.start, statement.stop)
        if statement.table[: len(path)] != path:
            continue
        if statement.kind == "empty":
            between += span
            continue
        own |= {*between, *span} if statement.kind == "value" else {*span}
        between = []
    return own


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    """The statements of a text that can be read: each is as many lines as it takes to make sense."""
    table: tuple[str, ...] = ()
    start = 0
    while start < len(lines):
        stop = start + 1
        while (value := _try("".join(lines[start:stop]))) is None:
            stop += 1
            if stop > len(lines):
                raise TextError("this cannot be told apart", start + 1)
        is_header = lines[start].lstrip().startswith("[")
        if is_header:
            table = tuple(_header(value))
        yield _Statement(start, stop, table, "header" if is_header else "value" if value else "empty")
        start = stop


def _header(value: Any) -> Iterator[str]:
    """The names in a header, from what it says as a text of its own."""
    while value:
        if isinstance(value, list):
            value = value[0]
            continue
        ((key, value),) = value.items()
        yield key


def _try(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _inline(value: Any) -> str:
    """A value on one line; JSON and TOML write text and numbers alike."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return (
        json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | int | float) else str(value)
    )
