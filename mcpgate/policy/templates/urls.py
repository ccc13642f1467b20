"""The template over links in texts."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from mcpgate.policy.call import Call, Config, Miss, UndecidableError, shown
from mcpgate.policy.detect import domains
from mcpgate.policy.detect.links import acts, copies, hosts, mentions, names
from mcpgate.policy.templates.shown import describe
from mcpgate.policy.templates.template import FIELD, TEXTS, Schema, Template, takes


def to_known_domains(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No URL but to `allow_domains`, none to `block_domains`; none at all if neither is given."""
    field = config.get("field", "the call")
    for text in values:
        try:
            read = copies(text)
        except ValueError as error:
            raise UndecidableError(f"{field} {shown(text)} {error}", field) from None
        for copy in read:
            miss = _not_allowed(config, field, copy) or _blocked(config, field, copy)
            if miss is not None:
                return miss
    return None


def _not_allowed(config: Config, field: str, text: str) -> Miss | None:
    if "block_domains" in config and "allow_domains" not in config:
        return None
    listed = config.get("allow_domains", [])
    passes = f"{field} with URLs at {', '.join(listed)} only" if listed else f"{field} without URLs"
    if acts(text):
        return Miss(f"{field} has a URL that acts by itself (javascript:, data:)", passes, field, listed)
    patterns = domains.allowed(listed)
    for host in dict.fromkeys(chain(hosts(text), names(text))):
        if not _is_allowed(host, patterns):
            says = f"{field} has a URL at {shown(host)}, which is not allowed"
            return Miss(says, passes, field, listed, host)
    return None


def _is_allowed(host: str, patterns: frozenset[str]) -> bool:
    try:
        return all(domains.is_inside(name, patterns) for name in domains.readings(host))
    except ValueError:
        return False


def _blocked(config: Config, field: str, text: str) -> Miss | None:
    if "block_domains" not in config:
        return None
    listed = config["block_domains"]
    patterns = domains.blocked(listed)
    passes = f"{field} without {', '.join(listed)}"
    for host in dict.fromkeys(hosts(text)):
        try:
            found = any(domains.is_inside(name, patterns) for name in domains.readings(host))
        except ValueError:
            says = f"{field} has a URL at {shown(host)}, which may be any domain's"
            raise UndecidableError(says, field) from None
        if found:
            return Miss(f"{field} has a URL at {shown(host)}, which is blocked", passes, field, listed, host)
    if mentions(text, patterns):
        return Miss(f"{field} names a domain that is blocked", passes, field, listed)
    return None


def _fault(config: Config) -> str:
    return domains.fault([*config.get("allow_domains", []), *config.get("block_domains", [])])


def _show(config: Config, schema: Schema) -> None:
    if "allow_domains" in config:
        describe(schema, f"URLs at {', '.join(config['allow_domains'])} only.")
    if "block_domains" in config:
        describe(schema, f"No URLs at {', '.join(config['block_domains'])}.")
    if not config.keys() & {"allow_domains", "block_domains"}:
        describe(schema, "No URLs.")


URLS: Final[dict[str, Template]] = {
    "block_urls": Template(
        "A text has no URLs; or only those at allow_domains, none at block_domains.",
        to_known_domains,
        takes({"allow_domains": TEXTS, "block_domains": TEXTS, "field": FIELD}),
        "texts",
        allowed=(
            {"field": "note", "allow_domains": ["example.com"]},
            {"note": "See https://example.com/terms."},
        ),
        denied=(
            {"field": "note", "allow_domains": ["example.com"]},
            {"note": "See https://example.com@example.org/terms."},
        ),
        block=True,
        project=_show,
        fault=_fault,
    ),
}
