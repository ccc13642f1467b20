"""Which arguments fetch the next page: decision 11."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from mcpgate.engine.response import read, shape
from mcpgate.values import Connector, Reply
from tests.engine.rig import one_tool, prepare

PARAMS = """{page: {type: integer, default: 1}, offset: {type: integer}, cursor: Text., text_page: Text.,
 n: {type: [integer, 'null']}, flag: {type: boolean}, kind: {enum: [a, b]},
 labels: {type: array, items: Text.}}"""


def paged(paginate: str, request: str = "GET /x", extra: str = "") -> Connector:
    return one_tool(f"category: read\nrequest: {request}\npaginate: {paginate}\nparams: {PARAMS}\n{extra}")


def result(connector: Connector, body: Any, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
    tool = connector.tools["t_x"]
    raw = json.dumps(body).encode()
    reply: Reply = read(connector, tool, prepare(connector, **arguments), 200, headers or {}, raw)
    outcome = shape(connector, tool, reply)
    assert not outcome.is_error, outcome.text
    return json.loads(outcome.text)


TWO = [{"id": "a"}, {"id": "b"}]
CURSOR = "{items: data, next: {cursor: data.-1.id}, more: more}"


@pytest.mark.parametrize(
    ("paginate", "body", "arguments", "following"),
    [
        (CURSOR, {"data": TWO, "more": True}, {}, {"cursor": "b"}),
        (CURSOR, {"data": TWO, "more": False}, {}, None),
        (CURSOR, {"data": TWO}, {}, None),
        (CURSOR, {"data": [], "more": True}, {}, None),
        (CURSOR, {"more": True}, {}, None),
        (CURSOR, {"data": None, "more": True}, {}, None),
        (
            "{items: d, next: {cursor: meta.next}}",
            {"d": TWO, "meta": {"next": "Mg=="}},
            {},
            {"cursor": "Mg=="},
        ),
        ("{items: d, next: {cursor: meta.next}}", {"d": TWO, "meta": {"next": ""}}, {}, None),
        ("{items: d, next: {cursor: meta.next}}", {"d": TWO, "meta": {"next": None}}, {}, None),
        ("{items: d, next: {cursor: a, n: b}}", {"d": TWO, "a": "k", "b": 7}, {}, {"cursor": "k", "n": 7}),
        ("{items: d, next: {cursor: a, n: b}}", {"d": TWO, "a": "k"}, {}, None),
        ("{items: d, next: {offset: o}}", {"d": TWO, "o": "7"}, {}, {"offset": 7}),
        ("{next: {page: +page}}", TWO, {}, {"page": 2}),
        ("{next: {page: +page}}", TWO, {"page": 41}, {"page": 42}),
        ("{next: {page: +page}}", [], {}, None),
        ("{items: d, next: {page: +page}, total: pages}", {"d": TWO, "pages": 3}, {"page": 2}, {"page": 3}),
        ("{items: d, next: {page: +page}, total: pages}", {"d": TWO, "pages": 3}, {"page": 3}, None),
        ("{items: d, next: {page: +page}, total: pages}", {"d": TWO, "pages": "3"}, {"page": 3}, None),
        ("{items: d, next: {text_page: +page}}", {"d": TWO}, {"text_page": "9"}, {"text_page": "10"}),
        ("{items: d, next: {text_page: +page}}", {"d": TWO}, {"text_page": "x"}, None),
        ("{items: d, next: {offset: +items}}", {"d": TWO}, {}, {"offset": 2}),
        (
            "{items: d, next: {offset: +items}, total: total}",
            {"d": TWO, "total": 9},
            {"offset": 4},
            {"offset": 6},
        ),
        ("{items: d, next: {offset: +items}, total: total}", {"d": TWO, "total": 6}, {"offset": 4}, None),
    ],
)
def test_the_next_page(paginate: str, body: Any, arguments: Any, following: Any) -> None:
    page = result(paged(paginate), body, **arguments)
    assert page.get("next") == following
    assert page["items"] == (body if isinstance(body, list) else body.get("d", body.get("data")) or [])


def test_places_start_after_unwrap_and_items_are_projected() -> None:
    connector = paged("{items: rows, next: {cursor: at}}", extra="unwrap: data.list\nfields: [id]")
    body = {"data": {"list": {"rows": [{"id": 1, "secret": 2}], "at": "z"}}}
    assert result(connector, body) == {"items": [{"id": 1}], "next": {"cursor": "z"}}


NEXT = "https://other.example/x?page=3&q%5Bcursor%5D=a%26b&flag=true&kind=b&labels=l&unknown=1"


@pytest.mark.parametrize(
    ("link", "following"),
    [
        (f'<{NEXT}>; rel="next"', {"page": 3, "cursor": "a&b", "flag": True, "kind": "b"}),
        (f'<https://x/?page=1>; rel="prev", <{NEXT}>; title="a, b; c"; rel="last next"', "same"),
        (f"<{NEXT}>;rel=next", "same"),
        (f'<{NEXT}>; REL="NEXT"; x=y, <https://x/?page=9>; rel="last"', "same"),
        ('<https://x/?page=9>; rel="nextish"', None),
        ('<https://x/?page=9>; rel=nextish, <https://x/?page=8>; title="rel=next"', None),
        ('<https://x/?page=2>; rel="next"', None),  # the page that was just fetched
        ('<https://[x/?page=4>; rel="next"', None),
        ("no link at all", None),
        ("", None),
    ],
)
def test_a_link_header_becomes_arguments(link: str, following: Any) -> None:
    if following == "same":
        following = {"page": 3, "cursor": "a&b", "flag": True, "kind": "b"}
    connector = paged("{next: header:Link}", "GET /x?q[cursor]={cursor}")
    page = result(connector, TWO, {"link": link} if link else {}, page=2, labels=["l"])
    assert page.get("next") == following


@pytest.mark.parametrize("url", ["/x?page=3", "https://x/?page=3#page=4", "?page=3&page=3"])
def test_the_url_of_the_next_page_stands_in_the_reply(url: str) -> None:
    assert result(paged("{items: d, next: links.next}"), {"d": TWO, "links": {"next": url}})["next"] == {
        "page": 3
    }


@pytest.mark.parametrize(("more", "goes_on"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_more_may_be_a_header(more: str, goes_on: bool) -> None:
    connector = paged("{next: {page: +page}, more: 'header:X-More'}")
    assert ("next" in result(connector, TWO, {"x-more": more})) is goes_on


@pytest.mark.parametrize(
    "link", ["<" * 90_000, "<a>; a=" + " " * 90_000, '<a>;a="' * 15_000, "<a>;rel=" * 12_000]
)
def test_row_19_a_link_header_made_to_take_long_does_not(link: str) -> None:
    began = time.perf_counter()
    assert "next" not in result(paged("{next: header:Link}"), TWO, {"link": link})
    assert time.perf_counter() - began < 1
