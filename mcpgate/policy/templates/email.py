"""Templates over who is written to: addresses and domains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mcpgate.policy.call import Call, Check, Config, Miss, UndecidableError, shown
from mcpgate.policy.detect import domains
from mcpgate.policy.detect.addresses import Address, has_address, parse_addresses
from mcpgate.policy.folding import fold
from mcpgate.policy.templates.shown import at_most, describe
from mcpgate.policy.templates.template import (
    COUNT,
    FIELD,
    TEXT,
    TEXTS,
    Projection,
    Schema,
    Template,
    takes,
)
from mcpgate.values import Json


def at_allowed_domains(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every address is at one of `domains`."""
    return _outside(config, values, config["domains"])


def at_no_blocked_domain(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No address is at one of `domains` or below it."""
    field, listed = config["field"], config["domains"]
    patterns = domains.blocked(listed)
    for address in _found(config, values):
        if any(domains.is_inside(name, patterns) for name in domains.readings(address.domain)):
            says = f"{field} {shown(address.text)} is at {_at(address)}, which is blocked"
            return Miss(says, f"{field} not at {', '.join(listed)}", field, listed, address.text)
    return None


def among_addresses(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every address is one of `addresses`, to the letter; the case of a domain in ASCII aside."""
    field, listed = config["field"], config["addresses"]
    allowed = {(entry.local, domains.to_ascii(entry.domain)) for entry in map(_listed, listed)}
    for address in _taken_apart(config, values):
        if not all((address.local, name) in allowed for name in domains.readings(address.domain)):
            says = f"{field} {shown(address.text)} (at {_at(address)}) is not allowed"
            return Miss(says, f"{field}: {', '.join(listed)}", field, listed, address.text)
        if not domains.is_plain(address.domain):
            return _not_plain(field, listed, address)
    return None


def among_no_blocked_addresses(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No address is one of `addresses`, case and a +tag aside."""
    field, listed = config["field"], config["addresses"]
    blocked = {
        (fold(entry.local), name) for entry in map(_listed, listed) for name in domains.readings(entry.domain)
    }
    for address in _found(config, values):
        whole = fold(address.local)
        untagged = whole.partition("+")[0]
        names = domains.readings(address.domain)
        if any((local, name) in blocked for local in (whole, untagged) for name in names):
            passes = f"{field} other than {', '.join(listed)}"
            return Miss(f"{field} {shown(address.text)} is blocked", passes, field, listed, address.text)
    return None


def within_recipients(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """At most `max` recipients in all; each address in a text counts, and each element that is none."""
    field, limit = config["field"], config["max"]
    count = sum(_count(config, value) for value in _opened(values))
    if count <= limit:
        return None
    says = f"{field} has {count} recipients, over the limit of {limit}"
    return Miss(says, f"at most {limit} recipients in {field}", field, limit, count)


def at_own_domain(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every address is at `domain`, or at the account's own."""
    field = config["field"]
    if "domain" in config:
        own = _own(config)
    else:
        own = [call.settings.get("domain", "")]
        if domains.fault(own):
            raise UndecidableError("the account's own domain is not known", field)
    texts = [value for value in values if value is not None and value != [] and fold(value)]
    return _outside(config, texts, own)


def _outside(config: Config, values: list[Any], listed: list[str]) -> Miss | None:
    field, patterns = config["field"], domains.allowed(listed)
    for address in _taken_apart(config, values):
        if not all(domains.is_inside(name, patterns) for name in domains.readings(address.domain)):
            says = f"{field} {shown(address.text)} is at {_at(address)}, which is not allowed"
            return Miss(says, f"{field} at {', '.join(listed)}", field, listed, address.text)
        if not domains.is_plain(address.domain):
            return _not_plain(field, listed, address)
    return None


def _not_plain(field: str, listed: list[str], address: Address) -> Miss:
    """An address that only some servers take for one that is allowed."""
    plain = f"{address.local}@{domains.plain(address.domain)}"
    says = (
        f"{field} {shown(address.text)} has its domain in letters or dots that not every server reads alike"
    )
    return Miss(says, f"{field} {plain}", field, listed, address.text)


def _found(config: Config, values: list[Any]) -> Iterator[Address]:
    """The addresses that a block looks at: where there is no sign of one, there is none to block."""
    for value in values:
        if isinstance(value, dict):
            raise UndecidableError(f"{config['field']} is an object, not an address", config["field"])
        if isinstance(value, str) and has_address(value):
            yield from _taken_apart(config, [value])


def _taken_apart(config: Config, values: list[Any]) -> Iterator[Address]:
    field = config["field"]
    for value in values:
        if not isinstance(value, str):
            raise UndecidableError(f"{field} is not a text of addresses", field)
        try:
            yield from parse_addresses(value)
        except ValueError as error:
            raise UndecidableError(f"{field} {shown(value)} {error}", field) from None


def _count(config: Config, value: Json) -> int:
    if isinstance(value, dict):
        raise UndecidableError(f"{config['field']} holds objects, not recipients", config["field"])
    if not isinstance(value, str):
        return 1
    if has_address(value):
        return len(list(_taken_apart(config, [value])))
    return max(1, sum(bool(piece.strip()) for piece in value.replace(";", ",").split(",")))


def _opened(value: Json) -> Iterator[Json]:
    if isinstance(value, list):
        for item in value:
            yield from _opened(item)
    else:
        yield value


def _at(address: Address) -> str:
    """The domain in ASCII, so that a look-alike shows."""
    return domains.to_ascii(address.domain)


def _listed(entry: str) -> Address:
    return parse_addresses(entry)[0]


def _own(config: Config) -> list[str]:
    own = config["domain"]
    return [own] if isinstance(own, str) else own


def _no_domains(config: Config) -> str:
    return domains.fault(config["domains"])


def _no_own_domain(config: Config) -> str:
    return domains.fault(_own(config)) if "domain" in config else ""


def _no_addresses(config: Config) -> str:
    for entry in config["addresses"]:
        try:
            whole = [address.text for address in parse_addresses(entry)] == [entry]
        except ValueError:
            whole = False
        if not whole:
            return f"'{entry}' is no address: write jane@example.com"
    return ""


def _line(start: str, key: str) -> Projection:
    def project(config: Config, schema: Schema) -> None:
        describe(schema, f"{start} {', '.join(config[key])}.")

    return project


def _show_own(config: Config, schema: Schema) -> None:
    own = ", ".join(_own(config)) if "domain" in config else "the account's own domain"
    describe(schema, f"Only addresses at {own}.")


def _show_recipients(config: Config, schema: Schema) -> None:
    if "items" in schema:
        at_most("maxItems", "max")(config, schema)
    describe(schema, f"At most {config['max']} recipients in all.")


_ANYWHERE: Final[dict[str, Schema]] = {"field": FIELD}
_ONE_OR_MORE: Final[Schema] = {"anyOf": [TEXT, TEXTS]}


def _template(line: str, check: Check, **rest: Any) -> Template:
    return Template(line, check, **{"looks_at": "values", "role": "recipient", **rest})


EMAIL: Final[dict[str, Template]] = {
    "allow_domains": _template(
        "Every recipient is at one of these domains, plainly written; *.example.com is what lies below it.",
        at_allowed_domains,
        config=takes(_ANYWHERE, domains=TEXTS),
        allowed=({"field": "to", "domains": ["example.com"]}, {"to": "Jane <jane@example.com>"}),
        denied=({"field": "to", "domains": ["example.com"]}, {"to": "jane@mail.example.com"}),
        project=_line("Only addresses at", "domains"),
        fault=_no_domains,
    ),
    "block_domains": _template(
        "No recipient is at one of these domains or below it.",
        at_no_blocked_domain,
        config=takes(_ANYWHERE, domains=TEXTS),
        allowed=({"field": "to", "domains": ["example.org"]}, {"to": "jane@example.com"}),
        denied=({"field": "to", "domains": ["example.org"]}, {"to": "jane@mail.example.org"}),
        block=True,
        project=_line("No addresses at", "domains"),
        fault=_no_domains,
    ),
    "allow_addresses": _template(
        "Every recipient is one of these, to the letter; only the case of a domain is none to it.",
        among_addresses,
        config=takes(_ANYWHERE, addresses=TEXTS),
        allowed=({"field": "to", "addresses": ["jane@example.com"]}, {"to": "jane@Example.com"}),
        denied=({"field": "to", "addresses": ["jane@example.com"]}, {"to": "jane+me@example.com"}),
        project=_line("Only to", "addresses"),
        fault=_no_addresses,
    ),
    "block_addresses": _template(
        "No recipient is one of these; case and a +tag aside.",
        among_no_blocked_addresses,
        config=takes(_ANYWHERE, addresses=TEXTS),
        allowed=({"field": "to", "addresses": ["all@example.com"]}, {"to": "jane@example.com"}),
        denied=({"field": "to", "addresses": ["all@example.com"]}, {"to": "All+now@example.com"}),
        block=True,
        project=_line("Not to", "addresses"),
        fault=_no_addresses,
    ),
    "max_recipients": _template(
        "At most max recipients in all, however many stand in one text.",
        within_recipients,
        config=takes(_ANYWHERE, max=COUNT),
        # as it stands: the most that a list may hold is written at the list
        looks_at="field",
        allowed=({"field": "to", "max": 2}, {"to": "a@example.com, b@example.com"}),
        denied=({"field": "to", "max": 2}, {"to": "a@example.com, b@example.com; c@example.com"}),
        project=_show_recipients,
    ),
    "block_external": _template(
        "No recipient outside domain, or outside the account's own where none is given.",
        at_own_domain,
        config=takes({"domain": _ONE_OR_MORE, **_ANYWHERE}),
        allowed=({"field": "to", "domain": "example.com"}, {"to": "jane@example.com"}),
        denied=({"field": "to", "domain": "example.com"}, {"to": "jane@example.org"}),
        block=True,
        project=_show_own,
        fault=_no_own_domain,
    ),
}
