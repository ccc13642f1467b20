"""Values as a lenient reader may take them: a server that wants to please, or a person who looks. Pure.

None of this is used to decide: it says what a rule should have refused.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote

Number = int | float

_PREFIX: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_PLAIN: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DIGITS: Final = re.compile(r"[+-]?\d+")
_SIGNS: Final = re.compile(r"[,_'\s]|[$€£¥]|^[A-Za-z]{3}(?=\s?\d)")
_LARGEST: Final = 2**53 - 1
# what shows nothing and is no control or format character
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LOOKS: Final = {
    **dict(zip("аеорсухіјѕԁһԛԝмтвкнпиг", "aeopcyxijsdhqwmtbkhnur", strict=True)),
    **dict(zip("αβεικνορτυχωγμ", "abeikvoptuxwyu", strict=True)),
    **dict(zip("ıɑɡɩⅼոսօցհ", "iagilnuogh", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True)),
    # letters in dark circles and squares, and those of flags
    **{chr(first + at): chr(97 + at) for first in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)},
}
_LATIN: Final = str.maketrans(_LOOKS)


def numbers(value: Any, *, wrapping: bool = True) -> set[Number]:
    """Every number that somebody may read in a value; what is no number at all has none.

    `wrapping` counts what becomes of one that does not fit the reader's machine words.
    """
    found: set[Number] = set()
    if isinstance(value, bool):
        return {int(value)}
    if isinstance(value, str):
        for text in _spellings(value):
            found |= set(_numbers_of(text))
    elif isinstance(value, int | float):
        found.add(value)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            found |= numbers(item, wrapping=wrapping)
    return found if not wrapping else found | {wrapped for number in found for wrapped in _wrapped(number)}


def _spellings(text: str) -> set[str]:
    bare = "".join(char for char in unicodedata.normalize("NFKC", text) if not _is_hidden(char)).strip()
    return {bare, _SIGNS.sub("", bare), bare.split("\0")[0], unquote(bare), text.split("\0")[0].strip()}


def _numbers_of(text: str) -> Iterator[Number]:
    reads: list[Callable[[], Number]] = [lambda: int(text), lambda: int(text, 0), lambda: _whole(float(text))]
    for read in reads:
        try:
            yield read()
        except (ValueError, OverflowError):
            continue
    if _PLAIN.fullmatch(text):
        return
    prefix, digits = _PREFIX.match(text), _DIGITS.match(text)
    if prefix:
        yield _whole(float(prefix[0]))
    if digits and len(digits[0]) < 1000:
        yield int(digits[0])


def _whole(number: float) -> Number:
    return int(number) if math.isfinite(number) and number.is_integer() else number


def _wrapped(number: Number) -> Iterator[Number]:
    """What becomes of a number that is too large for 64 bits, or for a float."""
    if isinstance(number, int) and abs(number) > _LARGEST:
        for bits in (32, 64):
            rest = number % 2**bits
            yield from (rest, rest - 2**bits if rest >= 2 ** (bits - 1) else rest)


def unhidden(text: str) -> str:
    """A text in letters of one width, with nothing invisible and single spaces, its case as it is."""
    shown = "".join(
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFKD", text)
        if not _is_hidden(char)
    )
    return " ".join(unicodedata.normalize("NFKC", shown).split())


def letters(text: str) -> str:
    """A text in plain letters: one width, one case, nothing invisible, spaces at no end."""
    return " ".join(unicodedata.normalize("NFKC", unhidden(text).casefold()).split())


def compact(text: str, *, digits: bool) -> str:
    """What is left of a text without what stands between its parts; with `digits`, all of them in ASCII."""
    plain = unhidden(text)
    if digits:
        plain = "".join(str(unicodedata.digit(char, char)) for char in plain)
    return re.sub(r"[\s.()/\-\u2010-\u2015\u2212·]", "", plain)


def looks(text: str) -> str:
    """A text as a person reads it: letters of other alphabets as those they look like, without strokes."""
    shown = unicodedata.normalize("NFC", letters(text).translate(_LATIN))
    return "".join(char for char in shown if unicodedata.category(char) not in ("Mn", "Me"))


def readings(text: str) -> set[str]:
    """The texts that a lenient server may take one for: as it is, and up to a NUL."""
    return {letters(text), letters(text.split("\0")[0])}


def decoded(text: str) -> str:
    """Percent-decoded as often as it can be: some servers do it twice."""
    for _ in range(8):
        plainer = unquote(text)
        if plainer == text:
            break
        text = plainer
    return text


def _is_hidden(char: str) -> bool:
    if char == "\0":
        return False
    return bool(_BLANK.match(char)) or (
        unicodedata.category(char) in ("Cf", "Cc", "Cs") and not char.isspace()
    )
