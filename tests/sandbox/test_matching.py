"""Which tool a request is meant for, and the arguments it was made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpgate import catalog
from mcpgate.apps import open_account
from mcpgate.arguments import check_arguments
from mcpgate.engine.request import build
from mcpgate.json_schema import build_validator
from mcpgate.sandbox.matching import Match, match, operations
from mcpgate.sandbox.nesting import like, listed
from tests.engine.rig import load
from tests.sandbox.short import load_short
from tests.spec.test_apis import APIS, CALLS, SETTINGS

KNOWN = operations([catalog.load_connector(str(path)) for path in sorted(APIS.glob("*.yaml"))])


@pytest.mark.parametrize(("tool", "arguments"), [call[:2] for call in CALLS], ids=[call[0] for call in CALLS])
def test_what_the_engine_sends_is_taken_apart_again(tool: str, arguments: dict[str, Any]) -> None:
    """Every API that the language was tried on, all of them at once: the tool, and each of its arguments."""
    connector = next(connector for connector, own in KNOWN if own.name == tool)
    own = connector.tools[tool]
    canonical = check_arguments(own, build_validator(own.schema), arguments)
    request = build(open_account(connector, SETTINGS.get(connector.name, {})), own, canonical)
    found = match(KNOWN, request.method, request.url, dict(request.headers), request.body or b"")
    assert found is not None
    assert found.tool is own
    taken = {**found.path, **found.arguments}
    assert {name: like(value, taken[name]) for name, value in canonical.items()} == canonical


SHOP = load_short("""
base_url: https://{site}.shop.example/v1/
settings: {site: {type: string, pattern: '[a-z]+'}, area: {type: string, pattern: '[a-z]+'}}
tools:
  t_root: {READ, request: GET /}
  t_order: {READ, request: 'GET /orders/{order}', params: {order: Id.}}
  t_latest: {READ, request: GET /orders/latest}
  t_page: {READ, request: 'GET /orders/{order}.html', params: {order: Id.}, reply: text}
  t_open: {READ, request: 'GET /carts?state=open'}
  t_closed: {READ, request: 'GET /carts?state=closed&by=date'}
  t_all: {READ, request: GET /carts, params: {q: Text.}}
  t_file: {READ, request: 'GET /files/{path...}', params: {path: P.}}
  t_slash: {READ, request: GET /ends/}
  t_only: {READ, request: 'GET /only?kind=a'}
  t_search:
    READ
    request: GET /search?q=text~{words}&sort={field}:{order}&since={after}
    params: {words: Text., field: Text., order: Text., after: Text.}
  t_area: {READ, request: 'GET /areas/{area}/maps'}
  t_change:
    WRITE
    request: PATCH /orders/{order}
    headers: {If-Match: '{version}', X-Note: '{note}', X-Kind: order}
    params: {order: Id., version: Text., note: Text., text: Text., tags: {type: array, items: Text.}}
    body: {page: {body: {text: '{text}'}, tags: [{all: '{tags}'}]}, kind: order}
  t_refund:
    WRITE
    request: POST /refunds
    params: {order: Id., amount: {type: integer}}
    required: [order, amount]
    lookup: GET /ledger/{order}
""")
SHOPS = operations([SHOP])
AT = "https://acme.shop.example/v1"


def meant(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    found = match(SHOPS, method, AT + path, headers or {}, body)
    return (found.tool.name, found.path, found.arguments) if found else ("", {}, {})


SITE = {"site": "acme"}


@pytest.mark.parametrize(
    ("path", "tool", "values", "arguments"),
    [
        ("", "t_root", {}, {}),
        ("/", "t_root", {}, {}),
        ("/orders/o1", "t_order", {"order": "o1"}, {}),
        ("/orders/a%2Fb%20c", "t_order", {"order": "a/b c"}, {}),
        ("/orders/latest", "t_latest", {}, {}),
        ("/orders/o1.html", "t_page", {"order": "o1"}, {}),
        # of tools that differ in constants, the one whose own are said; where none is, the one without
        ("/carts?state=open", "t_open", {}, {}),
        ("/carts?state=closed&by=date", "t_closed", {}, {}),
        ("/carts?state=closed", "t_closed", {}, {}),
        ("/carts?by=date&state=closed&q=x", "t_closed", {}, {"q": "x"}),
        ("/carts?q=state%3Dopen", "t_all", {}, {"q": "state=open"}),
        ("/carts?state=lost", "t_all", {}, {"state": "lost"}),
        ("/carts", "t_all", {}, {}),
        ("/files/a/b%20c", "t_file", {"path": "a/b c"}, {}),
        ("/ends/", "t_slash", {}, {}),
        ("/only?kind=a", "t_only", {}, {}),
        ("/only?other=b", "t_only", {}, {"other": "b"}),
        # a name of the wire's own, a text round an argument, two in one
        ("/search?q=text~a+b&sort=x:desc", "t_search", {}, {"words": "a b", "field": "x", "order": "desc"}),
        ("/search?since=2026", "t_search", {}, {"after": "2026"}),
        ("/search?q=else", "t_search", {}, {}),
        ("/areas/north/maps", "t_area", {"area": "north"}, {}),
        ("/ledger/o1", "t_refund lookup", {"order": "o1"}, {}),
    ],
)
def test_a_request_is_that_of_the_tool_it_looks_most_like(
    path: str, tool: str, values: dict[str, str], arguments: dict[str, Any]
) -> None:
    assert meant("GET", path) == (tool, SITE | values, arguments)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("PUT", "/orders/o1"),
        ("GET", "/orders/a/b"),
        ("GET", "/orders/"),
        ("GET", "/ends"),
        ("GET", "/only?kind=b"),
        ("GET", "/files/"),
        ("GET", "orders/o1"),
        ("POST", "/ledger/o1"),
    ],
)
def test_another_address_is_no_tools(method: str, path: str) -> None:
    assert meant(method, path) == ("", {}, {})
    for other in ("https://acme.shop.example", "http://acme.shop.example/v1", "https://shop.example/v1"):
        assert match(SHOPS, "GET", f"{other}/orders/o1", {}, b"") is None


def test_headers_and_body_trees_are_read_backwards() -> None:
    body = b'{"page": {"body": {"text": "x"}, "tags": [{"all": ["a"]}]}, "kind": "order", "more": 1}'
    tool, _, arguments = meant(
        "PATCH", "/orders/o1", body, {"if-match": "7", "X-NOTE": "n", "X-Kind": "order"}
    )
    assert tool == "t_change"
    page = {"body": {"text": "x"}, "tags": [{"all": ["a"]}]}
    named = {"version": "7", "note": "n", "text": "x", "tags": ["a"]}
    assert arguments == named | {"page": page, "kind": "order", "more": 1}
    assert meant("PATCH", "/orders/o1", b'{"page": "text"}')[2] == {"page": "text"}
    assert meant("PATCH", "/orders/o1", b'["text"]')[2] == {}


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_nobodys(body: bytes) -> None:
    assert meant("PATCH", "/orders/o1", body)[0] == ""


GRAPH = operations(
    [
        load("""
base_url: https://graph.example/graphql
encoding: form
tools:
  t_get:
    {description: A., category: read, graphql: 'query ($id: ID) { issue(id: $id) { id } }', params: {id: I.}}
  t_create:
    description: A.
    category: write
    effects: []
    graphql: 'mutation ($input: In!) { create(input: $input) { id } }'
    params: {input: {type: object, properties: {title: Text.}}}
""")
    ]
)


@pytest.mark.parametrize(
    ("body", "tool", "arguments"),
    [
        (
            '{"query": "query ($id: ID) { issue(id: $id) { id } }", "variables": {"id": "i1"}}',
            "t_get",
            {"id": "i1"},
        ),
        ('{"query": "query ($id: ID) { issue(id: $id) { id } }", "variables": null}', "t_get", {}),
        (
            '{"query": "mutation ($input: In!) { create(input: $input) { id } }",'
            ' "variables": {"input": {"title": "x"}}}',
            "t_create",
            {"input": {"title": "x"}, "title": "x"},
        ),
        ('{"query": "query { other }"}', "", {}),
        ("[]", "", {}),
        ("query=x", "", {}),
        ("", "", {}),
    ],
)
def test_graphql_is_told_apart_by_its_document(body: str, tool: str, arguments: dict[str, Any]) -> None:
    found = match(GRAPH, "POST", "https://graph.example/graphql", {}, body.encode())
    assert (found.tool.name, found.arguments) == (tool, arguments) if found else not tool


@pytest.mark.parametrize(
    ("lists", "sent", "tags"),
    [
        ("repeat", "tags=a&tags=b", ["a", "b"]),
        ("repeat", "tags=a,b", ["a,b"]),
        ("brackets", "tags[]=a&tags[]=b,c", ["a", "b,c"]),
        ("indexed", "tags[0]=a&tags[1]=b", ["a", "b"]),
        ("comma", "tags=a,b", ["a", "b"]),
        ("comma", "tags=a", ["a"]),
    ],
)
def test_a_list_is_a_list_as_the_connector_writes_them(lists: str, sent: str, tags: list[str]) -> None:
    connector = load_short(f"""
encoding: form
lists: {lists}
tools:
  t_get: {{READ, request: GET /x, params: {{tags: {{type: array, items: T.}}, text: T.}}}}
  t_set: {{WRITE, request: POST /x, params: {{tags: {{type: array, items: T.}}, text: T.}}}}
""")
    known, at = operations([connector]), "https://api.example.com/v1/x"
    for found in (
        match(known, "GET", f"{at}?{sent}&text=a,b", {}, b""),
        match(known, "POST", at, {}, f"{sent}&text=a,b".encode()),
    ):
        assert isinstance(found, Match)
        assert listed(found.arguments) == {"tags": tags, "text": "a,b"}


def test_every_request_of_a_shipped_connector_is_its_own() -> None:
    """A tool never answers for another: each lists, gets or writes at an address of its own."""
    read: Callable[[str], Any] = catalog.load_connector
    for name in catalog.names("connectors"):
        connector = read(name)
        known = operations([connector])
        for tool in connector.tools.values():
            values = dict.fromkeys(tool.request.names, "x1")
            request = build(open_account(connector, dict.fromkeys(connector.settings, "acme")), tool, values)
            found = match(known, request.method, request.url, dict(request.headers), request.body or b"")
            assert found is not None
            assert found.tool is tool
