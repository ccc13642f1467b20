"""What a text of an API loses on its way to an agent: all that is invisible, and all beyond 8 KiB. Pure.

No exception is made for joiners and variation selectors: they carry hidden bytes as well as they shape emoji.
So a family falls into its members, and a Persian word loses its non-joiner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from mcpgate.values import Json

MOST_BYTES: Final = 8 * 1024
# in characters, of four bytes at most
_SHORT: Final = MOST_BYTES // 4
# control characters but \t and \n; then what Unicode lets show nothing: format characters, bidi, joiners,
# blank letters, variation selectors, tags
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_ALONE: Final = re.compile("[\ud800-\udfff]")
_LINE_ENDS: Final = re.compile("[\u2028\u2029]")
_ASCII: Final = bytes(range(128))
_ESCAPED: Final = re.compile(r'\\[^nt\\"]')


def clean(value: Json) -> Json:
    """A JSON value with every text in it, keys too, cleaned and cut to 8 KiB."""
    return _each_text(value, lambda text: cut(visible_text(text)))


def visible(value: Json) -> Json:
    """A JSON value with every text in it, keys too, without what does not show, and nothing cut."""
    return _each_text(value, visible_text)


def _each_text(value: Json, treat: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return treat(value)
    if isinstance(value, Mapping):
        return {treat(key): _each_text(item, treat) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(item, treat) for item in value]
    return value


def visible_text(text: str) -> str:
    """A text without what does not show; half a surrogate pair becomes �, an odd line end a plain one."""
    if text.isascii() and text.isprintable():
        return text
    text = _INVISIBLE.sub("", text)
    return text if text.isascii() else _LINE_ENDS.sub("\n", _ALONE.sub("\ufffd", text))


def cut(text: str) -> str:
    """A text of at most 8 KiB, cut at a character and marked where it is longer."""
    if len(text) <= _SHORT or len(encoded := text.encode()) <= MOST_BYTES:
        return text
    mark = f"… (cut: {len(encoded):,} bytes)"
    return encoded[: MOST_BYTES - len(mark.encode())].decode(errors="ignore") + mark


def is_clean(written: str) -> bool:
    """Whether a JSON text certainly holds nothing to clean: far cheaper than to look at each text in it."""
    return (
        written.isprintable()
        and (written.isascii() or not _INVISIBLE.search(_beyond_ascii(written)))
        and ("\\" not in written or not _ESCAPED.search(written))
        and (len(written) <= _SHORT or not _may_be_long(written))
    )


def _beyond_ascii(text: str) -> str:
    return text.encode().translate(None, _ASCII).decode()


def _may_be_long(written: str) -> bool:
    """Whether a text in it may be beyond 8 KiB; a quote within a text would hide that."""
    if '\\"' in written:
        return True
    start = 0
    while len(written) - start > _SHORT:
        start = written.rfind('"', start, start + _SHORT) + 1
        if not start:
            return True
    return False
