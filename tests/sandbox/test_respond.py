"""The stand-in API that a connector's samples make."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli.opening import Options
from mcpgate.cli.serving import build_gateway
from mcpgate.engine.request import build
from mcpgate.sandbox.api import Sandbox
from mcpgate.toolset import build_toolset
from mcpgate.values import Connector
from tests.engine.rig import load

SHOP = load(
    """
base_url: https://{site}.shop.example/v1
settings: {site: {type: string, pattern: '[a-z]+'}}
encoding: form
auth: {type: bearer}
tools:
  t_get_order: {READ, request: 'GET /orders/{order}', params: {order: Id.}, sample: {id: ord_1, note: x}}
  t_get_latest: {READ, request: GET /orders/latest, sample: {id: ord_9}}
  t_get_open: {READ, request: 'GET /carts?state=open', sample: {id: open}}
  t_get_all: {READ, request: GET /carts, params: {q: Text.}, sample: {id: all}}
  t_read_file: {READ, request: 'GET /files/{path...}', params: {path: P.}, reply: text, sample: plain}
  t_stop: {WRITE, request: 'DELETE /jobs/{job}', params: {job: Id.}, reply: none}
  t_get_bare:
    READ
    request: GET /bare
    unwrap: data.orders
    paginate: {items: rows, next: {page: +page}}
    params: {page: {type: integer}}
  t_change_order:
    WRITE
    request: POST /orders/change
    params:
      note: Text.
      count: {type: integer}
      weight: {type: number}
      paid: {type: boolean}
      tags: {type: array, items: Text.}
      lines: {type: array, items: {type: object, properties: {sku: Text., n: {type: integer}}}}
      address: {type: object, properties: {city: Text., floor: {type: integer}}}
      metadata: {type: object, additionalProperties: {type: string}}
      customer: Text.
      left_out: Text.
    sample: {note: null, count: 1, weight: 0.5, paid: false, tags: [a], customer: {id: cus_1},
             lines: [{id: l_1, sku: s, n: 1}], address: {city: Rome, floor: 0, zip: x}, metadata: {}}
""".replace("    READ\n", "    description: A.\n    category: read\n")
    .replace("    WRITE\n", "    description: A.\n    category: write\n    effects: []\n")
    .replace("READ", "description: A., category: read")
    .replace("WRITE", "description: A., category: delete, effects: []")
)
JSON = load("""
base_url: https://json.example
lists: comma
auth: {type: header, name: X-Key}
tools:
  t_change:
    description: A thing.
    category: write
    effects: []
    request: POST /things
    params:
      title: Text.
      deep: {type: object, properties: {n: {type: integer}}}
      tags: {type: array, items: Text.}
    body: {fields: {title: '{title}'}}
    unwrap: data
    sample: {data: {title: plain, fields: {title: old, by: me}, deep: {n: 1, m: 2}, tags: []}, title: outer}
  t_query:
    description: A thing.
    category: read
    safe: true
    request: POST /query
    params: {title: Text.}
    sample: {title: plain}
""")
GRAPH = load("""
base_url: https://graph.example/graphql
encoding: form
tools:
  t_get_issue:
    description: An issue.
    category: read
    graphql: "query ($id: ID) { issue(id: $id) { id title } }"
    params: {id: Text.}
    unwrap: data.issue
    sample: {data: {issue: {id: i1, title: First}}}
  t_create_issue:
    description: An issue.
    category: write
    effects: []
    graphql: "mutation ($input: In!) { createIssue(input: $input) { issue { id title n } } }"
    params: {input: {type: object, properties: {title: Text., n: {type: integer}}}}
    required: [input]
    unwrap: data.createIssue.issue
    sample: {data: {createIssue: {issue: {id: i2, title: Sample, n: 1}}}}
""")
EVERY = (JSON, GRAPH, SHOP)


def respond(connectors: tuple[Connector, ...], method: str, url: str, body: bytes) -> Any:
    return Sandbox(connectors).respond(method, url, {}, body)


def answer(connector: Connector, tool: str, **arguments: Any) -> Any:
    account = open_account(connector, {"site": "acme"} if connector is SHOP else {})
    request = build(account, connector.tools[tool], arguments)
    reply = respond(EVERY, request.method, request.url, request.body or b"")
    assert reply.status in (200, 204), reply.body
    return json.loads(reply.body) if reply.body[:1] == b"{" else reply.body


@pytest.mark.parametrize(
    ("tool", "arguments", "sample"),
    [
        ("t_get_order", {"order": "any/thing.."}, {"id": "ord_1", "note": "x"}),
        ("t_get_latest", {}, {"id": "ord_9"}),
        ("t_get_open", {}, {"id": "open"}),
        ("t_get_all", {"q": "state=open"}, {"id": "all"}),
        ("t_read_file", {"path": "a/b/c d"}, b"plain"),
        ("t_stop", {"job": "latest"}, b""),
        ("t_get_bare", {"page": 2}, {"data": {"orders": {"rows": []}}}),
    ],
)
def test_the_tool_whose_address_it_is_answers_with_its_sample(tool: str, arguments: Any, sample: Any) -> None:
    assert answer(SHOP, tool, **arguments) == sample


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ({}, {}),
        ({"note": "a & b = ü"}, {"note": "a & b = ü"}),
        ({"count": 7, "weight": 1.25, "paid": True}, {"count": 7, "weight": 1.25, "paid": True}),
        ({"weight": 2, "paid": False}, {"weight": 2.0, "paid": False}),
        ({"tags": ["x", "1"]}, {"tags": ["x", "1"]}),
        (
            {"lines": [{"sku": "p", "n": 3}, {"n": 4}]},
            {"lines": [{"id": "l_1", "sku": "p", "n": 3}, {"id": "l_1", "sku": "s", "n": 4}]},
        ),
        ({"address": {"city": "Oslo", "floor": 3}}, {"address": {"city": "Oslo", "floor": 3, "zip": "x"}}),
        ({"metadata": {"1": "a", "a%5B": "b c"}}, {"metadata": {"1": "a", "a%5B": "b c"}}),
        ({"customer": "cus_7", "left_out": "x"}, {"customer": {"id": "cus_7"}}),
    ],
)
def test_a_form_is_laid_over_the_sample_in_the_samples_types(arguments: Any, changed: Any) -> None:
    sample = SHOP.tools["t_change_order"].sample
    before = json.dumps(sample)
    assert answer(SHOP, "t_change_order", **arguments) == {**sample, **changed}
    assert json.dumps(sample) == before


@pytest.mark.parametrize("lists", ["repeat", "brackets", "comma", "indexed"])
def test_every_way_to_write_a_list_is_understood(lists: str) -> None:
    text = "encoding: form\nlists: LISTS\ntools: {t_x: {description: X., category: write, effects: [], "
    text += "request: POST /x, params: {tags: {type: array, items: T.}}, sample: {tags: [a, b, c]}}}"
    connector = load(text.replace("LISTS", lists))
    for tags in (["x"], ["x", "y z"]):
        request = build(open_account(connector, {}), connector.tools["t_x"], {"tags": tags})
        reply = respond((connector,), request.method, request.url, request.body or b"")
        assert json.loads(reply.body) == {"tags": tags}


def test_json_is_laid_over_the_sample_and_over_the_result_inside_it() -> None:
    made = answer(JSON, "t_change", title="new", deep={"n": 5}, tags=["t"])
    fields = {"title": "new", "by": "me"}
    assert made["data"] == {"title": "new", "fields": fields, "deep": {"n": 5, "m": 2}, "tags": ["t"]}
    assert made["title"] == "outer"
    assert answer(JSON, "t_query", title="new") == JSON.tools["t_query"].sample


def test_graphql_is_told_apart_by_its_document() -> None:
    assert answer(GRAPH, "t_get_issue", id="i9")["data"]["issue"] == {"id": "i1", "title": "First"}
    made = answer(GRAPH, "t_create_issue", input={"title": "New", "n": 4})
    assert made == {"data": {"createIssue": {"issue": {"id": "i2", "title": "New", "n": 4}}}}


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "https://acme.shop.example/v1/nothing"),
        ("PUT", "https://acme.shop.example/v1/orders"),
        ("GET", "https://acme.shop.example/v2/orders"),
        ("GET", "https://acme.shop.example/orders"),
        ("GET", "https://acme.other.example/v1/orders"),
        ("GET", "https://acme.shop.example/v1/orders/a/b"),
        ("POST", "https://json.example/v1/things"),
    ],
)
def test_another_address_is_404(method: str, url: str) -> None:
    reply = respond(EVERY, method, url, b"")
    assert reply.status == 404
    assert b"sandbox" in reply.body


def test_no_credential_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path))
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", "pk_refused_if_it_were_opened")
    stripe = catalog.load_connector("stripe")
    grant = Grant(open_account(stripe, {}), catalog.load_policy("full-access", "preset"))
    toolset = build_toolset(App("tests", (grant,)))

    async def call(sandbox: bool) -> Any:
        gateway = build_gateway(Options(("stripe",), sandbox=sandbox), toolset)
        try:
            return await gateway.call("stripe_create_customer", {"name": "Ada", "metadata": {"k": "v"}})
        finally:
            await gateway.close()

    made = asyncio.run(call(sandbox=True))
    assert not made.is_error, made.text
    assert json.loads(made.text)["name"] == "Ada"
    assert asyncio.run(call(sandbox=False)).is_error
