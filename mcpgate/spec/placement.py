"""Where every parameter of a tool goes: path, query, headers or body. A leftover or a clash is a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from mcpgate.spec.graphql import variables
from mcpgate.spec.params import cannot_be_text, unknown
from mcpgate.spec.templates import has_placeholder, whole_placeholder
from mcpgate.spec.yaml_text import Document, Path
from mcpgate.values import RequestTemplate

_IN_BODY: Final = ("POST", "PUT", "PATCH")
_CODECS: Final = ("$base64", "$base64url", "$json", "$mime")


def check_placeholders(
    document: Document, path: Path, request: RequestTemplate, known: Mapping[str, Any]
) -> set[str]:
    """The placeholders of a request or lookup; each has to be known, and to fit where it stands."""
    for name in request.names:
        if name not in known:
            document.add(path, unknown(name, known))
    for template in request.path:
        for name in template.names:
            if cannot_be_text(known.get(name, {})):
                document.add(path, f"{{{name}}} is a list or an object, which cannot stand in a path")
    counted = Counter(wire for wire, _ in request.query)
    for wire, template in request.query:
        if counted[wire] > 1 and template.names:
            document.add(path, f"'{wire}' stands twice in the query")
    return set(request.names)


def check_body(document: Document, path: Path, tree: Any, known: Mapping[str, Any]) -> set[str]:
    """The placeholders of a body tree."""
    if isinstance(tree, dict):
        if list(tree.values()) == [None] and document.is_flow(path) and next(iter(tree)) in known:
            document.add(path, f'quote it: "{{{next(iter(tree))}}}"')
        for key in tree:
            if key in _CODECS:
                document.add((*path, key), f"'{key}' in a body comes later", at_key=True)
    if isinstance(tree, dict | list):
        parts = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {name for key, item in parts for name in check_body(document, (*path, key), item, known)}
    name = whole_placeholder(tree)
    if name is None:
        if isinstance(tree, str) and has_placeholder(tree):
            document.add(path, f"'{tree}': a body takes \"{{x}}\" as a whole value, never inside a text")
        return set()
    if name not in known:
        document.add(path, unknown(name, known))
    return {name}


def place(
    document: Document, path: Path, spec: Mapping[str, Any], request: RequestTemplate, rest: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """What goes into the query and what into the body of the parameters that no placeholder names."""
    placed = {name: name for name in rest}
    if request.method not in _IN_BODY:
        for key in ("body", "graphql"):
            if key in spec:
                document.add((*path, key), f"a {request.method} has no body", at_key=True)
        for name in {wire for wire, _ in request.query}.intersection(rest):
            _misplaced(document, path, name, "clashes with the query of request")
        return placed, {}
    tree = spec.get("body")
    if "graphql" in spec:
        if "body" in spec:
            document.add((*path, "body"), "graphql makes the body; its params are the variables", at_key=True)
        for name in set(rest) - variables(spec["graphql"]):
            _misplaced(document, path, name, f"has no place: the document has no variable ${name}")
    elif isinstance(tree, dict):
        for name in set(tree).intersection(rest):
            _misplaced(document, path, name, "clashes with a key of body")
    elif tree is not None:
        for name in rest:
            _misplaced(document, path, name, "has no place: body is a whole value")
    return {}, placed


def _misplaced(document: Document, path: Path, name: str, why: str) -> None:
    document.add((*path, "params", name), f"'{name}' {why}", at_key=True)
