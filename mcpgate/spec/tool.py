"""One tool of a connector file → a checked, frozen `Tool`; faults are noted in the document."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpgate.places import parse_place
from mcpgate.spec.graphql import is_mutation
from mcpgate.spec.headers import read_headers
from mcpgate.spec.meaning import read_lookup, read_money, read_roles, read_summary
from mcpgate.spec.pagination import read_pagination
from mcpgate.spec.params import read_params, unknown
from mcpgate.spec.placement import check_body, check_placeholders, place
from mcpgate.spec.templates import parse_request
from mcpgate.spec.yaml_text import Document, Path
from mcpgate.values import RequestTemplate, Tool

_TOOL_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+\Z")
_LONGEST_NAME: Final = 50


@dataclass(frozen=True)
class Context:
    """What a tool needs to know of its file.

    `taken` are the headers, in lower case, that the engine sets for this connector; `credential` is the query
    parameter that carries the secret.
    """

    document: Document
    connector: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    taken: Collection[str] = ()
    credential: str = ""
    encoding: str = "json"
    pagination: Mapping[str, Any] | None = None


def read_tool(context: Context, name: str, spec: Mapping[str, Any]) -> Tool:
    """Read one tool; a faulty one comes out as far as it could be read, with its faults noted."""
    document, path = context.document, ("tools", name)
    _check_name(context, path, name)
    request = _request(document, path, spec)
    params = read_params(document, (*path, "params"), spec.get("params", {}))
    pagination = read_pagination(document, path, spec.get("paginate"), context.pagination, params)
    for param in params.keys() & context.settings.keys():
        document.add((*path, "params", param), f"'{param}' is a setting already", at_key=True)
    known = {**context.settings, **params}
    used = check_placeholders(document, (*path, "request"), request, known)
    headers = read_headers(
        document,
        (*path, "headers"),
        spec.get("headers", {}),
        known,
        taken=context.taken,
    )
    used |= {header for template in headers.values() for header in template.names}
    used |= check_body(document, (*path, "body"), spec.get("body"), known)
    query, body = place(document, path, spec, request, [param for param in params if param not in used])
    _check_category(document, path, spec, request)
    _check_reply(document, path, spec, request)
    _check_wire(context, path, spec, [*query, *(wire for wire, _ in request.query)])
    places = {*params, *(("before",) if "lookup" in spec else ())}
    if "before" in params and "lookup" in spec:
        document.add((*path, "params", "before"), "'before' is the lookup's reply here; name it otherwise")
    return Tool(
        name=name,
        connector=context.connector,
        description=" ".join(spec["description"].split()),
        category=spec["category"],
        effects=tuple(spec.get("effects", ())),
        schema=_input_schema(params, _required(document, path, spec, params, request)),
        request=request,
        query=query,
        body=body,
        digest=hashlib.sha256(json.dumps([spec, context.pagination], sort_keys=True).encode()).hexdigest(),
        body_tree=spec.get("body"),
        graphql=spec.get("graphql", ""),
        headers=headers,
        exactly_one=_groups(document, path, spec, "exactly_one", params),
        at_least_one=_groups(document, path, spec, "at_least_one", params),
        money=read_money(document, path, spec, places),
        lookup=read_lookup(document, path, spec, known),
        roles=read_roles(document, path, spec, params),
        summary=read_summary(document, path, spec, known),
        pagination=pagination,
        reply=spec.get("reply", "json"),
        unwrap=parse_place(spec["unwrap"]) if "unwrap" in spec else None,
        fields=tuple(parse_place(field) for field in spec["fields"]) if "fields" in spec else None,
        sample=spec.get("sample"),
    )


def _check_name(context: Context, path: Path, name: str) -> None:
    if not context.connector:
        return
    if not name.startswith(context.connector + "_"):
        message = f"a tool's name starts with its connector's: {context.connector}_{name}"
    elif not _TOOL_NAME.match(name):
        message = f"'{name}': a tool's name has lower-case letters, digits and single _"
    elif len(name) > _LONGEST_NAME:
        message = f"'{name}' has {len(name)} characters, and at most {_LONGEST_NAME} are allowed"
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
        # what else is said of the tool should not follow from this fault
        method = spec["request"].split(" ")[0].upper()
        return RequestTemplate(method if method in ("POST", "PUT", "PATCH") else "GET", ())


def _required(
    document: Document,
    path: Path,
    spec: Mapping[str, Any],
    params: Mapping[str, Any],
    request: RequestTemplate,
) -> list[str]:
    stated = spec.get("required", [])
    for index, name in enumerate(stated):
        if name not in params:
            document.add((*path, "required", index), unknown(name, params, "required"))
    in_path = {name for template in request.path for name in template.names if name in params}
    needed = {*stated, *(name for name in in_path if "default" not in params[name])}
    return [name for name in params if name in needed]


def _input_schema(params: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": dict(params), "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema


def _check_category(
    document: Document, path: Path, spec: Mapping[str, Any], request: RequestTemplate
) -> None:
    category, safe = spec["category"], "safe" in spec
    if category == "read":
        if spec.get("effects"):
            document.add((*path, "effects"), "a read has no effects; is this a write?")
        if "graphql" in spec and is_mutation(spec["graphql"]):
            document.add((*path, "graphql"), "a read holds no mutation")
        elif request.method not in ("GET", "HEAD") and not safe and "graphql" not in spec:
            message = f"a read is GET or HEAD, not {request.method}; safe: true says that it changes nothing"
            document.add((*path, "category"), message)
    elif "effects" not in spec:
        document.add(path, f"a {category} states its effects; [] says that it has none", at_key=True)
    if safe and (category != "read" or request.method != "POST"):
        document.add((*path, "safe"), "safe: true is for a POST that is a read", at_key=True)


def _check_reply(document: Document, path: Path, spec: Mapping[str, Any], request: RequestTemplate) -> None:
    reply = spec.get("reply", "json")
    if request.method == "HEAD" and reply != "none":
        document.add((*path, "request"), "a HEAD is answered without a body: reply: none")
    for key in ("unwrap", "fields", "paginate"):
        if reply != "json" and key in spec:
            document.add((*path, key), f"{key} is for replies in JSON, not for reply: {reply}", at_key=True)


def _check_wire(context: Context, path: Path, spec: Mapping[str, Any], wires: Collection[str]) -> None:
    if context.credential and context.credential in wires:
        message = f"'{context.credential}' in the query carries the credential"
        context.document.add((*path, "request" if "request" in spec else "graphql"), message)
    body = spec.get("body")
    if context.encoding == "form" and "graphql" not in spec and not isinstance(body, dict | str | None):
        context.document.add((*path, "body"), "a form body is a mapping")


def _groups(
    document: Document, path: Path, spec: Mapping[str, Any], key: str, params: Mapping[str, Any]
) -> tuple[tuple[str, ...], ...]:
    for index, group in enumerate(spec.get(key, ())):
        for member, name in enumerate(group):
            if name not in params:
                document.add((*path, key, index, member), unknown(name, params, key))
    return tuple(tuple(group) for group in spec.get(key, ()))
