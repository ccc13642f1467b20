"""What a call means to rules and to people: its money, roles, lookup and summary."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mcpgate.places import Place, parse_place
from mcpgate.spec.params import unknown
from mcpgate.spec.placement import check_placeholders
from mcpgate.spec.templates import parse_request, parse_template
from mcpgate.spec.yaml_text import Document, Path
from mcpgate.values import Money, RequestTemplate, Template


def read_money(
    document: Document, path: Path, spec: Mapping[str, Any], heads: Collection[str]
) -> Money | None:
    """Where the call's amount and currency stand."""
    if "money" not in spec:
        return None
    places: dict[str, tuple[Place, ...]] = {}
    for key in ("amount", "currency"):
        places[key] = _places(spec["money"][key])
        for found in places[key]:
            _check_head(document, (*path, "money", key), found, heads)
    return Money(**places)


def read_roles(
    document: Document, path: Path, spec: Mapping[str, Any], heads: Collection[str]
) -> dict[str, tuple[Place, ...]]:
    """Where the templates that name no field find theirs."""
    roles = {role: _places(texts) for role, texts in spec.get("roles", {}).items()}
    for role, places in roles.items():
        for found in places:
            _check_head(document, (*path, "roles", role), found, heads)
    return roles


def _places(texts: str | list[str]) -> tuple[Place, ...]:
    return tuple(parse_place(text) for text in ([texts] if isinstance(texts, str) else texts))


def _check_head(document: Document, path: Path, found: Place, heads: Collection[str]) -> None:
    """A place in the arguments, or in `before` where there is a lookup."""
    if found.header is not None:
        document.add(path, f"'{found.text}': this is a place in the arguments, which have no headers")
    elif found.keys[0] == "before" and "before" not in heads:
        document.add(path, "'before' is the reply of a lookup, and this tool has none")
    elif found.keys[0] not in heads:
        document.add(path, unknown(found.keys[0], heads, "this place"))


def read_lookup(
    document: Document, path: Path, spec: Mapping[str, Any], known: Mapping[str, Any]
) -> RequestTemplate | None:
    """The read that tells a rule what the arguments do not say."""
    if "lookup" not in spec:
        return None
    try:
        lookup = parse_request(spec["lookup"])
    except ValueError as error:
        document.add((*path, "lookup"), str(error))
        return None
    if lookup.method != "GET":
        document.add((*path, "lookup"), f"a lookup is a GET, not {lookup.method}")
    check_placeholders(document, (*path, "lookup"), lookup, known)
    return lookup


def read_summary(
    document: Document, path: Path, spec: Mapping[str, Any], known: Collection[str]
) -> Template | None:
    """The call in one line, for people."""
    if "summary" not in spec:
        return None
    try:
        template = parse_template(spec["summary"])
    except ValueError as error:
        document.add((*path, "summary"), str(error))
        return None
    for name in template.names:
        if name not in known:
            document.add((*path, "summary"), unknown(name, known))
    return template
