"""`mask`: what the agent does not see of a reply, wherever it stands, and in errors that repeat it."""
# ruff: noqa: E501

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.masking import hide, redact
from mcpgate.engine.response import read, shape
from mcpgate.engine.sandbox import SandboxTransport
from mcpgate.gateway import Gateway
from mcpgate.places import parse_place
from mcpgate.secrets import Scrubber
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Outcome
from tests.engine.rig import one_tool, prepare
from tests.engine.test_projection import FIELDS, JSON
from tests.engine.test_response import ERRORS, GET
from tests.policy.shop import app, policy

LIST = f"{GET}\npaginate: {{items: data, next: {{after: data.-1.email}}}}\nparams: {{after: A cursor.}}"
ADA = {
    "id": 1,
    "email": "ada@example.com",
    "phone": None,
    "card": {"email": "x@example.com", "last4": "4242"},
}


def masked(spec: str, body: Any, mask: list[str], status: int = 200, top: str = "") -> Outcome:
    connector = one_tool(spec, top)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    tool = connector.tools["t_x"]
    reply = read(connector, tool, prepare(connector), status, {}, raw)
    return shape(connector, tool, reply, tuple(map(parse_place, mask)))


@pytest.mark.parametrize(
    ("spec", "body", "mask", "shown"),
    [
        # a bare name at any depth; null stays null; an object or a list goes as a whole, an empty one too
        (GET, ADA, ["email", "phone"], {**ADA, "email": "***", "card": {"email": "***", "last4": "4242"}}),
        (GET, [[{"a": {"email": 1}}]], ["email"], [[{"a": {"email": "***"}}]]),
        (GET, {"a": {}, "b": [], "c": ["x", "y"], "d": {"e": 1}}, list("abcd"), dict.fromkeys("abcd", "***")),
        (GET, {"a": 0, "b": False, "c": "", "d": None}, list("abcd"), {**dict.fromkeys("abc", "***"), "d": None}),
        # a dotted place: only within what it names, and there from anywhere
        (GET, ADA, ["card.email"], {**ADA, "card": {"email": "***", "last4": "4242"}}),
        (GET, {"x": {"card": {"email": 1}}, "email": 2}, ["card.email"], {"x": {"card": {"email": "***"}}, "email": 2}),
        (GET, {"cards": [{"email": 1}, {"email": 2}]}, ["cards.email"], {"cards": [{"email": "***"}] * 2}),
        (GET, {"cards": [1, 2, 3]}, ["cards.0", "cards.-1"], {"cards": ["***", 2, "***"]}),
        (GET, {"to": {"a": {"x": 1}, "b": {"x": 2, "y": 3}}}, ["to.*.x"], {"to": {"a": {"x": "***"}, "b": {"x": "***", "y": 3}}}),
        (GET, {"a.b": 1, "a": {"b": 2}}, [r"a\.b"], {"a.b": "***", "a": {"b": 2}}),
        (GET, {"email": 1}, ["emails", "mail", "Email"], {"email": 1}),
        # what is hidden counts as read: an invisible character in a name is no way round
        (GET, {"e\u200bmail": 1, "email\u202e": 2}, ["email"], {"email": "***"}),
        # with projection, and of what was taken out of the reply
        (f"{GET}\nfields: [id, card.email]", ADA, ["email"], {"id": 1, "card": {"email": "***"}}),
        (f"{GET}\nfields: [id, card.email]", ADA, ["card"], {"id": 1, "card": "***"}),
        (f"{GET}\nunwrap: data.user", {"data": {"user": ADA}}, ["data.user.card.email"], {**ADA, "card": {"email": "***", "last4": "4242"}}),
        (f"{GET}\nunwrap: data.user", {"data": {"user": {"id": 1}}}, ["user", "data"], {"id": 1}),
        (f"{GET}\nunwrap: data.email", {"data": {"email": "ada@example.com"}}, ["email"], "***"),
        (f"{GET}\nunwrap: data.email", {"data": {"email": None}}, ["email"], None),
        (f"{GET}\nunwrap: data.emails", {"data": {"emails": ["a@example.com", {"id": 1}]}}, ["data.emails"], ["***", {"id": 1}]),
        # a page: each item, from the reply's root, and from the page's as the agent reads it
        (LIST, {"data": [ADA]}, ["card.email"], {"items": [{**ADA, "card": {"email": "***", "last4": "4242"}}], "next": {"after": "ada@example.com"}}),
        (LIST, {"data": [{"id": 1, "x": {"id": 2}}]}, ["data.id"], {"items": [{"id": "***", "x": {"id": 2}}]}),
        (LIST, {"data": [{"id": 1, "x": {"id": 2}}]}, ["items.id"], {"items": [{"id": "***", "x": {"id": 2}}]}),
        (LIST, {"data": [{"id": 1}, {"id": 2}]}, ["items.0.id"], {"items": [{"id": "***"}, {"id": 2}]}),
        (LIST, {"data": [{"items": [1]}]}, ["items"], {"items": [{"items": "***"}]}),
        (LIST, {"data": []}, ["data"], {"items": []}),
        # the cursor is one of the arguments for the next call, so that a mask does not take it away
        (LIST, {"data": [{"email": "a@example.com"}]}, ["email"], {"items": [{"email": "***"}], "next": {"after": "a@example.com"}}),
    ],
)  # fmt: skip
def test_what_is_masked(spec: str, body: Any, mask: list[str], shown: Any) -> None:
    assert json.loads(masked(spec, body, mask).text) == shown


@settings(deadline=None)
@given(FIELDS, JSON)
def test_a_mask_hides_all_that_its_places_find_and_nothing_else_changes(mask: list[str], value: Any) -> None:
    places = tuple(map(parse_place, mask))
    shown = hide(places, value)
    for place in places:
        assert all(found in (None, "***") for found in place.all(shown))
    assert _alike(shown, value)
    assert hide((), value) == value


def _alike(shown: Any, value: Any) -> bool:
    if shown == "***":
        return True
    if isinstance(value, dict):
        return shown.keys() == value.keys() and all(_alike(shown[key], value[key]) for key in value)
    if isinstance(value, list):
        return len(shown) == len(value) and all(map(_alike, shown, value))
    return bool(shown == value)


REFUSED: dict[str, Any] = {
    "error": {"message": "No ada@example.com (1234567) here, Ada", "code": "x"},
    "email": "ada@example.com",
}


@pytest.mark.parametrize(
    ("body", "mask", "top", "says"),
    [
        (REFUSED, ["email"], ERRORS, "No *** (1234567) here, Ada"),
        ({**REFUSED, "who": {"names": ["Ada", "ada@exam"], "phone": 1234567}}, ["who"], ERRORS, "No ***ple.com (***) here, Ada"),
        ({**REFUSED, "old": "ada@"}, ["old", "email"], ERRORS, "No *** (1234567) here, Ada"),
        ({**REFUSED, "e\u200bmail": "here,\u200b Ada"}, ["email"], ERRORS, "No *** (1234567) ***"),
        ({"error": {"message": "No a\u200bda@example.com"}, "email": "ada@example.com"}, ["email"], ERRORS, "No ***"),
        (REFUSED, ["message"], ERRORS, "***"),
        (REFUSED, ["error"], ERRORS, None),
        # nowhere named where the message is: the reply itself is told, without what is masked
        ({"x": {"email": "a@b.example"}, "why": "no"}, ["email"], "", '{"x":{"email":"***"},"why":"no"}'),
        # too many to look for
        ({"error": {"message": "m" * 100_000}, "email": [str(number) for number in range(1000, 9000)]}, ["email"], ERRORS, "***"),
        # what is no object cannot be told apart
        (b'{"email": "ada@example.com", ', ["email"], ERRORS, "***"),
        (b"<title>ada@example.com</title>", ["email"], ERRORS, "***"),
        (REFUSED, ["phone"], ERRORS, REFUSED["error"]["message"]),
    ],
)  # fmt: skip
def test_an_error_does_not_repeat_what_is_masked(
    body: Any, mask: list[str], top: str, says: str | None
) -> None:
    outcome = masked(GET, body, mask, 400, top)
    assert outcome.is_error
    assert (outcome.structured or {}).get("message") == says
    assert says is None or says in outcome.text


def test_a_code_does_not_repeat_what_is_masked() -> None:
    body = {"error": {"message": "No.", "code": "no-ada@example.com"}, "email": "ada@example.com"}
    outcome = masked(GET, body, ["email"], 400, ERRORS)
    assert (outcome.structured or {})["code"] == "no-***"
    assert "ada@example.com" not in outcome.text


@pytest.mark.parametrize(
    ("spec", "body"),
    [
        (GET, b'{"email": "ada@example.com", '),
        (GET, b"<html>ada@example.com</html>"),
        (f"{GET}\nfields: [id]", "ada@example.com"),
        (LIST, {"data": {"email": "ada@example.com"}}),
        (f"{GET}\nreply: none", {"email": "ada@example.com"}),
    ],
)
def test_a_reply_that_is_not_what_was_due_is_not_quoted_under_a_mask(spec: str, body: Any) -> None:
    assert "ada@example.com" in masked(spec, body, []).text
    outcome = masked(spec, body, ["email"])
    assert outcome.is_error
    assert "ada@example.com" not in outcome.text + str(outcome.structured)
    assert outcome.text.startswith("The API answered 200, but not with what was due (not quoted")


def test_a_mask_costs_time_in_proportion() -> None:
    hostile = {"email": [f"{number}@example.com" for number in range(300_000)]}
    began = time.perf_counter()
    redact("x" * 10_000, [hostile])
    hide(tuple(map(parse_place, ["email", "*.*.*.x", "a.b.c"])), [[{"a": {"b": {"d": 1}}}] * 1000] * 10)
    assert time.perf_counter() - began < 2


def test_the_masks_of_every_layer_hold() -> None:
    masks = {"preset": "a", "account": "b", "switches": "c"}
    texts = {layer: f"policy: p\nmask: [{name}, both]\n" for layer, name in masks.items()}
    texts["preset"] = "preset: p\nallow: [read]\nmask: [a, both]\n"
    toolset = build_toolset(app("policy: p\nmask: [d.e]\n", "policy: q\nmask: [f]\n", **texts))
    for entry in toolset.entries.values():
        assert sorted(map(str, entry.mask)) == ["a", "b", "both", "c", "d.e", "f"]


def test_a_mask_holds_for_whole_calls_and_in_the_sandbox() -> None:
    stripe = catalog.load_connector("stripe")
    grant = Grant(open_account(stripe, {}), catalog.load_policy("full-access", "preset"))
    toolset = build_toolset(App("test", (grant,), rules=(policy("policy: p\nmask: [email, items.name]\n"),)))
    client = Client(lambda *_: None, SandboxTransport([stripe]))
    gateway = Gateway(toolset, HTTPBackend(client), MemoryStore(), Scrubber())

    async def calls() -> list[Outcome]:
        made = {"name": "Ada", "email": "ada@example.com"}
        steps = [("stripe_create_customer", made), ("stripe_list_customers", {"email": "ada@example.com"})]
        return [await gateway.call(name, arguments) for name, arguments in steps]

    created, listed = [json.loads(outcome.text) for outcome in asyncio.run(calls())]
    assert (created["name"], created["email"]) == ("Ada", "***")
    assert [(item["name"], item["email"]) for item in listed["items"]] == [("***", "***")]
