"""Rules over single recipients and over how many there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.mail import addresses, anyone, beside, blocked_ways, forms, other_writing, sent
from mcpgate.attack.families.values import LEFT_OUT, name, told
from mcpgate.attack.lenient import letters
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json


def _allowed(target: Target) -> Iterator[tuple[Keys, Json]]:
    yield from ((keys, address) for keys in target.spots for address in target.config["addresses"])


def _not_allowed(target: Target) -> Iterator[Breach]:
    home = target.config["addresses"][0]
    local, _, domain = home.rpartition("@")
    for keys in target.spots:
        yield Breach(keys, f"mallory@{domain}")
        for trick, text in beside(home, domain):
            yield Breach(keys, text, row=9 if "way" in trick else 7, trick=trick)
        yield Breach(keys, f"{local}+x@{domain}", row=9, trick="tag behind the local part")
        yield Breach(keys, f"x{home}", row=9, trick="longer local part")
        yield Breach(keys, [home, f"mallory@{domain}"], row=1, trick="list of two, one of them allowed")


def _goes_to_other(target: Target, wire: Wire) -> str:
    known = {letters(address) for address in target.config["addresses"]}
    for keys, value in sent(target, wire):
        if value is MISSING:
            return f"{name(keys)} is {LEFT_OUT}"
        found = {f"{local}@{domain}" for local, domain in addresses(str(value))}
        if not found or not found <= known:
            return f"{name(keys)} {told(value)} goes to {', '.join(sorted(found - known)) or 'no address'}"
        if other_writing(str(value)):
            return (
                f"{name(keys)} {told(value)} goes to {other_writing(str(value))}, which is not what is listed"
            )
    return ""


def _to_blocked_address(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for address in target.config["addresses"][:2]:
            local, _, domain = address.rpartition("@")
            yield Breach(keys, address)
            yield from blocked_ways(keys, address, domain)
            yield Breach(keys, f"{local}+x@{domain}", row=9, trick="tag behind the local part")


def _goes_to_blocked_address(target: Target, wire: Wire) -> str:
    blocked = {_bare(*pair) for entry in target.config["addresses"] for pair in addresses(entry)}
    for keys, value in sent(target, wire):
        for local, domain in addresses(str(value)) if value is not MISSING else ():
            if {_bare(local, form) for form in forms(domain)} & blocked:
                return f"{name(keys)} {told(value)} goes to {local}@{domain}, which is blocked"
    return ""


def _bare(local: str, domain: str) -> str:
    return f"{local.partition('+')[0]}@{domain}"


# --- how many --------------------------------------------------------------------------------------------


def _few(target: Target) -> Iterator[tuple[Keys, Json]]:
    for keys in target.spots:
        yield keys, "jane@example.com"
        yield keys, ["jane@example.com"]


def _many(target: Target) -> Iterator[Breach]:
    people = [f"p{number}@example.com" for number in range(target.config["max"] + 1)]
    for keys in target.spots:
        yield Breach(keys, people)
        yield Breach(keys, ", ".join(people))
        joints = {
            "semicolon": ";",
            "comma alone": ",",
            "space": " ",
            "line end": "\n",
            "full-width comma": "，",
        }
        yield from (
            Breach(keys, joint.join(people), row=1, trick=f"one text, {what} between")
            for what, joint in joints.items()
        )
        yield Breach(keys, [people], row=1, trick="list inside a list")
        yield Breach(keys, [", ".join(people)], row=1, trick="one text in a list")
        yield Breach(keys, [{"email": each} for each in people], row=1, trick="list of objects")
        yield Breach(keys, "\r\nBcc: ".join(people), row=7, trick="headers of a mail")
        yield Breach(keys, f"all: {', '.join(people)};", row=7, trick="group")
    if len(target.spots) > 1:
        shared = tuple((keys, people[at :: len(target.spots)]) for at, keys in enumerate(target.spots[:-1]))
        rest = people[len(target.spots) - 1 :: len(target.spots)]
        yield Breach(target.spots[-1], rest, beside=shared, row=6, trick="spread over several fields")


def _too_many(target: Target, wire: Wire) -> str:
    found = [value for _, value in sent(target, wire)]
    if MISSING in found:
        return "" if target.block else f"the recipient is {LEFT_OUT}"
    count = sum(max(len(addresses(str(value))), len(_pieces(str(value)))) for value in found)
    return f"{count} recipients, over {target.config['max']}" if count > target.config["max"] else ""


def _pieces(text: str) -> list[str]:
    return [piece for piece in re.split("[,;\n]", letters(text)) if piece.strip()]


PEOPLE: Final[dict[str, Assault]] = {
    "allow_addresses": Assault("text", _allowed, _not_allowed, _goes_to_other),
    "block_addresses": Assault("text", anyone, _to_blocked_address, _goes_to_blocked_address),
    "max_recipients": Assault("list", _few, _many, _too_many),
}
