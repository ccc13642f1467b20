"""Copies of a text that block rules compare, so that a disguise is no way round them."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import Final

from mcpgate.values import Json

# letters, marks and symbols that show nothing, and what Unicode keeps for more of them; the rest of what is
# invisible has a category of its own
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\u180b\u180c\u180d\u180f"
) | {chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000))}

# letters of other scripts that look like a Latin one
_SHAPES: Final = """
A 0391 0410 B 0392 0412 C 0421 D 0110 0500 E 0395 0415 H 0397 041d I 0399 0406 04c0 J 0408 037f K 039a
041a L 0141 M 039c 041c N 039d O 00d8 039f 041e P 03a1 0420 Q 051a S 0405 T 03a4 0422 W 051c X 03a7 0425 Y
03a5 0423 04ae Z 0396 a 0251 03b1 0430 c 0441 d 0111 0501 e 0435 g 0261 h 04ba 04bb 0570 i 0131 03b9 0456
j 03f3 0458 k 03ba 043a l 0142 04cf n 03b7 0578 o 00f8 03bf 043e 0585 p 03c1 0440 q 051b s 0455 u 03c5
057d v 03bd 0475 w 03c9 051d x 03c7 0445 y 03b3 0443 04af
"""


def _look_alikes() -> dict[int, str]:
    table, latin = {}, ""
    for word in _SHAPES.split():
        latin = word if len(word) == 1 else latin
        if len(word) > 1:
            table[int(word, 16)] = latin
    return table


_LOOK_ALIKES: Final = _look_alikes()


# a small capital, a letter in a frame, one with a hook: which letter it shows is in its name
_NAME: Final = re.compile(
    r"(?:.* )?LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?"
    r"|REGIONAL INDICATOR SYMBOL LETTER ([A-Z])"
)


class _Outline(dict[int, str]):
    """What each character is in an outline; computed each time, as a text may hold any of them."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if (digit := unicodedata.digit(char, None)) is not None:
            return str(digit)
        if unicodedata.category(char)[0] in "LN":
            return char
        return " " if char.isspace() else "'" if char == "’" else char if char in "'+:" else "-"


_OUTLINE: Final = _Outline()
_OUTLINE.update({code: _OUTLINE[code] for code in range(128)})


def fold(value: Json) -> str:
    """The copy of a value that block rules compare: NFKC, case folded, without invisible characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not _is_plain(text):
        text = unicodedata.normalize("NFD", "".join(char for char in text if not _is_invisible(char)))
        for _ in range(2):
            text = unicodedata.normalize("NFKC", text.casefold())
    return text.casefold().strip()


def bare(text: str) -> str:
    """A text as it looks, its case kept: no invisible characters, no accents, look-alike letters Latin."""
    if _is_plain(text):
        return text
    shown = unicodedata.normalize("NFKC", "".join(char for char in text if not _is_invisible(char)))
    letters = unicodedata.normalize("NFD", shown.translate(_LOOK_ALIKES))
    return "".join(char for char in letters if not is_mark(char))


def latin(text: str) -> str:
    """A text with each character that shows a Latin letter, whatever is done to it, as that letter."""
    return text if text.isascii() else "".join(char if char < "\x80" else _letter(char) for char in text)


@lru_cache(maxsize=4096)
def _letter(char: str) -> str:
    match = None if is_mark(char) else _NAME.fullmatch(unicodedata.name(char, ""))
    return char if match is None else (match[1] or match[2]).lower()


def apart(text: str) -> str:
    """A text with a space for each invisible character: its reader may take one for the end of a word."""
    return text if _is_plain(text) else "".join(" " if _is_invisible(char) else char for char in text)


def seen(text: str) -> set[str]:
    """The ways in which a text may be seen: invisible characters are nothing, or end a word."""
    return {bare(text), bare(apart(text))}


def outline(text: str) -> str:
    """A text's letters, its digits in ASCII, spaces, and ' + : as they are; all else is a hyphen."""
    return text.translate(_OUTLINE)


def is_mark(char: str) -> bool:
    """Whether it stands on the letter before it: accents, strokes, frames."""
    return unicodedata.category(char)[0] == "M"


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_invisible(char: str) -> bool:
    """Zero-width, bidi and other format characters, control characters, and letters that show nothing."""
    return char in _BLANK or (unicodedata.category(char) in ("Cf", "Cc") and char not in "\t\n\r")


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are exactly equal: true is not 1, and text is never a number."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
