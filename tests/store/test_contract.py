"""What every store does alike: transactions, the ledger's states, sums over it, and keys of earlier calls."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeAlias, get_args

import pytest

from mcpgate.activity import KINDS, Row
from mcpgate.ledger import STATE_OF, Earlier, Entry, State
from mcpgate.store import Store
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.database import Database
from mcpgate.store.memory import MemoryStore
from mcpgate.store.sql import SQLStore
from mcpgate.values import EFFECTS, Selector, Tally

DAY = 24 * 3600.0
NOW = 1_000_000.0
BASE = Entry(
    at=NOW,
    app="a",
    grant="shop",
    tool="shop_pay",
    category="write",
    effects=("money_out",),
    call="c0",
    args_hash="h",
    currency="usd",
    amount=100,
    key="k0",
    key_at=NOW,
)
BASE_ROW = Row(
    at=NOW, kind="started", call="c0", app="a", grant="shop", tool="t", args_hash="", decision="allow"
)
ALL = (Selector("*"),)
COUNT = Tally(DAY, ALL)
Read: TypeAlias = Callable[[], list[Row]]


def memory(folder: Path) -> Iterator[tuple[Store, Read]]:
    store = MemoryStore()
    yield store, lambda: list(store.rows)


def sqlite(folder: Path, key: ActivityKey | None = None) -> Iterator[tuple[Store, Read]]:
    database = Database(str(folder / "mcpgate.db"))
    store = SQLStore(database, lambda: key)
    yield store, lambda: [stored.row for stored in store.rows()]
    store.close()
    database.close()


def sqlite_keyed(folder: Path) -> Iterator[tuple[Store, Read]]:
    yield from sqlite(folder, ActivityKey(bytes(32)))


# another engine is another entry
ENGINES: list[Callable[[Path], Iterator[tuple[Store, Read]]]] = [memory, sqlite, sqlite_keyed]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Read]]:
    yield from request.param(tmp_path)


@pytest.fixture
def store(opened: tuple[Store, Read]) -> Store:
    return opened[0]


def entry(call: str = "c1", **changes: Any) -> Entry:
    return dataclasses.replace(BASE, call=call, **changes)


def reserve(store: Store, *entries: Entry) -> None:
    """Enter each as it came to be: reserved, and then what its state says."""
    for each in entries:
        with store.transaction() as transaction:
            transaction.reserve(dataclasses.replace(each, state="reserved"))
        if each.state != "reserved":
            settle(store, each.call, each.state)


def settle(store: Store, call: str, state: State) -> None:
    with store.transaction() as transaction:
        transaction.settle(call, state)


def spent(store: Store, tally: Tally = COUNT, asking: Entry = BASE) -> int:
    with store.transaction() as transaction:
        return transaction.spent(tally, asking)


def earlier(
    store: Store,
    now: float = NOW,
    app: str = "a",
    tool: str = "shop_pay",
    args: str = "h",
    under_way: Collection[str] = (),
) -> Earlier | None:
    with store.transaction() as transaction:
        return transaction.take_over(app, tool, args, now - DAY, under_way)


# --- transactions ----------------------------------------------------------------------------------------


def test_an_exception_undoes_a_transaction(opened: tuple[Store, Read]) -> None:
    store, read = opened
    reserve(store, entry("c1", state="unknown"))

    def broken() -> None:
        with store.transaction() as transaction:
            assert transaction.take_over("a", "shop_pay", "h", NOW - DAY, ())
            transaction.reserve(entry("c2"))
            transaction.write(BASE_ROW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert spent(store) == 1
    assert not read()
    assert earlier(store) == Earlier("k0", NOW)


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_done_stays(durable: bool, opened: tuple[Store, Read]) -> None:
    store, read = opened
    with store.transaction(durable=durable) as transaction:
        transaction.reserve(entry())
        transaction.write(BASE_ROW)
    assert spent(store) == 1
    assert len(read()) == 1


def test_nobody_has_changed_a_configuration(store: Store) -> None:
    assert store.version() == 0
    with store.transaction() as transaction:
        assert transaction.version() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_read_as_it_was_written(kind: Any, opened: tuple[Store, Read]) -> None:
    store, read = opened
    rows = [
        dataclasses.replace(BASE_ROW, kind=kind),
        Row(
            *(NOW + 0.1, kind, "c", "a", "g", "t", "", "deny"),
            rule="limit\nof “2”",
            outcome="unknown",
            status=0,
            request_id="r",
            key="k",
            ms=0.1,
            size=3,
            subject="s",
            tool_digest="d",
            policy_digest="e",
            says="apps create é\0",
        ),
    ]
    with store.transaction() as transaction:
        for row in rows:
            transaction.write(row)
    assert read() == rows


# --- states ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fate", "counted"), [("succeeded", True), ("failed", False), ("unknown", True), (None, True)]
)
def test_what_may_have_acted_is_spent(fate: Any, counted: bool, store: Store) -> None:
    reserve(store, entry("c1"), entry("c2"))
    settle(store, "gone", "settled")
    if fate is not None:
        settle(store, "c1", STATE_OF[fate])
    assert spent(store) == 1 + counted
    assert spent(store, Tally(DAY, ALL, currency="usd")) == 100 + 100 * counted


@pytest.mark.parametrize("first", ["settled", "released", "unknown"])
@pytest.mark.parametrize("second", ["settled", "released", "unknown"])
def test_a_call_is_settled_once(first: State, second: State, store: Store) -> None:
    reserve(store, entry())
    settle(store, "c1", first)
    settle(store, "c1", second)
    assert spent(store) == (first != "released")
    assert (earlier(store) is not None) == (first == "unknown")


def test_reserving_and_settling_in_one_transaction_loses_nothing(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.reserve(entry())
        transaction.settle("c1", "released")
    assert spent(store) == 0


# --- keys of earlier calls -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([], None),
        # whoever made it may have died
        ([entry()], Earlier("k0", NOW)),
        ([entry(state="settled")], None),
        ([entry(state="released")], None),
        ([entry(state="unknown", key="")], None),
        ([entry(state="unknown")], Earlier("k0", NOW)),
        ([entry(state="unknown", key_at=NOW - DAY)], Earlier("k0", NOW - DAY)),
        ([entry(state="unknown", key_at=NOW - DAY - 1)], None),
        ([entry("c1", state="unknown"), entry("c2", key="k2", state="released")], Earlier("k0", NOW)),
        (
            [
                entry("c1", state="unknown", key="k1", key_at=NOW - 2),
                entry("c2", state="unknown", key="k2", key_at=NOW - 1),
            ],
            Earlier("k1", NOW - 2),
        ),
    ],
)
def test_the_key_of_a_call_that_may_have_acted(
    entries: list[Entry], found: Earlier | None, store: Store
) -> None:  # row 20
    reserve(store, *entries)
    assert earlier(store) == found


@pytest.mark.parametrize("other", [{"app": "b"}, {"tool": "shop_buy"}, {"args": "i"}])
def test_a_key_belongs_to_one_app_tool_and_arguments(other: dict[str, str], store: Store) -> None:
    reserve(store, entry(state="unknown"))
    assert earlier(store, **other) is None  # type: ignore[arg-type]
    assert earlier(store)


def test_what_went_under_another_key_may_have_acted_as_well(store: Store) -> None:
    made = [entry("c1", state="unknown", key="k1"), entry("c2", state="unknown", key="k2", key_at=NOW + 1)]
    reserve(store, *made, entry("c3", key="k1"))
    assert earlier(store, under_way=("c3",)) == Earlier("k1", NOW)
    assert spent(store) == 2
    assert earlier(store, under_way=("c3",)) == Earlier("k2", NOW + 1)
    assert spent(store) == 1
    assert earlier(store, under_way=("c3",)) is None


def test_what_is_made_again_counts_once(store: Store) -> None:
    reserve(store, entry("c1", state="unknown"))
    with store.transaction() as transaction:
        assert transaction.spent(COUNT, entry("c2")) == 1
        assert transaction.take_over("a", "shop_pay", "h", NOW - DAY, ()) == Earlier("k0", NOW)
        assert transaction.spent(COUNT, entry("c2")) == 0
        transaction.reserve(entry("c2"))
    assert spent(store) == 1
    # it is taken over once, and what is replaced stays so
    assert earlier(store, under_way=("c2",)) is None
    settle(store, "c1", "settled")
    assert spent(store) == 1
    settle(store, "c2", "unknown")
    assert earlier(store) == Earlier("k0", NOW)


# --- sums ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tally", "found"),
    [
        (COUNT, 5),
        (Tally(10.0, ALL), 4),
        (Tally(10.0, ALL, everyone=True), 5),
        (Tally(DAY, ALL, grant="desk"), 1),
        (Tally(DAY, ALL, identical=True), 2),
        (Tally(DAY, ALL, everyone=True, identical=True), 3),
        (Tally(DAY, ALL, currency="usd"), 310),
        (Tally(DAY, ALL, currency="eur"), 7),
        (Tally(DAY, ALL, currency="jpy"), 0),
        (Tally(DAY, ALL, everyone=True, currency="usd", grant="shop"), 1310),
        (Tally(DAY, ()), 0),
    ],
)
def test_a_tally(tally: Tally, found: int, store: Store) -> None:
    reserve(
        store,
        entry("c1"),
        entry("c2", at=NOW - 10.0, amount=10, args_hash="i"),
        # the clock was set back
        entry("c3", at=NOW + 50.0, amount=200, tool="shop_buy"),
        entry("c4", currency="eur", amount=7, grant="desk", tool="desk_pay"),
        entry("c5", amount=None),
        entry("c6", amount=1000, app="b"),
        entry("c7", amount=5000, state="released"),
    )
    assert spent(store, tally) == found


def test_a_call_does_not_count_itself(store: Store) -> None:
    with store.transaction() as transaction:
        assert transaction.spent(COUNT, entry()) == 0
        transaction.reserve(entry())
    assert spent(store, COUNT, entry("c2")) == 1


@pytest.mark.parametrize(
    ("selectors", "taken"),
    [
        (["write"], {"shop_pay", "shop_pay_out", "shopXpay"}),
        (["read"], {"shop_list"}),
        (["delete"], set()),
        (["effect:money_out"], {"shop_pay"}),
        (["effect:money_in"], {"shop_pay_out"}),
        (["effect:commitment"], {"shop_pay", "shop_pay_out"}),
        (["effect:message"], set()),
        (["shop_pay"], {"shop_pay"}),
        (["shop_*"], {"shop_pay", "shop_pay_out", "shop_list"}),
        (["*_pay"], {"shop_pay"}),
        (["shop?pay"], {"shop_pay", "shopXpay"}),
        (["shop_???"], {"shop_pay"}),
        (["shop_li*", "*out"], {"shop_list", "shop_pay_out"}),
        (["read", "effect:money_out"], {"shop_list", "shop_pay"}),
    ],
)
def test_selectors(selectors: list[str], taken: set[str], store: Store) -> None:
    tools: list[tuple[str, Any, tuple[str, ...]]] = [
        ("shop_pay", "write", ("commitment", "money_out")),
        ("shop_pay_out", "write", ("money_in", "commitment", "erase")),
        ("shopXpay", "write", ("moneyXout",)),
        ("shop_list", "read", ()),
    ]
    for at, (tool, category, effects) in enumerate(tools):
        reserve(store, entry(str(at), tool=tool, category=category, effects=effects, amount=10**at))
    tally = Tally(DAY, tuple(map(Selector, selectors)), currency="usd")
    assert spent(store, tally) == sum(10**at for at, (tool, *_) in enumerate(tools) if tool in taken)


def test_all_engines_count_alike(tmp_path: Path) -> None:
    """Whatever is entered and asked: the store in memory is the plain reading of it."""
    chance = random.Random(6)
    tools = [f"{c}_{v}{n}" for c in ("shop", "desk") for v in ("get", "pay") for n in ("", "_x")]
    texts = ["read", "write", "*", "shop_*", "*_x", "desk_pay", "?e*", *(f"effect:{e}" for e in EFFECTS)]
    entries = [
        entry(
            str(number),
            at=NOW - chance.choice([0, 5, 59, 61, 4000]),
            app=chance.choice("ab"),
            grant=chance.choice(["shop", "desk"]),
            tool=chance.choice(tools),
            category=chance.choice(["read", "write", "delete"]),
            effects=tuple(chance.sample(EFFECTS, chance.randint(0, 3))),
            args_hash=chance.choice("xyz"),
            currency=chance.choice(["", "usd", "eur"]),
            amount=chance.choice([None, 0, 1, 999, 2**40]),
            state=chance.choice(get_args(State)),
        )
        for number in range(80)
    ]
    tallies = [
        Tally(
            chance.choice([60.0, 3600.0, DAY]),
            tuple(Selector(text) for text in chance.sample(texts, chance.randint(1, 3))),
            chance.choice(["", "shop"]),
            chance.choice([True, False]),
            chance.choice([True, False, False]),
            chance.choice(["", "usd"]),
        )
        for _ in range(150)
    ]
    answers = []
    for engine in ENGINES:
        (folder := tmp_path / engine.__name__).mkdir()
        for store, _ in engine(folder):
            reserve(store, *entries)
            asking = (dataclasses.replace(each, call="new") for each in itertools.cycle(entries))
            answers.append([spent(store, tally, next(asking)) for tally in tallies])
    assert len({tuple(found) for found in answers}) == 1
    assert len(set(answers[0])) > 20
