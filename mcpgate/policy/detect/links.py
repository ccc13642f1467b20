"""Finds what is a link in a text: to a reader, to a program that makes links, and to a browser. Pure.

These differ, so each text is read in every way that one of them would, and every host counts that any of
them would go to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import unescape
from typing import Final
from urllib.parse import unquote

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.detect.domains import to_ascii
from mcpgate.policy.folding import fold

_DECODINGS: Final = 4
_SPACE: Final = r"\s\v\x{85}\pZ"
# browsers take one slash or none after these, and a backslash for a slash after any
_SCHEME: Final = r"(?i:[a-z][a-z0-9+.-]*:[/\\]{2,}|\b(?:https?|wss?|ftp):[/\\]*)"
_SLASHES: Final = r"[/\\]{2,}"
_AUTHORITY: Final = compile_pattern(rf"[^{_SPACE}/?#]*")
_CLOSES: Final = r"\"'`<>,;|^\p{Ps}\p{Pe}\p{Pi}\p{Pf}，；：！？、"
_PATH: Final = r"([/\\?#][\pL\pM\pN%._~:/?#@!$&*+=\\-]*)?"
_TAIL: Final = rf"[^{_SPACE}/\\?#{_CLOSES}]+{_PATH}"
_LONGEST: Final = 512
_WITH_SCHEME: Final = compile_pattern(_SCHEME)
_WITH_SLASHES: Final = compile_pattern(_SLASHES)
_SCHEME_AND_HOST: Final = compile_pattern(rf"{_SCHEME}[^{_SPACE}/\\?#{_CLOSES}]*")
_WHOLE: Final = compile_pattern(rf"{_SCHEME}{_TAIL}")
_WHOLE_AFTER_SLASHES: Final = compile_pattern(rf"{_SLASHES}{_TAIL}")
_END_OF_HOST: Final = compile_pattern(rf"[{_CLOSES}]")
_STARTS: Final = compile_pattern(r"(?i)[a-z][a-z0-9+.-]*:|[/\\]{2}")
_TRAILING: Final = ".!?:*_~-&=+$%"
_PORT: Final = compile_pattern(r":[0-9]*$")
_ACTS: Final = compile_pattern(
    r"(?i)(?:^|[^\pL\pN_])"
    rf"(?:(?:java|vb)script[{_SPACE}]*:|data:[^{_SPACE}]|data:[{_SPACE}]*[\w.+-]+/[\w.+-]+[{_SPACE}]*[;,])"
)
_ADDRESS: Final = compile_pattern(r"[\pL\pM\pN._%+'-]+@[\pL\pM\pN_.。．｡-]+(?:[^\pL\pM\pN_.。．｡/\\-]|$)")
_MAILTO: Final = compile_pattern(rf"(?i)(?:^|[^\pL\pM\pN+.-])mailto:([^{_SPACE}]+)")
_AT: Final = compile_pattern(r"@([\pL\pM\pN_.。．｡-]+)")
# numbers for a host are a link only with what follows one: 1.2.3.4 alone may be a version
_NUMBERS: Final = compile_pattern(
    r"(?:^|[^\pL\pM\pN_.。．｡])((?:[0-9]{1,3}[.。．｡]){3}[0-9]{1,3})(?::[0-9]+(?:$|[^\pL\pM\pN_])|(?::[0-9]+)?[/\\?#])"
)
_RUN: Final = compile_pattern(r"[\pL\pM\pN\p{So}_-]+[.。．｡][\pL\pM\pN\p{So}_.。．｡-]+")
_RUN_AND_PATH: Final = compile_pattern(rf"({_RUN.pattern}){_PATH}")
_UNSPACED: Final = compile_pattern(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+")
_DOT: Final = compile_pattern("[.。．｡]")
_LATIN_DOT: Final = compile_pattern("[。．｡]([A-Za-z0-9])")
_BREAK: Final = compile_pattern(r"\.{2,}|[。．｡]")
_ENDING: Final = compile_pattern(r"(?i)(xn--[a-z0-9-]+|[\pL\pM]{2,})(?:[-_].*)?")


def copies(text: str) -> list[str]:
    """A text in each way that it may be read: as it is, folded, and decoded; without breaks in a lone URL.

    Raises `ValueError` if it is encoded over and over.
    """
    found = [text]
    for _ in range(_DECODINGS):
        found.append(fold(unquote(unescape(found[-1]))))
        if found[-1] == found[-2]:
            break
    else:
        raise ValueError("is encoded over and over")
    return list(dict.fromkeys([*found, *map(_unbroken, found)]))


def acts(text: str) -> bool:
    """Whether a text has a URL that does something by itself, such as javascript:."""
    return _ACTS.search(text) is not None


def hosts(text: str) -> Iterator[str]:
    """The host of every URL with a scheme, or with slashes alone; what a browser and a link finder see.

    So is one of numbers with a path, and for mailto: where the mail goes.
    """
    for whole, start in ((text, _WITH_SCHEME), (_WHOLE.sub(" ", text), _WITH_SLASHES)):
        for match in start.finditer(whole):
            yield from _hosts(whole[match.end() : match.end() + _LONGEST])
    rest = _WHOLE_AFTER_SLASHES.sub(" ", _WHOLE.sub(" ", text))
    yield from (match.group(1) for match in _NUMBERS.finditer(rest))
    for match in _MAILTO.finditer(text):
        yield from (at.rstrip(_TRAILING) for at in _AT.findall(match.group(1)) or [match.group(1)])


def names(text: str) -> Iterator[str]:
    """Everything that looks like a domain name, outside URLs and addresses."""
    rest = _ADDRESS.sub(" ", _WHOLE_AFTER_SLASHES.sub(" ", _WHOLE.sub(" ", text)))
    for match in _RUN_AND_PATH.finditer(rest):
        # a path is one only behind a name
        runs = [match.group(1)], _RUN.findall(match.group(2) or "")
        yield from next(filter(None, (list(_names(part)) for part in runs)), ())


def mentions(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of these domains, or what lies below it, stands in a text, hosts and addresses aside."""
    rest = _ADDRESS.sub(" ", _SCHEME_AND_HOST.sub(" ", text))
    # scripts that put no space before a name
    rest += f" {_UNSPACED.sub(' ', rest)}"
    dotted = (_DOT.split(match.group()) for match in _RUN.finditer(rest))
    found = " ".join(f".{'.'.join(map(_label, labels))}." for labels in dotted)
    wanted = "|".join(sorted(_wanted(pattern) for pattern in patterns))
    return compile_pattern(rf"(?:{wanted})[._-]").search(found) is not None


def _wanted(pattern: str) -> str:
    name = pattern.removeprefix("*.").replace(".", r"\.")
    return rf"[a-z0-9_?-]\.{name}" if pattern.startswith("*.") else rf"\.{name}"


def _label(label: str) -> str:
    if label.isascii():
        return label.lower()
    try:
        return to_ascii(label)
    except ValueError:
        return "?"  # no label of any domain


def _names(runs: Iterable[str]) -> Iterator[str]:
    for run in runs:
        for part in _BREAK.split(_LATIN_DOT.sub(r".\1", run)):
            name = _name(part.strip(".-_"))
            if name:
                yield name


def _name(run: str) -> str:
    labels = run.split(".")
    for end in range(len(labels) - 1, 0, -1):
        ending = _ENDING.fullmatch(labels[end])
        if ending:
            return ".".join([*labels[:end], ending.group(1)])
    return ""


def _hosts(rest: str) -> Iterator[str]:
    """The host that follows `//`, as each reads it.

    A browser ends at a backslash and takes what follows the last @; other programs know no backslash; a link
    finder stops at what closes a link.
    """
    authority = _AUTHORITY.match(rest).group()
    if len(authority) == _LONGEST:
        yield authority
    before, backslash, _ = authority.partition("\\")
    parts = [before, _cut(before), authority if backslash else ""]
    found = [_host(part.rpartition("@")[2].partition("\\")[0]) for part in parts]
    yield from filter(None, found if any(found) else [_cut(before)])


def _host(reading: str) -> str:
    if reading.startswith("["):
        return reading
    return str(_PORT.sub("", unquote(_cut(reading)).rstrip(_TRAILING)))


def _cut(authority: str) -> str:
    end = _END_OF_HOST.search(authority)
    return authority[: end.start()] if end else authority


def _unbroken(text: str) -> str:
    """A lone URL as a browser reads it: without the line breaks and tabs inside."""
    lines = text.replace("\r", "\n").replace("\t", "\n").strip(" \n").split("\n")
    if len(lines) == 1 or " " in text.strip() or not _STARTS.match("".join(lines)):
        return text
    starts = ("http://", "https://")
    return "".join(f" {line}" if line.lower().startswith(starts) else line for line in lines)
