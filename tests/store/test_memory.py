"""The store in memory: transactions, the ledger's states, and the keys of calls that may have acted."""

from __future__ import annotations

import dataclasses

import pytest

from mcpgate.activity import Row
from mcpgate.ledger import STATE_OF, Reservation, entries
from mcpgate.store import memory
from mcpgate.store.memory import MemoryStore

DAY = 24 * 3600.0
BASE = Row(
    at=1000.0,
    kind="finished",
    call="c1",
    app="a",
    grant="g",
    tool="t",
    args_hash="h",
    decision="allow",
    key="k1",
)


def row(**changes: object) -> Row:
    return dataclasses.replace(BASE, **changes)  # type: ignore[arg-type]


def write(store: MemoryStore, *rows: Row) -> None:
    with store.transaction() as transaction:
        for each in rows:
            transaction.write(each)


def key(store: MemoryStore, now: float = 1000.0, app: str = "a", tool: str = "t", args: str = "h") -> str:
    with store.transaction() as transaction:
        return transaction.unknown_key(app, tool, args, now - DAY)


def test_a_call_has_an_entry_for_its_use_and_one_for_each_effect() -> None:
    moved = [Reservation("money_in", "usd", 500), Reservation("commitment")]
    found = entries(1.0, "a", "g", "t", "c1", "h", moved)
    assert [entry.reservation for entry in found] == [Reservation(""), *moved]
    assert {(entry.call, entry.state, entry.at) for entry in found} == {("c1", "reserved", 1.0)}


@pytest.mark.parametrize(
    ("fate", "state"), [("succeeded", "settled"), ("failed", "released"), ("unknown", "unknown")]
)
def test_settling_a_call_settles_all_its_entries(fate: str, state: str) -> None:
    store = MemoryStore()
    with store.transaction() as transaction:
        transaction.reserve(entries(1.0, "a", "g", "t", "c1", "h", [Reservation("money_in", "usd", 5)]))
        transaction.reserve(entries(1.0, "a", "g", "t", "c2", "h", []))
    with store.transaction() as transaction:
        transaction.settle("c1", STATE_OF[fate])  # type: ignore[index]
        transaction.settle("gone", "settled")
    assert [entry.state for entry in store.entries["c1"]] == [state, state]
    assert [entry.state for entry in store.entries["c2"]] == ["reserved"]
    assert set(store.entries) == {"c1", "c2"}


def test_reserving_and_settling_in_one_transaction_loses_nothing() -> None:
    store = MemoryStore()
    with store.transaction() as transaction:
        transaction.reserve(entries(1.0, "a", "g", "t", "c1", "h", []))
        transaction.settle("c1", "settled")
    assert [entry.state for entry in store.entries["c1"]] == ["settled"]


def test_an_exception_undoes_a_transaction() -> None:
    store = MemoryStore()

    def broken() -> None:
        with store.transaction() as transaction:
            transaction.reserve(entries(1.0, "a", "g", "t", "c1", "h", []))
            transaction.write(row(outcome="unknown"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert not store.entries
    assert not store.rows
    assert not key(store)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], ""),
        ([row(kind="started")], ""),
        ([row(outcome="succeeded")], ""),
        ([row(outcome="failed")], ""),
        ([row(outcome="unknown")], "k1"),
        ([row(outcome="unknown", key="")], ""),
        ([row(outcome="unknown"), row(outcome="succeeded")], ""),
        # a repeat that fails says nothing of the first: 409 may mean that the first is still running
        ([row(outcome="unknown"), row(outcome="failed")], "k1"),
        ([row(outcome="unknown"), row(outcome="unknown", at=2000.0)], "k1"),
        ([row(outcome="unknown"), row(outcome="succeeded", key="k2")], "k1"),
        ([row(outcome="unknown"), row(outcome="unknown", key="k2")], "k2"),
    ],
)
def test_the_key_of_a_call_that_may_have_acted(rows: list[Row], found: str) -> None:  # row 20
    store = MemoryStore()
    write(store, *rows)
    assert key(store) == found


def test_a_key_counts_for_24_hours_from_its_first_use() -> None:
    store = MemoryStore()
    write(store, row(outcome="unknown"), row(outcome="unknown", at=1000.0 + DAY - 5))
    assert key(store, now=1000.0 + DAY) == "k1"
    assert not key(store, now=1000.1 + DAY)


@pytest.mark.parametrize("other", [{"app": "b"}, {"tool": "u"}, {"args": "i"}])
def test_a_key_belongs_to_one_app_tool_and_arguments(other: dict[str, str]) -> None:
    store = MemoryStore()
    write(store, row(outcome="unknown"))
    assert not key(store, **other)  # type: ignore[arg-type]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_KEPT", 3)
    store = MemoryStore()
    for number in range(5):
        write(store, row(outcome="unknown", args_hash=str(number)))
        with store.transaction() as transaction:
            transaction.reserve(entries(1.0, "a", "g", "t", str(number), "h", []))
    assert list(store.entries) == ["2", "3", "4"]
    assert [found[2] for found in store.unknown] == ["2", "3", "4"]
    assert len(store.rows) == 3
