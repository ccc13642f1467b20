"""JSON that people keep: read with its comments, changed without touching the rest of the text.

`bare` is a text with its comments turned into as many spaces, `plain` one with its trailing commas as well:
a place in one is the same place in all three.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from mcpgate.clients import TextError
from mcpgate.values import Json

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_COMMENT: Final = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING: Final = re.compile(rf"{_STRING}|,(?=[ \t\r\n]*[\]}}])", re.DOTALL)
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_FIRST_INDENT: Final = re.compile(r'\n([ \t]+)"')


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an object: its key, where it begins, and where its value begins and ends."""

    key: str
    start: int
    value: int
    end: int


def read(text: str, *, comments: bool) -> dict[str, Any]:
    """The object that a text says; with `comments`, these and trailing commas are allowed."""
    plain = _plain(_bare(text)) if comments else text
    if not plain.strip():
        return {}
    try:
        value = json.loads(plain, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise TextError(error.msg, error.lineno, error.colno) from None
    except (ValueError, RecursionError) as error:
        raise TextError(str(error)) from None
    if not isinstance(value, dict):
        raise TextError("an object is wanted here")
    return value


def put(text: str, path: Sequence[str], value: Json) -> str:
    """The text with `value` at `path`: in the place of what is there, else as the last member."""
    plain = _plain(_bare(text))
    if not plain.strip():
        return f"{text}{write(_nested(path, value))}\n"
    unit = found[1] if (found := _FIRST_INDENT.search(text)) else "  "
    start = _skip(plain, 0)
    for depth, key in enumerate(path, 1):
        member = next((each for each in _members(plain, start) if each.key == key), None)
        if member is None:
            return _insert(text, start, key, _nested(path[depth:], value), unit)
        start = member.value
    return text[:start] + write(value, unit, _indent(text, start)) + text[_end(plain, start) :]


def drop(text: str, path: Sequence[str]) -> str:
    """The text without the member at `path`, which is there."""
    bare = _bare(text)
    plain = _plain(bare)
    start = _skip(plain, 0)
    for key in path:
        member = next(each for each in _members(plain, start) if each.key == key)
        start = member.value
    before = len(bare[: member.start].rstrip()) - 1
    after = _skip(bare, member.end)
    stop = after + 1 if bare[after] == "," else member.end
    head = text[:before] if bare[before] == "," and bare[after] != "," else text[: before + 1]
    gap, rest = text[before + 1 : member.start], text[stop:]
    if "\n" in rest[: _skip(rest, 0)]:
        return head + gap.rstrip() + rest
    return head + gap + rest.lstrip(" \t")


def write(value: Json, unit: str = "  ", indent: str = "") -> str:
    """A value as JSON text: objects over several lines, lists on one."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + unit
    members = [f"{inner}{_quoted(key)}: {write(item, unit, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def _insert(text: str, start: int, key: str, value: Json, unit: str) -> str:
    """The text with one member more at the end of the object that begins at `start`."""
    bare = _bare(text)
    plain = _plain(bare)
    members = _members(plain, start)
    close = _end(plain, start) - 1
    last = members[-1].end if members else start + 1
    comma = "," if members and bare[_skip(bare, last)] != "," else ""
    kept = text[last:close].rstrip()
    space = text[last + len(kept) : close]
    outer = _indent(text, start)
    # members on the line of the brace tell nothing about how a line of its own is indented
    own_line = members and "\n" in text[start : members[0].start]
    indent = _indent(text, members[0].start) if own_line else outer + unit
    member = f"\n{indent}{_quoted(key)}: {write(value, unit, indent)}"
    return text[:last] + comma + kept + member + (space if "\n" in space else f"\n{outer}") + text[close:]


def _members(plain: str, start: int) -> list[_Member]:
    """The members of the object that begins at `start`."""
    members: list[_Member] = []
    index = _skip(plain, start + 1)
    while plain[index] != "}":
        after_key = _end(plain, index)
        value = _skip(plain, _skip(plain, after_key) + 1)
        members.append(_Member(json.loads(plain[index:after_key]), index, value, _end(plain, value)))
        index = _skip(plain, members[-1].end)
        if plain[index] == ",":
            index = _skip(plain, index + 1)
    return members


def _bare(text: str) -> str:
    return _COMMENT.sub(
        lambda found: found[0] if found[0][0] == '"' else re.sub(r"[^\r\n]", " ", found[0]), text
    )


def _plain(bare: str) -> str:
    return _TRAILING.sub(lambda found: " " if found[0] == "," else found[0], bare)


def _end(plain: str, start: int) -> int:
    """Where the value that begins at `start` ends."""
    return int(json.JSONDecoder().raw_decode(plain, start)[1])


def _skip(text: str, index: int) -> int:
    """The first place from `index` on that is no white space."""
    space = _SPACE.match(text, index)
    return space.end() if space else index


def _indent(text: str, index: int) -> str:
    """The white space that the line of `index` begins with."""
    line = text[text.rfind("\n", 0, index) + 1 : index]
    return line[: len(line) - len(line.lstrip())]


def _nested(path: Sequence[str], value: Json) -> Json:
    for key in reversed(path):
        value = {key: value}
    return value


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
