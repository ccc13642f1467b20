"""Lookups: asked once, only when a rule needs it, for the rules' eyes alone; one that fails denies.

Over HTTP on loopback, through the whole path of a call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.sandbox import SandboxTransport
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Connector, Outcome, Request
from mcpgate.vault.environment import EnvironmentVault
from tests.policy.shop import EVERYTHING, SHOP, connector, policy
from tests.scenarios import GOOD_KEY
from tests.standins.connectors import pointed_at
from tests.standins.loopback import JSON, LOST, Loopback, Reply

KEY = "key_of_the_shop_4711"
LIMITS = "{ for: effect:money_out, max_amount: { usd: 500, jpy: 70 } }"
LOOKUP, REFUND = "GET /v1/orders/o_1", "POST /v1/refunds"
ORDER = {"id": "o_1", "amount": 400, "currency": "usd"}


class Gate:
    """A gateway over a connector, under guardrails, with an event loop of its own."""

    def __init__(
        self,
        known: Connector,
        *guardrails: str,
        preset: str = EVERYTHING,
        key: str = KEY,
        settings: dict[str, str] | None = None,
        **client: Any,
    ) -> None:
        lines = "".join(f"  - {line}\n" for line in guardrails)
        rules = (policy(f"guardrails:\n{lines}"),) if guardrails else ()
        grant = Grant(open_account(known, settings or {}), policy(preset))
        self.store = MemoryStore()
        self.opened = 0
        self._key = key
        scrubber = Scrubber()
        scrubber.learn(KEY)
        backend = HTTPBackend(Client(client.pop("open", self._open), backoff=0, **client))
        self.gateway = Gateway(
            build_toolset(App("tests", (grant,), rules=rules)), backend, self.store, scrubber
        )
        self._runner = asyncio.Runner()

    def call(self, tool: str = "shop_create_refund", /, **arguments: Any) -> Outcome:
        return self._runner.run(self.gateway.call(tool, arguments))

    def refund(self, **arguments: Any) -> Outcome:
        return self.call(order="o_1", **arguments)

    def _open(self, account: Account, request: Request) -> Secret | None:
        self.opened += 1
        return Secret(self._key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.gateway.close())
        self._runner.close()


def shop(server: Loopback, text: str = SHOP) -> Connector:
    return connector(text, server.url)


def asked(server: Loopback) -> list[str]:
    return [f"{request.method} {request.target}" for request in server.requests]


@pytest.fixture
def api() -> Iterator[Loopback]:
    """A shop that knows one order, and takes everything."""
    with Loopback(otherwise=Reply.json(ORDER)) as server:
        yield server


def said(outcome: Outcome) -> str:
    return outcome.text + json.dumps(outcome.structured) + outcome.note


# --- asked once, and only when a rule needs it -----------------------------------------------------------

CURRENCY_GIVEN = SHOP.replace(
    "params: { order: { type: string }, amount: { type: integer } }",
    "params: { order: { type: string }, amount: { type: integer }, currency: { type: string } }",
).replace("currency: before.currency", "currency: [currency, before.currency]")


@pytest.mark.parametrize(
    ("guardrails", "arguments", "requests"),
    [
        ([], {}, [REFUND]),
        ([LIMITS], {}, [LOOKUP, REFUND]),
        ([LIMITS], {"amount": 5}, [LOOKUP, REFUND]),
        ([LIMITS], {"amount": 501}, [LOOKUP]),
        # once for all rules that need it
        (
            [LIMITS, LIMITS, "{ for: write, block_values: { field: before.state, values: [x] } }"],
            {},
            [LOOKUP, REFUND],
        ),
        (["{ for: shop_create_refund, required_fields: { fields: [before.id] } }"], {}, [LOOKUP, REFUND]),
        ([LIMITS.replace(" } }", " }, mode: observe }")], {"amount": 501}, [LOOKUP, REFUND]),
        # rules that need nothing of it, or reach other tools
        (
            ["{ for: write, max_value: { field: amount, max: 5 }, when_missing: allow }"],
            {"amount": 5},
            [REFUND],
        ),
        (["{ for: shop_create_payout, max_amount: { usd: 5 } }"], {}, [REFUND]),
        # a call that is denied outright, or is none, asks nothing
        ([LIMITS, "{ for: write, max_value: { field: note, max: 5 } }"], {}, []),
        ([LIMITS, "{ for: write, allow_repos: { repos: [a/b] } }"], {}, []),
        ([LIMITS], {"amount": "5"}, []),
    ],
)
def test_a_lookup_is_asked_once_where_a_rule_needs_it(
    api: Loopback, guardrails: list[str], arguments: dict[str, Any], requests: list[str]
) -> None:
    with Gate(shop(api), *guardrails) as gate:
        outcome = gate.refund(**arguments)
    assert asked(api) == requests
    assert outcome.is_error is (REFUND not in requests)


@pytest.mark.parametrize("preset", ["preset: p\nallow: [read]\n", f"{EVERYTHING}deny: [effect:reversal]\n"])
def test_nothing_is_asked_for_a_tool_that_is_denied_outright(api: Loopback, preset: str) -> None:
    with Gate(shop(api), LIMITS, preset=preset) as gate:
        assert gate.refund().is_error
    assert not asked(api)
    assert gate.opened == 0


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        ({"amount": 5, "currency": "usd"}, [REFUND]),
        ({"amount": 501, "currency": "usd"}, []),
        ({"amount": 5, "currency": "chf"}, []),
        ({"amount": 5}, [LOOKUP, REFUND]),
        ({"currency": "usd"}, [LOOKUP, REFUND]),
        ({"amount": 5, "currency": None}, [LOOKUP, REFUND]),
    ],
)
def test_what_the_arguments_say_is_not_looked_up(
    api: Loopback, arguments: dict[str, Any], requests: list[str]
) -> None:
    with Gate(shop(api, CURRENCY_GIVEN), LIMITS) as gate:
        gate.refund(**arguments)
    assert asked(api) == requests


def test_a_lookup_may_stand_below_a_setting(api: Loopback) -> None:
    text = SHOP.replace("lookup: GET /orders/", "lookup: GET /of/{team}/").replace(
        "auth:", "settings: { team: { type: string, pattern: '[a-z]+' } }\nauth:"
    )
    with Gate(shop(api, text), LIMITS, settings={"team": "north"}) as gate:
        assert not gate.refund().is_error
    assert asked(api) == ["GET /v1/of/north/o_1", REFUND]


# --- what it tells decides -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "order", "denial"),
    [
        ({"amount": 500}, {"amount": 9000, "currency": "usd"}, ""),
        ({"amount": 70}, {"amount": 9000, "currency": "JPY"}, ""),
        (
            {"amount": 71},
            {"amount": 1, "currency": "jpy"},
            "71 jpy (71 JPY) is over the limit of 70 jpy (70 JPY)",
        ),
        ({"amount": -501}, {"amount": 1, "currency": "usd"}, "501 usd (5.01 USD) is over the limit"),
        ({"amount": 1}, {"amount": 1, "currency": "eur"}, 'no limit is set for "eur"'),
        # without an amount all that was charged may go back
        ({}, {"amount": 500, "currency": "usd"}, ""),
        (
            {"amount": None},
            {"amount": 501, "currency": "usd"},
            "501 usd (5.01 USD) is over the limit of 500 usd",
        ),
        ({}, {"amount": "5", "currency": "usd"}, "the amount of this call is not a whole number"),
    ],
)
def test_currency_and_whole_amount_decide(
    arguments: dict[str, Any], order: dict[str, Any], denial: str
) -> None:
    with (
        Loopback(Reply.json(order), otherwise=Reply.json({"id": "r"})) as api,
        Gate(shop(api), LIMITS) as gate,
    ):
        outcome = gate.refund(**arguments)
        assert asked(api) == ([LOOKUP] if denial else [LOOKUP, REFUND])
    assert denial in outcome.text
    assert outcome.is_error is bool(denial)


def test_what_was_looked_up_is_what_is_reserved(api: Loopback) -> None:
    with Gate(shop(api), LIMITS) as gate:
        gate.refund()
    (entry,) = gate.store.entries.values()
    assert (entry.amount, entry.currency) == (400, "usd")


def test_what_was_looked_up_is_what_a_budget_sums(api: Loopback) -> None:
    with Gate(shop(api), "{ for: effect:money_out, budget: { usd: 1000, per: day } }") as gate:
        outcomes = [gate.refund(), gate.refund(amount=250), gate.refund(), gate.refund(amount=350)]
    assert [outcome.is_error for outcome in outcomes] == [False, False, True, False]
    assert "400 usd (4.00 USD) is over what is left: 350 usd" in outcomes[2].text
    assert asked(api) == [LOOKUP, REFUND, LOOKUP, REFUND, LOOKUP, LOOKUP, REFUND]


# --- one that fails denies -------------------------------------------------------------------------------

PAGE = Reply(200, b"<title>CANARY</title>", {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (
            [Reply.json({"error": "CANARY"}, 404)],
            "GET /orders/{order} failed (the API answered 404: There is no such object. Check the id)",
        ),
        (
            [Reply.json({"error": "CANARY"}, 401)],
            "failed (the API answered 401: The API refused the credential. Ask a person to check it)",
        ),
        ([Reply.json({"error": "CANARY"}, 500)] * 3, "failed (the API answered 500)"),
        ([Reply(302, b"", {"Location": "/v1/orders/o_2"})], "the API answered 302 (a redirect, which is not"),
        ([PAGE], "failed (the API answered 200, but with a web page)"),
        (
            [Reply(200, b'{"amount": 1, "currency": "usd", "CANARY')],
            "something that is not JSON, or only part of it)",
        ),
        (
            [Reply(200, b'{"amount": NaN, "currency": "usd"}')],
            "something that is not JSON, or only part of it)",
        ),
        (
            [Reply(200, b'{"amount": 1, "currency": "usd"}', cut=20)] * 3,
            "the API answered 200, but it was cut off)",
        ),
        ([LOST] * 3, "failed (the connection to http://127.0.0.1:"),
        ([Reply(200, b"")], "failed (the API answered 200, but with an empty body where a result was due)"),
        ([Reply(204, b"")], "failed (the API answered 204, but with an empty body"),
        ([Reply(200, b"[" * 70 + b"]" * 70)], "with JSON nested more than 64 deep)"),
        ([Reply(200, b'"' + b"x" * (5 << 20) + b'"')], "the API answered 200, but with more than 5 MiB)"),
        ([Reply(wait=5)], "failed (no complete reply within 0.7 s"),
        (
            [Reply(200, b'{"amount": 1, "currency": "usd"}', drip=0.1)],
            "failed (no complete reply within 0.7 s",
        ),
        # it answered, and does not tell
        (
            [Reply.json({"amount": 1, "note": "CANARY"})],
            "of this call is not known: GET /orders/{order} does not tell it",
        ),
        (
            [Reply.json({"currency": "usd", "note": "CANARY"})],
            "of this call is not known: GET /orders/{order} does not",
        ),
        ([Reply.json({"amount": None, "currency": None})], "GET /orders/{order} does not tell it"),
        ([Reply.json(["CANARY"])], "GET /orders/{order} does not tell it"),
        ([Reply.json("CANARY")], "GET /orders/{order} does not tell it"),
        ([Reply.json(None)], "GET /orders/{order} does not tell it"),
    ],
)
def test_a_lookup_that_fails_denies_and_nothing_is_sent(
    answers: list[Reply], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Loopback(*answers) as api, Gate(shop(api, f"timeout: 0.7\n{SHOP}"), LIMITS) as gate:
        outcome = gate.refund()
        assert asked(api) == [LOOKUP] * len(answers)
    assert outcome.is_error
    assert outcome.text.startswith("Denied by max_amount: the ")
    assert why in outcome.text
    assert outcome.text.endswith("and what cannot be decided is denied.")
    assert outcome.structured is not None
    assert (outcome.structured["denied"], outcome.structured["rule"]) == (True, "max_amount")
    assert [row.kind for row in gate.store.rows] == ["lookup", "refused"]
    # what the API said is for the rules alone
    assert "CANARY" not in said(outcome) + repr(gate.store.rows) + caplog.text


@pytest.mark.parametrize("guardrail", ["allow_values", "block_values", "block_values, when_missing: allow"])
def test_limits_and_blocks_on_before_deny_when_it_fails(guardrail: str) -> None:
    template, _, more = guardrail.partition(",")
    rule = f"{template}: {{ field: before.state, values: [paid] }}{more and ','}{more}"
    rule = f"{{ for: shop_create_refund, {rule} }}"
    with Loopback(Reply.json({}, 404)) as api, Gate(shop(api), rule) as gate:
        outcome = gate.refund()
        assert asked(api) == [LOOKUP]
    assert outcome.text == (
        f"Denied by {template}: before.state is not known: GET /orders/{{order}} failed "
        "(the API answered 404: There is no such object. Check the id), and what cannot be decided is denied."
    )


def test_a_field_that_the_reply_does_not_have_is_not_asked_of_the_agent() -> None:
    rule = "{ for: shop_create_refund, allow_values: { field: before.state, values: [paid] } }"
    with Loopback(Reply.json({"id": "o_1"})) as api, Gate(shop(api), rule) as gate:
        outcome = gate.refund()
    assert outcome.text == (
        "Denied by allow_values: before.state is missing in the reply of the lookup, and allow_values guards"
        " it."
    )


def test_a_lookup_without_a_credential_says_what_to_do(tmp_path: Path, api: Loopback) -> None:
    known = catalog.load_connector(str(pointed_at(api.url, tmp_path)))
    vault = EnvironmentVault({}, catalog.known_connector, Scrubber())
    with Gate(known, LIMITS, open=vault.open) as gate:
        outcome = gate.call("stripe_create_refund", charge="ch_1")
    assert outcome.text.startswith("There is no credential for Stripe. A person has to")
    assert outcome.exit_code == 4
    assert not asked(api)
    assert [row.kind for row in gate.store.rows] == ["refused"]


def test_a_log_that_cannot_be_written_denies(api: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gate(shop(api), LIMITS) as gate:
        monkeypatch.setattr(gate.gateway, "_store", None)
        outcome = gate.refund()
    assert outcome.text == "mcpgate itself failed (AttributeError), so nothing was sent."
    assert asked(api) == [LOOKUP]


def test_a_fault_of_the_vault_says_nothing_of_itself(api: Loopback) -> None:
    def broken(account: Account, request: Request) -> Secret:
        raise RuntimeError(f"the key is {KEY}")

    with Gate(shop(api), LIMITS, open=broken) as gate:
        outcome = gate.refund()
    assert outcome.text == "The credential could not be opened (RuntimeError)."
    assert KEY not in said(outcome) + repr(gate.store.rows)


# --- the same limits as everywhere -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        "../balance",
        "..",
        ".",
        "o_1/../../balance",
        "%2e%2e",
        "o_1\r\nX: y",
        "a\\..\\b",
        "ö",
        "%252e%252e",
        "",
    ],
)
def test_what_cannot_stand_in_a_path_is_not_looked_up(api: Loopback, order: str) -> None:
    with Gate(shop(api), LIMITS) as gate:
        outcome = gate.call(order=order)
    assert not asked(api)
    assert "GET /orders/{order} failed (order: " in outcome.text


def test_a_rate_that_is_used_up_ends_the_lookups_too(api: Loopback) -> None:
    pace = "{ for: shop_create_refund, rate_limit: { max: 1, per: hour } }"
    with Gate(shop(api), LIMITS, pace) as gate:
        assert not gate.refund(amount=1).is_error
        sent = len(asked(api))
        assert sent == 2
        for _ in range(3):
            assert gate.refund(amount=1).text.startswith("Denied by rate_limit")
    assert len(asked(api)) == sent


def test_what_stands_in_a_path_is_encoded() -> None:
    with Loopback(otherwise=Reply.json({}, 404)) as api, Gate(shop(api), LIMITS) as gate:
        for order in ("o_1?expand=x", "o#1", "o_1&amount=1"):
            gate.call(order=order)
        assert asked(api) == [
            "GET /v1/orders/o_1%3Fexpand%3Dx",
            "GET /v1/orders/o%231",
            "GET /v1/orders/o_1%26amount%3D1",
        ]


def test_the_credential_goes_to_the_origin_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Loopback(otherwise=Reply.json(ORDER)) as elsewhere,
        Loopback() as api,
        Gate(shop(api), LIMITS) as gate,
    ):
        api.then(Reply(302, b"", {"Location": f"{elsewhere.url}/v1/orders/o_1"}))
        moved = gate.refund()
        echo = json.dumps({**ORDER, "currency": KEY}).encode()
        api.then(Reply(200, echo, {**JSON, "Request-Id": KEY}))
        echoed = gate.refund()
        assert not elsewhere.requests
        assert [request.headers["authorization"] for request in api.requests] == [f"Bearer {KEY}"] * 2
    assert moved.is_error
    assert echoed.is_error
    assert KEY not in said(moved) + said(echoed) + repr(gate.store.rows) + caplog.text


def test_only_the_call_itself_has_an_idempotency_key(api: Loopback) -> None:
    with Gate(shop(api), LIMITS) as gate:
        gate.refund()
    lookup, refund = api.requests
    assert "idempotency-key" not in lookup.headers
    assert refund.headers["idempotency-key"]
    assert (lookup.body, lookup.query) == (b"", [])


def test_the_reply_of_a_lookup_reaches_neither_agent_nor_log(caplog: pytest.LogCaptureFixture) -> None:
    order = {**ORDER, "customer": "CANARY", "error": "CANARY", "nested": [{"CANARY": 1}]}
    refunded = Reply.json({"id": "r_1"})
    with Loopback(Reply.json(order), refunded, Reply.json(order)) as api, Gate(shop(api), LIMITS) as gate:
        outcomes = [gate.refund(), gate.refund(amount=501)]
    assert outcomes[0].text == '{"id":"r_1"}'
    assert "501 usd" in outcomes[1].text
    everything = "".join(map(said, outcomes)) + repr(gate.store.rows) + repr(gate.store.entries) + caplog.text
    assert "CANARY" not in everything


# --- one deadline ----------------------------------------------------------------------------------------


def timed(gate: Gate, **arguments: Any) -> tuple[Outcome, float]:
    began = time.perf_counter()
    outcome = gate.refund(**arguments)
    return outcome, time.perf_counter() - began


def test_the_call_ends_in_its_time_with_its_lookup() -> None:
    slow, silent = dataclasses.replace(Reply.json(ORDER), wait=0.6), Reply(wait=9)
    with Loopback(slow, silent) as api, Gate(shop(api, f"timeout: 1\n{SHOP}"), LIMITS) as gate:
        outcome, seconds = timed(gate)
        assert asked(api) == [LOOKUP, REFUND]
    assert outcome.is_error
    assert "No complete reply within 0." in outcome.text
    assert 0.9 < seconds < 1.4
    assert gate.store.rows[-1].outcome == "unknown"


def test_where_the_lookup_takes_all_of_it_nothing_is_sent() -> None:
    observed = LIMITS.replace(" } }", " }, mode: observe }")
    with Loopback(Reply(wait=9)) as api, Gate(shop(api, f"timeout: 0.4\n{SHOP}"), observed) as gate:
        outcome, seconds = timed(gate)
        assert asked(api) == [LOOKUP]
    assert outcome.text == "The lookup took all of the 0.4 s that a call may take: nothing was sent."
    assert seconds < 1
    assert [(row.kind, row.rule) for row in gate.store.rows] == [("lookup", ""), ("refused", "failure")]


# --- what is written down --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome", "status", "kinds"),
    [
        (
            Reply.json(ORDER, headers={"Request-Id": "req_7"}),
            "succeeded",
            200,
            ["lookup", "started", "finished"],
        ),
        (Reply.json({}, 404, {"Request-Id": "req_7"}), "failed", 404, ["lookup", "refused"]),
    ],
)
def test_a_lookup_has_a_row(answer: Reply, outcome: str, status: int, kinds: list[str]) -> None:
    with Loopback(answer, otherwise=Reply.json({"id": "r"})) as api, Gate(shop(api), LIMITS) as gate:
        gate.refund(amount=5)
    rows = gate.store.rows
    row = rows[0]
    assert [each.kind for each in rows] == kinds
    assert (row.app, row.grant, row.tool, row.decision) == ("tests", "shop", "shop_create_refund", "allow")
    assert (row.outcome, row.status, row.request_id, row.key, row.rule) == (outcome, status, "req_7", "", "")
    assert row.size > 0
    assert row.ms > 0
    if len(rows) == 3:
        assert row.args_hash == rows[1].args_hash


# --- a shipped connector, and the sandbox ----------------------------------------------------------------


@pytest.fixture
def stripe(tmp_path: Path, api: Loopback) -> Connector:
    return catalog.load_connector(str(pointed_at(api.url, tmp_path)))


def test_a_refund_by_charge(stripe: Connector, api: Loopback) -> None:
    with Gate(stripe, LIMITS, key=GOOD_KEY) as gate:
        assert not gate.call("stripe_create_refund", charge="ch_1").is_error
        assert gate.call("stripe_create_refund", charge="ch_1", amount=501).is_error
        assert (
            "charge: '../balance' does not match"
            in gate.call("stripe_create_refund", charge="../balance").text
        )
    assert asked(api) == ["GET /v1/charges/ch_1", "POST /v1/refunds", "GET /v1/charges/ch_1"]


@pytest.mark.parametrize("arguments", [{"payment_intent": "pi_1"}, {"payment_intent": "pi_1", "amount": 1}])
def test_a_refund_that_cannot_be_looked_up_says_what_is_missing(
    stripe: Connector, api: Loopback, arguments: dict[str, Any]
) -> None:
    with Gate(stripe, LIMITS, key=GOOD_KEY) as gate:
        outcome = gate.call("stripe_create_refund", **arguments)
    assert outcome.is_error
    assert "it is looked up by charge, so give that" in outcome.text
    assert not asked(api)
    with Gate(stripe, key=GOOD_KEY) as gate:
        assert not gate.call("stripe_create_refund", **arguments).is_error


@pytest.mark.parametrize(("limit", "denied"), [(10_000_000, False), (1, True)])
def test_the_sandbox_answers_lookups(limit: int, denied: bool) -> None:
    known = catalog.load_connector("stripe")
    rule = f"{{ for: effect:money_out, max_amount: {{ usd: {limit} }} }}"
    with Gate(known, rule, transport=SandboxTransport([known]), key=GOOD_KEY) as gate:
        charge = json.loads(gate.call("stripe_list_charges").text)["items"][0]["id"]
        outcome = gate.call("stripe_create_refund", charge=charge)
    assert outcome.is_error is denied, outcome.text
    assert "lookup" in [row.kind for row in gate.store.rows]
    assert not denied or "usd" in outcome.text


def test_a_lookup_has_its_row_though_its_caller_gives_up(api: Loopback) -> None:
    api.then(dataclasses.replace(Reply.json(ORDER), wait=0.2))
    with Gate(shop(api), LIMITS) as gate:

        async def give_up() -> None:
            caller = asyncio.ensure_future(gate.gateway.call("shop_create_refund", {"order": "o_1"}))
            while not api.requests:
                await asyncio.sleep(0.01)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            await gate.gateway.finish()

        gate._runner.run(give_up())
        assert [(row.kind, row.outcome) for row in gate.store.rows] == [("lookup", "succeeded")]
    assert asked(api) == [LOOKUP]
