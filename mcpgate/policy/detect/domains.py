"""Domains as rules compare them: in ASCII, whatever letters and dots they are written with. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

import idna

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.folding import fold

# the full stops that end a label in IDNA
DOTS: Final = ".。．｡"
_PLAIN: Final = compile_pattern(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER: Final = compile_pattern(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)")
_ENCODED: Final = "xn--"
_LONGEST: Final = 253


@lru_cache(maxsize=4096)
def to_ascii(domain: str) -> str:
    """A domain in IDNA's ASCII form, lower case; raises `ValueError` for an IP address and what is none."""
    name = domain.lower() if domain.isascii() else domain
    name = name[:-1] if name.endswith(tuple(DOTS)) else name
    if not _PLAIN.fullmatch(name) or any(label.startswith(_ENCODED) for label in name.split(".")):
        try:
            name = idna.encode(name, uts46=True).decode()
        except UnicodeError:
            raise ValueError(f"{domain} is no domain name") from None
    if name.endswith(".") or len(name) > _LONGEST or _NUMBER.fullmatch(name):
        raise ValueError(f"{domain} is no domain name")
    return name


def readings(domain: str) -> frozenset[str]:
    """Every domain that a server may take a text for: ß is a letter of its own to some, ss to others."""
    return frozenset((to_ascii(domain), to_ascii(fold(domain))))


def plain(domain: str) -> str:
    """A domain as it is written plainly: lower case, full stops, each label as a reader knows it."""
    return ".".join(map(_shown_label, to_ascii(domain).split(".")))


def is_plain(domain: str) -> bool:
    """Whether a domain needs no mapping: in ASCII, or each label exactly the one that IDNA encodes.

    What is sent is the text as it was written, and not every server maps ideographic full stops, full-width
    letters or a capital Ü as IDNA may; only the case of ASCII is nothing to any of them.
    """
    written, wanted = domain.split("."), plain(domain).split(".")
    pairs = zip(written, wanted, strict=False)
    return len(written) == len(wanted) and all(one.isascii() or one == other for one, other in pairs)


def allowed(listed: Iterable[str]) -> frozenset[str]:
    """The patterns of an allow list: a domain is itself alone, `*.` is what lies below."""
    return frozenset(_star(entry) + to_ascii(_bare(entry)) for entry in listed)


def blocked(listed: Iterable[str]) -> frozenset[str]:
    """The patterns of a block list: a domain in every reading, with what lies below it."""
    patterns = {_star(entry) + name for entry in listed for name in readings(_bare(entry))}
    return frozenset(patterns | {f"*.{pattern}" for pattern in patterns if not pattern.startswith("*.")})


def is_inside(name: str, patterns: Collection[str]) -> bool:
    """Whether a domain in ASCII is covered by one of these patterns."""
    labels = name.split(".")
    return name in patterns or any(
        f"*.{'.'.join(labels[start:])}" in patterns for start in range(1, len(labels))
    )


def fault(listed: Iterable[str]) -> str:
    """What is wrong with a list of domains, in words; nothing if all is well."""
    for entry in listed:
        try:
            readings(_bare(entry))
        except ValueError:
            return f"'{entry}' is no domain: write example.com, or *.example.com for what lies below it"
    return ""


def _shown_label(label: str) -> str:
    return idna.decode(label) if label.startswith(_ENCODED) else label


def _bare(entry: str) -> str:
    return entry.removeprefix("*.")


def _star(entry: str) -> str:
    return "*." if entry.startswith("*.") else ""
