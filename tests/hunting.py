"""Looks for secrets in anything, however they are written: by decoding, while the scrubber goes by patterns.

Written apart from the scrubber, so that the two are not blind in the same places.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from urllib.parse import quote, quote_plus, unquote

import re2

_ROUNDS = 4
_CODE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))|=([0-9A-F]{2})")
_WHITE = re.compile(r"\\+[bfnrtv0]|<[^<>]*>|=\r?\n")
_OTHERS = bytes(code for code in range(128) if not chr(code).isalnum())


class Hunt:
    """Knows any eight letters in a row of each secret, but for the `skip` first: keys share those."""

    def __init__(self, *secrets: str, skip: int = 8) -> None:
        windows = {window for secret in secrets for window in _windows(secret, skip)}
        self._seen = re2.compile(b"|".join(sorted(windows)))

    def sees(self, found: str | bytes) -> str:
        """A place in which a secret shows, in its own words; nothing where there is none."""
        text = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
        for view in _views(text):
            letters = _letters(view)
            place = self._seen.search(letters)
            if place is not None:
                return letters[max(0, place.start() - 40) : place.end() + 40].decode()
        return ""


def _windows(secret: str, skip: int) -> Iterator[bytes]:
    raw = secret.encode()
    forms = [(secret, skip, 8), (secret[skip:][::-1], 0, 8), (raw.hex(), 2 * skip, 16)]
    forms += [("".join(str(byte) for byte in raw[skip:]), 0, 18)]
    for pad in range(3):
        packed = base64.b64encode(b"~" * pad + raw).decode()
        forms.append((packed[: 8 * (pad + len(raw)) // 6], (8 * (pad + skip) + 5) // 6, 8))
    for form, start, size in forms:
        letters = _letters(form[start:])
        yield from (letters[place : place + size] for place in range(len(letters) - size + 1))


def _letters(text: str) -> bytes:
    return text.encode("ascii", "ignore").lower().translate(None, _OTHERS)


def _views(text: str) -> Iterator[str]:
    for _ in range(_ROUNDS):
        yield text
        decoded = unescape(unquote(text, errors="replace"))
        decoded = _CODE.sub(lambda code: chr(int(code[1] or code[2] or code[3], 16)), decoded)
        decoded = _WHITE.sub(" ", decoded)
        if decoded == text:
            return
        text = decoded


def _each(text: str, form: str) -> str:
    return "".join(form.format(ord(char)) for char in text)


def _some(text: str, form: str) -> str:
    """Two of three letters, and all that is none."""
    return "".join(
        form.format(ord(char)) if place % 3 or not char.isalnum() else char for place, char in enumerate(text)
    )


def _every(text: str, length: int, between: str) -> str:
    return between.join(text[place : place + length] for place in range(0, len(text), length))


def _base64(text: str, before: str = "", after: str = "") -> str:
    return base64.b64encode(f"{before}{text}{after}".encode()).decode()


WRITINGS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "backwards": lambda text: text[::-1],
    "cut at 12": lambda text: text[:12],
    "cut at 20": lambda text: text[:20],
    "URL": lambda text: quote(text, safe=""),
    "URL, lower": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "URL, path": quote,
    "URL, every character": lambda text: _each(text, "%{:02X}"),
    "URL, twice": lambda text: quote(quote(text, safe="")),
    "URL, every character twice": lambda text: _each(text, "%25{:02x}"),
    "URL, some characters": lambda text: _some(text, "%{:02x}"),
    "form": quote_plus,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, slashes": lambda text: text.replace("/", "\\/"),
    "JSON, every character": lambda text: _each(text, "\\u{:04x}"),
    "JSON, some characters": lambda text: _some(text, "\\u{:04X}"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(_each(text, "\\u{:04x}"))),
    "HTML": escape,
    "HTML, some hexadecimal": lambda text: _some(text, "&#x{:02x};"),
    "HTML, some twice": lambda text: escape(_some(text, "&#x{:02x};")),
    "HTML, some decimal": lambda text: _some(text, "&#{};"),
    "HTML, decimal": lambda text: _each(text, "&#{};"),
    "HTML, hexadecimal": lambda text: _each(text, "&#x{:X};"),
    "HTML, twice": lambda text: escape(_each(text, "&#{};")),
    "HTML, breaks": lambda text: _every(text, 5, "<wbr>"),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, colons": lambda text: text.encode().hex(":").upper(),
    "hexadecimal, spaces": lambda text: text.encode().hex(" "),
    "a program's": lambda text: _each(text, "\\x{:02x}"),
    "numbers": lambda text: str(list(text.encode())),
    "base64": _base64,
    "base64, 1": lambda text: _base64(text, "u", "."),
    "base64, 2": lambda text: _base64(text, "me", ".."),
    "base64, Basic": lambda text: _base64(text, "user:"),
    "base64, URL": lambda text: base64.urlsafe_b64encode(f"~{text}~~".encode()).decode().rstrip("="),
    "base64 in a URL": lambda text: quote(_base64(text, "?"), safe=""),
    "base64, 16 columns": lambda text: _every(_base64(text, "?"), 16, "\n"),
    "MIME, 64 columns": lambda text: _every(_base64(text, "x" * 40, "y" * 90), 64, "\r\n"),
    "MIME, 76 columns": lambda text: _every(_base64(text, "x" * 41, "y" * 90), 76, "\n"),
    "PEM in JSON": lambda text: _every(_base64(text, "x" * 40, "y" * 90), 64, "\\n"),
    "spaces": lambda text: _every(text, 1, " "),
    "line ends": lambda text: _every(text, 7, "\r\n"),
    "line ends in JSON": lambda text: _every(text, 7, "\\n"),
    "zero-width": lambda text: _every(text, 3, "\u200b"),
    "zero-width in JSON": lambda text: _every(text, 3, "\\u200b"),
    "soft hyphens": lambda text: _every(text, 4, "\u00ad&shy;"),
    "no-break spaces in a URL": lambda text: _every(text, 4, "%C2%A0"),
    "concatenated": lambda text: _every(text, 9, '" + "'),
    "concatenated, dots": lambda text: _every(text, 9, "' . '"),
    "neighbours in a list": lambda text: _every(text, 11, '", "'),
    "quoted-printable": lambda text: _each(text, "={:02X}"),
    "quoted-printable, some": lambda text: _some(text, "={:02X}"),
    "quoted-printable, soft ends": lambda text: _every(text, 6, "=\r\n"),
    "UTF-16": lambda text: _every(text, 1, "\0"),
    "without punctuation": lambda text: re.sub("[^0-9A-Za-z]", "", text),
    "other punctuation": lambda text: re.sub("[^0-9A-Za-z]", " ", text),
}
"""The ways to write a secret that are looked for, by name."""
