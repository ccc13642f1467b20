"""Secrets: a text that never shows itself, and the scrubber that stands at every way out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final, NoReturn
from urllib.parse import quote, quote_plus

MASK: Final = "***"
_SHORTEST: Final = 6
_ENOUGH: Final = 12
_HEX: Final = re.compile("%[0-9A-F]{2}")
_URLSAFE: Final = str.maketrans("+/", "-_")


class Secret:
    """A text whose `repr`, `str` and formatting are `***`; only `reveal()` gives it, in the client step."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self.__text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class Scrubber:
    """Takes the secrets it was told of, in every common encoding, out of whatever leaves the process.

    A text may have been cut short inside a secret, so the first twelve characters of one are enough.
    """

    def __init__(self) -> None:
        self._forms: dict[str, set[str]] = {}

    def learn(self, text: str) -> None:
        """Know one more secret text; texts under six characters are too short to be told from chance."""
        if len(text) < _SHORTEST:
            return
        for form in _encodings(text):
            if len(form) >= _SHORTEST:
                self._forms.setdefault(form[:_ENOUGH], set()).add(form)
        self._forms = dict(sorted(self._forms.items(), key=lambda known: -len(known[0])))

    def text(self, text: str) -> str:
        """The text with every known secret replaced by `***`."""
        for head, forms in self._forms.items():
            if head in text:
                text = _mask(text, head, forms)
        return text

    def tree(self, value: Any) -> Any:
        """A JSON value with every text in it, keys too, scrubbed."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        return value


def _mask(text: str, head: str, forms: Iterable[str]) -> str:
    """Every stretch that begins like one of the forms, as far as it goes on like one."""
    kept, end = [], 0
    while (start := text.find(head, end)) >= 0:
        kept += [text[end:start], MASK]
        end = start + max(_alike(text[start : start + len(form)], form) for form in forms)
    return "".join([*kept, text[end:]])


def _alike(left: str, right: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), len(left))


def _encodings(text: str) -> set[str]:
    raw, in_json = text.encode(), json.dumps(text)[1:-1]
    quoted = {quote(text, safe=""), quote(text), quote_plus(text)}
    quoted |= {_HEX.sub(lambda found: found[0].lower(), form) for form in quoted}
    # base64 of a longer text that contains the secret: at three alignments, what the secret alone decides
    inner = {
        base64.b64encode(b"\0" * pad + raw).decode()[-(-8 * pad // 6) : 8 * (pad + len(raw)) // 6]
        for pad in range(3)
    }
    inner |= {form.translate(_URLSAFE) for form in inner}
    plain = {text, text[::-1], in_json, in_json.replace("/", "\\/"), escape(text)}
    return plain | quoted | inner | {raw.hex(), raw.hex().upper()}
