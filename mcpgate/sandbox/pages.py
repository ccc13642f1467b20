"""Pages of a list, by its tool's pagination: the one that is asked for, and the way to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcpgate.places import Place
from mcpgate.sandbox.matching import Match, wire_of
from mcpgate.sandbox.nesting import listed, put
from mcpgate.values import Json, Pagination

_DEFAULT_LIMIT: Final = 10
# what a URL's parameter for a place in a list is called; every other way is named in `next`
_PLACES: Final = ("page", "offset", "start", "skip", "from")
_NO_FILTER: Final = ("", "all", "any")


class NoSuchPageError(LookupError):
    """A list was asked to go on after something that it does not have."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: where it lies among all that was found, and how many a page has."""

    items: list[Json]
    start: int
    count: int
    limit: int

    @property
    def end(self) -> int:
        """Where the next page begins."""
        return self.start + len(self.items)

    @property
    def more(self) -> bool:
        """Whether there is a next page."""
        return self.end < self.count


@dataclass(frozen=True, slots=True)
class _Way:
    """A parameter that says where to go on: at a page, at an item, or after the one with this `member`.

    `first` is what it says at the beginning, `place` where a reply says it for the next page.
    """

    name: str
    kind: Literal["page", "item", "after"]
    first: int = 0
    place: Place | None = None
    member: Place | None = None
    whole: bool = False

    def next(self, page: Page) -> Json:
        """What it says for the page after this one, None at the end."""
        number = self.first + (page.end // page.limit if self.kind == "page" else page.end)
        return (number if self.whole else str(number)) if page.more else None


def page_of(pagination: Pagination | None, items: list[Json], arguments: dict[str, Json]) -> Page:
    """The page of these items, newest first, that is asked for; raises `NoSuchPageError`."""
    params = pagination.params if pagination is not None else {}
    filters = {name: value for name, value in arguments.items() if name not in params}
    fitting = [_answers(item, filters) for item in items]
    found = [item for item, fits in zip(items, fitting, strict=True) if fits]
    if pagination is None:
        return Page(found, 0, len(found), max(len(found), 1))
    limit, start = _limit(pagination, arguments), 0
    way = next((way for way in _ways(pagination) if arguments.get(way.name) not in (None, "")), None)
    if way is not None and way.member is not None:
        # what a cursor points at need not be among what is asked for
        start = sum(fitting[: _position(way.member, items, str(arguments[way.name])) + 1])
    elif way is not None:
        number = _whole(arguments[way.name]) - way.first
        start = max(0, number * limit if way.kind == "page" else number)
    return Page(found[start : start + limit], start, len(found), limit)


def mark(found: Match, root: Json, page: Page) -> tuple[Json, dict[str, str]]:
    """A list with what it says of its next page, and the headers that say it."""
    pagination, headers = found.tool.pagination, dict[str, str]()
    if pagination is None:
        return root, headers
    ways = _ways(pagination)
    by_page = not isinstance(pagination.next, Place) and "+page" in pagination.next.values()
    said = {
        pagination.more: page.more,
        pagination.total: -(-page.count // page.limit) if by_page else page.count,
        **{way.place: way.next(page) for way in ways},
    }
    if isinstance(pagination.next, Place):
        said[pagination.next] = _address(found, ways[0], page, pagination.next, root)
    for place, value in said.items():
        if place is not None and place.header is None:
            root = put(root, place.keys, value)
        elif place is not None and place.header is not None and value is not None:
            headers[place.header] = str(value).lower() if isinstance(value, bool) else str(value)
    return root, headers


def _ways(pagination: Pagination) -> list[_Way]:
    """The parameters by which a list goes on; where a URL says it, the first that is not its length."""
    if not isinstance(pagination.next, Place):
        return [_way(pagination, name, step) for name, step in pagination.next.items()]
    length = _length(pagination)
    name = next((name for name in pagination.params if name != length), "page")
    return [_way(pagination, name, "+page" if "page" in name.lower() else "+items")]


def _way(pagination: Pagination, name: str, step: Place | str) -> _Way:
    schema = pagination.params.get(name, {})
    whole = "integer" in schema.get("type", ())
    if not isinstance(step, Place):
        first = str(schema.get("default", int(step == "+page")))
        kind: Literal["page", "item"] = "page" if step == "+page" else "item"
        return _Way(name, kind, int(first) if first.isdecimal() else 0, whole=whole)
    lead = pagination.items.keys if pagination.items is not None else ()
    if step.header is None and step.keys[: len(lead)] == lead and len(step.keys) > len(lead):
        return _Way(name, "after", member=Place("", step.keys[len(lead) :]))
    if whole and "page" in name.lower():
        return _Way(name, "page", 1, step, whole=True)
    return _Way(name, "item", place=step, whole=whole)


def _length(pagination: Pagination) -> str:
    """The parameter that says how many: the whole number that says nothing of where."""
    ways = () if isinstance(pagination.next, Place) else pagination.next
    whole = [name for name, schema in pagination.params.items() if "integer" in schema.get("type", ())]
    return next((name for name in whole if name not in ways and name.lower() not in _PLACES), "")


def _limit(pagination: Pagination, arguments: dict[str, Json]) -> int:
    name = _length(pagination)
    schema = pagination.params.get(name, {})
    asked = arguments.get(name)
    limit = int(schema.get("default", _DEFAULT_LIMIT)) if asked in (None, "") else _whole(asked)
    return max(1, min(limit, int(schema.get("maximum", limit))))


def _position(member: Place, items: list[Json], text: str) -> int:
    found = [index for index, item in enumerate(items) if str(member.first([item])) == text]
    if not found:
        raise NoSuchPageError(text)
    return found[-1]


def _whole(value: Json) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NoSuchPageError(text)
    return int(text)


def _address(found: Match, way: _Way, page: Page, place: Place, root: Json) -> str | None:
    """The URL of the next page: this one's, with nothing in it that is no argument, and the new place."""
    if not page.more:
        return None
    tool, (address, _, query) = found.tool, found.url.partition("?")
    own = {wire for wire, _ in tool.request.query} | set(tool.query.values())
    wire = wire_of(tool, way.name)
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] in own - {wire}]
    url = f"{address}?{urlencode([*kept, (wire, str(way.next(page)))])}"
    if place.header is not None:
        return f'<{url}>; rel="next"'
    # where the API gives a path alone, so does its stand-in
    return urlsplit(url)._replace(scheme="", netloc="").geturl() if _is_path(place.first(root)) else url


def _is_path(shown: Json) -> bool:
    return isinstance(shown, str) and shown.startswith("/")


def _answers(item: Json, filters: dict[str, Json]) -> bool:
    """Whether an item has what is asked for; what it does not have at all is nothing to ask for."""
    if not isinstance(item, dict):
        return True
    return all(
        _text(item[name]) in wanted
        for name, value in filters.items()
        if name in item and not isinstance(item[name], dict | list) and (wanted := _wanted(value))
    )


def _wanted(value: Json) -> list[str]:
    """The texts that a filter allows, none where it filters nothing; a list allows each of its own."""
    values = listed(value)
    if isinstance(values, dict) or values in _NO_FILTER:
        return []
    return [_text(item) for item in (values if isinstance(values, list) else [values])]


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
