"""What a whole reply is judged to be, and what the agent reads of it: decisions 10 and 12, rows 19 and 27."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from mcpgate.engine.response import read, shape
from mcpgate.values import Connector, Outcome, Reply
from tests.engine.rig import one_tool, prepare

GET = "category: read\nrequest: GET /x"
POST = "category: write\neffects: []\nrequest: POST /x"
HTML = {"content-type": "text/html; charset=utf-8"}
PAGE = b"<html><head><title>Bad\n gateway</title><style>p{}</style></head><body><p>Sorry</p></body></html>"


def judged(
    spec: str, status: int, body: bytes, headers: dict[str, str] | None = None, top: str = ""
) -> Reply:
    connector = one_tool(spec, top)
    return read(connector, connector.tools["t_x"], prepare(connector), status, headers or {}, body)


def shaped(
    spec: str, status: int, body: Any, headers: dict[str, str] | None = None, top: str = ""
) -> Outcome:
    connector: Connector = one_tool(spec, top)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    tool = connector.tools["t_x"]
    return shape(connector, tool, read(connector, tool, prepare(connector), status, headers or {}, raw))


@pytest.mark.parametrize("body", [b"{}", b"", b"null", PAGE, b"{"])
@pytest.mark.parametrize("spec", [GET, POST, f"{POST}\nreply: none", f"{GET}\nreply: text"])
@pytest.mark.parametrize(
    ("status", "fate"),
    [
        *((status, "redirected") for status in (300, 301, 302, 303)),
        *((status, "failed") for status in (304, 307, 308, 400, 401, 402, 404, 409, 418, 429)),
        *((status, "unknown") for status in (500, 501, 502, 503, 504, 599, 101)),
    ],
)
def test_the_status_says_what_became_of_a_call(spec: str, status: int, fate: str, body: bytes) -> None:
    reply = judged(spec, status, body)
    if fate == "redirected":  # to what a write has done, or to where a read would find it
        fate = "failed" if spec.startswith(GET) else "unknown"
    assert (reply.fate, reply.status) == (fate, status)
    assert str(status) in reply.problem
    assert ("redirect" in reply.problem) == (300 <= status < 400)


@pytest.mark.parametrize(
    ("spec", "status", "body", "text"),
    [
        (GET, 200, b'{"a":[1,2.5,null,"\\u00e9"]}', '{"a":[1,2.5,null,"é"]}'),
        (GET, 206, b"[]", "[]"),
        (GET, 200, b"null", "null"),
        (GET, 200, b'"a"', '"a"'),
        (GET, 200, b'\xef\xbb\xbf{"bom": 1}', '{"bom":1}'),
        (GET, 200, b'{"a":"\\ud800"}', '{"a":"\ufffd"}'),
        (POST, 204, b"", "{}"),
        (POST, 205, b"", "{}"),
        (POST, 200, b"", "{}"),
        (POST, 201, b" \r\n", "{}"),
        (f"{POST}\nunwrap: data.x\nfields: [id]", 204, b"", "{}"),
        (f"{POST}\nreply: none", 200, b"", "{}"),
        (f"{GET}\nreply: none", 204, b"", "{}"),
        (f"{GET}\nreply: text", 200, "née\n".encode(), "née\n"),
        (f"{GET}\nreply: text", 200, b"\xff", "\ufffd"),
        (f"{GET}\nreply: text", 200, b"", ""),
        (f"{GET}\nunwrap: data.x", 200, b'{"data":{"x":{"id":1}}}', '{"id":1}'),
        (f"{GET}\nunwrap: data.x\nfields: [id]", 200, b'{"data":{"x":null}}', "null"),
        (
            f"{GET}\nfields: [id, in.id]",
            200,
            b'[{"id":1,"in":{"id":2,"x":3},"y":4}]',
            '[{"id":1,"in":{"id":2}}]',
        ),
        (f"{GET}\npaginate: {{items: d, next: {{n: n}}}}\nparams: {{n: T.}}", 200, b"{}", '{"items":[]}'),
    ],
)
def test_what_succeeds(spec: str, status: int, body: bytes, text: str) -> None:
    outcome = shaped(spec, status, body)
    assert (outcome.text, outcome.is_error, outcome.structured) == (text, False, None)


LISTED = f"{GET}\npaginate: {{items: data, next: {{n: n}}}}\nparams: {{n: T.}}"
WHOLE = f"{GET}\npaginate: {{next: {{n: +page}}}}\nparams: {{n: {{type: integer}}}}"


@pytest.mark.parametrize(
    ("spec", "body", "headers", "says"),
    [
        (GET, b"", {}, "empty body"),
        (GET, PAGE, HTML, "a web page: Bad gateway"),
        (GET, PAGE, {}, "not JSON"),
        (GET, b'{"a": 1', {}, "only part of it"),
        (GET, b'{"a": 1} x', {}, "not JSON"),
        (GET, b'{"a": NaN}', {}, "not JSON"),
        (GET, b'{"a": 1e400}', {}, "not JSON"),
        (GET, b'{"a": -1e400}', {}, "not JSON"),
        (GET, b"-Infinity", {}, "not JSON"),
        (GET, b"\xff\xfe\x00", {}, "not JSON"),
        (GET, b"9" * 5000, {}, "not JSON"),
        (GET, b"[" * 65 + b"]" * 65, {}, "64 deep"),
        (GET, b'{"a":[' * 32 + b"{}" + b"]}" * 32, {}, "64 deep"),
        (GET, b"[{}," + b"[" * 64 + b"]" * 64 + b"]", {}, "64 deep"),
        (GET, ("[" * 65 + "]" * 65).encode("utf-16"), {}, "64 deep"),
        (GET, b'{"a":' * 300_000, {}, "not JSON"),
        (GET, b"[" * 300_000 + b"]" * 300_000, {}, "64 deep|not JSON"),
        (POST, b"OK", {}, "not JSON, or only part of it: OK"),
        (f"{POST}\nreply: none", b"{}", {}, "where none was due"),
        (f"{GET}\nreply: text", PAGE, HTML, "a web page"),
        (f"{GET}\nunwrap: data.x", b'{"data":{}}', {}, "nothing at data.x"),
        (f"{POST}\nfields: [id]", b'"queued"', {}, 'with "queued" where an object was due'),
        (LISTED, b'{"data":{"id":1}}', {}, "where a list was due"),
        (LISTED, b'{"data":"later"}', {}, "where a list was due"),
        (WHOLE, b'{"message":"later"}', {}, 'with {"message":"later"} where a list was due'),
    ],
)
def test_row_27_what_came_is_not_what_was_due(
    spec: str, body: bytes, headers: dict[str, str], says: str
) -> None:
    reply = judged(spec, 200, body, headers)
    assert reply.fate == "unknown"
    outcome = shaped(spec, 200, body, headers)
    assert outcome.is_error
    assert any(one in outcome.text for one in says.split("|")), outcome.text
    assert ("not known whether this was carried out" in outcome.text) == spec.startswith(POST)
    assert len(outcome.text) < 600


def test_row_19_the_deepest_reply_that_is_read() -> None:
    assert not shaped(GET, 200, b"[" * 64 + b"]" * 64).is_error
    assert not shaped(GET, 200, b'{"a":' * 64 + b"1" + b"}" * 64).is_error
    assert not shaped(GET, 200, b"[" + b"[{}]," * 100 + b"[" * 63 + b"]" * 63 + b"]").is_error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_reply_is_read_in_every_encoding_of_json(encoding: str) -> None:
    assert shaped(GET, 200, '{"name":"Zoë 🦀"}'.encode(encoding)).text == '{"name":"Zoë 🦀"}'


# --- errors inside 200 ---


@pytest.mark.parametrize(
    ("fate", "values"),
    [
        ("succeeded", (None, False, 0, "", [], {}, 0.0)),
        ("failed", (True, 1, "e", [0], {"a": None}, -1)),
    ],
)
def test_an_error_inside_a_200(fate: str, values: tuple[Any, ...]) -> None:
    for value in values:
        body = json.dumps({"fault": value, "id": 1}).encode()
        assert {judged(spec, 200, body, top="errors: {when: fault}").fate for spec in (GET, POST)} == {fate}
    assert judged(GET, 200, b'{"id":1}', top="errors: {when: fault}").fate == "succeeded"
    assert judged(GET, 200, b"{}", {"x-error": "1"}, top="errors: {when: header:X-Error}").fate == "failed"


@pytest.mark.parametrize("spec", [f"{GET}\nreply: text", f"{POST}\nreply: none"])
def test_an_error_inside_a_200_where_no_json_was_due(spec: str) -> None:
    top = "errors: {when: ok, message: ok.text}"
    outcome = shaped(spec, 200, {"ok": {"text": "locked"}}, top=top)
    assert (outcome.structured or {})["message"] == "locked"
    assert judged(spec, 200, b'{"ok": {}}', top=top).fate == ("succeeded" if "text" in spec else "unknown")
    by_header = "errors: {when: 'header:X-Error', message: 'header:X-Error'}"
    for body in (PAGE, b"[" * 500_000, b"", b"ok"):
        assert judged(spec, 200, body, {"x-error": "no"}, by_header).fate == "failed"
        assert "no" in shaped(spec, 200, body, {"x-error": "no"}, by_header).text


@pytest.mark.parametrize(("errors", "failed"), [([{"message": "no"}], True), ([], False), (None, False)])
def test_graphql_errors_are_always_errors(errors: Any, failed: bool) -> None:
    spec = "category: write\neffects: []\ngraphql: 'mutation { x { id } }'\nunwrap: data.x"
    outcome = shaped(spec, 200, {"data": {"x": {"id": 1}}, "errors": errors})
    assert outcome.is_error is failed
    assert ("no" in outcome.text) is failed


# --- what an error says ---

ERRORS = """
idempotency: Key
request_id: X-Id
errors:
  message: [error.message, errors.detail]
  code: [error.decline_code, error.code]
  hints: {card_declined: "Ask for another\\n card.", 402: It was not paid., 401: Own words.}
"""


@pytest.mark.parametrize(
    ("status", "body", "code", "message", "hint"),
    [
        (
            402,
            {"error": {"message": "No.", "code": "card_declined", "decline_code": "lost"}},
            "lost",
            "No.",
            "Ask for another card.",
        ),
        (402, {"error": {"message": "No.", "code": "other"}}, "other", "No.", "It was not paid."),
        (401, {"error": {"code": 17}}, "17", None, "Own words."),
        (
            403,
            {"errors": [{"detail": "a"}, {"detail": "b"}, {"detail": "a"}]},
            None,
            "a; b",
            "The credential lacks the permission for this. Ask a person.",
        ),
        (404, {"other": 1}, None, None, "There is no such object. Check the id."),
        (418, {}, None, None, None),
        (
            400,
            {"error": {"message": {"en": "No"}, "code": ""}},
            None,
            '{"en":"No"}',
            "The API did not accept these arguments. Correct them before trying again.",
        ),
        (409, PAGE, None, "Bad gateway", "This conflicts with the current state."),
        (429, b"slow   down\n", None, "slow down", "Too many requests. Wait before trying again."),
        (500, b"<p>x" + b"y" * 999, None, "x" + "y" * 299, None),
        (
            400,
            b"<b>a</b><script>var x = '<p>hid';</script> b < c<!-- d -->",
            None,
            "a b < c",
            "The API did not",
        ),
        (400, {"error": {"message": "m" * 9999}}, None, "m" * 2000, "The API did not"),
    ],
)
def test_what_an_error_says(
    status: int, body: Any, code: str | None, message: str | None, hint: str | None
) -> None:
    outcome = shaped(GET, status, body, {"x-id": "req_1"}, ERRORS)
    facts = dict(outcome.structured or {})
    assert outcome.is_error
    assert (facts["status"], facts.get("code"), facts.get("message")) == (status, code, message)
    assert facts.get("hint", "").startswith(hint or "")
    assert bool(hint) == ("hint" in facts)
    assert facts["request_id"] == "req_1"
    for fact in (str(status), code, message, hint):
        assert (fact or "") in outcome.text


def test_without_a_place_for_messages_the_reply_itself_is_shown() -> None:
    assert (
        '{"reason":"Latitude'
        in shaped(GET, 400, {"reason": "Latitude must be in range", "x": "y" * 999}).text
    )
    graphql = "category: read\ngraphql: 'query { x }'"
    facts = shaped(graphql, 400, {"errors": [{"message": "Unknown field"}]}).structured or {}
    assert facts["message"] == "Unknown field"


@pytest.mark.parametrize(
    ("spec", "status", "unknown"),
    [(GET, 500, False), (POST, 500, True), (POST, 402, False), (GET, 404, False)],
)
def test_row_20_an_error_of_a_write_bears_its_key(spec: str, status: int, unknown: bool) -> None:
    connector = one_tool(spec, ERRORS)
    tool, request = connector.tools["t_x"], prepare(connector)
    if spec == POST:
        object.__setattr__(request, "key", "key-1")
    outcome = shape(connector, tool, read(connector, tool, request, status, {}, b"{}"))
    facts = outcome.structured or {}
    assert facts.get("idempotency_key") == ("key-1" if spec == POST else None)
    assert facts.get("outcome") == ("unknown" if unknown else None)
    assert ("It is not known whether this was carried out" in outcome.text) is unknown


@pytest.mark.parametrize("key", ["", "key-1"])
@pytest.mark.parametrize("hints", ["", "{500: Ask the vendor.}"])
@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, PAGE), (402, b"{}")])
@pytest.mark.parametrize("spec", [GET, POST])
def test_an_unknown_write_without_a_key_says_to_look_first(
    spec: str, status: int, body: bytes, hints: str, key: str
) -> None:
    connector = one_tool(spec, f"errors: {{hints: {hints}}}" if hints else "")
    tool, request = connector.tools["t_x"], prepare(connector)
    object.__setattr__(request, "key", key)
    outcome = shape(connector, tool, read(connector, tool, request, status, {}, body))
    look_first = "Look at what is there before trying again."
    due = spec == POST and status != 402 and not key
    assert outcome.text.count(look_first) == due
    assert (look_first in (outcome.structured or {}).get("hint", "")) is due
    assert ("Ask the vendor." in outcome.text) is bool(hints and status == 500)


@pytest.mark.parametrize("body", [b"<title>" * 9300, b"<title" * 10900, b"<script>" * 8100, b"<" * 65_000])
def test_row_19_a_page_made_to_take_long_does_not(body: bytes) -> None:
    began = time.perf_counter()
    shaped(GET, 500, body * 2)
    assert time.perf_counter() - began < 0.5
