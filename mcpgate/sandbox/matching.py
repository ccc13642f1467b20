"""Which tool a request is a request of, and the arguments that it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

from mcpgate.sandbox.nesting import listed, nest
from mcpgate.spec.templates import whole_placeholder
from mcpgate.values import Connector, Json, Placeholder, Template, Tool

Operation: TypeAlias = tuple[Connector, Tool]


@dataclass(frozen=True, slots=True)
class Match:
    """A request as its tool sees it: what its path holds, and its other arguments, as they were sent."""

    connector: Connector
    tool: Tool
    url: str
    path: dict[str, str]
    arguments: dict[str, Json]


def operations(connectors: Iterable[Connector]) -> list[Operation]:
    """Everything that may be asked of these APIs: their tools, and the lookups of their tools."""
    every = [(connector, tool) for connector in connectors for tool in connector.tools.values()]
    return every + [(connector, _lookup(tool)) for connector, tool in every if tool.lookup is not None]


def match(
    known: Iterable[Operation], method: str, url: str, headers: Mapping[str, str], body: bytes
) -> Match | None:
    """The tool whose request looks most like this one, None where there is none."""
    named = {name.lower(): text for name, text in headers.items()}
    found = [
        fitting
        for connector, tool in known
        if tool.request.method == method and (fitting := _fit(connector, tool, url, named, body)) is not None
    ]
    return max(found, key=_closeness, default=None)


def wire_of(tool: Tool, name: str) -> str:
    """What a parameter is called in a query."""
    placed = {template.names[0]: wire for wire, template in tool.request.query if template.names}
    return placed.get(name, tool.query.get(name, name))


def _lookup(tool: Tool) -> Tool:
    """A tool's lookup as a tool of its own: a read that needs nothing but what its address says."""
    assert tool.lookup is not None
    return Tool(
        name=f"{tool.name} lookup",
        connector=tool.connector,
        description="",
        category="read",
        effects=(),
        schema={"type": "object", "properties": tool.schema["properties"]},
        request=tool.lookup,
        query={},
        body={},
        digest="",
    )


def _fit(connector: Connector, tool: Tool, url: str, headers: Mapping[str, str], body: bytes) -> Match | None:
    address, _, query = url.partition("?")
    base = connector.base_url.parts
    path = [part for segment in tool.request.path for part in ("/", *segment.parts)]
    pattern = _pattern(base, "([^/]+)").removesuffix("/") + (_pattern(path, "([^/]+)") or "/?")
    found = re.fullmatch(pattern, address)
    pairs = parse_qsl(query, keep_blank_values=True)
    sent = _body(connector, tool, body)
    if found is None or sent is None or not _agrees(tool, pairs):
        return None
    values = dict(zip(_names([*base, *path]), map(unquote, found.groups()), strict=True))
    arguments = {**_asked(connector, tool, pairs), **_in_headers(tool, headers), **sent}
    return Match(connector, tool, url, values, arguments)


def _pattern(parts: Sequence[str | Placeholder], value: str) -> str:
    return "".join(
        re.escape(part) if isinstance(part, str) else "(.+)" if part.slashes else value for part in parts
    )


def _names(parts: Iterable[str | Placeholder]) -> list[str]:
    return [part.name for part in parts if isinstance(part, Placeholder)]


def _agrees(tool: Tool, pairs: list[tuple[str, str]]) -> bool:
    """Whether a query says nothing else than the constants of a tool's; it may leave them out."""
    given = {name for name, _ in pairs}
    return all(pair in pairs for pair in _constants(tool) if pair[0] in given)


def _constants(tool: Tool) -> list[tuple[str, str]]:
    return [(name, str(template)) for name, template in tool.request.query if not template.names]


def _closeness(found: Match) -> tuple[int, int]:
    """How much of it the tool's own words fix: of `/users/me` and `/users/{user}` the first is meant."""
    pairs = parse_qsl(found.url.partition("?")[2], keep_blank_values=True)
    parts = [part for segment in found.tool.request.path for part in segment.parts]
    said = sum(2 if pair in pairs else -1 for pair in _constants(found.tool))
    return sum(len(part) for part in parts if isinstance(part, str)), said


def _asked(connector: Connector, tool: Tool, pairs: list[tuple[str, str]]) -> dict[str, Json]:
    """The arguments in a query, under their own names."""
    constants = _constants(tool)
    asked = nest(pair for pair in pairs if pair not in constants)
    for wire, template in tool.request.query:
        if template.names and wire in asked:
            asked.update(_taken_apart(template, asked.pop(wire)))
    return _with_lists(connector, tool, asked)


def _with_lists(connector: Connector, tool: Tool, sent: dict[str, Json]) -> dict[str, Json]:
    """What a query or a form carries, a list that came as one text made a list again."""
    joint = "," if connector.lists == "comma" else None
    for name, schema in tool.schema["properties"].items():
        value = sent.get(name)
        if "array" in schema.get("type", ()) and isinstance(value, str):
            sent[name] = value.split(joint) if joint else [value]
    return sent


def _in_headers(tool: Tool, headers: Mapping[str, str]) -> dict[str, Json]:
    placed = {name.lower(): template.names[0] for name, template in tool.headers.items() if template.names}
    return {placed[name]: text for name, text in headers.items() if name in placed}


def _taken_apart(template: Template, value: Json) -> dict[str, Json]:
    """The arguments that a text was made from; a whole placeholder may hold anything."""
    if len(template.parts) == 1 and template.names:
        return {template.names[0]: value}
    found = re.fullmatch(_pattern(template.parts, "(.*)"), value) if isinstance(value, str) else None
    return dict(zip(template.names, found.groups(), strict=True)) if found else {}


def _body(connector: Connector, tool: Tool, body: bytes) -> dict[str, Json] | None:
    """The arguments in a body, beside what else it says; None where it is another tool's, or nobody's."""
    if not body and not tool.graphql:
        return {}
    if connector.encoding == "form" and not tool.graphql:
        form = nest(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        return _with_lists(connector, tool, {**form, **_filled_in(tool.body_tree, form)})
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    if tool.graphql:
        return _variables(tool, value)
    return {**(value if isinstance(value, dict) else {}), **_filled_in(tool.body_tree, value)}


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _variables(tool: Tool, value: Json) -> dict[str, Json] | None:
    """The variables of a GraphQL request, and what those that are objects hold."""
    if not isinstance(value, dict) or value.get("query") != tool.graphql:
        return None
    given = value.get("variables")
    variables: dict[str, Json] = given if isinstance(given, dict) else {}
    inputs = [item for item in variables.values() if isinstance(item, dict)]
    return {**variables, **{name: item for members in inputs for name, item in members.items()}}


def _filled_in(tree: Json, value: Json) -> dict[str, Json]:
    """The arguments that a body tree was filled in with."""
    name = whole_placeholder(tree)
    if name is not None:
        return {name: value}
    pairs: Iterable[tuple[Json, Json]] = ()
    if isinstance(tree, dict) and isinstance(value, dict):
        pairs = [(tree[key], value[key]) for key in tree if key in value]
    elif isinstance(tree, list):
        items = listed(value)
        pairs = zip(tree, items, strict=False) if isinstance(items, list) else ()
    return {argument: item for part, inner in pairs for argument, item in _filled_in(part, inner).items()}
