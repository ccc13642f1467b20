"""Answers a request with its tool's sample, overlaid with what a write sent. A plain function."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mcpgate.values import Connector, Json, Template, Tool

_KEY: Final = re.compile(r"\[([^\]]*)\]")


def respond(connectors: Iterable[Connector], method: str, url: str, body: bytes) -> tuple[int, bytes]:
    """The status and body of the stand-in's reply; 404 where no tool's request looks like this one."""
    for connector in connectors:
        sent = _sent(connector, body)
        for tool in connector.tools.values():
            if _fits(connector, tool, method, url, sent):
                return 200, _answer(tool, sent)
    return 404, b'{"error":{"message":"The sandbox knows no such address."}}'


def _fits(connector: Connector, tool: Tool, method: str, url: str, sent: dict[str, Json]) -> bool:
    if tool.request.method != method or (tool.graphql and sent.get("query") != tool.graphql):
        return False
    base = urlsplit(str(connector.base_url))
    prefix = [segment for segment in base.path.split("/") if segment]
    segments = [segment for segment in urlsplit(url).path.split("/") if segment][len(prefix) :]
    return _path_fits(tool.request.path, segments)


def _path_fits(template: tuple[Template, ...], segments: list[str]) -> bool:
    if not template:
        return not segments
    head, rest = template[0], template[1:]
    pattern = "".join(re.escape(part) if isinstance(part, str) else "[^/]+" for part in head.parts)
    if any(not isinstance(part, str) and part.slashes for part in head.parts):
        return any(_path_fits(rest, segments[taken:]) for taken in range(1, len(segments) + 1))
    return bool(segments) and re.fullmatch(pattern, segments[0]) is not None and _path_fits(rest, segments[1:])


def _answer(tool: Tool, sent: dict[str, Json]) -> bytes:
    if tool.reply == "none":
        return b""
    if tool.reply == "text":
        return str(tool.sample or "").encode()
    sample = copy.deepcopy(tool.sample) if tool.sample is not None else {}
    if tool.category != "read" and isinstance(sample, dict):
        sample.update({name: _like(sample[name], value) for name, value in sent.items() if name in sample})
    return json.dumps(sample).encode()


def _like(sample: Json, value: Json) -> Json:
    """A value that was sent as text, in the type its sample has; an object or list of another shape stays."""
    if isinstance(sample, bool) and isinstance(value, str):
        return value == "true"
    if isinstance(sample, int) and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if isinstance(sample, dict) and isinstance(value, dict):
        return {**sample, **value}
    return sample if isinstance(sample, dict | list) and type(value) is not type(sample) else value


def _sent(connector: Connector, body: bytes) -> dict[str, Json]:
    if not body:
        return {}
    if connector.encoding == "form":
        return _nest(parse_qsl(body.decode(), keep_blank_values=True))
    value = json.loads(body)
    return value if isinstance(value, dict) else {}


def _nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """`items[0][price]=x` as {"items": [{"price": "x"}]}."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, _, tail = name.partition("[")
        keys = [head, *_KEY.findall("[" + tail if tail else "")]
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(unquote(key), {})
        node[keys[-1]] = value
    return {key: _lists(value) for key, value in tree.items()}


def _lists(node: Json) -> Json:
    if not isinstance(node, dict):
        return node
    values = [_lists(value) for value in node.values()]
    if node and all(key.isdigit() for key in node):
        return values
    return dict(zip(node, values, strict=True))
