"""Lists, page by page: every way to page that the connector language knows, read by the engine itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpgate.engine.sandbox import SandboxTransport
from mcpgate.engine.transport import Attempt, Message
from mcpgate.places import parse_place
from mcpgate.sandbox.pages import NoSuchPageError, page_of
from mcpgate.spec.connector import read_connector
from mcpgate.values import Connector, Pagination, Source
from tests.engine.rig import Rig, load
from tests.spec.test_apis import APIS, SETTINGS

# the pagination and the sample of a list of things
WAYS = {
    "the last id": (
        "{params: {limit: INT, after: T.}, items: data, next: {after: data.-1.id}, more: more}",
        "{data: [ITEM], more: false}",
    ),
    "the last id of a bare list": ("{params: {limit: INT, after: T.}, next: {after: -1.id}}", "[ITEM]"),
    "page numbers": (
        "{params: {limit: INT, page: INT}, items: data, next: {page: +page}, total: pages}",
        "{data: [ITEM], pages: 1}",
    ),
    "page numbers from 0, with no end told": (
        "{params: {limit: INT, page: {type: integer, default: 0}}, items: data, next: {page: +page}}",
        "{data: [ITEM]}",
    ),
    "offsets": (
        "{params: {start: INT, limit: INT}, items: data, next: {start: +items}, total: total}",
        "{data: [ITEM], total: 1}",
    ),
    "offsets from 1": (
        "{params: {start: {type: integer, default: 1}, limit: INT}, items: data, next: {start: +items}}",
        "{data: [ITEM]}",
    ),
    "offsets as texts": (
        "{params: {start: T., limit: INT}, items: data, next: {start: +items}, total: 'header:X-Total'}",
        "{data: [ITEM]}",
    ),
    "a token": (
        "{params: {limit: INT, cursor: T.}, items: data, next: {cursor: meta.next.cursor}, more: meta.next}",
        "{data: [ITEM], meta: {next: {cursor: abc}, took: 1}}",
    ),
    "a token in a header": (
        "{params: {limit: INT, cursor: T.}, items: data, next: {cursor: 'header:X-Next'},"
        " more: 'header:X-More'}",
        "{data: [ITEM]}",
    ),
    "a page's number in a header": (
        "{params: {page: {type: [integer, string]}, per_page: INT}, next: {page: 'header:X-Next-Page'}}",
        "[ITEM]",
    ),
    "a number that is no page's": (
        "{params: {skip: INT, top: INT}, items: data, next: {skip: next}}",
        "{data: [ITEM]}",
    ),
    "a URL": (
        "{params: {limit: INT, page: INT}, items: data, next: links.next}",
        "{data: [ITEM], links: {self: x}}",
    ),
    "a URL's path": (
        "{params: {PageSize: INT, Page: INT, PageToken: T.}, items: data, next: next_uri}",
        "{data: [ITEM], next_uri: /v1/things.json?Page=1}",
    ),
    "a Link header": ("{params: {per_page: INT, page: INT}, next: header:Link}", "[ITEM]"),
    "a Link header with a cursor": ("{params: {cursor: T.}, next: header:Link}", "[ITEM]"),
    "a Link header with an offset": ("{params: {start: INT, limit: INT}, next: header:Link}", "[ITEM]"),
    "a list in an envelope": (
        "{params: {limit: INT, after: T.}, items: rows, next: {after: rows.-1.id}, more: more}\n"
        "    unwrap: answer.0",
        "{ok: true, answer: [{rows: [ITEM], more: true}]}",
    ),
}
# where nothing says that a page is the last, but for one that is empty
NO_END = {"the last id of a bare list", "page numbers from 0, with no end told", "offsets from 1"}


def paged(way: str) -> Connector:
    pagination, sample = WAYS[way]
    text = f"""
lists: comma
tools:
  t_create_thing: {{description: A., category: write, effects: [], request: POST /things, sample: ITEM}}
  t_list_things:
    description: A.
    category: read
    request: GET /things?sort=desc
    params: {{kind: {{type: array, items: T.}}, name: T.}}
    paginate: {pagination}
    sample: {sample}
"""
    return load(text.replace("INT", "{type: integer}").replace("ITEM", "{id: th_1, kind: a, name: x}"))


def pages(rig: Rig, length: dict[str, int], **arguments: Any) -> list[list[Any]]:
    """Every page of the list, each call with what the one before said to add."""
    found: list[list[Any]] = []
    arguments |= length
    while len(found) < 99:
        outcome = rig.call("t_list_things", **arguments)
        assert not outcome.is_error, outcome.text
        page = json.loads(outcome.text)
        found.append([item["id"] for item in page["items"]])
        if "next" not in page:
            return found
        arguments |= page["next"]
    raise AssertionError("it never ends")


def create(rig: Rig) -> Any:
    return json.loads(rig.call("t_create_thing").text)["id"]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None)
@given(batches=st.lists(st.integers(0, 7), max_size=3), limit=st.integers(1, 5))
def test_everything_is_paged_through_once(way: str, batches: list[int], limit: int) -> None:
    connector = paged(way)
    params = connector.tools["t_list_things"].schema["properties"]
    length = next(({name: limit} for name in ("limit", "per_page", "PageSize", "top") if name in params), {})
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        made = ["th_1"]
        for batch in (0, *batches):
            made += [create(rig) for _ in range(batch)]
            found = pages(rig, length)
            assert [item for page in found for item in page] == made[::-1]
            assert max(map(len, found)) <= (limit if length else 10)
            assert way in NO_END or all(found)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("way", "arguments", "found"),
    [
        ("page numbers", {"page": 2, "limit": 2}, ["th_2", "th_1"]),
        ("page numbers from 0, with no end told", {"page": 1, "limit": 3}, ["th_1"]),
        ("offsets", {"start": 1, "limit": 2}, ["th_3", "th_2"]),
        ("offsets from 1", {"start": 2, "limit": 2}, ["th_3", "th_2"]),
        ("a page's number in a header", {"page": 2, "per_page": 3}, ["th_1"]),
        ("a number that is no page's", {"skip": 3}, ["th_1"]),
        ("a URL", {"page": 2, "limit": 2}, ["th_2", "th_1"]),
        ("a Link header", {"page": 9, "per_page": 3}, []),
        ("a Link header with an offset", {"start": 3}, ["th_1"]),
    ],
)
def test_a_page_may_be_asked_for_by_itself(way: str, arguments: dict[str, int], found: list[str]) -> None:
    connector = paged(way)
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        for _ in range(3):
            create(rig)
        page = json.loads(rig.call("t_list_things", **arguments).text)
    assert [item["id"] for item in page["items"]] == found


@given(first=st.integers(0, 5), between=st.lists(st.integers(0, 3), max_size=9))
@settings(max_examples=15, deadline=None)
def test_a_cursor_is_not_moved_by_what_is_created_meanwhile(first: int, between: list[int]) -> None:
    connector = paged("the last id")
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        made, found = ["th_1", *(create(rig) for _ in range(first))], []
        arguments: dict[str, Any] = {"limit": 2}
        creating = iter(between)
        while True:
            page = json.loads(rig.call("t_list_things", **arguments).text)
            found += [item["id"] for item in page["items"]]
            if "next" not in page:
                break
            arguments |= page["next"]
            for _ in range(next(creating, 0)):
                create(rig)
    assert found == made[::-1]


SAMPLED = """
linear_list_issues notion_query jira_search github_list_issues airtable_list_records gmail_list_messages
sentry_list_projects tmdb_search_movies twilio_list_messages slack_list_channels
"""


@pytest.mark.parametrize("tool", SAMPLED.split())
def test_a_list_that_nobody_writes_to_ends_too(tool: str) -> None:
    """Below a placeholder, by GraphQL, by POST: the sample's items once, whatever it says of a next page."""
    name = tool.partition("_")[0]
    file = APIS / f"{name}.yaml"
    connector = read_connector(file.name, file.read_bytes(), Source("file", file.name, ""))
    known = {"base": "app1", "database": "59833787-2cf9-4fdf-8782-e53db20768a5"}
    needed = {each: known.get(each, "x") for each in connector.tools[tool].schema.get("required", ())}
    with Rig(connector, settings=SETTINGS.get(name), transport=SandboxTransport([connector])) as rig:
        outcome = rig.call(tool, **needed)
    assert not outcome.is_error, outcome.text
    page = json.loads(outcome.text)
    assert len(page["items"]) == 1
    assert "next" not in page


ITEMS: list[Any] = [
    {"id": "c", "limit": 7, "status": "open", "paid": True, "n": 2, "by": None, "tags": ["x"]},
    {"id": "b", "status": "closed", "paid": False, "n": 2},
    {"id": "a", "status": "open", "n": 10},
]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "cba"),
        ({"status": "open"}, "ca"),
        ({"status": "OPEN"}, ""),
        ({"status": "all"}, "cba"),
        ({"status": ""}, "cba"),
        ({"status": {"0": "closed", "1": "open"}}, "cba"),
        ({"status": ["closed"]}, "b"),
        ({"paid": "true"}, "ca"),
        ({"paid": False, "status": "closed"}, "b"),
        ({"n": "2"}, "cb"),
        ({"n": 10}, "a"),
        ({"n": {"gt": "3"}}, "cba"),
        ({"by": "x"}, "ba"),
        ({"tags": "y"}, "cba"),
        ({"unknown": "x"}, "cba"),
        ({"limit": "1"}, "c"),
        ({"limit": "0"}, "c"),
        ({"limit": "1", "after": "c", "status": "open"}, "a"),
        # what a cursor points at need not be among what is asked for
        ({"after": "b", "status": "open"}, "a"),
        ({"after": "a"}, ""),
        ({"after": ""}, "cba"),
    ],
)
def test_what_a_list_is_narrowed_to(filters: dict[str, Any], found: str) -> None:
    params = {"limit": {"type": "integer", "maximum": 50}, "after": {"type": "string"}}
    pagination = Pagination(params, {"after": parse_place("-1.id")})
    page = page_of(pagination, ITEMS, filters)
    assert "".join(item["id"] for item in page.items) == found


def test_items_that_are_no_objects_are_not_filtered() -> None:
    assert page_of(None, ["ab", 7, None], {"a": "x"}).items == ["ab", 7, None]


@pytest.mark.parametrize(
    ("params", "next_"),
    [
        (["Page", "PageSize"], parse_place("next_uri")),
        (["offset", "PageSize"], parse_place("header:Link")),
        (["StartAt", "PageSize"], {"StartAt": "+items"}),
        (["PageSize", "page"], {"page": "+page"}),
    ],
)
def test_which_parameter_is_the_length(params: list[str], next_: Any) -> None:
    pagination = Pagination({name: {"type": "integer"} for name in params}, next_)
    assert len(page_of(pagination, [{}] * 9, {"PageSize": "4"}).items) == 4


@pytest.mark.parametrize(("schema", "length"), [({}, 10), ({"default": 4}, 4), ({"maximum": 3}, 3)])
def test_how_many_a_page_has(schema: dict[str, int], length: int) -> None:
    pagination = Pagination({"size": {"type": "integer", **schema}}, parse_place("next"))
    assert len(page_of(pagination, [{}] * 99, {}).items) == length
    asked = page_of(pagination, [{}] * 99, {"size": "7"})
    assert len(asked.items) == min(7, schema.get("maximum", 7))


@pytest.mark.parametrize(
    ("default", "asked", "start"),
    [({}, "2", 2), ({"default": ""}, "2", 2), ({"default": 1}, "2", 1), ({"default": "1"}, "0", 0)],
)
def test_where_counting_begins(default: dict[str, Any], asked: str, start: int) -> None:
    pagination = Pagination({"start": {"type": "string", **default}}, {"start": "+items"})
    assert page_of(pagination, ITEMS, {"start": asked}).start == start


@pytest.mark.parametrize(
    ("next_", "arguments"),
    [
        ("-1.id", {"after": "zz"}),
        ("meta.next", {"after": "from the sample"}),
        ("+items", {"after": "-1"}),
        ("+page", {"after": "1.5"}),
        ("-1.id", {"limit": "many"}),
    ],
)
def test_a_page_that_is_not_there_is_said_to_be_none(next_: str, arguments: dict[str, str]) -> None:
    step = next_ if next_.startswith("+") else parse_place(next_)
    items = parse_place("data") if next_ == "meta.next" else None
    params = {"limit": {"type": "integer"}, "after": {"type": "string"}}
    with pytest.raises(NoSuchPageError):
        page_of(Pagination(params, {"after": step}, items), ITEMS, arguments)


def test_a_cursor_may_be_another_member_than_the_id() -> None:
    pagination = Pagination(
        {"since": {"type": "string"}}, {"since": parse_place("data.-1.n")}, parse_place("data")
    )
    assert [item["id"] for item in page_of(pagination, ITEMS, {"since": "2"}).items] == ["a"]


@pytest.mark.parametrize(
    ("way", "place", "asked", "following"),
    [
        (
            "a URL",
            "links",
            "/things?sort=desc&kind=a%2Cb&name=x&page=1&limit=2",
            {
                "self": "x",
                "next": "https://api.example.com/v1/things?sort=desc&kind=a%2Cb&name=x&limit=2&page=2",
            },
        ),
        ("a URL's path", "next_uri", "/things?PageSize=3", "/v1/things?PageSize=3&Page=2"),
        ("a URL's path", "next_uri", "/things?PageSize=9", None),
    ],
)
def test_the_next_url_repeats_what_was_asked_and_no_key(
    way: str, place: str, asked: str, following: Any
) -> None:
    """So that it leads on wherever it is followed, and nothing that is no argument comes back."""
    assert ask(paged(way), f"{asked}&api_key=secret")[0][place] == following


def ask(connector: Connector, path: str) -> tuple[Any, Mapping[str, str]]:
    """What the wire says of a list with four things."""
    transport = SandboxTransport([connector])

    async def send(target: str) -> tuple[Any, Mapping[str, str]]:
        message = Message("GET", "https://api.example.com", target, ())
        reply = await transport.exchange(message, Attempt(sent=False))
        return json.loads(reply.body), reply.headers

    with Rig(connector, transport=transport) as rig:
        for _ in range(3):
            create(rig)
        return rig.run(send(f"/v1{path}"))


def test_headers_say_it_in_texts() -> None:
    headers = ask(paged("a token in a header"), "/things?limit=2")[1]
    assert (headers["x-more"], headers["x-next"]) == ("true", "2")
    headers = ask(paged("a token in a header"), "/things")[1]
    assert (headers["x-more"], headers.get("x-next")) == ("false", None)


def test_the_next_page_goes_by_the_wires_own_name() -> None:
    connector = load("""
tools:
  t_create_thing: {description: A., category: write, effects: [], request: POST /things, sample: {id: 1}}
  t_list_things:
    description: A.
    category: read
    request: GET /things?p={page}
    paginate: {params: {page: {type: integer}, limit: {type: integer}}, next: header:Link}
    sample: [{id: 1}]
""")
    link = ask(connector, "/things?limit=3&p=1")[1]["link"]
    assert link == '<https://api.example.com/v1/things?limit=3&p=2>; rel="next"'
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        made = [create(rig) for _ in range(3)]
        assert pages(rig, {"limit": 2}) == [made[:0:-1], [made[0], 1]]
