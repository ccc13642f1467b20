"""Secrets: a text that never shows itself, and the scrubber that stands at every way out.

To the scrubber a secret is its letters and digits in their order: each may be written in several ways, and
what stands between them does not count. So however it is quoted, escaped, wrapped or broken up, one automaton
finds it in one pass over the text as it is.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NoReturn

import re2

MASK: Final = "***"
_SHORTEST: Final = 6
_ENOUGH: Final = 12
_TELLING: Final = 8
_WRITE: Final = json.JSONEncoder(ensure_ascii=False, default=str).encode
# in one text; where there are more, no word of it is shown
_MOST: Final = 1000
# characters of a form in one pattern: RE2 takes no more in its stride
_PIECE: Final = 60
# bytes for the states of one automaton
_MEMORY: Final = 32 << 20
_LETTER: Final = re.compile("[0-9A-Za-z]")
# what leads in the hexadecimal code of a character: in URLs, mail, programs, JSON, HTML; also doubly
_LEAD: Final = r"(?:%(?:25)*|=|\\+x|\\+u00|&(?:amp;)?#x0*)"
# the codes of what is neither a letter nor a digit
_IN_HEX: Final = "(?:[0-289a-f][0-9a-f]|[357][b-f]|3a|[46]0)"
_DECIMAL: Final = (
    "(?:[0-9]|[1-3][0-9]|4[0-7]|5[89]|6[0-4]|9[1-6]|12[3-9]|1[3-9][0-9]|[2-9][0-9]{2}|[0-9]{4,7})"
)
# what may stand between two letters: all that is none, however it is written, and the tags of HTML
_GAP: Final = (
    rf"(?:[^0-9a-z]|{_LEAD}{_IN_HEX};?|\\+u(?:0[1-9a-f]|[1-9a-f][0-9a-f])[0-9a-f]{{2}}|\\+[0bfnrtv]"
    rf"|&(?:amp;)?#(?:0*{_DECIMAL}|x0*[1-9a-f][0-9a-f]{{2,5}});|&(?:amp;)?[a-z][0-9a-z]{{1,9}};|<[^<>]*>)*?"
)


class Hidden:
    """What never shows itself: as text it is `***`, and it is neither copied nor pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("what is hidden is neither copied nor pickled")

    # Python's own gives what the slots hold
    __getstate__ = __reduce__


class Secret(Hidden):
    """A text that is hidden; only `reveal()` gives it, in the client step."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self.__text

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Scrubber:
    """Takes the secrets it was told of, in every common writing, out of whatever leaves the process.

    A text may have been cut inside a secret, so its first twelve characters are enough, or any twenty-three
    (of a long one a third).
    """

    def __init__(self) -> None:
        self._known: list[tuple[Any, tuple[Secret, ...]]] = []

    def learn(self, text: str) -> None:
        """Know one more secret text; texts under six characters are too short to be told from chance."""
        if len(text) < _SHORTEST or any(forms[0].reveal() == text for _, forms in self._known):
            return
        forms = [text, *(form for form in _forms(text) if len(form) >= _SHORTEST)]
        heads = _compile("|".join(dict.fromkeys(map(_head, forms[1:]))))
        self._known = [*self._known, (heads, tuple(map(Secret, forms)))]

    def body(self, data: bytes) -> bytes:
        """The bytes of a text with every known secret replaced by `***`; the same object without one."""
        if not self._finds(data):
            return data
        spans = sorted(islice(self._spans(data), _MOST))
        if len(spans) == _MOST:
            return MASK.encode()
        kept, end = [], 0
        for start, stop in spans:
            if start >= end:
                kept += [data[end:start], MASK.encode()]
            end = max(end, stop)
        return b"".join([*kept, data[end:]])

    def text(self, text: str) -> str:
        """The text with every known secret replaced by `***`."""
        if not text:
            return text
        data = text.encode("utf-8", "surrogatepass")
        clean = self.body(data)
        return text if clean is data else clean.decode("utf-8", "replace")

    def tree(self, value: Any) -> Any:
        """A JSON value with every text in it, keys too, scrubbed; the same one where there is no secret.

        A list or an object over whose neighbouring texts a secret is spread is replaced as a whole.
        """
        if not self.shows(value):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            clean: Any = {self.text(key): self.tree(item) for key, item in value.items()}
            return {MASK: MASK} if self.shows(clean) else clean
        clean = [self.tree(item) for item in value]
        return [MASK] if self.shows(clean) else clean

    def shows(self, value: Any) -> bool:
        """Whether a JSON value shows a secret, or enough of its beginning to be told apart.

        What an agent gives is asked so, and refused: by how far it is replaced, a guess would be told from a
        better one.
        """
        if not value or not self._known:
            return False
        return self._finds(_WRITE(value).encode("utf-8", "surrogatepass"))

    def _finds(self, data: bytes) -> bool:
        return any(heads.search(data) is not None for heads, _ in self._known)

    def _spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where each stretch begins that shows a secret, and where it ends."""
        for heads, (_, *forms) in self._known:
            place = 0
            while (found := heads.search(data, place)) is not None:
                start = found.start()
                place = max(found.end(), *(_end(data, start, form.reveal()) for form in forms))
                yield start, place


def _forms(text: str) -> Iterator[str]:
    """A secret as it is, backwards, in hexadecimal, as numbers and in base64; one character a byte."""
    raw = text.encode()
    # from further on as well, for its beginning may be missing
    for start in range(0, max(1, len(raw) - _ENOUGH + 1), max(_ENOUGH, len(raw) // 6)):
        yield raw[start:].decode("latin-1")
    yield text[::-1].encode().decode("latin-1")
    yield raw.hex()
    yield "".join(map(str, raw))
    # base64 of a longer text that contains the secret: at three alignments, what the secret alone decides
    for pad in range(3):
        start, end = -(-8 * pad // 6), 8 * (pad + len(raw)) // 6
        yield base64.b64encode(b"\0" * pad + raw).decode()[start:end]


def _is_loose(form: str) -> bool:
    """Whether its letters are enough to know a form by; else everything counts, and in one piece."""
    return len(_LETTER.findall(form)) >= _TELLING


def _head(form: str) -> str:
    """A pattern of so much of a form as is enough to know it."""
    head = form[:_ENOUGH]
    if not _is_loose(form):
        return "".join(map(_written, head))
    count = max(_TELLING, len(_LETTER.findall(head)))
    return _GAP.join(map(_written, _LETTER.findall(form)[:count]))


def _end(data: bytes, start: int, form: str) -> int:
    """How far the bytes from a place go on like a form, by whichever reading goes furthest."""
    end, loose = start, _is_loose(form)
    for place in range(0, len(form), _PIECE):
        found = _run(form[place : place + _PIECE], loose).match(data, end)
        end = found.end()
        if found.start(1) < 0:
            break
    return end


@lru_cache(maxsize=512)
def _run(piece: str, loose: bool) -> Any:
    """A pattern of as many characters of a piece as there are; its group is there when all are."""
    pattern = "()"
    for char in reversed(piece):
        if not loose:
            pattern = f"(?:{_written(char)}{pattern})?"
        elif _LETTER.match(char):
            pattern = f"(?:{_GAP}{_written(char)}{pattern})?"
        else:
            # punctuation may be missing
            pattern = f"(?:{_written(char)})?{pattern}"
    return _compile(pattern, longest=True)


def _written(char: str) -> str:
    """A pattern of the ways to write one character."""
    letter = _LETTER.match(char)
    codes = {ord(char), ord(char.swapcase())} if letter else {ord(char)}
    in_hex, decimal = ("|".join(form.format(code) for code in codes) for form in ("{:02x}", "{}"))
    plain = rf"\x{ord(char):02x}" if letter else rf"&(?:amp;)?[a-z]+;|\\*\x{ord(char):02x}"
    return rf"(?:{_LEAD}(?:{in_hex});?|&(?:amp;)?#0*(?:{decimal});?|{plain})"


def _compile(pattern: str, *, longest: bool = False) -> Any:
    options = re2.Options()
    options.longest_match = longest
    options.log_errors = False
    options.max_mem = _MEMORY
    options.case_sensitive = False
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)
