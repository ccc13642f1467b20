"""One budget, many processes, an API that fails in every way, and kill -9: what the ledger says is so.

`MCPGATE_FIRE_ROUNDS` is how many rounds there are, 2 where it is not set; with `MCPGATE_FIRE_FULL` the second
test makes its thousand calls ten times. `benchmarks/under_fire.py` does the same with figures.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from mcpgate.activity import Row
from mcpgate.ledger import SPENT, Entry
from mcpgate.store.sql import SQLStore
from tests.standins.fire import TOOL, Killing, Site, Told, Work, database_of, ready
from tests.standins.till import CALM, FIERCE, FRIENDLY, Till

ROUNDS = int(os.environ.get("MCPGATE_FIRE_ROUNDS", "2"))
FULL = bool(os.environ.get("MCPGATE_FIRE_FULL"))
PROCESSES, LANES, MOST = 4, 50, 90
FATES = {"succeeded", "failed", "unknown", "refused"}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="nothing is killed with -9 there")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_budget_holds_to_the_unit_whatever_fails(tmp_path: Path, number: int) -> None:
    figures = spend_under_fire(tmp_path, number)
    assert figures["left by the killed"] or figures["unknown"] or not figures["killed"]


@pytest.mark.parametrize("number", range(10 if FULL else 1))
def test_what_was_under_way_at_kill_9_is_in_the_log_and_goes_again_under_its_key(
    tmp_path: Path, number: int
) -> None:
    assert kill_at_work(tmp_path, number, 20 if FULL else 6)["killed"] == 1


def spend_under_fire(folder: Path, number: int) -> Counter[str]:
    """A round: all of it is checked, and the figures are for people."""
    # most rounds ask for more than there is
    budget = (7_000, 4_000, 1_200)[number % 3]
    with Till(FIERCE, seed=number) as till, ready():
        site = Site(database_of(folder), till.port, budget)
        common = tuple((f"common-{each}", 11 + each) for each in range(3))
        killing = Killing(site)
        works = [Work(f"{number}.{each}", LANES, 1, MOST, common=common) for each in range(PROCESSES)]
        killing.run(works, kills=1, within=0.9, seed=number)
        till.settle()
        store = site.store()
        everything = Everything(site, till, store, killing.told)
        everything.check()
        people_settle(store, till)
        assert spent(store) == till.moved
        spend_the_rest(site, till, store, budget)
        assert store.verify().broken is None
        store.close()
    return everything.figures() + Counter({"killed": killing.killed})


def kill_at_work(folder: Path, number: int, each: int) -> Counter[str]:
    """Fifty lanes, each of so many calls, in one process that is killed at it and started again."""
    with Till(CALM, seed=number) as till, ready():
        site = Site(database_of(folder), till.port, budget=10**9)
        killing = Killing(site)
        work = Work(f"{number}", LANES, each, MOST, unopened=0)
        killing.run([work], kills=1, within=each * 0.15, seed=number)
        till.settle()
        store = site.store()
        everything = Everything(site, till, store, killing.told)
        everything.check()
        store.close()
        first, last = killing.told
        begun = {order for order, _ in last.begun}
        assert {order for order, _ in first.untold} <= begun, "what was under way was not made again"
    return everything.figures() + Counter({"killed": killing.killed})


class Everything:
    """The ledger, the log, what the API did by its own account, and what the processes were told."""

    def __init__(self, site: Site, till: Till, store: SQLStore, told: list[Told]) -> None:
        self.till = till
        self.budget, self.timeout = site.budget, site.timeout
        self.entries = {entry.call: entry for entry in store.ledger()}
        self.rows: list[Row] = [stored.row for stored in store.rows()]
        self.verdict = store.verify()
        self.started = {row.call: row for row in self.rows if row.kind == "started"}
        self.finished = {row.call: row for row in self.rows if row.kind == "finished"}
        self.told = told

    def check(self) -> None:
        assert not self.till.faults, self.till.faults
        self.check_sums()
        self.check_log()
        self.check_told()
        self.check_keys()

    def check_sums(self) -> None:
        """Never a unit over the budget, nor over what the ledger says."""
        counted = [entry for entry in self.entries.values() if entry.state in SPENT]
        assert sum(entry.amount or 0 for entry in counted) <= self.budget
        by_key = {entry.key: entry for entry in counted}
        assert len(by_key) == len(counted), "a key is counted twice"
        for key, payment in self.till.paid.items():
            assert key in by_key, f"{payment} was paid and is not counted: {self.of_key(key)}"
            assert by_key[key].amount == payment.amount
        for entry in counted:
            assert entry.state != "settled" or entry.key in self.till.paid

    def check_log(self) -> None:
        """What reached the API has its row, and the chain holds."""
        assert self.verdict.broken is None
        assert self.verdict.count == len(self.rows)
        assert self.verdict.unchecked == 0
        assert self.started.keys() == self.entries.keys()
        assert self.finished.keys() <= self.started.keys()
        assert len(self.finished) == sum(row.kind == "finished" for row in self.rows)
        keys = {row.key for row in self.started.values()}
        assert self.till.orders.keys() <= keys, "a call reached the API without a row"
        for row in self.started.values():
            assert self.till.orders.get(row.key, order_of(row)) == order_of(row)

    def check_told(self) -> None:
        """What a process was told stands in the log as often, and of that nothing is left reserved."""
        told: dict[str, list[str]] = defaultdict(list)
        for each in self.told:
            for order, fate, text in each.ended:
                assert fate in FATES, (fate, text)
                assert fate != "refused" or text.startswith("Denied by budget"), text
                if fate != "refused":
                    told[order].append(fate)
        logged: dict[str, list[str]] = defaultdict(list)
        for call, row in self.finished.items():
            logged[order_of(self.started[call])].append(row.outcome)
        untold = {order for each in self.told for order, _ in each.untold}
        for order, fates in told.items():
            missing = [fate for fate in set(fates) if fates.count(fate) > logged[order].count(fate)]
            assert order.startswith("common") or not missing, (order, fates, logged[order])
        for call, entry in self.entries.items():
            order = order_of(self.started[call])
            assert call in self.finished or order in untold, f"{order}: {entry.state}, and it was told"
            assert call not in self.finished or entry.state != "reserved", entry
            assert call in self.finished or entry.state in ("reserved", "replaced"), entry
            self.check_given_back(entry, order)

    def check_given_back(self, entry: Entry, order: str) -> None:
        """What was refused or never sent counts no more, unless an earlier one under its key may have."""
        if entry.call not in self.finished:
            return
        outcome = self.finished[entry.call].outcome
        earlier = [
            each for each in self.entries.values() if each.key == entry.key and each.state == "replaced"
        ]
        expected = {
            "succeeded": "settled",
            "failed": "unknown" if earlier else "released",
            "unknown": "unknown",
        }
        assert entry.state in ("replaced", expected[outcome]), (entry, outcome)
        answers = set(self.till.answers.get(entry.key, ()))
        in_time = self.finished[entry.call].ms < self.timeout * 900
        if in_time and answers <= {"refuse", "limit"} and not earlier and entry.state != "replaced":
            assert entry.state == "released", (entry, answers)

    def check_keys(self) -> None:
        """What may have acted and is made again by whom it was under way with goes under the same key."""
        by_order: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.kind == "started":
                by_order[order_of(row)].append(row)
        for order, rows in by_order.items():
            if order.startswith("common"):
                continue  # it was made by several at once
            for before, after in pairwise(rows):
                finished = self.finished.get(before.call)
                same = before.key == after.key
                may_have_acted = finished is None or finished.outcome == "unknown"
                assert not may_have_acted or same, (before, after)
                if same:
                    assert self.entries[before.call].state == "replaced"
                    assert self.entries[before.call].key_at == self.entries[after.call].key_at

    def figures(self) -> Counter[str]:
        """What happened, for people."""
        told: Counter[str] = Counter(f"told {fate}" for each in self.told for _, fate, _ in each.ended)
        states: Counter[str] = Counter(entry.state for entry in self.entries.values())
        untold = sum(len(each.untold) for each in self.told)
        left = states.pop("reserved", 0)
        keys = Counter(row.key for row in self.started.values())
        return Counter(
            {
                **told,
                **states,
                "untold": untold,
                "left by the killed": left,
                "requests": self.till.requests,
                "keys used again": sum(each > 1 for each in keys.values()),
                "rows": len(self.rows),
            }
        )

    def of_key(self, key: str) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.key == key]


def people_settle(store: SQLStore, till: Till) -> None:
    """A person looks at what the API did, and settles or releases whatever is not known."""
    for entry in store.ledger(states=("reserved", "unknown")):
        assert store.decide_call(entry.call, "settled" if entry.key in till.paid else "released")
    assert not store.ledger(states=("reserved", "unknown"))


def spent(store: SQLStore) -> int:
    return sum(entry.amount or 0 for entry in store.ledger(states=SPENT))


def spend_the_rest(site: Site, till: Till, store: SQLStore, budget: int) -> None:
    """What is left can be spent to the last unit, and then not one more."""
    till.moods = FRIENDLY
    gateway = dataclasses.replace(site, timeout=30).gateway(store)

    async def pay(amount: int, order: str) -> str:
        outcome = await gateway.call(TOOL, {"amount": amount, "currency": "usd", "order": order})
        return outcome.text if outcome.is_error else "paid"

    async def pay_all() -> None:
        left = budget - till.moved
        if left:
            assert (await pay(left + 1, "one too many")).startswith("Denied by budget")
            parts = [part for part in (left // 3, left // 3, left - 2 * (left // 3)) if part]
            for number, part in enumerate(parts):
                assert await pay(part, f"rest {number}") == "paid"
        assert (await pay(1, "one more")).startswith("Denied by budget")
        await gateway.close()

    asyncio.run(pay_all())
    assert till.moved == budget == spent(store)


def order_of(row: Row) -> str:
    assert row.arguments is not None
    return str(row.arguments["order"])
