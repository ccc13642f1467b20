"""The stand-in itself: a connector's samples, and everything that was written to them since."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcpgate.places import MISSING, Place
from mcpgate.sandbox.collection import Collection, Page, identity, in_items, page_of
from mcpgate.sandbox.matching import Match, match
from mcpgate.sandbox.nesting import overlay
from mcpgate.values import Connector, Json, Tool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the stand-in replies."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Sandbox:
    """An API made from connectors alone.

    A POST on a path without placeholders creates, a GET on it lists, and one placeholder more is the item.
    What is none of these answers with its sample.
    """

    def __init__(self, connectors: Sequence[Connector]) -> None:
        self._connectors = connectors
        self._collections: dict[tuple[str, str], Collection] = {}
        self._kept: dict[tuple[str, str], tuple[tuple[str, str, bytes], Answer]] = {}
        self._count = 0
        for connector in connectors:
            for tool in connector.tools.values():
                self._seed(tool)

    def respond(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request; the header of `idempotency` replays what was answered before."""
        found = match(self._connectors, method, url, body)
        if found is None:
            return _error(self._connectors[0], 404, "not_found", "The sandbox knows no such address.")
        self._count += 1
        name = found.connector.idempotency.lower()
        key = next((text for header, text in headers.items() if name and header.lower() == name), "")
        if not key or method not in ("POST", "PATCH"):
            return self._answer(found)
        same, place = (method, url, body), (found.connector.name, key)
        if place not in self._kept:
            self._kept[place] = (same, self._answer(found))
        if self._kept[place][0] != same:
            return _error(
                found.connector, 400, "idempotency_error", "This key was used with another request."
            )
        return self._kept[place][1]

    def fail(self, status: int) -> Answer:
        """An error of the API, as its connector says where errors lie."""
        answer = _error(
            self._connectors[0], status, f"sandbox_{status}", f"The sandbox was told to answer {status}."
        )
        again = {"Retry-After": "1"} if status in (429, 503) else {}
        return Answer(answer.status, answer.body, {**answer.headers, **again})

    def _seed(self, tool: Tool) -> None:
        """What the samples hold is there from the start; only what can be created or listed is kept."""
        if tool.reply != "json" or any(segment.names for segment in tool.request.path) or tool.graphql:
            return
        if tool.request.method == "POST" and tool.category == "write":
            items = [_inside(tool, tool.sample)]
        elif tool.request.method == "GET" and tool.pagination is not None:
            listed = _items(tool, _inside(tool, tool.sample))
            items = listed if isinstance(listed, list) else []
        else:
            return
        for item in items:
            key = identity(tool, item)
            if key:
                self._collections.setdefault(_path(tool), Collection(key)).add(item)

    def _answer(self, found: Match) -> Answer:
        tool, missing = found.tool, _missing(found)
        if missing:
            return _error(found.connector, 400, "parameter_missing", f"{missing} is missing.")
        own = self._collections.get(_path(tool))
        if own is not None and tool.request.method == "POST" and tool.category == "write":
            created = own.create(overlay(copy.deepcopy(_inside(tool, tool.sample)), found.body))
            return self._reply(found, created)
        if own is not None and tool.request.method == "GET":
            return self._list(found, own)
        parent = self._collections.get(_path(tool, item=True))
        if parent is not None:
            return self._item(found, parent)
        sample = _inside(tool, tool.sample)
        changed = isinstance(sample, dict) and tool.category != "read"
        return self._reply(found, overlay(sample, found.body) if changed else sample)

    def _item(self, found: Match, collection: Collection) -> Answer:
        tool, asked = found.tool, list(found.path.values())[-1]
        item = collection.items.get(asked)
        if item is None:
            return _error(found.connector, 404, "resource_missing", f"No such object: {asked}")
        sample = _inside(tool, tool.sample)
        if tool.request.method == "DELETE":
            if isinstance(sample, dict):
                item.update({**copy.deepcopy(sample), collection.key: item[collection.key]})
            else:
                del collection.items[asked]
        elif tool.category != "read":
            item.update(
                overlay(item, {name: sent for name, sent in found.body.items() if name != collection.key})
            )
        return self._reply(found, item)

    def _list(self, found: Match, collection: Collection) -> Answer:
        tool = found.tool
        page = page_of(tool, collection.key, collection.find(found.query), found.query)
        place = tool.pagination.items if tool.pagination else None
        root: Json = page.items
        if place is not None:
            sample = _inside(tool, tool.sample)
            root = copy.deepcopy(sample) if isinstance(sample, dict) else {}
            _put(root, place, page.items)
        headers = _mark_page(found, root, page)
        return self._reply(found, root, headers)

    def _reply(self, found: Match, inside: Json, headers: Mapping[str, str] | None = None) -> Answer:
        tool, connector = found.tool, found.connector
        extra = dict(headers or {})
        if connector.request_id:
            extra[connector.request_id] = f"sandbox-{self._count}"
        if tool.reply == "none":
            return Answer(204, b"", extra)
        if tool.reply == "text":
            return Answer(
                200, str(tool.sample or "").encode(), {"Content-Type": "text/plain; charset=utf-8", **extra}
            )
        value = {} if inside is None else inside
        if tool.unwrap is not None:
            root = copy.deepcopy(tool.sample) if isinstance(tool.sample, dict) else {}
            _put(root, tool.unwrap, value)
            value = root
        return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **extra})


def _path(tool: Tool, *, item: bool = False) -> tuple[str, str]:
    """Where a collection lies; with `item`, that of the collection a tool's path points into."""
    path = tool.request.path
    if not item:
        return tool.connector, "/".join(map(str, path))
    if not path or len(path[-1].names) != 1 or any(segment.names for segment in path[:-1]):
        return tool.connector, "\0"
    ending = "".join(part for part in path[-1].parts[1:] if isinstance(part, str))
    return tool.connector, "/".join(map(str, path[:-1])) + ending


def _inside(tool: Tool, sample: Json) -> Json:
    if tool.unwrap is None:
        return sample
    found = tool.unwrap.first(sample)
    return None if found is MISSING else found


def _items(tool: Tool, value: Json) -> Json:
    place = tool.pagination.items if tool.pagination else None
    return value if place is None else place.first(value)


def _missing(found: Match) -> str:
    """The first thing that a request lacks."""
    tool = found.tool
    sent = {*found.path, *found.sent, *_elsewhere(tool)}
    for name in tool.schema.get("required", ()):
        if name not in sent:
            return str(name)
    for group in (*tool.exactly_one, *tool.at_least_one):
        if not any(name in sent for name in group):
            return " or ".join(group)
    return ""


def _elsewhere(tool: Tool) -> set[str]:
    """What a header or a body tree carries under another name, and so cannot be missed here."""
    in_headers = {name for template in tool.headers.values() for name in template.names}
    return in_headers | (set(tool.schema["properties"]) if tool.body_tree is not None else set())


def _mark_page(found: Match, root: Json, page: Page) -> dict[str, str]:
    """Write into a list whether there is more, and the way to it; gives the headers that say so."""
    pagination = found.tool.pagination
    if pagination is None:
        return {}
    if pagination.more is not None:
        _put(root, pagination.more, page.more)
    following = pagination.next
    if pagination.total is not None:
        by_page = not isinstance(following, Place) and "+page" in following.values()
        _put(root, pagination.total, -(-page.count // page.limit) if by_page else page.count)
    if isinstance(following, Place):
        number = page.following // page.limit + 1
        url = f"https://sandbox.invalid/?page={number}" if page.more else None
        if following.header is not None:
            return {following.header: f'<{url}>; rel="next"'} if url else {}
        _put(root, following, url)
        return {}
    for step in following.values():
        if isinstance(step, Place) and not in_items(pagination, step):
            _put(root, step, str(page.following) if page.more else None)
    return {}


def _error(connector: Connector, status: int, code: str, message: str) -> Answer:
    """An error in the places where the connector's errors lie."""
    root: dict[str, Json] = {}
    codes = [
        place for place in connector.errors.code if place.keys[-1:] == ("code",)
    ] or connector.errors.code
    for places, text in ((codes, code), (connector.errors.message, message)):
        for place in places[:1]:
            _put(root, place, text)
    return Answer(
        status, json.dumps(root or {"message": message}).encode(), {"Content-Type": "application/json"}
    )


def _put(root: Json, place: Place, value: Json) -> None:
    """Set a value at a place, making the objects on the way; a place in a header or a list is left alone."""
    node = root
    for key in place.keys[:-1]:
        if not isinstance(node, dict):
            return
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    if isinstance(node, dict) and place.keys:
        node[place.keys[-1]] = value
