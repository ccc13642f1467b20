"""Takes a text apart into e-mail addresses, strictly: only what every server reads alike. Pure.

Quoted local parts, comments, routes, groups and the relays of old (`user%other.example@…`, `other!user@…`)
are left to others: what such a text means depends on who reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.detect.domains import readings
from mcpgate.policy.folding import fold

_SEPARATOR: Final = compile_pattern("[,;]")
_LOCAL: Final = r"[A-Za-z0-9_+'&~][A-Za-z0-9_+'&~-]*(?:\.[A-Za-z0-9_+'&~-]+)*"
_BARE: Final = rf"({_LOCAL})@([\pL\pM\pN.。．｡_-]+)"
_NAME: Final = r"[\pL\pM\p{Nd} .'’&/_+!?*#-]*"
_ADDRESS: Final = compile_pattern(_BARE)
_NAMED: Final = compile_pattern(rf'(?:{_NAME}|"{_NAME}" *)<{_BARE}>')


@dataclass(frozen=True, slots=True)
class Address:
    """One address, its two parts as they are written."""

    local: str
    domain: str

    @property
    def text(self) -> str:
        """The address without a name."""
        return f"{self.local}@{self.domain}"


def parse_addresses(text: str) -> list[Address]:
    """Every address of a text, commas or semicolons between them.

    Raises `ValueError` unless the whole text is taken apart, each domain read.
    """
    pieces = [piece.strip(" ") for piece in _SEPARATOR.split(text)]
    found = [_parse(piece) for piece in pieces if piece]
    if not found:
        raise ValueError("is no address")
    return found


def has_address(text: str) -> bool:
    """Whether anything in a text can be an address, the sign in full width included."""
    return "@" in fold(text)


def _parse(piece: str) -> Address:
    match = _ADDRESS.fullmatch(piece) or _NAMED.fullmatch(piece)
    if match is None:
        raise ValueError("is not made of plain addresses such as jane@example.com, Jane <jane@example.com>")
    address = Address(match.group(1), match.group(2))
    try:
        readings(address.domain)
    except ValueError:
        raise ValueError("has an address whose domain cannot be read") from None
    return address
