"""Secrets: a text that never shows itself, and the scrubber that stands at every way out."""

from __future__ import annotations

import base64
import json
from typing import Any, Final, NoReturn
from urllib.parse import quote, quote_plus

MASK: Final = "***"


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
    """Takes the secrets it was told of, in every common encoding, out of whatever leaves the process."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def learn(self, text: str) -> None:
        """Know one more secret text; texts under six characters are too short to be told from chance."""
        if len(text) >= 6:
            self._forms = tuple(
                sorted({*self._forms, *_encodings(text)}, key=lambda form: (-len(form), form))
            )

    def text(self, text: str) -> str:
        """The text with every known secret replaced by `***`."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def tree(self, value: Any) -> Any:
        """A JSON value with every text in it, keys too, scrubbed; the value itself where nothing was found."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.tree(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item) for item in value]
        return value


def _encodings(text: str) -> set[str]:
    raw = text.encode()
    # base64 of a longer text that contains the secret: three alignments, without the bytes its neighbours touch
    aligned = (base64.b64encode(b"\0" * pad + raw).decode().rstrip("=") for pad in range(3))
    inner = {form[start:-2] for form, start in zip(aligned, (0, 2, 4), strict=True)}
    forms = {text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], raw.hex(), text[::-1]}
    forms |= {form.translate(str.maketrans("+/", "-_")) for form in inner} | inner
    return {form for form in forms if len(form) >= 6}
