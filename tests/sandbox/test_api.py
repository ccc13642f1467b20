"""The stand-in as a whole: what is written to it is there, and what goes wrong is said as the API would."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli import serving
from mcpgate.cli.opening import Options
from mcpgate.engine.sandbox import SandboxTransport
from mcpgate.sandbox.api import Sandbox
from mcpgate.toolset import build_toolset
from tests.engine.rig import Rig, load
from tests.sandbox.short import load_short

DESK = load_short("""
base_url: https://{site}.desk.example/api/
settings: {site: {type: string, pattern: '[a-z]+'}}
idempotency: X-Once
request_id: X-Request
errors: {message: fault.text, code: [fault.kind, fault.code]}
pagination:
  params: {limit: {type: integer}, after: T.}
  items: tickets
  next: {after: tickets.-1.no}
  more: more
x-ticket: &ticket {no: 7, title: Broken, state: open, owner: null, urgent: false, by: {id: u1, name: Ann},
                   tags: [a], lines: [{sku: s, n: 1}], closed: null}
x-change: &change
  no: {type: integer}
  title: T.
  state: T.
  unknown: T.
  lines: {type: array, items: {type: object, properties: {sku: T., n: {type: integer}}}}
tools:
  t_list_tickets:
    READ
    request: GET /tickets
    paginate: true
    params: {state: {enum: [open, closed, all]}, owner: T., urgent: {type: boolean}}
    sample: {tickets: [*ticket], more: false, took: 3}
  t_get_ticket: {READ, request: 'GET /tickets/{no}', params: {no: {type: integer}}, sample: *ticket}
  t_peek_ticket: {READ, request: 'HEAD /tickets/{no}', params: {no: {type: integer}}, reply: none}
  t_create_ticket:
    WRITE
    request: POST /tickets
    headers: {X-Lang: '{lang}'}
    params:
      title: T.
      who: T.
      tags: {type: array, items: T.}
      urgent: {type: boolean}
      lang: T.
      note: T.
      no: T.
    required: [title, lang]
    at_least_one: [[who, note]]
    body: {ticket: {by: '{who}'}, owner: '{who}'}
    unwrap: made.0
    sample: {made: [*ticket], ok: true}
  t_change_ticket: {WRITE, request: 'PATCH /tickets/{no}', params: *change, sample: *ticket}
  t_replace_ticket: {WRITE, request: 'PUT /tickets/{no}', params: *change, reply: none}
  t_touch_ticket: {WRITE, request: 'POST /tickets/{no}', params: *change}
  t_close_ticket:
    DELETE
    request: DELETE /tickets/{no}
    params: {no: {type: integer}}
    sample: {no: 7, title: Broken, state: closed, owner: null, closed: now}
  t_list_notes: {READ, request: GET /notes, sample: {notes: [{id: n1, text: x}]}}
  t_create_note: {WRITE, request: POST /notes, params: {text: T.}}
  t_delete_note: {DELETE, request: 'DELETE /notes/{note}', params: {note: T.}, reply: none}
""")
AT = "https://acme.desk.example/api"


@pytest.fixture
def desk() -> Iterator[Rig]:
    with Rig(DESK, settings={"site": "acme"}, transport=SandboxTransport([DESK])) as rig:
        yield rig


def value(rig: Rig, tool: str, /, **arguments: Any) -> Any:
    outcome = rig.call(tool, **arguments)
    assert not outcome.is_error, outcome.text
    return json.loads(outcome.text)


def fault(rig: Rig, tool: str, /, **arguments: Any) -> tuple[Any, ...]:
    outcome = rig.call(tool, **arguments)
    assert outcome.is_error
    facts = dict(outcome.structured or {})
    return facts.get("status"), facts.get("code"), facts.get("message")


def numbers(rig: Rig, **arguments: Any) -> list[int]:
    return [ticket["no"] for ticket in value(rig, "t_list_tickets", **arguments)["items"]]


def test_the_life_of_an_item(desk: Rig) -> None:
    sample = DESK.tools["t_get_ticket"].sample
    made = value(desk, "t_create_ticket", title="Leaks", who="u2", lang="en", tags=["b", "c"], no="99")
    new = {"title": "Leaks", "tags": ["b", "c"], "owner": "u2", "no": 8}
    assert made == sample | new
    assert value(desk, "t_get_ticket", no=8) == made
    assert numbers(desk) == [8, 7]

    changed = value(desk, "t_change_ticket", no=8, title="Drips", lines=[{"n": 2}], unknown="x")
    assert changed == made | {"title": "Drips", "lines": [{"sku": "s", "n": 2}]}
    assert value(desk, "t_replace_ticket", no=8, state="waiting") == {}
    assert value(desk, "t_touch_ticket", no=8)["state"] == "waiting"
    assert value(desk, "t_peek_ticket", no=8) == {}
    assert value(desk, "t_get_ticket", no=7) == sample

    closed = value(desk, "t_close_ticket", no=8)
    assert closed == changed | {"state": "closed", "closed": "now"}
    assert value(desk, "t_get_ticket", no=8) == closed
    assert (numbers(desk, state="closed"), numbers(desk, state="open")) == ([8], [7])
    assert value(desk, "t_create_ticket", title="x", note="y", lang="en")["no"] == 9
    assert DESK.tools["t_get_ticket"].sample == sample, "a sample is never written to"


def test_a_tool_without_a_sample_takes_its_lists(desk: Rig) -> None:
    made = value(desk, "t_create_note", text="y")
    assert made == {"id": "n2", "text": "y"}
    assert value(desk, "t_list_notes") == {"notes": [made, {"id": "n1", "text": "x"}]}
    for note in ("n1", "n2"):
        assert value(desk, "t_delete_note", note=note) == {}
        assert fault(desk, "t_delete_note", note=note)[0] == 404
    assert value(desk, "t_list_notes") == {"notes": []}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"owner": "u2"}, [9, 8]),
        ({"urgent": True}, [9]),
        ({"urgent": False, "owner": "u2"}, [8]),
        ({"state": "all", "limit": 1}, [9]),
        ({"after": "8"}, [7]),
        ({"owner": "nobody"}, []),
    ],
)
def test_a_list_is_filtered_and_paged(desk: Rig, arguments: dict[str, Any], found: list[int]) -> None:
    for urgent in (False, True):
        value(desk, "t_create_ticket", title="x", who="u2", lang="en", urgent=urgent)
    assert numbers(desk, **arguments) == found


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("t_get_ticket", {"no": 12}, (404, "resource_missing", "There is no such object: 12")),
        (
            "t_change_ticket",
            {"no": 12, "title": "x"},
            (404, "resource_missing", "There is no such object: 12"),
        ),
        ("t_close_ticket", {"no": 12}, (404, "resource_missing", "There is no such object: 12")),
        (
            "t_list_tickets",
            {"after": "12"},
            (400, "resource_missing", "There is nothing here to go on from: 12"),
        ),
    ],
)
def test_what_is_not_there(desk: Rig, tool: str, arguments: Any, says: tuple[Any, ...]) -> None:
    assert fault(desk, tool, **arguments) == says


# --- past the engine, which sends no such thing -----------------------------------------------------------


def ask(
    sandbox: Sandbox, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = sandbox.respond(method, url, headers or {}, sent)
    return answer.status, json.loads(answer.body or b"null"), answer.headers


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        ({"X-Lang": "en"}, {"note": "y"}, "title is missing."),
        ({}, {"title": "x", "note": "y"}, "lang is missing."),
        ({"x-lang": "en"}, {"title": "x"}, "who or note is missing."),
        ({"X-Lang": "en"}, {"title": "x", "owner": "u2"}, ""),
        ({"X-Lang": "en"}, {"title": "", "note": ""}, ""),
        ({}, None, "title is missing."),
    ],
)
def test_what_a_request_lacks_is_400(headers: dict[str, str], body: Any, says: str) -> None:
    status, said, _ = ask(Sandbox([DESK]), "POST", f"{AT}/tickets", body, headers)
    assert status == (400 if says else 200)
    assert (
        not says
        or said == {"fault": {"kind": "parameter_missing", "text": says}}
        or said == {"fault": {"code": "parameter_missing", "text": says}}
    )


@pytest.mark.parametrize(
    ("errors", "body", "headers"),
    [
        ("{}", {"message": "SAYS"}, {}),
        ("{message: message, code: code}", {"message": "SAYS", "code": "resource_missing"}, {}),
        (
            "{message: error.message, code: [error.decline_code, error.code, error.type]}",
            {"error": {"code": "resource_missing", "message": "SAYS"}},
            {},
        ),
        ("{message: [errorMessages, errors.*]}", {"errorMessages": "SAYS"}, {}),
        ("{message: errors.0.detail}", {"errors": [{"detail": "SAYS"}]}, {}),
        (
            "{when: error, message: [meta.messages, error], code: error}",
            {"error": "resource_missing", "meta": {"messages": "SAYS"}},
            {},
        ),
        ("{when: failed, message: text}", {"failed": "true", "text": "SAYS"}, {}),
        ("{when: error, message: error.text}", {"error": {"text": "SAYS"}}, {}),
        (
            "{message: 'header:X-Error', code: 'header:X-Code'}",
            {},
            {"X-Error": "SAYS", "X-Code": "resource_missing"},
        ),
    ],
)
def test_an_error_lies_where_its_connector_has_errors(
    errors: str, body: Any, headers: dict[str, str]
) -> None:
    connector = load(f"""
errors: {errors}
tools:
  t_list: {{description: A., category: read, request: GET /x, sample: [{{id: x1}}]}}
  t_get: {{description: A., category: read, request: 'GET /x/{{x}}', params: {{x: T.}}}}
""")
    says = "There is no such object: x2"
    status, said, sent = ask(Sandbox([connector]), "GET", "https://api.example.com/v1/x/x2")
    assert (status, said) == (404, json.loads(json.dumps(body).replace("SAYS", says)))
    assert {name: text.replace(says, "SAYS") for name, text in sent.items()} == {
        "Content-Type": "application/json",
        **headers,
    }
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        assert says in rig.call("t_get", x="x2").text


def test_nothing_that_was_sent_breaks_a_header() -> None:
    connector = load_short("""
errors: {message: 'header:X-Error'}
tools:
  t_list: {READ, request: GET /x, sample: [{id: x1}]}
  t_get: {READ, request: 'GET /x/{x}', params: {x: T.}}
""")
    sent = ask(Sandbox([connector]), "GET", "https://api.example.com/v1/x/%E2%82%AC%0D%0AX-Y:%201")[2]
    assert sent["X-Error"] == "There is no such object: ???X-Y: 1"


def test_an_error_of_graphql_lies_among_its_errors() -> None:
    connector = load_short("""
tools:
  t_get:
    {READ, graphql: 'query ($id: ID!) { x(id: $id) { id } }', params: {id: T.}, required: [id]}
""")
    body = {"query": connector.tools["t_get"].graphql, "variables": {}}
    status, said, _ = ask(Sandbox([connector]), "POST", "https://api.example.com/v1", body)
    assert (status, said) == (400, {"errors": [{"message": "id is missing."}]})


def test_another_address_is_404_in_the_words_of_its_own_api() -> None:
    other = load(
        "base_url: https://other.example\n"
        + "tools: {t_a: {description: A., category: read, request: GET /a}}"
    )
    sandbox = Sandbox([DESK, other])
    says = "The sandbox knows no such request: GET /"
    assert ask(sandbox, "GET", "https://other.example/b?key=secret")[:2] == (404, {"message": says + "b"})
    status, said, _ = ask(sandbox, "GET", f"{AT}/nothing?key=secret")
    assert (status, said["fault"]["text"]) == (404, says + "api/nothing")
    assert ask(sandbox, "GET", "https://other.example/a")[:2] == (200, {})


def test_an_idempotency_key_replays() -> None:
    sandbox = Sandbox([DESK])
    ticket, once = {"title": "x", "note": "y"}, {"X-Lang": "en", "x-once": "k1"}
    first = ask(sandbox, "POST", f"{AT}/tickets", ticket, once)
    assert ask(sandbox, "POST", f"{AT}/tickets", ticket, once) == first
    other = ask(sandbox, "POST", f"{AT}/tickets", ticket | {"title": "z"}, once)
    assert (other[0], other[1]["fault"].popitem()[1]) == (
        400,
        "This idempotency key was used for another request.",
    )
    again = ask(sandbox, "POST", f"{AT}/tickets", ticket, once | {"x-once": "k2"})
    assert again[1]["made"][0]["no"] == first[1]["made"][0]["no"] + 1
    assert ask(sandbox, "POST", f"{AT}/tickets", ticket, {"X-Lang": "en"})[0] == 200
    # a read, and what is done twice to the same end, is done again
    assert ask(sandbox, "GET", f"{AT}/tickets", headers={"X-Once": "k1"})[0] == 200
    assert ask(sandbox, "PUT", f"{AT}/tickets/7", {}, {"X-Once": "k1"})[0] == 204
    assert len(ask(sandbox, "GET", f"{AT}/tickets")[1]["tickets"]) == 4


def test_a_key_is_one_apis_own() -> None:
    text = "idempotency: X-Once\ntools: {t_a: {WRITE, request: POST /a, sample: {n: 0}}}"
    ours = load_short(f"base_url: https://a.example\n{text}")
    theirs = load_short(f"base_url: https://b.example\n{text.replace('0', '1')}")
    sandbox, once = Sandbox([ours, dataclasses.replace(theirs, name="b")]), {"X-Once": "k"}
    assert ask(sandbox, "POST", "https://a.example/a", None, once)[1] == {"n": 0}
    assert ask(sandbox, "POST", "https://b.example/a", None, once)[1] == {"n": 1}


def test_every_answer_has_a_number_of_its_own() -> None:
    sandbox = Sandbox([DESK])
    said = [ask(sandbox, "GET", f"{AT}/tickets")[2]["X-Request"] for _ in range(3)]
    assert said == ["sandbox-1", "sandbox-2", "sandbox-3"]


# --- what is no collection --------------------------------------------------------------------------------

ELSE = load_short("""
encoding: form
tools:
  t_get_order: {READ, request: 'GET /orders/{order}', params: {order: T.}, sample: {id: ord_1, note: x}}
  t_get_me: {READ, request: GET /me, sample: {id: me, tags: [{id: 1}]}}
  t_change_me: {WRITE, request: PUT /me, params: {note: T.}, sample: {id: me, note: x}}
  t_read_file: {READ, request: 'GET /files/{path...}', params: {path: T.}, reply: text, sample: plain}
  t_read_none: {READ, request: GET /empty, reply: text}
  t_stop: {WRITE, request: 'DELETE /jobs/{job}', params: {job: T.}, reply: none}
  t_get_nothing: {READ, request: GET /nothing, unwrap: data.order}
  t_list_nothing:
    READ
    request: GET /orders/{order}/rows
    unwrap: data
    paginate: {items: rows, next: {page: +page}, params: {page: {type: integer}}}
    params: {order: T.}
  t_say:
    WRITE
    request: POST /say
    params: {note: T., customer: T., tags: {type: array, items: T.}, left_out: T.}
    sample: {ok: true, note: x, customer: {id: cus_1}, tags: [a]}
  t_query: {READ, safe: true, request: POST /query, params: {note: T.}, sample: {id: q, note: x}}
""")


@pytest.mark.parametrize(
    ("tool", "arguments", "read"),
    [
        ("t_get_order", {"order": "anything.."}, {"id": "ord_1", "note": "x"}),
        ("t_get_me", {}, {"id": "me", "tags": [{"id": 1}]}),
        ("t_change_me", {"note": "new"}, {"id": "me", "note": "new"}),
        ("t_read_file", {"path": "a/b/c d"}, "plain"),
        ("t_read_none", {}, ""),
        ("t_stop", {"job": "latest"}, {}),
        ("t_get_nothing", {}, {}),
        ("t_list_nothing", {"order": "o", "page": 2}, {"items": []}),
        (
            "t_say",
            {"note": "a & b = ü", "customer": "cus_7", "tags": ["x"], "left_out": "x"},
            {"ok": True, "note": "a & b = ü", "customer": {"id": "cus_7"}, "tags": ["x"]},
        ),
        ("t_query", {"note": "new"}, {"id": "q", "note": "x"}),
    ],
)
def test_all_else_answers_its_sample_and_a_write_with_what_was_written(
    tool: str, arguments: Any, read: Any
) -> None:
    with Rig(ELSE, transport=SandboxTransport([DESK, ELSE])) as rig:
        for _ in range(2):
            outcome = rig.call(tool, **arguments)
            assert not outcome.is_error, outcome.text
            assert (json.loads(outcome.text) if ELSE.tools[tool].reply != "text" else outcome.text) == read


def test_a_list_below_an_item_is_its_own() -> None:
    connector = load_short("""
tools:
  t_list: {READ, request: GET /x, sample: [{id: 1}]}
  t_rows:
    READ
    request: GET /x/{x}
    paginate: {items: rows, next: {page: +page}, params: {page: {type: integer}}}
    params: {x: T.}
    sample: {id: 2, rows: [{id: 3}]}
""")
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        assert value(rig, "t_rows", x="1")["items"] == [{"id": 3}]
        assert value(rig, "t_list") == [{"id": 1}]


@pytest.mark.parametrize("lists", ["repeat", "brackets", "comma", "indexed"])
def test_every_way_to_write_a_list_is_understood(lists: str) -> None:
    text = "encoding: form\nlists: LISTS\ntools: {t_x: {description: X., category: write, effects: [], "
    text += "request: POST /x, params: {tags: {type: array, items: T.}}, sample: {tags: [a, b, c]}}}"
    connector = load(text.replace("LISTS", lists))
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        for tags in (["x"], ["x", "y z"]):
            assert value(rig, "t_x", tags=tags) == {"tags": tags}


def test_graphql_answers_with_its_sample_and_what_was_written() -> None:
    connector = load_short("""
tools:
  t_create:
    WRITE
    graphql: "mutation ($input: In!) { create(input: $input) { issue { id title n } } }"
    params: {input: {type: object, properties: {title: T., n: {type: integer}}}}
    required: [input]
    unwrap: data.create.issue
    sample: {data: {create: {issue: {id: i2, title: Sample, n: 1}}}}
""")
    with Rig(connector, transport=SandboxTransport([connector])) as rig:
        assert value(rig, "t_create", input={"title": "New", "n": 4}) == {"id": "i2", "title": "New", "n": 4}


def test_a_lookup_is_answered_from_what_is_there() -> None:
    stripe = catalog.load_connector("stripe")
    sandbox, at = Sandbox([stripe]), "https://api.stripe.com/v1"
    made = ask(sandbox, "POST", f"{at}/charges", b"amount=700&currency=eur&source=tok_visa")[1]
    assert ask(sandbox, "GET", f"{at}/charges/{made['id']}")[1]["amount"] == 700
    assert ask(sandbox, "GET", f"{at}/charges/ch_none")[0] == 404
    assert ask(sandbox, "PUT", f"{at}/charges/{made['id']}")[0] == 404


# --- any conversation -------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "change", "delete", "get", "list"]),
        st.integers(0, 9),
        st.sampled_from(["a", "b", "all"]),
    ),
    max_size=25,
)


SIMPLE = load_short("""
encoding: form
pagination:
  params: {limit: {type: integer}, after: T.}
  items: d
  next: {after: d.-1.id}
  more: more
tools:
  t_list: {READ, request: GET /x, paginate: true, params: {name: T.}, sample: {d: [], more: false}}
  t_create: {WRITE, request: POST /x, params: {name: T.}, sample: {id: x_1, name: a}}
  t_get: {READ, request: 'GET /x/{x}', params: {x: T.}}
  t_change: {WRITE, request: 'POST /x/{x}', params: {x: T., name: T.}}
  t_delete: {DELETE, request: 'DELETE /x/{x}', params: {x: T.}, reply: none}
""")


@given(steps=STEPS)
@settings(max_examples=80, deadline=None)
def test_whatever_is_done_to_it_it_is_as_a_dictionary(steps: list[tuple[str, int, str]]) -> None:
    sandbox, at = Sandbox([SIMPLE]), "https://api.example.com/v1/x"
    model, seen = {"x_1": "a"}, ["x_1"]

    def listed(query: str) -> list[Any]:
        found: list[Any] = []
        after, more = "", True
        while more:
            page = ask(sandbox, "GET", f"{at}?{query}&limit=2{after}")[1]
            assert len(page["d"]) <= 2
            found += page["d"]
            more = page["more"]
            after = f"&after={found[-1]['id']}" if found else ""
        return found

    for step, which, name in steps:
        one = seen[which % len(seen)]
        if step == "create":
            made = ask(sandbox, "POST", at, f"name={name}".encode())[1]
            assert made["id"] not in seen
            seen.append(made["id"])
            model[made["id"]] = name
        elif step == "list":
            wanted = [{"id": key, "name": has} for key, has in model.items() if name in ("all", has)]
            assert listed(f"name={name}") == wanted[::-1]
        else:
            method, body = {"change": ("POST", f"name={name}"), "delete": ("DELETE", "")}.get(
                step, ("GET", "")
            )
            status, said, _ = ask(sandbox, method, f"{at}/{one}", body.encode())
            assert status == (404 if one not in model else 204 if step == "delete" else 200)
            if one in model and step == "change":
                model[one] = name
            if one in model and step != "delete":
                assert said == {"id": one, "name": model[one]}
            if step == "delete":
                model.pop(one, None)
    assert [item["id"] for item in listed("")] == list(model)[::-1]


@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from(["/tickets", "/tickets/7", "/notes", "/notes/n1", "/x"]),
    query=st.text("abc[]=&%2;+limitafter0123456789", max_size=12),
    body=st.binary(max_size=20)
    | st.sampled_from([b"[]", b"{}", b'{"title": {}}', b'{"lines": {"a": [1]}}', b"7"]),
)
@settings(max_examples=300, deadline=None)
def test_any_request_gets_an_answer(method: str, path: str, query: str, body: bytes) -> None:
    answer = Sandbox([DESK]).respond(method, f"{AT}{path}?{query}", {"X-Lang": "en", "X-Once": "k"}, body)
    assert answer.status in (200, 204, 400, 404)
    json.loads(answer.body or b"null")


def test_no_credential_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a credential was looked for")

    monkeypatch.setattr(serving, "open_vault", opened)
    stripe = catalog.load_connector("stripe")
    grant = Grant(open_account(stripe, {}), catalog.load_policy("full-access", "preset"))
    toolset = build_toolset(App("tests", (grant,)))

    async def call() -> Any:
        gateway = serving.build_gateway(Options(("stripe",), sandbox=True), toolset)
        try:
            return await gateway.call("stripe_create_customer", {"name": "Ada", "metadata": {"k": "v"}})
        finally:
            await gateway.close()

    made = asyncio.run(call())
    assert not made.is_error, made.text
    assert json.loads(made.text)["name"] == "Ada"
    with pytest.raises(AssertionError, match="looked for"):
        serving.build_gateway(Options(("stripe",)), toolset)
