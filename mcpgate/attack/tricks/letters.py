"""Row 9: the same text for whoever reads it, in other letters. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

_HIDDEN: Final = (
    ("zero-width space", "\u200b"),
    ("zero-width non-joiner", "\u200c"),
    ("zero-width joiner", "\u200d"),
    ("word joiner", "\u2060"),
    ("byte order mark", "\ufeff"),
    ("soft hyphen", "\u00ad"),
    ("grapheme joiner", "\u034f"),
    ("Mongolian vowel separator", "\u180e"),
    ("Hangul filler", "\u3164"),
    ("left-to-right mark", "\u200e"),
    ("right-to-left mark", "\u200f"),
    ("variation selector", "\ufe0f"),
    ("tag letter", "\U000e0061"),
    ("invisible times", "\u2062"),
    ("control character", "\x08"),
)
_CYRILLIC: Final = str.maketrans("aeopcyxisdkmtbhAEOPCXTBHKM", "аеорсухіѕԁкмтвнАЕОРСХТВНКМ")
_GREEK: Final = str.maketrans("aoviptkuxn", "αονιρτκυχη")
_FULL: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_BOLD: Final = {ord("a") + at: 0x1D41A + at for at in range(26)} | {
    ord("A") + at: 0x1D400 + at for at in range(26)
}
_CIRCLED: Final = {ord("a") + at: 0x24D0 + at for at in range(26)} | {
    ord("A") + at: 0x24B6 + at for at in range(26)
}
_SMALL: Final = str.maketrans("abcdefghijklmnopqrtuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀᴛᴜᴠᴡʏᴢ")
_ARABIC: Final = {ord("0") + at: 0x0660 + at for at in range(10)}
_SUPER: Final = dict(zip(map(ord, "0123456789"), "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True))


def disguises(text: str) -> Iterator[tuple[str, str]]:
    """A text in every disguise that changes it: what was done, and the text."""
    seen = {text}
    for trick, made in _made(text):
        if made not in seen:
            seen.add(made)
            yield trick, made


def _made(text: str) -> Iterator[tuple[str, str]]:
    half = len(text) // 2
    yield from (
        ("upper case", text.upper()),
        ("lower case", text.lower()),
        ("capital letters", text.title()),
        ("case turned", text.swapcase()),
        ("full width", text.translate(_FULL)),
        ("half in full width", text[:half] + text[half:].translate(_FULL)),
        ("mathematical bold", text.translate(_BOLD)),
        ("circled letters", text.translate(_CIRCLED)),
        ("small capitals", text.lower().translate(_SMALL)),
        ("letters in dark squares", _framed(text, 0x1F170)),
        ("letters in dark circles", _framed(text, 0x1F150)),
        ("letters of flags", _framed(text, 0x1F1E6)),
        ("Arabic digits", text.translate(_ARABIC)),
        ("raised digits", text.translate(_SUPER)),
        ("Cyrillic letters", text.translate(_CYRILLIC)),
        ("one Cyrillic letter", _one(text, _CYRILLIC)),
        ("Greek letters", text.translate(_GREEK)),
        ("long s", text.replace("s", "ſ")),
        ("Kelvin sign", text.replace("k", "\u212a").replace("K", "\u212a")),
        ("ligatures", text.replace("fi", "ﬁ").replace("fl", "ﬂ").replace("st", "ﬆ").replace("ff", "ﬀ")),
        ("NFD", unicodedata.normalize("NFD", text)),
        ("NFC", unicodedata.normalize("NFC", text)),
        ("struck through", "\u0336".join(text) + "\u0336"),
        ("underlined", "\u0332".join(text) + "\u0332"),
    )
    for trick, char in _HIDDEN:
        yield f"{trick} inside", text[:half] + char + text[half:]
    for trick, char in _HIDDEN[:3]:
        yield f"{trick} between all letters", char.join(text)
        yield f"{trick} before", char + text
        yield f"{trick} behind", text + char
    yield from (
        ("right-to-left override around", f"\u202e{text}\u202c"),
        ("left-to-right override around", f"\u202d{text}\u202c"),
        ("isolates around", f"\u2066{text}\u2069"),
        ("isolate inside", f"{text[:half]}\u2068\u2069{text[half:]}"),
        ("space before", f" {text}"),
        ("space behind", f"{text} "),
        ("tab behind", f"{text}\t"),
        ("line end behind", f"{text}\n"),
        ("carriage return behind", f"{text}\r"),
        ("no-break space before", f"\u00a0{text}"),
        ("ideographic space behind", f"{text}\u3000"),
        ("line separator behind", f"{text}\u2028"),
        ("percent-encoded", "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))),
        ("one letter percent-encoded", f"%{ord(text[0]):02x}{text[1:]}" if text and text[0] < "~" else text),
        ("percent-encoded twice", quote(quote(text, safe=""), safe="")),
        ("NUL behind, more after it", f"{text}\0zzz"),
        ("NUL behind", f"{text}\0"),
        ("lone surrogate behind", f"{text}\ud800"),
    )


def _framed(text: str, first: int) -> str:
    return text.lower().translate({ord("a") + at: first + at for at in range(26)})


def _one(text: str, table: dict[int, int]) -> str:
    """The first letter that has a twin, in the other alphabet."""
    for at, char in enumerate(text):
        if ord(char) in table:
            return text[:at] + char.translate(table) + text[at + 1 :]
    return text
