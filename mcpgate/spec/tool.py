"""One tool of a connector file → a checked, frozen `Tool`; faults are noted in the document."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpgate.places import Place, parse_place
from mcpgate.spec.graphql import is_mutation
from mcpgate.spec.params import read_params
from mcpgate.spec.templates import has_placeholder, parse_request, parse_template, whole_placeholder
from mcpgate.spec.yaml_text import Document, Path, did_you_mean
from mcpgate.values import Money, Pagination, Placeholder, RequestTemplate, Template, Tool

ENGINE_HEADERS: Final = frozenset(
    "host content-length transfer-encoding content-type connection keep-alive te trailer upgrade expect cookie "
    "set-cookie accept-encoding authorization proxy-authorization proxy-connection".split()
)
_TOOL_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+\Z")
_IN_BODY: Final = ("POST", "PUT", "PATCH")
_CODECS: Final = ("$base64", "$base64url", "$json", "$mime")


@dataclass(frozen=True)
class Context:
    """What a tool needs to know of its file."""

    document: Document
    connector: str
    settings: frozenset[str]
    pagination: Mapping[str, Any] | None


def read_tool(context: Context, name: str, spec: Mapping[str, Any]) -> Tool:
    """Read one tool; a faulty one comes out as far as it could be read, with its faults noted."""
    document, path = context.document, ("tools", name)
    _check_name(context, path, name)
    request = _request(document, path, spec)
    params = read_params(document, (*path, "params"), spec.get("params", {}))
    pagination = _pagination(context, path, spec, params)
    for param in params:
        if param in context.settings:
            document.add((*path, "params", param), f"'{param}' is a setting already", at_key=True)
    known = {*params, *context.settings}
    used = _check_placeholders(document, (*path, "request"), request, known)
    headers = read_headers(document, (*path, "headers"), spec.get("headers", {}), known)
    used |= {header for template in headers.values() for header in template.names}
    used |= _check_body(document, (*path, "body"), spec.get("body"), known)
    rest = [param for param in params if param not in used]
    query, body = _placement(document, path, spec, request, rest)
    required = _required(document, path, spec, params, request)
    _check_category(document, path, spec, request)
    groups = {key: _groups(document, path, spec, key, params) for key in ("exactly_one", "at_least_one")}
    places = {*params, *(("before",) if "lookup" in spec else ())}
    return Tool(
        name=name,
        connector=context.connector,
        description=" ".join(spec["description"].split()),
        category=spec["category"],
        effects=tuple(spec.get("effects", ())),
        schema=_input_schema(params, required),
        request=request,
        query=query,
        body=body,
        digest=hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest(),
        body_tree=spec.get("body"),
        graphql=spec.get("graphql", ""),
        headers=headers,
        exactly_one=groups["exactly_one"],
        at_least_one=groups["at_least_one"],
        money=_money(document, path, spec, places),
        lookup=_lookup(document, path, spec, known),
        roles=_roles(document, path, spec, params),
        summary=_summary(document, path, spec, params),
        pagination=pagination,
        reply=spec.get("reply", "json"),
        unwrap=parse_place(spec["unwrap"]) if "unwrap" in spec else None,
        fields=tuple(parse_place(field) for field in spec["fields"]) if "fields" in spec else None,
        sample=spec.get("sample"),
    )


def read_headers(
    document: Document, path: Path, spec: Mapping[str, str], known: Collection[str]
) -> dict[str, Template]:
    """Headers of a connector or a tool: each a text, or one `{x}`."""
    headers: dict[str, Template] = {}
    for name, text in spec.items():
        placeholder = whole_placeholder(text)
        if name.lower() in ENGINE_HEADERS:
            document.add((*path, name), f"'{name}' is the engine's own header", at_key=True)
        elif placeholder is not None and placeholder not in known:
            document.add((*path, name), _unknown(placeholder, known))
        elif placeholder is None and has_placeholder(text):
            document.add((*path, name), 'a header is a text or one "{x}" as a whole')
        elif not text.isascii() or not text.isprintable():
            document.add((*path, name), "a header has printable ASCII characters only")
        headers[name] = Template((Placeholder(placeholder) if placeholder else text,))
    return headers


def _check_name(context: Context, path: Path, name: str) -> None:
    if not name.startswith(context.connector + "_"):
        message = f"a tool's name starts with its connector's: {context.connector}_{name}"
    elif not _TOOL_NAME.match(name):
        message = f"'{name}': a tool's name has lower-case letters, digits and single _"
    elif len(name) > 50:
        message = f"'{name}' has {len(name)} characters; at most 50 (clients add their own prefix)"
    else:
        return
    context.document.add(path, message, at_key=True)


def _request(document: Document, path: Path, spec: Mapping[str, Any]) -> RequestTemplate:
    if "request" not in spec:
        if "graphql" not in spec:
            document.add(path, "a tool needs request (METHOD /path) or graphql", at_key=True)
        return RequestTemplate("POST", ())
    try:
        return parse_request(spec["request"])
    except ValueError as error:
        document.add((*path, "request"), str(error))
        return RequestTemplate("POST" if "graphql" in spec else "GET", ())


def _check_placeholders(
    document: Document, path: Path, request: RequestTemplate, known: Collection[str]
) -> set[str]:
    for name in request.names:
        if name not in known:
            document.add(path, _unknown(name, known))
    wire_names = [name for name, _ in request.query]
    for name in {name for name in wire_names if wire_names.count(name) > 1}:
        document.add(path, f"'{name}' stands twice in the query")
    return set(request.names)


def _check_body(document: Document, path: Path, tree: Any, known: Collection[str]) -> set[str]:
    """The placeholders of a body tree."""
    if isinstance(tree, dict):
        for key in tree:
            if key in _CODECS:
                document.add((*path, key), f"'{key}' in a body comes later", at_key=True)
        return {name for key, item in tree.items() for name in _check_body(document, (*path, key), item, known)}
    if isinstance(tree, list):
        return {name for i, item in enumerate(tree) for name in _check_body(document, (*path, i), item, known)}
    name = whole_placeholder(tree)
    if name is None:
        if isinstance(tree, str) and has_placeholder(tree):
            document.add(path, f"'{tree}': a body takes \"{{x}}\" as a whole value, never inside a text")
        return set()
    if name not in known:
        document.add(path, _unknown(name, known))
    return {name}


def _placement(
    document: Document, path: Path, spec: Mapping[str, Any], request: RequestTemplate, rest: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Where the parameters go that no placeholder names: to the query or to the body, under their own name."""
    named = {name for name, _ in request.query}
    if request.method not in _IN_BODY:
        if "body" in spec or "graphql" in spec:
            key = "body" if "body" in spec else "graphql"
            document.add((*path, key), f"a {request.method} has no body", at_key=True)
        for name in named.intersection(rest):
            document.add((*path, "params", name), f"'{name}' clashes with the query of request", at_key=True)
        return {name: name for name in rest}, {}
    if "graphql" in spec and "body" in spec:
        document.add((*path, "body"), "graphql makes the body; its params are the variables", at_key=True)
    tree = spec.get("body")
    if tree is not None and not isinstance(tree, dict):
        for name in rest:
            document.add((*path, "params", name), f"'{name}' has no place: body is a whole value", at_key=True)
    elif isinstance(tree, dict):
        for name in set(tree).intersection(rest):
            document.add((*path, "params", name), f"'{name}' clashes with a key of body", at_key=True)
    return {}, {name: name for name in rest}


def _required(
    document: Document, path: Path, spec: Mapping[str, Any], params: Mapping[str, Any], request: RequestTemplate
) -> list[str]:
    stated = spec.get("required", [])
    for name in stated:
        if name not in params:
            document.add((*path, "required"), _unknown(name, params, "required"))
    in_path = {name for template in request.path for name in template.names if name in params}
    needed = {*stated, *(name for name in in_path if "default" not in params[name])}
    return [name for name in params if name in needed]


def _input_schema(params: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": dict(params), "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema


def _check_category(document: Document, path: Path, spec: Mapping[str, Any], request: RequestTemplate) -> None:
    category, safe = spec["category"], "safe" in spec
    mutation = "graphql" in spec and is_mutation(spec["graphql"])
    if category == "read":
        if spec.get("effects"):
            document.add((*path, "effects"), "a read has no effects; is this a write?")
        if mutation:
            document.add((*path, "graphql"), "a read holds no mutation")
        elif request.method not in ("GET", "HEAD") and not safe and "graphql" not in spec:
            document.add(
                (*path, "category"), f"a read is GET or HEAD, not {request.method}; safe: true says that it changes nothing"
            )
    elif "effects" not in spec:
        document.add(path, f"a {category} states its effects; [] says that it has none", at_key=True)
    if safe and (category != "read" or request.method != "POST"):
        document.add((*path, "safe"), "safe: true is for a POST that is a read", at_key=True)


def _groups(
    document: Document, path: Path, spec: Mapping[str, Any], key: str, params: Mapping[str, Any]
) -> tuple[tuple[str, ...], ...]:
    for index, group in enumerate(spec.get(key, ())):
        for name in group:
            if name not in params:
                document.add((*path, key, index), _unknown(name, params, key))
    return tuple(tuple(group) for group in spec.get(key, ()))


def _money(document: Document, path: Path, spec: Mapping[str, Any], heads: Collection[str]) -> Money | None:
    if "money" not in spec:
        return None
    places: dict[str, tuple[Place, ...]] = {}
    for key in ("amount", "currency"):
        texts = spec["money"][key]
        places[key] = tuple(parse_place(text) for text in ([texts] if isinstance(texts, str) else texts))
        for place in places[key]:
            _check_head(document, (*path, "money", key), place, heads)
    return Money(**places)


def _roles(
    document: Document, path: Path, spec: Mapping[str, Any], heads: Collection[str]
) -> dict[str, Place]:
    roles = {role: parse_place(text) for role, text in spec.get("roles", {}).items()}
    for role, place in roles.items():
        _check_head(document, (*path, "roles", role), place, heads)
    return roles


def _check_head(document: Document, path: Path, place: Place, heads: Collection[str]) -> None:
    if place.header is not None or place.keys[0] not in heads:
        document.add(path, _unknown(place.text if place.header else place.keys[0], heads, "this place"))


def _lookup(
    document: Document, path: Path, spec: Mapping[str, Any], known: Collection[str]
) -> RequestTemplate | None:
    if "lookup" not in spec:
        return None
    try:
        lookup = parse_request(spec["lookup"])
    except ValueError as error:
        document.add((*path, "lookup"), str(error))
        return None
    if lookup.method != "GET":
        document.add((*path, "lookup"), f"a lookup is a GET, not {lookup.method}")
    _check_placeholders(document, (*path, "lookup"), lookup, known)
    return lookup


def _summary(
    document: Document, path: Path, spec: Mapping[str, Any], known: Collection[str]
) -> Template | None:
    if "summary" not in spec:
        return None
    try:
        template = parse_template(spec["summary"])
    except ValueError as error:
        document.add((*path, "summary"), str(error))
        return None
    for name in template.names:
        if name not in known:
            document.add((*path, "summary"), _unknown(name, known))
    return template


def _pagination(
    context: Context, path: Path, spec: Mapping[str, Any], params: dict[str, Any]
) -> Pagination | None:
    """The tool's pagination over the connector's, key by key; its parameters join the tool's own."""
    own = spec.get("paginate")
    if own is None:
        return None
    document = context.document
    if own is True and context.pagination is None:
        document.add((*path, "paginate"), "the connector has no pagination to use")
        return None
    merged = {**(context.pagination or {}), **(own if isinstance(own, dict) else {})}
    where = (*path, "paginate") if isinstance(own, dict) else ("pagination",)
    if "next" not in merged:
        document.add(where, "pagination says its next")
        return None
    added = read_params(document, (*where, "params"), merged.get("params", {}))
    for name in params.keys() & added.keys():
        document.add((*path, "params", name), f"'{name}' is a parameter of the pagination already", at_key=True)
    params.update(added)
    following = merged["next"]
    if isinstance(following, dict):
        for name in following:
            if name not in params:
                document.add((*where, "next", name), _unknown(name, params, "next"), at_key=True)
        following = {
            name: text if text.startswith("+") else parse_place(text) for name, text in following.items()
        }
    else:
        following = parse_place(following)
    places = {key: parse_place(merged[key]) for key in ("items", "more", "total") if key in merged}
    return Pagination(params=added, next=following, **places)


def _unknown(name: str, known: Collection[str], where: str = "") -> str:
    subject = f"{where} names '{name}', which" if where else f"{{{name}}}"
    return f"{subject} is not a parameter here{did_you_mean(name, list(known))}"
