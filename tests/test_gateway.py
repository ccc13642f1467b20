"""The path of a call: nine steps in their order, what each writes down, and what is left when one breaks.

A stand-in takes the place of the API at the backend's seam; requests are built and replies are read and
shaped by the engine itself.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpgate.activity import Row
from mcpgate.apps import App
from mcpgate.engine import request as requests
from mcpgate.engine import response as responses
from mcpgate.errors import CredentialError, DeniedError, UnknownToolError
from mcpgate.gateway import Gateway
from mcpgate.ledger import Entry, Reservation, State
from mcpgate.secrets import Scrubber
from mcpgate.store import Transaction
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Json, Outcome, Reply, Request, Tool
from tests.policy.shop import app
from tests.scenarios import GOOD_KEY
from tests.standins.connectors import pointed_at
from tests.standins.gateway import InProcess
from tests.standins.loopback import Captured, Loopback
from tests.standins.loopback import Reply as Said

ORDER: dict[str, Any] = {"amount": 500, "currency": "usd"}
CAP = "guardrails:\n  - { for: shop_create_order, max_value: { field: amount, max: 500 } }\n"
NOW = 1_000_000.0
DAY = 24 * 3600.0

Answer = Callable[[Request, str], Awaitable[Reply]]


async def succeed(request: Request, key: str) -> Reply:
    return reply(request, key, 200, {"id": "o_1"})


async def fail(request: Request, key: str) -> Reply:
    return reply(request, key, 400, {"error": "no"})


async def lose(request: Request, key: str) -> Reply:
    return Reply(keyed(request, key), "unknown", None, {}, None, "the connection broke")


def keyed(request: Request, key: str) -> Request:
    return dataclasses.replace(request, key=key)


def reply(request: Request, key: str, status: int, value: Json, **headers: str) -> Reply:
    account = ACCOUNTS[request.tool.connector]
    body = json.dumps(value).encode()
    return responses.read(account.connector, request.tool, keyed(request, key), status, headers, body)


ACCOUNTS = {"shop": app().grants[0].account}


class Recorder:
    """A backend and a store that write down, in one list, what they are asked to do."""

    def __init__(self, *answers: Answer, otherwise: Answer = succeed) -> None:
        self.events: list[str] = []
        self.keys: list[str] = []
        self.memory = MemoryStore()
        self.broken: set[str] = set()
        self._answers = list(answers)
        self._otherwise = otherwise

    @property
    def rows(self) -> list[Row]:
        return list(self.memory.rows)

    def note(self, event: str) -> None:
        self.events.append(event)
        if event in self.broken:
            raise OSError("a disk at /secret/place, and the key sk_never_shown")

    def prepare(self, tool: Tool, arguments: Mapping[str, Json], account: Account) -> Request:
        self.note("prepare")
        return requests.build(account, tool, arguments)

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        self.keys.append(key)
        self.note("send")
        return await (self._answers.pop(0) if self._answers else self._otherwise)(request, key)

    def shape(self, tool: Tool, reply: Reply, account: Account, mask: Any = ()) -> Outcome:
        self.note("shape")
        return responses.shape(account.connector, tool, reply)

    async def close(self) -> None:
        self.note("close")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.note("begin")
        with self.memory.transaction() as inner:
            yield Noted(inner, self)
        self.note("commit")


class Noted:
    """A transaction whose steps are written down."""

    def __init__(self, inner: Transaction, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def reserve(self, entries: Iterable[Entry]) -> None:
        self._recorder.note("reserve")
        self._inner.reserve(entries)

    def settle(self, call: str, state: State) -> None:
        self._recorder.note(f"settle {state}")
        self._inner.settle(call, state)

    def unknown_key(self, app: str, tool: str, args_hash: str, since: float) -> str:
        return self._inner.unknown_key(app, tool, args_hash, since)

    def write(self, row: Row) -> None:
        self._recorder.note(f"write {row.kind}")
        self._inner.write(row)


class Clock:
    """The time, which only a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def gateway(recorder: Recorder, holder: App | None = None, clock: Clock | None = None) -> Gateway:
    scrubber = Scrubber()
    scrubber.learn("sk_never_shown")
    return Gateway(build_toolset(holder or app()), recorder, recorder, scrubber, clock or Clock())


def call(gate: Gateway, tool: str = "shop_create_order", **arguments: Any) -> Outcome:
    return asyncio.run(gate.call(tool, arguments))


# --- the steps in their order ----------------------------------------------------------------------------

WRITE = (
    "prepare / begin reserve write started commit / send / begin settle settled write finished commit / shape"
)
READ = "prepare / send / begin write read commit / shape"
REFUSAL = "begin write refused commit"


@pytest.mark.parametrize(
    ("tool", "arguments", "steps"),
    [
        ("shop_create_order", ORDER, WRITE),
        ("shop_delete_order", {"order": "o"}, WRITE),
        ("shop_list_orders", {}, READ),
        # 1 before 2: a tool that is denied is refused before its arguments are looked at
        ("shop_send_note", {"nonsense": float("nan")}, REFUSAL),
        # 2 before 4: what does not fit the schema never reaches a rule
        ("shop_create_order", {"amount": "x" * 10}, REFUSAL),
        # 4 before 5: what is denied is not even built
        ("shop_create_order", {**ORDER, "amount": 501}, REFUSAL),
        # 5 before 6: what cannot be built is not reserved
        ("shop_delete_order", {"order": ".."}, f"prepare / {REFUSAL}"),
    ],
)
def test_the_steps_in_their_order(tool: str, arguments: dict[str, Any], steps: str) -> None:
    recorder = Recorder()
    call(gateway(recorder, app(CAP, "deny: [shop_send_note]\n")), tool, **arguments)
    assert " ".join(recorder.events) == steps.replace("/ ", "")


def test_a_write_has_two_rows_with_one_key() -> None:
    recorder = Recorder()
    call(gateway(recorder, app(CAP + "    # nothing more\n")), **ORDER)
    started, finished = recorder.rows
    assert (started.kind, finished.kind) == ("started", "finished")
    assert started.call == finished.call
    assert started.key == finished.key == recorder.keys[0] != ""
    assert started.args_hash == finished.args_hash != ""
    assert (finished.outcome, finished.status, finished.at) == ("succeeded", 200, NOW)
    assert (finished.app, finished.grant, finished.tool) == ("test", "shop", "shop_create_order")
    assert finished.size > 0


def test_a_read_has_one_row_and_no_key() -> None:
    recorder = Recorder()
    call(gateway(recorder), "shop_list_orders", status="open")
    (row,) = recorder.rows
    assert (row.kind, row.outcome, row.decision, row.key) == ("read", "succeeded", "allow", "")
    assert not recorder.memory.entries


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [
        ("shop_send_note", {}, "policy"),
        ("shop_create_order", {"amount": "1"}, "arguments"),
        ("shop_create_order", {**ORDER, "amount": 501}, "max_value"),
        ("shop_delete_order", {"order": "a/../b"}, "arguments"),
    ],
)
def test_every_refusal_has_one_row(tool: str, arguments: dict[str, Any], rule: str) -> None:
    recorder = Recorder()
    outcome = call(gateway(recorder, app(CAP, "deny: [shop_send_note]\n")), tool, **arguments)
    (row,) = recorder.rows
    assert (row.kind, row.tool, row.decision, row.rule) == ("refused", tool, "deny", rule)
    assert not recorder.memory.entries
    assert outcome.is_error
    assert outcome.structured is not None
    assert outcome.structured.get("denied", False) is (rule != "arguments")


def test_a_tool_that_does_not_exist_is_no_refusal() -> None:
    recorder = Recorder()
    with pytest.raises(UnknownToolError):
        call(gateway(recorder), "bank_list_accounts")
    assert not recorder.rows


def test_rules_that_only_observe_are_named_in_the_rows() -> None:
    recorder = Recorder()
    rule = "{ for: shop_create_order, max_value: { field: amount, max: 1 }, mode: observe }"
    call(gateway(recorder, app(f"guardrails:\n  - {rule}\n")), **ORDER)
    assert [(row.decision, row.rule) for row in recorder.rows] == [("allow", "max_value")] * 2


def test_a_plan_changes_nothing() -> None:
    recorder = Recorder()
    gate = gateway(recorder, app(CAP))
    entry = gate.toolset.find("shop_create_order")
    plan = gate.plan(entry, ORDER)
    assert plan.request.url == "https://api.shop.example/v1/orders"
    assert plan.call.arguments == {**ORDER, "urgent": "no"}
    with pytest.raises(DeniedError) as raised:
        gate.plan(entry, {**ORDER, "amount": 501})
    assert [step.verdict for step in raised.value.decision.trace] == ["allow", "allow", "deny"]
    assert recorder.events == ["prepare"]
    assert not recorder.rows


# --- ledger ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments", "moved"),
    [
        ("shop_create_order", ORDER, [Reservation("money_in", "usd", 500)]),
        ("shop_create_order", {"amount": -500, "currency": "USD"}, [Reservation("money_in", "usd", 500)]),
        ("shop_create_order", {"amount": 500}, [Reservation("money_in")]),
        (
            "shop_create_payout",
            {"currency": "eur", "parts": [{"amount": 1}, {"amount": 2}]},
            [Reservation("money_out", "eur", 3)],
        ),
        (
            "shop_create_refund",
            {"order": "o", "amount": 5},
            [Reservation("reversal"), Reservation("money_out")],
        ),
        ("shop_send_note", {"text": "x"}, [Reservation("message")]),
    ],
)
def test_a_write_is_entered_with_each_of_its_effects(
    tool: str, arguments: dict[str, Any], moved: list[Reservation]
) -> None:
    recorder = Recorder()
    call(gateway(recorder), tool, **arguments)
    (entered,) = recorder.memory.entries.values()
    assert [entry.reservation for entry in entered] == [Reservation(""), *moved]
    assert {entry.state for entry in entered} == {"settled"}
    assert {entry.args_hash for entry in entered} == {recorder.rows[0].args_hash}


@pytest.mark.parametrize(
    ("answer", "outcome", "state"),
    [(succeed, "succeeded", "settled"), (fail, "failed", "released"), (lose, "unknown", "unknown")],
)
def test_what_became_of_a_call_is_settled(answer: Answer, outcome: str, state: str) -> None:
    recorder = Recorder(answer)
    said = call(gateway(recorder), **ORDER)
    assert recorder.rows[-1].outcome == outcome
    assert {entry.state for entered in recorder.memory.entries.values() for entry in entered} == {state}
    assert said.is_error is (outcome != "succeeded")


# --- idempotency keys, row 20 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "same"),
    [
        ([succeed, succeed], [0, 1]),
        ([fail, succeed], [0, 1]),
        ([lose, succeed], [0, 0]),
        ([lose, lose, succeed, succeed], [0, 0, 0, 1]),
        # a failure may be the repeat's alone: 409 is what an API says while the first is still running
        ([lose, fail, succeed, succeed], [0, 0, 0, 1]),
        ([succeed, lose, fail, fail, succeed, succeed], [0, 1, 1, 1, 1, 2]),
    ],
)
def test_an_unknown_call_repeated_reuses_its_key(answers: list[Answer], same: list[int]) -> None:
    recorder = Recorder(*answers)
    gate = gateway(recorder)
    outcomes = [call(gate, **ORDER) for _ in answers]
    distinct = list(dict.fromkeys(recorder.keys))
    assert [distinct.index(key) for key in recorder.keys] == same
    for number, (outcome, key) in enumerate(zip(outcomes, recorder.keys, strict=True)):
        repeated = same.index(same[number]) < number
        assert ("made before" in outcome.note) is repeated
        assert ("so that it cannot act twice" in outcome.note) is (answers[number] is lose)
        assert key in outcome.note or not outcome.note


@pytest.mark.parametrize(
    ("later", "arguments", "reused"),
    [
        (0, ORDER, True),
        (0, {"currency": "usd", "amount": 500.0, "note": None}, True),  # the same once canonical
        (0, {**ORDER, "amount": 499}, False),
        (DAY, ORDER, True),
        (DAY + 1, ORDER, False),
    ],
)
def test_the_same_call_is_the_same_arguments_within_24_hours(
    later: float, arguments: dict[str, Any], reused: bool
) -> None:
    recorder, clock = Recorder(lose), Clock()
    gate = gateway(recorder, clock=clock)
    call(gate, **ORDER)
    clock.now += later
    call(gate, **arguments)
    assert (recorder.keys[0] == recorder.keys[1]) is reused


def test_two_equal_calls_side_by_side_may_both_be_meant() -> None:
    recorder = Recorder()
    gate = gateway(recorder)

    async def both() -> None:
        await asyncio.gather(*(gate.call("shop_create_order", dict(ORDER)) for _ in range(20)))

    asyncio.run(both())
    assert len(set(recorder.keys)) == 20
    assert len(recorder.memory.entries) == 20


def test_a_method_that_takes_no_key_gets_none() -> None:
    recorder = Recorder(lose)
    gate = gateway(recorder)
    outcomes = [call(gate, "shop_delete_order", order="o") for _ in range(2)]
    assert recorder.keys == ["", ""]
    assert not outcomes[1].note


# --- cancelled, closed -----------------------------------------------------------------------------------


def test_a_call_that_has_started_is_settled_though_its_caller_gives_up() -> None:
    async def scene() -> Recorder:
        sending, answered = asyncio.Event(), asyncio.Event()

        async def slowly(request: Request, key: str) -> Reply:
            sending.set()
            await answered.wait()
            return await succeed(request, key)

        recorder = Recorder(slowly)
        gate = gateway(recorder)
        caller = asyncio.ensure_future(gate.call("shop_create_order", dict(ORDER)))
        await sending.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert [row.kind for row in recorder.rows] == ["started"]
        closing = asyncio.ensure_future(gate.close())
        await asyncio.sleep(0)
        assert "close" not in recorder.events
        answered.set()
        await closing
        return recorder

    recorder = asyncio.run(scene())
    assert [row.kind for row in recorder.rows] == ["started", "finished"]
    assert recorder.rows[1].outcome == "succeeded"
    assert recorder.events[-1] == "close"


def test_a_call_that_is_cancelled_before_it_has_started_leaves_nothing() -> None:
    async def scene() -> Recorder:
        recorder = Recorder()
        caller = asyncio.ensure_future(gateway(recorder).call("shop_create_order", dict(ORDER)))
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        return recorder

    assert not asyncio.run(scene()).events


def test_a_call_that_is_torn_down_with_its_loop_is_written_down_as_unknown() -> None:
    async def forever(request: Request, key: str) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    async def scene(recorder: Recorder) -> None:
        caller = asyncio.ensure_future(gateway(recorder).call("shop_create_order", dict(ORDER)))
        await asyncio.sleep(0.01)
        caller.cancel()  # and asyncio.run cancels what is left

    recorder = Recorder(forever)
    asyncio.run(scene(recorder))
    assert [(row.kind, row.outcome) for row in recorder.rows] == [("started", ""), ("finished", "unknown")]
    call(gateway(recorder), **ORDER)
    assert recorder.keys[0] == recorder.keys[1]


# --- what breaks: closed, and nothing of it is shown, rows 13 and 18 ---------------------------------------


@pytest.mark.parametrize(
    ("broken", "tool", "says", "rows"),
    [
        ("prepare", "shop_create_order", "nothing was sent", "refused"),
        ("begin", "shop_create_order", "nothing was sent", ""),
        ("reserve", "shop_create_order", "nothing was sent", "refused"),
        ("write started", "shop_create_order", "nothing was sent", "refused"),
        ("send", "shop_create_order", "It is not known whether this was carried out", "started finished"),
        ("send", "shop_list_orders", "failed while sending (OSError)", "read"),
        ("settle settled", "shop_create_order", "The call succeeded, but", "started"),
        ("write finished", "shop_create_order", "The call succeeded, but", "started"),
        ("write read", "shop_list_orders", "The call succeeded, but", ""),
        ("shape", "shop_create_order", "The call succeeded, but", "started finished"),
        ("shape", "shop_list_orders", "The call succeeded, but", "read"),
    ],
)
def test_whatever_breaks_is_said_and_leaks_nothing(broken: str, tool: str, says: str, rows: str) -> None:
    recorder = Recorder()
    recorder.broken = {broken}
    outcome = call(gateway(recorder), tool, **(ORDER if tool == "shop_create_order" else {}))
    assert outcome.is_error
    assert says in outcome.text
    assert " ".join(row.kind for row in recorder.rows) == rows
    assert ("send" in recorder.events) is ("nothing was sent" not in says)
    for word in ("/secret/place", "never_shown", "o_1"):
        assert word not in outcome.text + str(outcome.structured) + str(recorder.rows)


def test_a_refusal_that_cannot_be_written_down_is_a_refusal_all_the_same() -> None:
    recorder = Recorder()
    recorder.broken = {"begin"}
    outcome = call(gateway(recorder, app(CAP)), amount=501, currency="usd")
    assert outcome.text.startswith("Denied by max_value")


def test_a_backend_that_breaks_after_sending_leaves_the_call_unknown_under_its_key() -> None:
    recorder = Recorder()
    recorder.broken = {"send"}
    gate = gateway(recorder)
    outcome = call(gate, **ORDER)
    assert outcome.structured is not None
    assert outcome.structured["outcome"] == "unknown"
    assert outcome.structured["idempotency_key"] == recorder.keys[0]
    recorder.broken = set()
    assert recorder.keys[0] in call(gate, **ORDER).note
    assert recorder.keys == [recorder.keys[0]] * 2


def test_without_a_credential_nothing_was_sent() -> None:
    async def refuse(request: Request, key: str) -> Reply:
        raise CredentialError("There is no credential.", "Ask a person.")

    recorder = Recorder(refuse)
    gate = gateway(recorder)
    outcome = call(gate, **ORDER)
    assert outcome.text == "There is no credential. Ask a person."
    assert outcome.structured == {"error": "There is no credential.", "hint": "Ask a person."}
    assert recorder.rows[-1].outcome == "failed"
    assert {entry.state for entered in recorder.memory.entries.values() for entry in entered} == {"released"}
    call(gate, **ORDER)
    assert recorder.keys[0] != recorder.keys[1]


def test_a_missing_credential_says_nothing_of_an_unknown_call() -> None:
    async def refuse(request: Request, key: str) -> Reply:
        raise CredentialError("There is no credential.")

    recorder = Recorder(lose, refuse, succeed)
    gate = gateway(recorder)
    outcomes = [call(gate, **ORDER) for _ in range(3)]
    assert len(set(recorder.keys)) == 1
    assert ["made before" in outcome.note for outcome in outcomes] == [False, False, True]


# --- the scrubber at the way out, row 13 -----------------------------------------------------------------

ECHOED = "sk_never_shown"


def test_a_secret_in_a_reply_goes_nowhere() -> None:
    encoded = base64.b64encode(f"user:{ECHOED}".encode()).decode()

    async def echo(request: Request, key: str) -> Reply:
        value = {"error": f"You sent {ECHOED} and {encoded}"}
        return reply(request, key, 400, value, **{"request-id": f"req_{ECHOED}"})

    async def echo_in_full(request: Request, key: str) -> Reply:
        return reply(request, key, 200, {"id": ECHOED, ECHOED: [encoded]})

    recorder = Recorder(echo, echo_in_full)
    gate = gateway(recorder)
    outcomes = [call(gate, **ORDER), call(gate, **ORDER)]
    assert "You sent ***" in outcomes[0].text
    assert recorder.rows[1].request_id == "req_***"
    for shown in (*outcomes, recorder.rows):
        assert ECHOED not in repr(shown)
        assert encoded[8:16] not in repr(shown)


def test_a_note_is_scrubbed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(lose)
    gate = gateway(recorder)
    monkeypatch.setattr("mcpgate.gateway.uuid.uuid4", lambda: f"key-{ECHOED}")
    call(gate, **ORDER)
    assert ECHOED in recorder.keys[0]
    again = call(gate, **ORDER)
    assert "(key-***)" in again.note


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_an_api_that_echoes_the_credential_learns_nothing_to_the_agent(
    tmp_path: Path, status: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Over HTTP, with the key as it is sent, cut by every length that an excerpt may have."""

    def echo(request: Captured) -> Said:
        sent = request.headers["authorization"]
        text = f"{'x' * (290 - len('Bearer '))}{sent} and {base64.b64encode(sent.encode()).decode()}"
        body = json.dumps({"id": text, "error": {"message": text, "code": text}}) if "json" in kind else text
        return Said(status, body.encode(), {"Content-Type": kind, "Request-Id": sent})

    with Loopback(otherwise=echo) as server, InProcess(pointed_at(server.url, tmp_path), GOOD_KEY) as gate:
        outcomes = [gate.call("stripe_get_balance"), gate.call("stripe_create_customer", name="Ada")]
        assert server.requests[0].headers["authorization"] == f"Bearer {GOOD_KEY}"
        shown = repr([outcomes, gate.store.rows]) + caplog.text
    for part in (GOOD_KEY, GOOD_KEY[:14], base64.b64encode(GOOD_KEY.encode()).decode()[4:20]):
        assert part not in shown
