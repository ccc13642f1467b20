"""Builds the HTTP request of a call. Pure; knows no secret.

Every value that goes into a path is refused or encoded here, and the built URL is held against its template:
`quote()` alone lets `..` through, and HTTP clients fold it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from mcpgate.engine.encoding import form, pairs, query, scalar
from mcpgate.errors import ArgumentsError
from mcpgate.places import MISSING
from mcpgate.spec.templates import whole_placeholder
from mcpgate.values import Account, Json, Placeholder, Request, RequestTemplate, Template, Tool

_CONTENT_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_IN_BODY: Final = ("POST", "PUT", "PATCH")


def build(account: Account, tool: Tool, arguments: Mapping[str, Json]) -> Request:
    """The request of one call; raises `ArgumentsError` for a value that cannot be sent."""
    connector, method = account.connector, tool.request.method
    values = {**account.settings, **arguments}
    body = _body(account, tool, arguments, values)
    headers = _headers({**connector.headers, **tool.headers}, values)
    headers.setdefault("Accept", "text/plain, */*" if tool.reply == "text" else "application/json")
    if body is not None:
        headers["Content-Type"] = _CONTENT_TYPES["json" if tool.graphql else connector.encoding]
    key_header = connector.idempotency if method in ("POST", "PATCH") else ""
    return Request(
        method=method,
        url=_url(account, tool, tool.request, arguments, values),
        headers=tuple(headers.items()),
        body=body,
        tool=tool,
        arguments=arguments,
        timeout=connector.timeout,
        repeatable="always" if tool.category == "read" or key_header else "unsent",
        key_header=key_header,
    )


def _url(
    account: Account, tool: Tool, template: RequestTemplate, arguments: Mapping[str, Json], values: Mapping[str, Json]
) -> str:
    segments = [_segment(tool, segment, values) for segment in template.path]
    url = "/".join([account.base_url.rstrip("/"), *segments])
    if not template.path:
        url = account.base_url
    items = [pair for name, part in template.query for pair in _query_pairs(account, name, part, values)]
    for name, wire in tool.query.items():
        if name in arguments:
            items.extend(pairs(wire, arguments[name], account.connector.lists))
    _check_shape(account, template, segments, url)
    return f"{url}?{query(items)}" if items else url


def _query_pairs(
    account: Account, name: str, template: Template, values: Mapping[str, Json]
) -> list[tuple[str, str]]:
    if any(placeholder not in values for placeholder in template.names):
        return []
    if len(template.parts) == 1 and isinstance(template.parts[0], Placeholder):
        return list(pairs(name, values[template.parts[0].name], account.connector.lists))
    return [(name, _fill(template, values))]


def _fill(template: Template, values: Mapping[str, Json]) -> str:
    texts: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(values[part.name], dict | list):
            raise ArgumentsError(f"{part.name}: a list or an object cannot stand inside a text")
        else:
            texts.append(scalar(values[part.name]))
    return "".join(texts)


def _segment(tool: Tool, template: Template, values: Mapping[str, Json]) -> str:
    texts: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        schema = tool.schema["properties"].get(part.name, {"pattern": True})
        texts.append(_path_value(part, values.get(part.name), "pattern" in schema))
    segment = "".join(texts)
    if any(piece in (".", "..") for piece in re.split(r"[/\\]", _decode(segment))):
        raise ArgumentsError(f"{', '.join(template.names)}: a path has no '.' and '..' parts")
    return segment


def _path_value(part: Placeholder, value: Json, has_pattern: bool) -> str:
    if value is None:
        raise ArgumentsError(f"{part.name} is missing; it is part of the address")
    if isinstance(value, dict | list):
        raise ArgumentsError(f"{part.name}: a list or an object cannot be part of the address")
    text = scalar(value)
    pieces = re.split(r"[/\\]", _decode(text))
    if not text or _CONTROL.search(_decode(text)) or any(piece in (".", "..") for piece in pieces):
        raise ArgumentsError(f"{part.name}: {text!r} cannot be part of the address (empty, '.', '..' or control)")
    if not text.isascii() and not has_pattern:
        raise ArgumentsError(f"{part.name}: {text!r} has characters outside ASCII")
    if not part.slashes:
        return quote(text, safe="")
    if not all(text.split("/")):
        raise ArgumentsError(f"{part.name}: {text!r} has an empty part (a slash at an end, or two together)")
    return "/".join(quote(piece, safe="") for piece in text.split("/"))


def _decode(text: str) -> str:
    """Percent-decoded until nothing changes: some servers decode twice."""
    for _ in range(8):
        decoded = unquote(text)
        if decoded == text:
            return text
        text = decoded
    raise ArgumentsError("an address is percent-encoded over and over")


def _check_shape(account: Account, template: RequestTemplate, segments: list[str], url: str) -> None:
    """The built URL still has the connector's origin, and the template's literal parts where they were."""
    parts, base = urlsplit(url), urlsplit(account.base_url)
    path = parts.path.removeprefix(base.path.rstrip("/")).split("/")[1:] if template.path else []
    expected = [piece for segment in segments for piece in segment.split("/")]
    literals_kept = all(
        str(part) == segment
        for part, segment in zip(template.path, segments, strict=True)
        if not part.names
    )
    if f"{parts.scheme}://{parts.netloc}" != account.origin or path != expected or not literals_kept:
        raise ArgumentsError("the address built from these arguments is not the tool's own")


def _headers(templates: Mapping[str, Template], values: Mapping[str, Json]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, template in templates.items():
        if any(placeholder not in values for placeholder in template.names):
            continue
        text = _fill(template, values)
        if not text.isascii() or _CONTROL.search(text):
            raise ArgumentsError(f"{', '.join(template.names) or name}: a header takes printable ASCII only")
        headers[name] = text
    return headers


def _body(
    account: Account, tool: Tool, arguments: Mapping[str, Json], values: Mapping[str, Json]
) -> bytes | None:
    if tool.request.method not in _IN_BODY:
        return None
    own = {wire: arguments[name] for name, wire in tool.body.items() if name in arguments}
    connector = account.connector
    if tool.graphql:
        return _json({"query": tool.graphql, "variables": own})
    if tool.body_tree is not None:
        tree = _tree(tool.body_tree, values)
        if tree is MISSING:
            tree = {}
        if isinstance(tree, dict):
            tree = {**tree, **own}
        if connector.encoding == "form":
            return _form(tree, connector.lists)
        return _json(tree)
    if connector.encoding == "form":
        return _form(own, connector.lists)
    return _json(own) if tool.body else None


def _form(tree: Json, lists: str) -> bytes:
    if not isinstance(tree, dict):
        raise ArgumentsError("a form body is an object")
    return form(pair for name, value in tree.items() for pair in pairs(name, value, lists))


def _json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _tree(node: Json, values: Mapping[str, Json], *, root: bool = True) -> Any:
    """A body tree filled in; a branch whose placeholders are all absent vanishes, but the root never does."""
    name = whole_placeholder(node)
    if name is not None:
        return values.get(name, MISSING)
    if not isinstance(node, dict | list):
        return node
    items = node.items() if isinstance(node, dict) else enumerate(node)
    filled = [(key, _tree(item, values, root=False)) for key, item in items]
    kept = [(key, item) for key, item in filled if item is not MISSING]
    if not root and _holds_placeholder(node) and not _holds_given(node, values):
        return MISSING
    return dict(kept) if isinstance(node, dict) else [item for _, item in kept]


def _holds_placeholder(node: Json) -> bool:
    return any(True for _ in _names(node))


def _holds_given(node: Json, values: Mapping[str, Json]) -> bool:
    return any(name in values for name in _names(node))


def _names(node: Json) -> list[str]:
    if isinstance(node, dict | list):
        children = node.values() if isinstance(node, dict) else node
        return [name for child in children for name in _names(child)]
    name = whole_placeholder(node)
    return [] if name is None else [name]
