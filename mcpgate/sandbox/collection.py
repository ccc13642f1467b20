"""What a sandbox keeps at one path: the items of its samples and those created since, and pages of them."""

from __future__ import annotations

import copy
import random
import re
import string
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from mcpgate.places import Place
from mcpgate.values import Json, Pagination, Template, Tool

_PREFIX: Final = re.compile(r"(?:.*[_-])?")
_LETTERS: Final = string.ascii_letters + string.digits
_DEFAULT_LIMIT: Final = 10


@dataclass
class Collection:
    """Items by their identity, oldest first; `key` is the member that identifies one."""

    key: str
    items: dict[str, dict[str, Json]] = field(default_factory=dict)

    def add(self, item: dict[str, Json]) -> None:
        """Keep an item under its own identity; one that is there already stays."""
        self.items.setdefault(str(item[self.key]), copy.deepcopy(item))

    def create(self, item: dict[str, Json]) -> dict[str, Json]:
        """Keep an item under a fresh identity that looks like the sample's."""
        created = {**item, self.key: _fresh(item[self.key], len(self.items))}
        self.items[str(created[self.key])] = created
        return created

    def find(self, query: dict[str, Json]) -> list[dict[str, Json]]:
        """The items, newest first, whose members are what the query says of them."""
        return [item for item in reversed(self.items.values()) if _answers(item, query)]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its items, whether there are more, how many in all, and where the next begins."""

    items: list[dict[str, Json]]
    more: bool
    count: int
    following: int
    limit: int


def page_of(tool: Tool, key: str, items: list[dict[str, Json]], query: dict[str, Json]) -> Page:
    """The page that a query asks for by the tool's own pagination."""
    if tool.pagination is None:
        return Page(items, more=False, count=len(items), following=len(items), limit=len(items) or 1)
    limit = _limit(tool, tool.pagination, query)
    start = _start(tool.pagination, key, items, query, limit)
    shown = items[start : start + limit]
    following = start + len(shown)
    return Page(shown, following < len(items), len(items), following, limit)


def limit_name(pagination: Pagination) -> str:
    """The parameter that says how many: the whole number that is not a way to the next page."""
    ways = () if isinstance(pagination.next, Place) else pagination.next
    numbers = [name for name, schema in pagination.params.items() if schema.get("type") == "integer"]
    return next((name for name in numbers if name not in ways and name not in ("page", "offset")), "")


def identity(tool: Tool, item: Json, segment: Template | None = None) -> str:
    """The member that identifies an item: `id`, or the one its path's placeholder is called after."""
    names = ("id", *(segment.names if segment else ()))
    return next((name for name in names if isinstance(item, dict) and item.get(name) is not None), "")


def _limit(tool: Tool, pagination: Pagination, query: dict[str, Json]) -> int:
    name = limit_name(pagination)
    asked = query.get(name, pagination.params.get(name, {}).get("default", _DEFAULT_LIMIT))
    return max(1, _whole(asked, _DEFAULT_LIMIT))


def _start(
    pagination: Pagination, key: str, items: list[dict[str, Json]], query: dict[str, Json], limit: int
) -> int:
    if isinstance(pagination.next, Place):
        return (_whole(query.get("page"), 1) - 1) * limit
    for name, step in pagination.next.items():
        asked = query.get(name)
        if asked in (None, ""):
            continue
        if step == "+page":
            return (_whole(asked, 1) - 1) * limit
        if step == "+items":
            return _whole(asked, 0)
        if isinstance(step, Place) and in_items(pagination, step):
            after = [index for index, item in enumerate(items) if str(item.get(key)) == asked]
            return after[0] + 1 if after else len(items)
        return _whole(asked, 0)
    return 0


def in_items(pagination: Pagination, place: Place) -> bool:
    """Whether a place of `next` lies in the items themselves, as a cursor that is an id does."""
    lead = pagination.items.keys if pagination.items is not None else ()
    return place.header is None and place.keys[: len(lead)] == lead and len(place.keys) > len(lead)


def _answers(item: dict[str, Json], query: dict[str, Json]) -> bool:
    plain = {
        name: value for name, value in query.items() if name in item and not isinstance(value, dict | list)
    }
    return all(value == "" or _text(item[name]) == value for name, value in plain.items())


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(value: Any, otherwise: int) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def _fresh(sample: Json, count: int) -> Json:
    if isinstance(sample, int):
        return sample + count + 1
    text = str(sample)
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return str(uuid.uuid4())
    if text.isdigit():
        return str(int(text) + count + 1)
    prefix = _PREFIX.match(text)
    lead = prefix[0] if prefix else ""
    return lead + "".join(random.choices(_LETTERS, k=max(8, len(text) - len(lead))))  # noqa: S311  a stand-in
