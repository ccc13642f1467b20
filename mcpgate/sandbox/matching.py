"""Which tool a request is a request of, and what it carries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from mcpgate.sandbox.nesting import nest
from mcpgate.values import Connector, Json, Placeholder, Tool


@dataclass(frozen=True, slots=True)
class Match:
    """A request as its tool sees it: the values in its path, query and body, as they were sent."""

    connector: Connector
    tool: Tool
    path: dict[str, str]
    query: dict[str, Json]
    body: dict[str, Json]

    @property
    def sent(self) -> dict[str, Json]:
        """What the query and the body carry together."""
        return {**self.query, **self.body}


def match(connectors: Iterable[Connector], method: str, url: str, body: bytes) -> Match | None:
    """The tool whose request looks most like this one, None where there is none."""
    found = [
        fitting
        for connector in connectors
        for tool in connector.tools.values()
        if (fitting := _fit(connector, tool, method, url, body)) is not None
    ]
    return max(found, key=lambda fitting: _closeness(fitting.tool), default=None)


def _fit(connector: Connector, tool: Tool, method: str, url: str, body: bytes) -> Match | None:
    address, _, query = url.partition("?")
    # a URL's scheme, host and default port are written in more than one way
    base = re.sub(r":443(?=/|$)", "", _pattern(connector.base_url.parts)).removesuffix("/")
    parts = [part for segment in tool.request.path for part in ("/", *segment.parts)]
    constants = {(name, str(value)) for name, value in tool.request.query if not value.names}
    pairs = parse_qsl(query, keep_blank_values=True)
    if tool.request.method != method or not constants <= set(pairs):
        return None
    found = re.fullmatch(f"(?i:{base})(?:{_pattern(parts) or '/?'})", address)
    sent = _body(connector, tool, body)
    if found is None or sent is None:
        return None
    names = [part.name for part in (*connector.base_url.parts, *parts) if isinstance(part, Placeholder)]
    values = dict(zip(names, map(unquote, found.groups()), strict=True))
    wires = {wire: template.names[0] for wire, template in tool.request.query if template.names}
    asked = {
        wires.get(name, name): value for name, value in nest(pairs).items() if (name, value) not in constants
    }
    return Match(connector, tool, values, asked, sent)


def _pattern(parts: Sequence[str | Placeholder]) -> str:
    return "".join(
        re.escape(part) if isinstance(part, str) else "(.+)" if part.slashes else "([^/]+)" for part in parts
    )


def _closeness(tool: Tool) -> int:
    """How much of a request its own words fix: of `/users/me` and `/users/{user}` the first is meant."""
    constants = [value for _, value in tool.request.query if not value.names]
    return sum(not segment.names for segment in tool.request.path) + len(constants)


def _body(connector: Connector, tool: Tool, body: bytes) -> dict[str, Json] | None:
    """What a request of this tool sent as its body; None where the body is another tool's, or nobody's."""
    if not body:
        return {}
    if connector.encoding == "form" and not tool.graphql:
        return nest(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if not tool.graphql:
        return value if isinstance(value, dict) else {}
    if not isinstance(value, dict) or value.get("query") != tool.graphql:
        return None
    variables: dict[str, Json] = value.get("variables", {})
    inputs = (item for item in variables.values() if isinstance(item, dict))
    return {**variables, **{name: item for given in inputs for name, item in given.items()}}
