"""The folded copy of a text that block rules compare, so that a disguise is no way round them."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

from mcpgate.values import Json

# letters and marks that show nothing; the rest of what is invisible has a category of its own
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u180b\u180c\u180d\u180f") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}


def fold(value: Json) -> str:
    """The copy of a value that block rules compare: NFKC, case folded, without invisible characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFD", "".join(char for char in text if not _is_invisible(char)))
        for _ in range(2):
            text = unicodedata.normalize("NFKC", text.casefold())
    return text.casefold().strip()


def _is_invisible(char: str) -> bool:
    """Zero-width, bidi and other format characters, control characters, and letters that show nothing."""
    return char in _BLANK or (unicodedata.category(char) in ("Cf", "Cc") and char not in "\t\n\r")


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are exactly equal: true is not 1, and text is never a number."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
