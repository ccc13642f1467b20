"""The path of a call: nine steps in their order, what each writes down, and what is left when one breaks.

A stand-in takes the place of the API at the backend's seam; requests are built and replies are read and
shaped by the engine itself.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpgate.activity import Row
from mcpgate.apps import App
from mcpgate.engine import request as requests
from mcpgate.engine import response as responses
from mcpgate.errors import CredentialError, DeniedError, StoreError, UnknownToolError
from mcpgate.gateway import Gateway
from mcpgate.ledger import Earlier, Entry, State
from mcpgate.secrets import Scrubber
from mcpgate.store import Transaction
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import LiveToolset, Toolset, build_toolset
from mcpgate.values import Account, Json, Outcome, Reply, Request, Tally, Tool
from tests.policy.shop import app, policy
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
        self.error: Exception = OSError("a disk at /secret/place, and the key sk_never_shown")
        self.configured = 0
        self._answers = list(answers)
        self._otherwise = otherwise

    @property
    def rows(self) -> list[Row]:
        return list(self.memory.rows)

    @property
    def entries(self) -> list[Entry]:
        return list(self.memory.entries.values())

    def note(self, event: str) -> None:
        self.events.append(event)
        if event in self.broken:
            raise self.error

    def prepare(self, tool: Tool, arguments: Mapping[str, Json], account: Account) -> Request:
        self.note("prepare")
        return requests.build(account, tool, arguments)

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        if request.purpose == "lookup":
            self.note("look up")
        else:
            self.keys.append(key)
            self.note("send")
        return await (self._answers.pop(0) if self._answers else self._otherwise)(request, key)

    def shape(self, tool: Tool, reply: Reply, account: Account, mask: Any = ()) -> Outcome:
        self.note("shape")
        return responses.shape(account.connector, tool, reply)

    async def close(self) -> None:
        self.note("close")

    def version(self) -> int:
        return self.configured

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Transaction]:
        self.note("begin durably" if durable else "begin")
        with self.memory.transaction() as inner:
            yield Noted(inner, self)
            self.note("commit")


class Noted:
    """A transaction whose steps are written down."""

    def __init__(self, inner: Transaction, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def version(self) -> int:
        self._recorder.note("version")
        return self._recorder.configured

    def take_over(
        self, app: str, tool: str, args_hash: str, since: float, under_way: Collection[str]
    ) -> Earlier | None:
        self._recorder.note("take over")
        return self._inner.take_over(app, tool, args_hash, since, under_way)

    def spent(self, tally: Tally, entry: Entry) -> int:
        self._recorder.note("count")
        return self._inner.spent(tally, entry)

    def reserve(self, entry: Entry) -> None:
        self._recorder.note("reserve")
        self._inner.reserve(entry)

    def settle(self, call: str, state: State) -> None:
        self._recorder.note(f"settle {state}")
        self._inner.settle(call, state)

    def write(self, row: Row) -> None:
        self._recorder.note(f"write {row.kind}")
        self._inner.write(row)


class Clock:
    """The time, which only a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def gateway(
    recorder: Recorder,
    holder: App | None = None,
    clock: Clock | None = None,
    watch: Callable[[Row], None] = lambda row: None,
    toolset: LiveToolset | None = None,
) -> Gateway:
    scrubber = Scrubber()
    scrubber.learn("sk_never_shown")
    made: Toolset | LiveToolset = toolset or build_toolset(holder or app())
    return Gateway(made, recorder, recorder, scrubber, clock or Clock(), watch)


def call(gate: Gateway, tool: str = "shop_create_order", /, **arguments: Any) -> Outcome:
    return asyncio.run(gate.call(tool, arguments))


# --- the steps in their order ----------------------------------------------------------------------------

WRITE = (
    "prepare / begin durably version take over reserve write started commit / send / begin settle settled "
    "write finished commit / shape"
)
READ = "prepare / send / begin write read commit / shape"
REFUSAL = "begin write refused commit"


@pytest.mark.parametrize(
    ("tool", "arguments", "steps"),
    [
        ("shop_create_order", ORDER, WRITE),
        # a method that takes no key has nothing to take over
        ("shop_delete_order", {"order": "o"}, WRITE.replace("take over ", "")),
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
        ("shop_create_order", ORDER, (500, "usd")),
        ("shop_create_order", {"amount": -500, "currency": "USD"}, (500, "usd")),
        ("shop_create_order", {"amount": 500}, (None, "")),
        ("shop_create_payout", {"currency": "eur", "parts": [{"amount": 1}, {"amount": 2}]}, (3, "eur")),
        ("shop_create_refund", {"order": "o", "amount": 5}, (None, "")),
        ("shop_send_note", {"text": "x"}, (None, "")),
    ],
)
def test_a_write_is_entered_once_with_what_it_moves(
    tool: str, arguments: dict[str, Any], moved: tuple[int | None, str]
) -> None:
    recorder = Recorder()
    call(gateway(recorder), tool, **arguments)
    (entry,) = recorder.entries
    assert (entry.amount, entry.currency, entry.state) == (*moved, "settled")
    described = ACCOUNTS["shop"].connector.tools[tool]
    assert (entry.tool, entry.category, entry.effects) == (tool, "write", described.effects)
    assert (entry.app, entry.grant, entry.at) == ("test", "shop", NOW)
    assert len(entry.args_hash) == len(recorder.rows[0].args_hash) == 64
    assert entry.call == recorder.rows[0].call
    assert (entry.key, entry.key_at) == (recorder.keys[0], NOW)


@pytest.mark.parametrize(
    ("answer", "outcome", "state"),
    [(succeed, "succeeded", "settled"), (fail, "failed", "released"), (lose, "unknown", "unknown")],
)
def test_what_became_of_a_call_is_settled(answer: Answer, outcome: str, state: str) -> None:
    recorder = Recorder(answer)
    said = call(gateway(recorder), **ORDER)
    assert recorder.rows[-1].outcome == outcome
    assert [entry.state for entry in recorder.entries] == [state]
    assert said.is_error is (outcome != "succeeded")


# --- step 6: counted, reserved and written together, row 5 -----------------------------------------------

DAY_BUDGET = "guardrails:\n  - { for: effect:money_in, budget: { usd: 1000, per: day } }\n"
TWICE = "guardrails:\n  - { for: [read, write], rate_limit: { max: 2, per: hour } }\n"
COUNTED = WRITE.replace("take over ", "take over count ")
COUNTED_READ = (
    "prepare / begin version count reserve commit / send / begin settle settled write read commit / shape"
)
OVERSPENT = f"prepare / begin durably version take over count / {REFUSAL}"


@pytest.mark.parametrize(
    ("rules", "tool", "arguments", "steps", "again"),
    [
        (DAY_BUDGET, "shop_create_order", ORDER, COUNTED, OVERSPENT),
        # what no rule counts is not counted, and a read not even entered
        (DAY_BUDGET, "shop_send_note", {"text": "x"}, WRITE, WRITE),
        (DAY_BUDGET, "shop_list_orders", {}, READ, READ),
        (TWICE, "shop_list_orders", {}, COUNTED_READ, f"prepare / begin version count / {REFUSAL}"),
    ],
)
def test_what_a_rule_counts_is_counted_where_it_is_reserved(
    rules: str, tool: str, arguments: dict[str, Any], steps: str, again: str
) -> None:
    recorder = Recorder()
    gate = gateway(recorder, app(rules))
    for expected in (steps, steps, again):
        recorder.events.clear()
        call(gate, tool, **arguments)
        assert " ".join(recorder.events) == expected.replace("/ ", "")


def test_a_count_that_denies_leaves_one_row_and_nothing_else() -> None:
    recorder = Recorder()
    seen: list[Row] = []
    gate = gateway(recorder, app(DAY_BUDGET), watch=seen.append)
    call(gate, amount=900, currency="usd")
    before = (recorder.entries, recorder.rows)
    outcome = call(gate, amount=101, currency="usd")
    assert outcome.text.startswith("Denied by budget: 101 usd (1.01 USD) is over what is left: 100 usd")
    assert outcome.structured is not None
    assert {key: outcome.structured[key] for key in ("denied", "rule", "field", "limit", "value")} == {
        "denied": True,
        "rule": "budget",
        "field": "amount",
        "limit": 1000,
        "value": 101,
    }
    assert recorder.entries == before[0]
    (row,) = recorder.rows[len(before[1]) :]
    assert (row.kind, row.rule, row.decision, row.key) == ("refused", "budget", "deny", "")
    assert row.arguments == {"amount": 101, "currency": "usd", "urgent": "no"}
    assert len(recorder.keys) == 1
    assert seen == recorder.rows


def test_a_counted_read_reserves_and_settles() -> None:
    recorder = Recorder(succeed, fail, lose)
    gate = gateway(recorder, app(TWICE))
    for _ in range(4):
        call(gate, "shop_list_orders")
    # of a read nobody asks what became of it: it was made
    assert [entry.state for entry in recorder.entries] == ["settled", "released", "settled"]
    assert [row.kind for row in recorder.rows] == ["read"] * 3 + ["refused"]
    assert {entry.key for entry in recorder.entries} == {""}


def test_calls_side_by_side_spend_one_budget() -> None:
    recorder = Recorder()
    gate = gateway(recorder, app(DAY_BUDGET))

    async def all_at_once() -> list[Outcome]:
        given = ({"amount": 90 + number % 3, "currency": "usd"} for number in range(50))
        return await asyncio.gather(*(gate.call("shop_create_order", each) for each in given))

    outcomes = asyncio.run(all_at_once())
    passed = [outcome for outcome in outcomes if not outcome.is_error]
    assert len(passed) == len(recorder.keys) == len(recorder.entries) < 12
    assert 1000 - 92 < sum(entry.amount or 0 for entry in recorder.entries) <= 1000


def test_while_a_call_is_under_way_what_it_uses_is_reserved() -> None:
    async def scene() -> tuple[Outcome, Outcome, Outcome]:
        sending, answered = asyncio.Event(), asyncio.Event()

        async def slowly(request: Request, key: str) -> Reply:
            sending.set()
            await answered.wait()
            return await fail(request, key)

        gate = gateway(Recorder(slowly), app(DAY_BUDGET))
        first = asyncio.ensure_future(gate.call("shop_create_order", {"amount": 1000, "currency": "usd"}))
        await sending.wait()
        meanwhile = await gate.call("shop_create_order", {"amount": 1, "currency": "usd"})
        answered.set()
        return await first, meanwhile, await gate.call("shop_create_order", {"amount": 1, "currency": "usd"})

    first, meanwhile, after = asyncio.run(scene())
    assert (first.is_error, after.is_error) == (True, False)
    assert meanwhile.text.startswith("Denied by budget")


def test_a_lookup_tells_what_a_budget_counts() -> None:
    async def tell(request: Request, key: str) -> Reply:
        return reply(request, key, 200, {"amount": 400, "currency": "USD"})

    recorder = Recorder(otherwise=tell)
    rules = "guardrails:\n  - { for: effect:money_out, budget: { usd: 1000, per: day } }\n"
    gate = gateway(recorder, app(rules))
    outcomes = [call(gate, "shop_create_refund", order=order) for order in ("a", "b", "c")]
    assert [outcome.is_error for outcome in outcomes] == [False, False, True]
    assert "400 usd (4.00 USD) is over what is left: 200 usd" in outcomes[2].text
    assert [(entry.amount, entry.currency) for entry in recorder.entries] == [(400, "usd")] * 2
    assert [row.kind for row in recorder.rows] == [
        *["lookup", "started", "finished"] * 2,
        "lookup",
        "refused",
    ]


@pytest.mark.parametrize(
    ("layer", "passed"), [("rules", [1, 1]), ("preset", [1, 1]), ("account", [1, 0]), ("ceiling", [1, 0])]
)
def test_who_is_counted_is_said_by_the_layer(layer: str, passed: list[int]) -> None:
    """Two apps over one store, which take turns: what passes for each of them."""
    allowed = "preset: most\nallow: [read, write, delete]\n" if layer in ("preset", "ceiling") else ""
    rules = policy(f"{allowed}guardrails:\n  - {{ for: write, daily_quota: {{ max: 1 }} }}\n")
    holder = app()
    in_grant: dict[str, Any] = {layer: rules} if allowed else {}
    in_app: dict[str, Any] = {"rules": (rules,)} if layer == "rules" else {}
    in_app |= {"account_rules": (rules,)} if layer == "account" else {}
    grant = dataclasses.replace(holder.grants[0], **in_grant)
    holder = dataclasses.replace(holder, grants=(grant,), **in_app)
    recorder = Recorder()
    gates = [gateway(recorder, dataclasses.replace(holder, name=name)) for name in ("one", "two")]
    came = [[not call(gate, amount=1, currency="usd").is_error for gate in gates] for _ in range(3)]
    assert [sum(each) for each in zip(*came, strict=True)] == passed


def test_what_counts_observes_after_the_count_is_named_in_both_rows() -> None:
    recorder = Recorder()
    observed = DAY_BUDGET.replace("per: day }", "per: day }, mode: observe")
    gate = gateway(recorder, app(observed))
    for _ in range(2):
        call(gate, amount=1000, currency="usd")
    assert [row.rule for row in recorder.rows] == ["", "", "budget", "budget"]


# --- a configuration that changes in between -------------------------------------------------------------


class Configured:
    """A toolset whose rules change at its first look at the ledger, and then as often as is said."""

    def __init__(self, recorder: Recorder, *rules: str) -> None:
        self._recorder = recorder
        self._rules = list(rules)
        self.built = 0

    def live(self) -> LiveToolset:
        return LiveToolset(lambda: self._recorder.configured, self._build, lambda: True)

    def _build(self) -> App:
        self.built += 1
        return app(self._rules.pop(0) if len(self._rules) > 1 else self._rules[0])


class Changing(Recorder):
    """A store whose configuration becomes another one between the decision and step 6, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def note(self, event: str) -> None:
        if event == "begin durably" and self._times:
            self._times -= 1
            self.configured += 1
        super().note(event)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_call_starts_over_when_the_configuration_has_changed(times: int) -> None:
    recorder = Changing(times)
    configured = Configured(recorder, *[CAP] * times, CAP)
    outcome = call(gateway(recorder, toolset=configured.live()), **ORDER)
    assert not outcome.is_error
    assert (configured.built, len(recorder.keys)) == (times + 1, 1)
    assert [row.kind for row in recorder.rows] == ["started", "finished"]
    assert len(recorder.entries) == 1


def test_a_rule_made_in_between_is_not_passed_by() -> None:
    recorder = Changing(1)
    configured = Configured(recorder, CAP, CAP.replace("500", "499"))
    outcome = call(gateway(recorder, toolset=configured.live()), **ORDER)
    assert outcome.text.startswith("Denied by max_value: amount 500 is over the limit of 499")
    assert recorder.keys == []
    assert [row.kind for row in recorder.rows] == ["refused"]
    assert not recorder.entries


def test_a_tool_taken_away_in_between_is_denied() -> None:
    recorder = Changing(1)
    configured = Configured(recorder, CAP, "deny: [shop_create_order]\n")
    outcome = call(gateway(recorder, toolset=configured.live()), **ORDER)
    assert "shop_create_order is denied by the policy rules" in outcome.text
    assert recorder.keys == []


# --- every row is told ------------------------------------------------------------------------------------


def test_who_watches_is_told_every_row() -> None:
    async def tell(request: Request, key: str) -> Reply:
        return reply(request, key, 200, {"amount": 400, "currency": "usd"})

    seen: list[Row] = []
    recorder = Recorder(otherwise=tell)
    rules = "guardrails:\n  - { for: effect:money_out, budget: { usd: 700, per: day } }\n"
    holder = dataclasses.replace(app(rules), discovery=True)
    gate = gateway(recorder, holder, watch=seen.append)
    call(gate, "shop_list_orders")
    call(gate, "shop_create_refund", order="a")
    call(gate, "shop_create_refund", order="b")
    call(gate, "mcpgate_list_connectors")
    kinds = ["read", "lookup", "started", "finished", "lookup", "refused", "read"]
    assert [row.kind for row in seen] == kinds
    assert seen == recorder.rows


def test_a_row_that_could_not_be_written_is_not_told() -> None:
    seen: list[Row] = []
    for broken in ("write refused", "write started", "commit"):
        recorder = Recorder()
        recorder.broken = {broken}
        amount = 501 if broken == "write refused" else 500
        call(gateway(recorder, app(CAP), watch=seen.append), amount=amount, currency="usd")
        assert [row for row in seen if row.kind == "started"] == []
        assert seen == recorder.rows
        seen.clear()


@pytest.mark.parametrize(
    ("tool", "arguments", "kind", "decision", "rule"),
    [
        ("mcpgate_list_connectors", {}, "read", "allow", ""),
        ("mcpgate_tool_metadata", {"tool": "shop_create_order"}, "read", "allow", ""),
        ("mcpgate_tool_metadata", {"tool": "shop_send_note"}, "refused", "deny", "arguments"),
        ("mcpgate_list_connectors", {"x": 1}, "refused", "deny", "arguments"),
    ],
)
def test_a_question_about_the_app_has_its_row(
    tool: str, arguments: dict[str, Any], kind: str, decision: str, rule: str
) -> None:
    recorder = Recorder()
    holder = dataclasses.replace(app("deny: [shop_send_note]\n"), discovery=True)
    outcome = call(gateway(recorder, holder), tool, **arguments)
    (row,) = recorder.rows
    assert (row.app, row.grant, row.tool) == ("test", "", tool)
    assert (row.kind, row.decision, row.rule) == (kind, decision, rule)
    assert outcome.is_error is (decision == "deny")
    assert recorder.events == ["begin", f"write {kind}", "commit"]
    with pytest.raises(UnknownToolError):
        call(gateway(recorder), tool, **arguments)


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


@pytest.mark.parametrize(
    ("answers", "states", "left"),
    [
        ([lose], ["unknown"], 400),
        # the repeat stands for both, and is counted once
        ([lose, succeed], ["replaced", "settled"], 400),
        ([lose, lose, succeed], ["replaced", "replaced", "settled"], 400),
        # a failure of the repeat leaves it unknown, for the first may have acted
        ([lose, fail], ["replaced", "unknown"], 400),
        ([lose, fail, fail], ["replaced", "replaced", "unknown"], 400),
        ([fail, fail], ["released", "released"], 1000),
    ],
)
def test_an_unknown_call_and_its_repeats_are_counted_once(
    answers: list[Answer], states: list[State], left: int
) -> None:
    recorder = Recorder(*answers)
    gate = gateway(recorder, app(DAY_BUDGET))
    outcomes = [call(gate, amount=600, currency="usd") for _ in answers]
    assert not any("Denied" in outcome.text for outcome in outcomes)
    assert [entry.state for entry in recorder.entries] == states
    assert {entry.key_at for entry in recorder.entries} == {NOW}
    assert call(gate, amount=left + 1, currency="usd").text.startswith("Denied by budget")
    assert not call(gate, amount=left, currency="usd").is_error


def test_a_repeat_that_is_denied_takes_nothing_over() -> None:
    recorder = Recorder(lose)
    gate = gateway(recorder, app(DAY_BUDGET))
    call(gate, amount=600, currency="usd")
    tighter = gateway(recorder, app(DAY_BUDGET.replace("1000", "599")))
    assert call(tighter, amount=600, currency="usd").text.startswith("Denied by budget")
    assert [entry.state for entry in recorder.entries] == ["unknown"]
    assert "made before" in call(gate, amount=600, currency="usd").note


def test_a_key_is_reused_for_24_hours_from_its_first_use() -> None:
    recorder, clock = Recorder(otherwise=lose), Clock()
    gate = gateway(recorder, clock=clock)
    for _ in range(4):
        call(gate, **ORDER)
        clock.now += DAY / 2
    first, second, third, fourth = recorder.keys
    assert first == second == third != fourth


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


def test_calls_that_go_on_without_their_callers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpgate.gateway._MOST_UNDER_WAY", 2)

    async def scene() -> tuple[Recorder, Outcome, Outcome]:
        answered = asyncio.Event()

        async def slowly(request: Request, key: str) -> Reply:
            await answered.wait()
            return await succeed(request, key)

        recorder = Recorder(slowly)
        gate = gateway(recorder)
        for amount in (1, 2):
            caller = asyncio.ensure_future(gate.call("shop_create_order", {**ORDER, "amount": amount}))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            caller.cancel()
        refused = await gate.call("shop_create_order", {**ORDER, "amount": 3})
        answered.set()
        await gate.finish()
        return recorder, refused, await gate.call("shop_create_order", {**ORDER, "amount": 4})

    recorder, refused, later = asyncio.run(scene())
    assert "calls under way: nothing was sent" in refused.text
    assert not later.is_error
    assert [row.kind for row in recorder.rows if row.kind != "finished"] == [
        *("started", "started", "refused", "started"),
    ]


def test_a_read_is_given_up_with_its_caller_and_its_row_says_so() -> None:
    async def scene() -> Recorder:
        sending, given_up = asyncio.Event(), asyncio.Event()

        async def slowly(request: Request, key: str) -> Reply:
            sending.set()
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
            raise AssertionError

        recorder = Recorder(slowly)
        gate = gateway(recorder)
        caller = asyncio.ensure_future(gate.call("shop_list_orders", {}))
        await sending.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert given_up.is_set()
        return recorder

    recorder = asyncio.run(scene())
    assert [(row.kind, row.outcome) for row in recorder.rows] == [("read", "unknown")]


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
        ("begin durably", "shop_create_order", "nothing was sent", "refused"),
        ("version", "shop_create_order", "nothing was sent", "refused"),
        ("take over", "shop_create_order", "nothing was sent", "refused"),
        ("count", "shop_create_order", "nothing was sent", "refused"),
        ("reserve", "shop_create_order", "nothing was sent", "refused"),
        ("write started", "shop_create_order", "nothing was sent", "refused"),
        ("send", "shop_create_order", "It is not known whether this was carried out", "started finished"),
        ("send", "shop_list_orders", "failed while sending (OSError)", "read"),
        ("settle settled", "shop_create_order", "The call succeeded, but", "started"),
        ("write finished", "shop_create_order", "The call succeeded, but", "started"),
        ("write read", "shop_list_orders", "The call succeeded, but", ""),
        ("begin", "shop_create_order", "The call succeeded, but", "started"),
        ("begin", "shop_list_orders", "The call succeeded, but", ""),
        ("shape", "shop_create_order", "The call succeeded, but", "started finished"),
        ("shape", "shop_list_orders", "The call succeeded, but", "read"),
    ],
)
def test_whatever_breaks_is_said_and_leaks_nothing(broken: str, tool: str, says: str, rows: str) -> None:
    recorder = Recorder()
    recorder.broken = {broken}
    outcome = call(gateway(recorder, app(DAY_BUDGET)), tool, **(ORDER if tool == "shop_create_order" else {}))
    assert outcome.is_error
    assert says in outcome.text
    assert " ".join(row.kind for row in recorder.rows) == rows
    assert ("send" in recorder.events) is (not says.endswith("sent"))
    assert bool(recorder.entries) is ("send" in recorder.events and tool == "shop_create_order")
    for word in ("/secret/place", "never_shown", "o_1"):
        assert word not in outcome.text + str(outcome.structured) + str(recorder.rows)


@pytest.mark.parametrize(
    "broken", ["begin durably", "version", "take over", "count", "reserve", "write started", "commit"]
)
def test_a_store_that_cannot_be_used_is_told_and_nothing_is_sent(broken: str) -> None:
    recorder = Recorder()
    recorder.broken, recorder.error = {broken}, StoreError("The database is locked.", "Try again.")
    outcome = call(gateway(recorder, app(DAY_BUDGET)), **ORDER)
    assert (outcome.text, outcome.exit_code) == ("The database is locked. Try again.", 6)
    assert outcome.structured == {"error": "The database is locked.", "hint": "Try again."}
    assert recorder.keys == []
    assert not recorder.entries
    assert [row.rule for row in recorder.rows] == ([] if broken == "commit" else ["failure"])


@pytest.mark.parametrize("broken", ["begin", "settle settled", "write finished"])
def test_a_store_that_fails_after_the_call_leaves_it_reserved(broken: str) -> None:
    recorder = Recorder()
    recorder.broken, recorder.error = {broken}, StoreError("The database is locked.")
    gate = gateway(recorder, app(DAY_BUDGET))
    outcome = call(gate, amount=600, currency="usd")
    assert outcome.text.startswith(
        "The call succeeded, but mcpgate itself failed after it (its row could not be"
    )
    assert [entry.state for entry in recorder.entries] == ["reserved"]
    recorder.broken = set()
    assert call(gate, amount=401, currency="usd").text.startswith("Denied by budget")


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
    assert [entry.state for entry in recorder.entries] == ["released"]
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


@pytest.mark.parametrize("guess", [ECHOED, f"x {ECHOED[:12]}", "-".join(ECHOED), ECHOED.encode().hex()])
def test_a_guess_at_a_credential_is_refused_and_not_scrubbed(guess: str) -> None:
    recorder = Recorder()
    outcome = call(gateway(recorder), **ORDER, note=guess)
    assert outcome.text.startswith("The arguments hold what looks like a credential, which no call has to")
    assert " ".join(recorder.events) == REFUSAL
    assert "***" not in repr([outcome, recorder.rows])
    assert guess not in repr([outcome, recorder.rows])


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


@pytest.mark.parametrize(
    ("tool", "arguments", "written"),
    [
        ("shop_list_orders", {"status": "x" * 9000}, False),
        ("shop_list_orders", {"status": "x" * 100}, True),
        # 5: what cannot be built was sound before
        ("shop_delete_order", {"order": "../" + "x" * 9000}, False),
    ],
)
def test_an_agent_does_not_fill_the_disk_with_what_moves_nothing(
    tool: str, arguments: dict[str, Any], written: bool
) -> None:
    recorder = Recorder()
    call(gateway(recorder), tool, **arguments)
    (row,) = recorder.rows
    assert (row.arguments == arguments) is written
    assert row.args_hash
