"""The stand-in itself: a connector's samples, and everything that was written to them since.

A POST on a path without placeholders creates, a GET on it lists, and one placeholder more is the item.
What is none of these answers with its sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcpgate.sandbox.collection import Collection, gather, inside, items_of, lists, part_of
from mcpgate.sandbox.matching import Match, match, operations
from mcpgate.sandbox.nesting import overlay, put
from mcpgate.sandbox.pages import NoSuchPageError, mark, page_of
from mcpgate.sandbox.replies import Answer, error, result
from mcpgate.values import Connector, Json


class Sandbox:
    """An API made from connectors alone; it remembers what was written to it as long as it lives."""

    def __init__(self, connectors: Sequence[Connector]) -> None:
        self._connectors = connectors
        self._operations = operations(connectors)
        self._collections = gather(tool for _, tool in self._operations)
        self._kept: dict[tuple[str, str], tuple[tuple[str, str, bytes], Answer]] = {}
        self._count = 0

    def respond(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request; under an idempotency key that was used before, as before."""
        found = match(self._operations, method, url, headers, body)
        if found is None:
            return self._unknown(method, url)
        self._count += 1
        name = found.connector.idempotency.lower()
        key = next((text for header, text in headers.items() if name and header.lower() == name), "")
        if not key or method not in ("POST", "PATCH"):
            return self._answer(found)
        request, place = (method, url, body), (found.connector.name, key)
        if place not in self._kept:
            self._kept[place] = request, self._answer(found)
        earlier, answer = self._kept[place]
        if earlier != request:
            return _refuse(
                found, 400, "idempotency_error", "This idempotency key was used for another request."
            )
        return answer

    def fail(self, status: int) -> Answer:
        """An error of the API, as its connector says where errors lie."""
        said = f"The sandbox was told to answer {status}."
        answer = error(self._connectors[0], None, status, f"sandbox_{status}", said)
        again = {"Retry-After": "1"} if status in (429, 503) else {}
        return Answer(answer.status, answer.body, {**answer.headers, **again})

    def _unknown(self, method: str, url: str) -> Answer:
        host, path = url.split("/")[2:3], "/".join(url.partition("?")[0].split("/")[3:])
        near = [one for one in self._connectors if str(one.base_url).split("/")[2:3] == host]
        said = f"The sandbox knows no such request: {method} /{path}"
        return error((near or list(self._connectors))[0], None, 404, "not_found", said)

    def _answer(self, found: Match) -> Answer:
        tool, part, missing = found.tool, part_of(found.tool), _missing(found)
        if missing:
            return _refuse(found, 400, "parameter_missing", f"{missing} is missing.")
        own = self._collections.get(part.path)
        if tool.pagination is not None or (part.role == "list" and own is not None):
            return self._list(found, own if part.role == "list" else None)
        sample = inside(tool)
        if own is not None and part.role == "create":
            model = own.model(sample)
            if model is not None:
                return self._result(found, own.create(model, found.arguments))
        if own is not None and part.role == "item":
            return self._item(found, own, found.path[part.name])
        changed = isinstance(sample, dict) and tool.category != "read"
        return self._result(found, overlay(sample, found.arguments) if changed else sample)

    def _item(self, found: Match, collection: Collection, name: str) -> Answer:
        if name not in collection.items:
            return _refuse(found, 404, "resource_missing", f"There is no such object: {name}")
        item = collection.items[name]
        if found.tool.request.method == "DELETE":
            collection.delete(name, inside(found.tool))
        elif found.tool.category != "read":
            collection.change(name, found.arguments)
        return self._result(found, collection.items.get(name, item))

    def _list(self, found: Match, collection: Collection | None) -> Answer:
        tool = found.tool
        items = items_of(tool) if collection is None else collection.newest()
        try:
            page = page_of(tool.pagination, items, found.arguments)
        except NoSuchPageError as asked:
            return _refuse(found, 400, "resource_missing", f"There is nothing here to go on from: {asked}")
        root, headers = mark(found, put(inside(tool), lists(tool) or (), page.items), page)
        return self._result(found, root, headers)

    def _result(self, found: Match, value: Json, headers: Mapping[str, str] | None = None) -> Answer:
        request_id = found.connector.request_id
        named = {request_id: f"sandbox-{self._count}"} if request_id else {}
        return result(found.tool, value, {**named, **(headers or {})})


def _refuse(found: Match, status: int, code: str, message: str) -> Answer:
    return error(found.connector, found.tool, status, code, message)


def _missing(found: Match) -> str:
    """The first thing that a request lacks."""
    given = {*found.path, *found.arguments}
    groups = [*found.tool.exactly_one, *found.tool.at_least_one]
    wanted = [[name] for name in found.tool.schema.get("required", ())] + [list(group) for group in groups]
    return next((" or ".join(names) for names in wanted if not given.intersection(names)), "")
