"""Builds the HTTP request of a call. Pure; knows no secret.

Every value that goes into a path is refused or encoded here, and the built URL is held against its template:
`quote()` alone lets `..` through, and HTTP clients fold it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from mcpgate import __version__
from mcpgate.engine.encoding import form, pairs, query, scalar
from mcpgate.errors import ArgumentsError
from mcpgate.places import MISSING
from mcpgate.spec.templates import whole_placeholder
from mcpgate.values import Account, Json, Placeholder, Request, RequestTemplate, Template, Tool

_CONTENT_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_IN_BODY: Final = ("POST", "PUT", "PATCH")
_TEXT: Final = ("Accept", "text/plain, */*")
_JSON: Final = ("Accept", "application/json")
_AGENT: Final = ("User-Agent", f"mcpgate/{__version__}")
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MAX_ADDRESS: Final = 32 * 1024
# what quote() leaves of a value
_PIECE: Final = "[A-Za-z0-9_.~%-]+"


def build(account: Account, tool: Tool, arguments: Mapping[str, Json]) -> Request:
    """The request of one call; raises `ArgumentsError` for a value that cannot be sent."""
    connector, method = account.connector, tool.request.method
    values = {**account.settings, **arguments}
    body = _body(account, tool, arguments, values)
    headers = {"accept": _TEXT if tool.reply == "text" else _JSON, "user-agent": _AGENT}
    _add_headers(headers, connector.headers, values)
    _add_headers(headers, tool.headers, values)
    if body is not None:
        kind = _CONTENT_TYPES["json" if tool.graphql else connector.encoding]
        headers["content-type"] = ("Content-Type", kind)
    key_header = connector.idempotency if method in ("POST", "PATCH") else ""
    return Request(
        method=method,
        url=_url(account, tool, tool.request, arguments, values),
        headers=tuple(headers.values()),
        body=body,
        tool=tool,
        arguments=arguments,
        timeout=connector.timeout,
        repeatable="always" if tool.category == "read" or key_header else "unsent",
        key_header=key_header,
    )


def _url(
    account: Account,
    tool: Tool,
    template: RequestTemplate,
    arguments: Mapping[str, Json],
    values: Mapping[str, Json],
) -> str:
    segments = [_segment(tool, segment, values) for segment in template.path]
    url = "/".join([account.base_url.rstrip("/"), *segments])
    if not template.path:
        url = account.base_url
    items = [pair for name, part in template.query for pair in _query_pairs(account, name, part, values)]
    for name, wire in tool.query.items():
        if name in arguments:
            items.extend(pairs(wire, arguments[name], account.connector.lists))
    _check_shape(account, template, url)
    url = f"{url}?{query(items)}" if items else url
    if len(url) > _MAX_ADDRESS:
        raise ArgumentsError(f"the address would have more than {_MAX_ADDRESS // 1024} KiB")
    return url


def _query_pairs(
    account: Account, name: str, template: Template, values: Mapping[str, Json]
) -> list[tuple[str, str]]:
    if _lacks(template, values):
        return []
    if len(template.parts) == 1 and isinstance(template.parts[0], Placeholder):
        return list(pairs(name, values[template.parts[0].name], account.connector.lists))
    return [(name, _fill(template, values))]


def _lacks(template: Template, values: Mapping[str, Json]) -> bool:
    """Whether one of the placeholders has no value; null is none where there are only texts."""
    return any(isinstance(part, Placeholder) and values.get(part.name) is None for part in template.parts)


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
    if _has_dots(segment):
        raise ArgumentsError(f"{', '.join(template.names)}: a path has no '.' and '..' parts")
    return segment


def _path_value(part: Placeholder, value: Json, has_pattern: bool) -> str:
    if value is None:
        raise ArgumentsError(f"{part.name} is missing; it is part of the address")
    if isinstance(value, dict | list):
        raise ArgumentsError(f"{part.name}: a list or an object cannot be part of the address")
    text = scalar(value)
    shown = repr(text if len(text) <= 80 else text[:77] + "…")
    wrong = "is empty" if not text else "has control characters" if _CONTROL.search(_decode(text)) else ""
    if wrong or _has_dots(text):
        wrong = wrong or "has a '.' or '..' part"
        raise ArgumentsError(f"{part.name}: {shown} {wrong}, and cannot be part of the address")
    if not has_pattern and _decode(text) != text:
        # a server that decodes twice would read another value than the rules did
        raise ArgumentsError(f"{part.name}: {shown} is percent-encoded; give it as it is")
    if not has_pattern and re.search(r"\\" if part.slashes else r"[/\\]", text):
        # a server that decodes before it routes would find another object, or another tool
        raise ArgumentsError(f"{part.name}: {shown} has a slash or a backslash, which no id here has")
    if not text.isascii() and not has_pattern:
        raise ArgumentsError(f"{part.name}: {shown} has characters outside ASCII")
    if not part.slashes:
        return quote(text, safe="")
    if not all(text.split("/")):
        raise ArgumentsError(f"{part.name}: {shown} has an empty part (a slash at an end, or two together)")
    return "/".join(quote(piece, safe="") for piece in text.split("/"))


def _decode(text: str) -> str:
    """Percent-decoded until nothing changes: some servers decode twice."""
    for _ in range(8):
        decoded = unquote(text)
        if decoded == text:
            return text
        text = decoded
    raise ArgumentsError("an address is percent-encoded over and over")


def _has_dots(text: str) -> bool:
    if "." not in text and "%" not in text:
        return False
    return any(piece in (".", "..") for piece in re.split(r"[/\\]", _decode(text)))


def _check_shape(account: Account, template: RequestTemplate, url: str) -> None:
    """However it was built, the URL has the connector's origin, and but for the values is the template."""
    base = account.base_url.rstrip("/") if template.path else account.base_url
    path = urlsplit(url).path
    at_home = url == account.origin + path and url.startswith(base)
    if not at_home or not _shape(template.path).fullmatch(url.removeprefix(base)) or _has_dots(path):
        raise ArgumentsError("the address built from these arguments is not the tool's own")


@lru_cache(maxsize=4096)
def _shape(path: tuple[Template, ...]) -> re.Pattern[str]:
    texts = []
    for part in (part for segment in path for part in ("/", *segment.parts)):
        if isinstance(part, str):
            texts.append(re.escape(part))
        else:
            texts.append(f"{_PIECE}(?:/{_PIECE})*" if part.slashes else _PIECE)
    return re.compile("".join(texts))


def _add_headers(
    headers: dict[str, tuple[str, str]], templates: Mapping[str, Template], values: Mapping[str, Json]
) -> None:
    """Each header that has what it needs, in the place of another one of its name."""
    for name, template in templates.items():
        if _lacks(template, values):
            continue
        text = _fill(template, values)
        if not text.isascii() or _CONTROL.search(text) or text != text.strip():
            wrong = "a header takes printable ASCII only, without spaces at its ends"
            raise ArgumentsError(f"{', '.join(template.names) or name}: {wrong}")
        headers[name.lower()] = (name, text)


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
    return _ENCODE(value).encode()


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
