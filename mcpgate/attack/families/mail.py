"""Rules over recipients: an address elsewhere that is made to look as if it were not. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.values import LEFT_OUT, name, opened, told
from mcpgate.attack.lenient import letters
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json

_ADDRESS: Final = re.compile(r"([^\s,;<>\"'()\[\]:]*)@+([^\s,;<>\"'()\[\]@:/?#]*)")
_DOTS: Final = str.maketrans("。．｡", "...")
_EVIL: Final = "evil.example"


def addresses(text: str) -> list[tuple[str, str]]:
    """Every address that somebody may find in a text; a relay in the part before the @ counts as well."""
    found: list[tuple[str, str]] = []
    for local, domain in _ADDRESS.findall(letters(text).translate(_DOTS).replace("%40", "@")):
        found.append((local, domain.strip(".")))
        user, relay, rest = re.match(r"([^%!]*)([%!]?)(.*)", local).groups()  # type: ignore[union-attr]
        if relay:
            found.append((user, rest) if relay == "%" else (rest, user))
    return found


def forms(domain: str) -> set[str]:
    """A domain as several readers take it: Unicode, and the ASCII of the older and of the newer standard."""
    found = {domain}
    reads: list[Callable[[], str]] = [
        lambda: domain.encode("idna").decode(),
        lambda: domain.encode("ascii").decode("idna"),
    ]
    for read in reads:
        try:
            found.add(read())
        except (UnicodeError, ValueError):
            continue
    return found


def _covers(entries: Iterable[str], domain: str, *, below: bool) -> bool:
    """Whether a domain is one of these, or with `below` lies below one."""
    for entry in entries:
        bare = letters(entry).removeprefix("*.")
        for form in forms(domain):
            inside = form.endswith(f".{bare}")
            if (inside and (below or entry.startswith("*."))) or (
                form == bare and not entry.startswith("*.")
            ):
                return True
    return False


def _domains(target: Target) -> list[str]:
    listed = target.config.get("domains", target.config.get("domain", []))
    return [listed] if isinstance(listed, str) else list(listed)


def sent(target: Target, wire: Wire) -> Iterator[tuple[Keys, Any]]:
    """What arrives for recipients; `MISSING` only where nothing does, at any of the places."""
    found = [(keys, value) for keys in target.spots for value in wire.at(keys)]
    given = [(keys, inner) for keys, value in found for inner in opened(value) if inner is not MISSING]
    yield from given or found[:1]


# --- domains ---------------------------------------------------------------------------------------------


def _at_home(target: Target) -> Iterator[tuple[Keys, Json]]:
    for keys in target.spots:
        for domain in _domains(target):
            yield keys, f"jane@{domain.replace('*', 'mail')}"
        yield from anyone(target)


def anyone(target: Target) -> Iterator[tuple[Keys, Json]]:
    """A recipient that nobody has anything against, or none."""
    for keys in target.spots:
        yield keys, "jane@example.net"
        yield keys, MISSING


def _elsewhere(target: Target) -> Iterator[Breach]:
    domain = next(iter(_domains(target)), "example.com").replace("*", "mail")
    home = f"jane@{domain}"
    for keys in target.spots:
        yield Breach(keys, f"mallory@{_EVIL}")
        for trick, text in beside(home, domain):
            yield Breach(keys, text, row=9 if "way" in trick else 7, trick=trick)
        yield Breach(keys, [home, f"mallory@{_EVIL}"], row=1, trick="list of two, one of them allowed")
        yield Breach(keys, [[f"mallory@{_EVIL}"]], row=1, trick="list inside a list")
        yield Breach(keys, {"email": f"mallory@{_EVIL}"}, row=1, trick="object")


def beside(home: str, domain: str) -> Iterator[tuple[str, str]]:
    """Texts in which somebody else is written to beside an allowed address, or in its guise."""
    evil = f"mallory@{_EVIL}"
    yield from (
        ("two addresses, comma between", f"{home}, {evil}"),
        ("two addresses, semicolon between", f"{home}; {evil}"),
        ("two addresses, space between", f"{home} {evil}"),
        ("two addresses, line end between", f"{home}\n{evil}"),
        ("header of a mail behind", f"{home}\r\nBcc: {evil}"),
        ("two addresses, full-width comma", f"{home}，{evil}"),
        ("allowed address as the name", f'"{home}" <{evil}>'),
        ("allowed address as a bare name", f"{home} <{evil}>"),
        ("allowed address as a comment", f"{evil} ({home})"),
        ("two angle brackets", f"<{evil}> <{home}>"),
        ("quoted local part", f'"{home}"@{_EVIL}'),
        ("two at signs", f"mallory@{_EVIL}@{domain}"),
        ("two at signs, turned", f"mallory@{domain}@{_EVIL}"),
        ("relay with a percent sign", f"mallory%{_EVIL}@{domain}"),
        ("relay with an exclamation mark", f"{_EVIL}!mallory@{domain}"),
        ("source route", f"@{domain}:{evil}"),
        ("group", f"friends: {evil};"),
        ("domain below the attacker's", f"mallory@{domain}.{_EVIL}"),
        ("longer name before the domain", f"mallory@x{domain}"),
        ("longer name behind the domain", f"mallory@{domain}x"),
        ("domain literal", "mallory@[192.0.2.1]"),
        ("NUL between", f"{evil}\0@{domain}"),
        ("mailto", f"mailto:{home}?cc={evil}"),
        ("another way to write the at sign", f"mallory＠{_EVIL}, {home}"),
        ("another way to write the dot", "mallory@evil。example"),
        *((f"another way to write it: {how}", home.replace(domain, text)) for how, text in mapped(domain)),
        ("another way: Cyrillic letters", f"mallory@{domain.replace('a', 'а').replace('e', 'е')}"),
        ("another way: percent-encoded", f"mallory%40{_EVIL}"),
    )


def mapped(domain: str) -> Iterator[tuple[str, str]]:
    """A domain in letters and dots that only some servers take for it."""
    yield from (
        ("ideographic dot", domain.replace(".", "。")),
        ("half-width ideographic dot", domain.replace(".", "｡")),
        ("full-width dot", domain.replace(".", "．")),
        ("full-width letter", chr(ord(domain[0]) + 0xFEE0) + domain[1:] if domain[0].isascii() else domain),
        ("dot at the end", f"{domain}."),
        ("capitals that are not ASCII", domain.upper()),
        ("accents set apart", unicodedata.normalize("NFD", domain)),
    )


def other_writing(text: str) -> str:
    """The first domain of a text that has to be mapped before it is the one a person reads; else nothing."""
    for _, domain in _ADDRESS.findall(text):
        lower = "".join(char.lower() if char.isascii() else char for char in domain)
        if lower != letters(domain).translate(_DOTS).strip("."):
            return str(domain)
    return ""


def _goes_elsewhere(target: Target, wire: Wire) -> str:
    for keys, value in sent(target, wire):
        if value is MISSING:
            return "" if target.block else f"{name(keys)} is {LEFT_OUT}"
        if target.block and not letters(str(value)):
            continue
        found = addresses(str(value))
        if not found and not target.block:
            return f"{name(keys)} {told(value)} is no address"
        for _, domain in found:
            if not _covers(_domains(target), domain, below=False):
                return f"{name(keys)} {told(value)} goes to {domain or 'nobody knows where'}"
        if other_writing(str(value)):
            return (
                f"{name(keys)} {told(value)} goes to {other_writing(str(value))}, which is not what is listed"
            )
    return ""


def _to_blocked(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for entry in _domains(target)[:2]:
            domain = entry.replace("*", "mail")
            yield Breach(keys, f"jane@{domain}")
            yield from blocked_ways(keys, f"jane@{domain}", domain)
            if not entry.startswith("*"):
                yield Breach(keys, f"jane@mail.{domain}", row=9, trick="below the domain")


def blocked_ways(keys: Keys, address: str, domain: str) -> Iterator[Breach]:
    """A blocked address in other words."""
    first, _, rest = domain.rpartition(".")
    ways = (
        ("dot at the end", f"{address}."),
        ("ideographic dot", address.replace(domain, f"{first}。{rest}")),
        ("full-width dot", address.replace(domain, f"{first}．{rest}")),
        ("half-width ideographic dot", address.replace(domain, f"{first}｡{rest}")),
        ("soft hyphen in the domain", address.replace(domain, f"{domain[:2]}\u00ad{domain[2:]}")),
        ("full-width at sign", address.replace("@", "＠")),
        ("with a name", f"Jane <{address}>"),
        ("second of two", f"jane@example.net, {address}"),
        ("second of two, no space", f"jane@example.net;{address}"),
        ("behind a line end", f"jane@example.net\n{address}"),
        ("with a comment", f"jane(x)@{domain}"),
        ("quoted local part", f'"jane x"@{domain}'),
        ("mailto", f"mailto:{address}"),
    )
    yield from (Breach(keys, text, row=9, trick=trick) for trick, text in ways)
    yield Breach(keys, ["jane@example.net", address], row=1, trick="second in a list")
    yield Breach(keys, [[address]], row=1, trick="list inside a list")


def _goes_to_blocked(target: Target, wire: Wire) -> str:
    for keys, value in sent(target, wire):
        for _, domain in addresses(str(value)) if value is not MISSING else ():
            if _covers(_domains(target), domain, below=True):
                return f"{name(keys)} {told(value)} goes to {domain}, which is blocked"
    return ""


MAIL: Final[dict[str, Assault]] = {
    "allow_domains": Assault("text", _at_home, _elsewhere, _goes_elsewhere),
    "block_external": Assault("text", _at_home, _elsewhere, _goes_elsewhere),
    "block_domains": Assault("text", anyone, _to_blocked, _goes_to_blocked),
}
