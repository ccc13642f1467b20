"""Answers a request with its tool's sample, overlaid with what a write sent. A plain function."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from mcpgate.values import Connector, Json, Placeholder, Tool

_KEY: Final = re.compile(r"\[([^\]]*)\]")


def respond(connectors: Iterable[Connector], method: str, url: str, body: bytes) -> tuple[int, bytes]:
    """The status and body of the stand-in's reply; 404 where no tool's request looks like this one."""
    fitting: list[tuple[Tool, dict[str, Json]]] = []
    for connector in connectors:
        for tool in connector.tools.values():
            sent = _sent(connector, tool, body) if _fits(connector, tool, method, url) else None
            if sent is not None:
                fitting.append((tool, sent))
    if not fitting:
        return 404, b'{"error":{"message":"The sandbox knows no such address."}}'
    return 200, _answer(*max(fitting, key=lambda pair: _closeness(pair[0])))


def _fits(connector: Connector, tool: Tool, method: str, url: str) -> bool:
    address, _, query = url.partition("?")
    # a URL's scheme, host and default port are written in more than one way
    base = re.sub(r":443(?=/|$)", "", _pattern(connector.base_url.parts)).removesuffix("/")
    path = _pattern([part for segment in tool.request.path for part in ("/", *segment.parts)])
    constants = {(name, str(value)) for name, value in tool.request.query if not value.names}
    return (
        tool.request.method == method
        and re.fullmatch(f"(?i:{base}){path or '/?'}", address) is not None
        and constants <= set(parse_qsl(query, keep_blank_values=True))
    )


def _pattern(parts: Sequence[str | Placeholder]) -> str:
    return "".join(
        re.escape(part) if isinstance(part, str) else ".+" if part.slashes else "[^/]+" for part in parts
    )


def _closeness(tool: Tool) -> int:
    """How much of a request its own words fix: of `/users/me` and `/users/{user}` the first is meant."""
    constants = [value for _, value in tool.request.query if not value.names]
    return sum(not segment.names for segment in tool.request.path) + len(constants)


def _sent(connector: Connector, tool: Tool, body: bytes) -> dict[str, Json] | None:
    """What a request of this tool sent as its body; None where the body is another tool's."""
    if not body:
        return {}
    if connector.encoding == "form" and not tool.graphql:
        return _nest(parse_qsl(body.decode(), keep_blank_values=True))
    value = json.loads(body)
    if not tool.graphql:
        return value if isinstance(value, dict) else {}
    if value.get("query") != tool.graphql:
        return None
    variables: dict[str, Json] = value["variables"]
    inputs = (item for item in variables.values() if isinstance(item, dict))
    return {**variables, **{name: item for given in inputs for name, item in given.items()}}


def _answer(tool: Tool, sent: dict[str, Json]) -> bytes:
    if tool.reply == "none":
        return b""
    if tool.reply == "text":
        return str(tool.sample or "").encode()
    sample = _blank(tool) if tool.sample is None else copy.deepcopy(tool.sample)
    if tool.category != "read":
        inner = tool.unwrap.all(sample) if tool.unwrap is not None else []
        for result in (sample, *inner):
            if isinstance(result, dict):
                result.update({name: _like(result[name], sent[name]) for name in result.keys() & sent.keys()})
    return json.dumps(sample).encode()


def _blank(tool: Tool) -> Json:
    """The least that a tool without a sample can be answered with."""
    blank: Json = {}
    if tool.pagination is not None:
        blank = []
        for key in reversed(tool.pagination.items.keys if tool.pagination.items else ()):
            blank = {key: blank}
    for key in reversed(tool.unwrap.keys if tool.unwrap else ()):
        blank = {key: blank}
    return blank


def _like(sample: Json, value: Json) -> Json:
    """What was sent, in the type its sample has; an object or list of another shape changes nothing."""
    if isinstance(sample, dict) and isinstance(value, dict):
        return {**sample, **{name: _like(sample.get(name), item) for name, item in value.items()}}
    if isinstance(sample, list):
        value = value.split(",") if isinstance(value, str) else _listed(value)
        first = sample[0] if sample else None
        return [_like(first, item) for item in value] if isinstance(value, list) else sample
    if sample is not None and isinstance(value, dict | list):
        return sample
    if isinstance(sample, bool) and isinstance(value, str):
        return value == "true"
    if isinstance(sample, int | float) and isinstance(value, str):
        return _number(sample, value)
    return _listed(value)


def _number(sample: float, text: str) -> Json:
    try:
        return type(sample)(text)
    except ValueError:
        return text


def _nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """`items[0][price]=x` as {"items": {"0": {"price": "x"}}}; `ids[]=x` and repeated names count on."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, tail = name.partition("[")
        keys = [head, *_KEY.findall(bracket + tail)]
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key or str(len(node)), {})
        last = keys[-1] or str(len(node))
        if last in node:
            earlier = node[last] if isinstance(node[last], dict) else {"0": node[last]}
            node[last] = {**earlier, str(len(earlier)): value}
        else:
            node[last] = value
    return tree


def _listed(value: Json) -> Json:
    """Objects whose keys are indexes, as a form writes lists, made into lists."""
    if not isinstance(value, dict):
        return value
    values = [_listed(item) for item in value.values()]
    if value and all(key.isdigit() for key in value):
        return values
    return dict(zip(value, values, strict=True))
