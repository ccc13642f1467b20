"""Texts that fit a pattern, made up from the pattern itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from mcpgate.json_schema import compile_pattern

_CLASSES: Final = {"d": "5", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_SPECIAL: Final = {"t": "\t", "n": "\n", "r": "\r"}
_NAMED: Final = (
    *("a1", "abc", "123", "5", "12345678", "2031-05-06", "a@example.com", "https://example.com/a"),
    *("refs/heads/main", "owner/name", "4111111111111111", "-1", "1.5", "A", "Abc"),
)


def text_for(pattern: str) -> Iterator[str]:
    """Texts that a pattern finds, each of them held against it."""
    regex = compile_pattern(pattern)
    tried: list[str] = []
    for repeat in (1, 0, 3):
        try:
            tried.append(_Reader(pattern, repeat).read())
        except (IndexError, ValueError, RecursionError):
            continue
    seen: set[str] = set()
    for text in (*tried, *_NAMED, re.sub(r"[^\w @./-]", "", pattern)):
        if text and text not in seen and regex.search(text):
            seen.add(text)
            yield text


class _Reader:
    """Reads a pattern from left to right and writes the first text it stands for."""

    def __init__(self, pattern: str, repeat: int) -> None:
        self._text = pattern
        self._at = 0
        self._repeat = repeat

    def read(self) -> str:
        """The text of one group, or of all; of alternatives it is the first."""
        made = self._sequence()
        while self._peek() == "|":
            self._at += 1
            self._sequence()
        return made

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _sequence(self) -> str:
        made = ""
        while self._peek() not in ("", "|", ")"):
            atom = self._atom()
            made += atom * self._times()
        return made

    def _atom(self) -> str:
        char = self._next()
        if char == "(":
            flags = re.match(r"\?(?:P?<\w+>|[a-zA-Z-]*:?)", self._text[self._at :])
            self._at += flags.end() if flags else 0
            inner = self.read()
            if self._next() != ")":
                raise ValueError("a group without an end")
            return inner
        if char == "[":
            return self._choice()
        if char == "\\":
            return self._escape()
        return "" if char in "^$" else "a" if char == "." else char

    def _escape(self) -> str:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        return "" if char in "bBAzZ" else _SPECIAL.get(char, char)

    def _choice(self) -> str:
        end = self._text.index("]", self._at + (2 if self._peek() == "^" else 1))
        inside, self._at = self._text[self._at : end], end + 1
        regex: Any = compile_pattern(f"[{inside}]")
        known = [inside[:1], *"a0A-_. @x1/é"]
        return next((char for char in known if char and regex.fullmatch(char)), "a")

    def _times(self) -> int:
        least = 1
        if self._peek() and self._peek() in "*+?":
            sign = self._next()
            least = max(self._repeat, 1) if sign == "+" else min(self._repeat, 1)
        elif match := re.match(r"\{(\d+)(,\d*)?\}", self._text[self._at :]):
            self._at += match.end()
            least = int(match[1])
        if self._peek() == "?":
            self._at += 1
        return least
