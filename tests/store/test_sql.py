"""The store in a database: many processes, a chain that shows what was done to it, what may be taken out."""

from __future__ import annotations

import copy
import dataclasses
import json
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mcpgate.activity import Row
from mcpgate.errors import CredentialError, StoreError, UsageError
from mcpgate.ledger import Earlier
from mcpgate.store import line, removing
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.config_version import bump
from mcpgate.store.database import Database
from mcpgate.store.reading import Asked
from mcpgate.store.sql import SQLStore
from mcpgate.store.verifying import Calls
from mcpgate.values import Selector, Tally
from tests.store.test_contract import BASE_ROW, DAY, NOW, entry

FORKS: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
FORKS.set_forkserver_preload([__name__])
CANARY = "canary@example.com"
ARGUMENTS: dict[str, Any] = {
    "customer": "cus_1",
    "email": CANARY,
    "lines": [{"name": f"{CANARY} 0", "price": 5}, {"price": 6}],
    "address": {"city": [CANARY]},
    "note": None,
}
PRIVATE = ("email", "name", "address", "phone")
LEFT = {"customer": "cus_1", "lines": [{"price": 5}, {"price": 6}], "note": None}


class Rig:
    """A database in a folder; each `store` is another process's, as far as it can tell."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mcpgate.db"
        self.key: ActivityKey | None = ActivityKey(b"k" * 32)
        self.now = NOW
        self._open: list[Any] = []

    def store(self, key: ActivityKey | str | None = "own") -> SQLStore:
        chosen = self.key if isinstance(key, str) else key
        database = Database(str(self.path))
        store = SQLStore(database, lambda: chosen, lambda: self.now)
        self._open += [store, database]
        return store

    def close(self) -> None:
        for each in self._open:
            each.close()

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What someone does who may write to the database."""
        with closing(sqlite3.connect(self.path)) as database, database:
            return database.execute(statement, values).fetchall()

    def bytes(self) -> bytes:
        """All that lies in the files."""
        return b"".join(path.read_bytes() for path in self.path.parent.glob("mcpgate.db*"))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def row(call: str, **changes: Any) -> Row:
    given = {"arguments": ARGUMENTS, "private": PRIVATE, "args_hash": "plain", **changes}
    return dataclasses.replace(BASE_ROW, call=call, **given)


def write(store: SQLStore, *rows: Row) -> None:
    with store.transaction() as transaction:
        for each in rows:
            transaction.write(each)


def fill(store: SQLStore, count: int = 6, **changes: Any) -> None:
    """Calls a moment apart, the odd ones of another app."""
    write(
        *(store,),
        *(row(f"c{number}", at=NOW + number, app="ab"[number % 2], **changes) for number in range(count)),
    )


def broken(store: SQLStore, expected: tuple[int, str] | None = None) -> tuple[int, str] | None:
    found = store.verify(expected).broken
    return None if found is None else (found.seq, found.what)


# --- processes -------------------------------------------------------------------------------------------


def beside(path: str, name: str, count: int, start: Any) -> None:
    rig = Rig(Path(path))
    store = rig.store()
    start.wait(30)
    for number in range(count):
        with store.transaction(durable=number % 50 == 0) as transaction:
            transaction.reserve(entry(f"{name}{number}", app=name))
            transaction.write(row(f"{name}{number}", app=name))
        with store.transaction() as transaction:
            transaction.settle(f"{name}{number}", "settled")
            transaction.write(row(f"{name}{number}", app=name, kind="finished", arguments=None))
    rig.close()


def test_processes_that_write_at_once_share_one_chain(rig: Rig) -> None:
    start = FORKS.Barrier(2)
    processes = [FORKS.Process(target=beside, args=(str(rig.path.parent), n, 150, start)) for n in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    verdict = rig.store().verify()
    assert (verdict.count, verdict.broken) == (600, None)
    assert {stream: seq for stream, (seq, _) in verdict.heads.items()} == {"main": 600}
    for name in "ab":
        calls = [stored.row.call for stored in rig.store().rows(Asked(app=name, kind="started"))]
        assert calls == [f"{name}{number}" for number in range(150)]
        assert len(rig.store().ledger(name, ["settled"])) == 150


def change(path: str) -> None:
    database = Database(path)
    with database.write() as connection:
        bump(connection)
    database.close()


def test_a_change_by_another_process_is_seen_at_once(rig: Rig) -> None:
    store = rig.store()
    assert store.version() == 0
    for version in (1, 2):
        process = FORKS.Process(target=change, args=(str(rig.path),))
        process.start()
        process.join(60)
        assert store.version() == version
        with store.transaction() as transaction:
            assert transaction.version() == version


def test_the_version_is_told_while_another_writes(rig: Rig) -> None:
    store, other = rig.store(), rig.store()
    with other.transaction() as transaction:
        transaction.write(BASE_ROW)
        assert store.version() == 0


def test_a_change_that_is_undone_is_none(rig: Rig) -> None:
    database = Database(str(rig.path))
    with suppress(KeyboardInterrupt), database.write() as connection:
        bump(connection)
        raise KeyboardInterrupt
    assert rig.store().version() == 0
    database.close()


def test_a_call_of_a_process_that_is_gone_may_have_acted(rig: Rig) -> None:
    gone, store = rig.store(), rig.store()
    with gone.transaction() as transaction:
        transaction.reserve(entry("c1"))
        # what is under way here is no other call
        assert transaction.take_over("a", "shop_pay", "h", NOW - DAY, ("c1",)) is None
    with store.transaction() as transaction:
        assert transaction.take_over("a", "shop_pay", "h", NOW - DAY, ()) == Earlier("k0", NOW)
        transaction.reserve(entry("c2"))
    with gone.transaction() as transaction:
        transaction.settle("c1", "settled")
    assert [(each.call, each.state) for each in store.ledger()] == [("c1", "replaced"), ("c2", "reserved")]


def test_a_call_that_is_reserved_is_spent_by_every_other(rig: Rig) -> None:
    store, tally = rig.store(), Tally(DAY, (Selector("*"),))
    with store.transaction() as transaction:
        transaction.reserve(entry("c1"))
        assert transaction.spent(tally, entry("c1")) == 0
        assert transaction.spent(tally, entry("c2")) == 1


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_what_is_durable_waits_for_the_disk(durable: bool, synchronous: int, rig: Rig) -> None:
    store = rig.store()
    for each in (not durable, durable):
        with store.transaction(durable=each) as transaction:
            found = transaction.connection.execute("PRAGMA synchronous").fetchone()
    assert found == (synchronous,)


# --- what cannot be used ---------------------------------------------------------------------------------


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert CANARY not in caught.value.message + caught.value.hint
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("table", ["ledger", "activity", "config_version"])
def test_without_a_table_nothing_is_decided(table: str, rig: Rig) -> None:
    store = rig.store()
    fill(store)
    rig.sql(f"ALTER TABLE {table} RENAME TO other")

    def call() -> None:
        with store.transaction() as transaction:
            transaction.version()
            transaction.reserve(entry(CANARY))
            transaction.write(row(CANARY))

    assert refused(call).endswith("its tables are not those of this mcpgate.")
    rig.sql(f"ALTER TABLE other RENAME TO {table}")
    call()
    assert store.verify().count == 7


def test_a_row_is_entered_once_and_a_failure_undoes_all(rig: Rig) -> None:
    store = rig.store()

    def call() -> None:
        with store.transaction() as transaction:
            transaction.write(BASE_ROW)
            transaction.reserve(entry("c1"))

    call()
    assert "SQLITE_CONSTRAINT" in refused(call)
    assert store.verify().count == 1


def test_one_that_is_held_is_told_and_used_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpgate.store.sqlite_file._PRAGMAS", ("busy_timeout=50",))
    monkeypatch.setattr(line, "_SECONDS", 0.05)
    store = rig.store()
    fill(store)
    with closing(sqlite3.connect(rig.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(lambda: fill(store)).endswith("another program holds it.")
        assert store.version() == 0
        other.rollback()
    with store.transaction():
        assert refused(lambda: fill(store)) == "The database is held by another call of this process."
    store.close()
    fill(store)
    assert store.verify().count == 12


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replaced(path: Path) -> None:
    copied = path.with_name("copy")
    shutil.copy(path, copied)
    copied.replace(path)


def copied_over(path: Path) -> None:
    """A backup put back in place: the file keeps its identity, and what lies beside it goes."""
    with closing(sqlite3.connect(path)) as database:
        copy = path.with_name("copy")
        database.execute("VACUUM INTO ?", [str(copy)])
    path.write_bytes(copy.read_bytes())
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody move what is open")
@pytest.mark.parametrize("act", [moved, replaced, Path.unlink, copied_over])
def test_a_file_that_is_another_one_is_never_used_again(act: Callable[[Path], None], rig: Rig) -> None:
    store, spare = rig.store(), rig.path.with_name("spare")
    fill(store)
    store.version()
    os.link(rig.path, spare)
    act(rig.path)

    def call() -> None:
        with store.transaction() as transaction:
            transaction.reserve(entry(CANARY))

    says = "is not the file that it was when this started: it was moved or replaced."
    for each in (store.version, call, store.verify, store.ledger, lambda: list(store.rows())):
        assert refused(each) == f"The database {rig.path} {says}"
    # not even when the one that it was is there again
    spare.replace(rig.path)
    for each in (store.version, call, store.verify):
        assert refused(each) == f"The database {rig.path} {says}"
    rig.close()
    assert rig.store().version() == 0


# --- the chain -------------------------------------------------------------------------------------------

CHANGES: list[tuple[str, Any]] = [
    ("at", NOW + 99),
    ("at", "soon"),
    ("kind", "read"),
    ("call", "other"),
    ("app", "b"),
    ("subject", "me"),
    ("grant_name", "desk"),
    ("tool", "other"),
    ("decision", "deny"),
    ("outcome", "failed"),
    ("facts", "{}"),
    ("facts", "[]"),
    ("facts", "{"),
    ("facts", b"{}"),
    ("sealed", None),
    ("sealed", b"other"),
    ("sealed", "other"),
    ("private", None),
    ("private", b"other"),
    ("key_id", "other"),
    ("mac", "0" * 64),
    ("mac", b"0"),
    ("seq", 99),
    ("seq", "3rd"),
    ("stream", "other"),
]


@pytest.mark.parametrize(("column", "value"), CHANGES)
def test_a_changed_column_breaks_the_chain(column: str, value: Any, rig: Rig) -> None:
    store = rig.store()
    fill(store)
    assert store.verify().broken is None
    rig.sql(f"UPDATE activity SET {column} = ? WHERE seq = 3", value)
    found = broken(store)
    assert found is not None
    assert found[0] in (3, 4, 99, "3rd")


def test_every_column_was_tried(rig: Rig) -> None:
    rig.store().version()
    columns = {found[1] for found in rig.sql("PRAGMA table_info(activity)")}
    assert columns == {column for column, _ in CHANGES}


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize(
    ("act", "found"),
    [
        ("DELETE FROM activity WHERE seq = 3", (4, "rows are missing: after 2 comes 4")),
        ("DELETE FROM activity WHERE seq < 3", (3, "rows are missing: after 0 comes 3")),
        ("UPDATE activity SET seq = seq + 1000", (1001, "rows are missing: after 0 comes 1001")),
        (
            "UPDATE activity SET seq = 7 - seq + 100; UPDATE activity SET seq = seq - 100",
            (1, "it was changed"),
        ),
        (
            "UPDATE activity SET seq = 7 WHERE seq = 6; INSERT INTO activity SELECT stream, 6, at, kind,"
            " call, app, subject, grant_name, tool, decision, outcome, facts, sealed, private, key_id, mac"
            " FROM activity WHERE seq = 5",
            (6, "it was changed"),
        ),
    ],
)
def test_rows_that_are_gone_or_moved(keyed: bool, act: str, found: tuple[int, str], rig: Rig) -> None:
    store = rig.store() if keyed else rig.store(None)
    fill(store)
    for statement in act.split("; "):
        rig.sql(statement)
    assert broken(store) == found


def test_a_log_that_was_cut_short_is_told_by_a_head_kept_elsewhere(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    head = store.verify().heads["main"]
    fill(store)
    assert broken(store, head) is None
    assert broken(store, store.verify().heads["main"]) is None
    rig.sql("DELETE FROM activity WHERE seq > 5")
    assert broken(store) is None
    assert broken(store, head) == (
        6,
        "the log was cut short or written anew: the row that was kept elsewhere is not in it",
    )
    # written on from there, by one who has the key even
    fill(store)
    assert broken(store, head) is not None


def test_without_a_key_a_log_can_be_written_anew_and_verify_says_that_there_is_none(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    facts = ("main", 6, NOW, "read", "c", "a", "", "t", "allow", "", "shop", "{}", "")
    before = rig.sql("SELECT mac FROM activity WHERE seq = 5")[0][0]
    made = sha256(json.dumps([before, *facts]).encode()).hexdigest()
    change = "UPDATE activity SET at=?, kind=?, call=?, app=?, subject=?, tool=?, decision=?, outcome=?,"
    change += " grant_name=?, facts=?, key_id=?, mac=?, sealed=NULL, private=NULL WHERE seq = 6"
    rig.sql(change, *facts[2:], made)
    assert [(each.first, each.last, bool(each.key_id)) for each in store.verify().stretches] == [
        (1, 5, True),
        (6, 6, False),
    ]
    # in the middle it does not help
    fill(store)
    rig.sql("DELETE FROM activity WHERE seq = 5")
    rig.sql("UPDATE activity SET seq = seq - 1 WHERE seq > 5")
    assert broken(store) == (5, "it was changed")


def test_another_key_and_no_key(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    assert broken(rig.store(ActivityKey(b"o" * 32))) == (1, "it is under another key")
    verdict = rig.store(None).verify()
    assert (verdict.count, verdict.unchecked, verdict.broken) == (6, 6, None)
    rig.sql("DELETE FROM activity WHERE seq = 2")
    assert broken(rig.store(None)) == (3, "rows are missing: after 1 comes 3")


def test_before_there_was_a_key_and_after(rig: Rig) -> None:
    fill(rig.store(None))
    store = rig.store()
    fill(store)
    verdict = store.verify()
    assert (verdict.count, verdict.unchecked, verdict.broken) == (12, 0, None)
    assert [(each.first, each.last, bool(each.key_id)) for each in verdict.stretches] == [
        (1, 6, False),
        (7, 12, True),
    ]


def test_a_key_is_asked_for_until_there_is_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ActivityKey | None] = [None, rig.key]
    monkeypatch.setattr("mcpgate.store.sql._ASK_AGAIN", 0.0)
    database = Database(str(rig.path))
    store = SQLStore(database, lambda: asked.pop(0))
    for _ in range(3):
        fill(store, 1)
    assert [bool(stored.key_id) for stored in store.rows()] == [False, True, True]
    store.close()
    database.close()


def test_a_row_is_written_in_the_transaction_of_someone_else(rig: Rig) -> None:
    store, database = rig.store(), Database(str(rig.path))
    record = store.recorder()
    for stopped in (True, False):
        with suppress(KeyboardInterrupt), database.write() as connection:
            bump(connection)
            record(connection, dataclasses.replace(BASE_ROW, kind="changed", says="apps create b"))
            if stopped:
                raise KeyboardInterrupt
    assert [stored.row.says for stored in store.rows()] == ["apps create b"]
    assert (store.version(), broken(store)) == (1, None)
    database.close()


# --- arguments -------------------------------------------------------------------------------------------


def test_arguments_are_sealed_and_come_back_whole(rig: Rig) -> None:
    store = rig.store()
    write(store, row("c1"), row("c2", private=()), row("c3", arguments=None), row("c4", arguments={}))
    found = [(each.opened, each.row.arguments, each.row.private) for each in store.rows()]
    assert found == [
        ("whole", ARGUMENTS, ("email", "name", "address")),
        ("whole", ARGUMENTS, ()),
        ("none", None, ()),
        ("whole", {}, ()),
    ]
    assert list(found[0][1] or {}) == list(ARGUMENTS)
    assert CANARY.encode() not in rig.bytes()
    assert b"cus_1" not in rig.bytes()
    with store.transaction() as transaction:
        transaction.reserve(entry(args_hash="plain"))
    # a digest of so little could be guessed
    assert b"plain" not in rig.bytes()
    assert {each.row.args_hash for each in store.rows()} == {each.args_hash for each in store.ledger()}


@pytest.mark.parametrize("key", [None, ActivityKey(b"o" * 32)])
def test_without_the_key_arguments_stay_closed(key: ActivityKey | None, rig: Rig) -> None:
    fill(rig.store(), 1)
    assert [(each.opened, each.row.arguments) for each in rig.store(key).rows()] == [("locked", None)]


def test_a_call_without_arguments_is_told_from_one_whose_are_not_kept(rig: Rig) -> None:
    store = rig.store()
    write(store, row("c0", arguments={}), row("c1", arguments=None), row("c2"))
    assert [(each.opened, each.row.arguments) for each in store.rows()] == [
        ("whole", {}),
        ("none", None),
        ("whole", ARGUMENTS),
    ]
    assert rig.sql("SELECT sealed IS NULL, facts LIKE '%empty%' FROM activity ORDER BY seq") == [
        (1, 1),
        (1, 0),
        (0, 0),
    ]
    assert broken(store) is None
    rig.sql("UPDATE activity SET facts = replace(facts, 'empty', 'whole') WHERE seq = 1")
    assert broken(store) == (1, "it was changed")


def test_where_there_is_no_key_arguments_are_not_kept(rig: Rig) -> None:
    store = rig.store(None)
    fill(store, 1)
    assert [(each.opened, each.row.arguments) for each in store.rows()] == [("none", None)]
    assert CANARY.encode() not in rig.bytes()
    assert [each.row.args_hash for each in store.rows()] == ["plain"]


def test_what_is_sealed_belongs_to_its_call_and_its_part(rig: Rig) -> None:
    store = rig.store()
    fill(store, 2)
    one, other = rig.sql("SELECT sealed, private FROM activity ORDER BY seq")
    for sealed, private in [other, (one[0], other[1]), one[::-1], (one[0], one[0])]:
        rig.sql("UPDATE activity SET sealed = ?, private = ? WHERE seq = 1", sealed, private)
        assert next(store.rows()).opened == "locked"


def test_a_call_from_before_there_was_a_key_is_known_after(rig: Rig) -> None:
    with rig.store(None).transaction() as transaction:
        transaction.reserve(entry("c1", state="unknown"))
    with rig.store().transaction() as transaction:
        assert transaction.spent(Tally(DAY, (Selector("*"),), identical=True), entry("c2")) == 1
        assert transaction.take_over("a", "shop_pay", "h", NOW - DAY, ()) == Earlier("k0", NOW)


def test_the_key_shows_itself_nowhere() -> None:
    key = ActivityKey(b"k" * 32)
    for text in (repr(key), str(key), f"{key}", f"{key!r:>5}"):
        assert text.strip() == "***"
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            act(key)
    with pytest.raises(ValueError, match="has 32 bytes"):
        ActivityKey(b"short")


# --- reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Asked(), "012345"),
        (Asked(app="b"), "135"),
        (Asked(connector="shop"), "012345"),
        (Asked(connector="desk"), ""),
        (Asked(tool="t", kind="started", decision="allow", app="a"), "024"),
        (Asked(outcome="failed"), ""),
        (Asked(since=NOW + 2), "2345"),
        (Asked(until=NOW + 2), "01"),
        (Asked(since=NOW + 1, until=NOW + 3, app="b"), "1"),
        (Asked(after={"main": 4}), "45"),
        (Asked(after={"main": 6}), ""),
        (Asked(after={"other": 4}), "012345"),
        (Asked(after={}), "012345"),
    ],
)
@pytest.mark.parametrize("limit", [None, 2, 100])
@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_which_rows(
    asked: Asked, found: str, limit: int | None, page: int, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpgate.store.reading._PAGE", page)
    store = rig.store(None)
    fill(store)
    calls = "".join(stored.row.call for stored in store.rows(asked, limit)).replace("c", "")
    assert calls == (found if limit is None else found[-limit:])


def test_a_row_that_nobody_could_have_written_is_told(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    rig.sql("UPDATE activity SET facts = '[' WHERE seq = 2")
    assert refused(lambda: list(store.rows())) == "Row 2 of the activity is not one that mcpgate has written."


def test_the_ledger_and_what_a_person_says_of_a_call(rig: Rig) -> None:
    store, other = rig.store(), rig.store()
    with store.transaction() as transaction:
        for each in (
            entry("c1", at=NOW + 1),
            entry("c2", state="unknown", app="b"),
            entry("c3", state="settled"),
        ):
            transaction.reserve(each)
    assert [each.call for each in store.ledger()] == ["c2", "c3", "c1"]
    assert [each.call for each in store.ledger("a", ["reserved", "unknown"])] == ["c1"]
    assert [each.call for each in store.ledger(since=NOW)] == ["c1"]
    hidden = store.ledger()[0].args_hash
    assert store.ledger()[0] == entry("c2", state="unknown", app="b", args_hash=hidden)
    assert other.decide_call("c1", "released")
    assert other.decide_call("c2", "settled")
    assert not other.decide_call("c3", "released")
    assert not other.decide_call("gone", "released")
    # what the call itself says after that does not count
    with store.transaction() as transaction:
        transaction.settle("c1", "settled")
    assert [(each.call, each.state) for each in store.ledger()] == [
        ("c2", "settled"),
        ("c3", "settled"),
        ("c1", "released"),
    ]
    assert [(each.row.kind, each.row.app, each.row.call, each.row.says) for each in store.rows()] == [
        ("changed", "a", "c1", "budgets release c1"),
        ("changed", "b", "c2", "budgets settle c2"),
    ]


# --- what is taken out -----------------------------------------------------------------------------------


def test_personal_data_are_erased_and_the_chain_holds(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    blobs = [found[0] for found in rig.sql("SELECT private FROM activity ORDER BY seq")]
    assert store.erase(Asked(app="b", until=NOW + 5)) == 2
    assert store.erase(calls=["c0", "gone"]) == 1
    assert store.erase(calls=["c0"]) == 0
    erased = [each for each in store.rows() if each.opened == "erased"]
    assert [each.row.call for each in erased] == ["c0", "c1", "c3"]
    assert all(each.row.arguments == LEFT for each in erased)
    assert [each.row.says for each in store.rows(Asked(kind="erased"))] == [
        "personal data of 2 rows",
        "personal data of 1 rows",
    ]
    assert broken(store) is None
    assert [blob in rig.bytes() for blob in blobs] == [False, False, True, False, True, True]
    # what is gone without a word is told, beside and between what was erased
    for seq in (3, 5):
        rig.sql("UPDATE activity SET private = NULL WHERE seq = ?", seq)
        assert broken(store) == (3, "its personal data were taken out")


def test_what_was_taken_out_by_hand_is_not_excused_by_what_is_erased_around_it(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    rig.sql("UPDATE activity SET private = NULL WHERE seq = 3")
    assert store.erase(Asked(connector="shop")) == 5
    assert broken(store) == (3, "its personal data were taken out")


def test_ranges_of_what_was_erased_run_over_rows_without(rig: Rig) -> None:
    store = rig.store()
    for number in range(20):
        write(store, row(f"c{number}"), row(f"c{number}", kind="finished", arguments=None))
    assert store.erase(Asked(app="a")) == 20
    assert json.loads(rig.sql("SELECT facts FROM activity WHERE kind = 'erased'")[0][0])["erased"] == {
        "main": [[1, 39]]
    }
    assert broken(store) is None


def test_erasing_says_whose(rig: Rig) -> None:
    with pytest.raises(UsageError, match="Whose personal data"):
        rig.store().erase()


def test_what_anyone_can_write_excuses_nothing_in_a_keyed_log(rig: Rig) -> None:
    store, unkeyed = rig.store(), rig.store(None)
    fill(store)
    rig.sql("UPDATE activity SET private = NULL WHERE seq = 3")
    with unkeyed.transaction() as transaction:
        transaction.write(row("x", kind="erased"), {"erased": {"main": [[1, 9]]}})
    assert broken(store) == (3, "its personal data were taken out")
    before = rig.sql("SELECT mac FROM activity WHERE seq = 3")[0][0]
    rig.sql("DELETE FROM activity WHERE seq <= 3")
    with unkeyed.transaction() as transaction:
        transaction.write(row("y", kind="pruned"), {"pruned": {"main": [3, before]}})
    assert broken(store) == (4, "the rows before it were taken out")
    with pytest.raises(CredentialError, match="under a key that is not there"):
        unkeyed.erase(Asked(app="a"))
    with pytest.raises(CredentialError, match="under a key that is not there"):
        unkeyed.prune(NOW + 9)


@pytest.mark.parametrize("at_once", [1, 2, 5000])
@pytest.mark.parametrize("keyed", [True, False])
def test_the_oldest_rows_are_pruned_and_the_rest_holds(
    keyed: bool, at_once: int, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "_AT_ONCE", at_once)
    store = rig.store() if keyed else rig.store(None)
    rig.now = NOW + 100
    fill(store)
    heads = [store.verify().heads["main"], tuple(rig.sql("SELECT seq, mac FROM activity WHERE seq = 2")[0])]
    assert store.prune(NOW) == 0
    assert store.prune(NOW + 2) == 2
    assert [each.seq for each in store.rows(Asked(kind="started"))] == [3, 4, 5, 6]
    assert [broken(store, head) for head in heads] == [None, None]
    said = [each.row.says for each in store.rows(Asked(kind="pruned"))]
    assert len(said) == (2 if at_once == 1 else 1)
    assert said[0].endswith(" rows from before 1970-01-12T13:46:42+00:00")
    # again, over the row that told of it
    rig.now = NOW + 300
    assert store.prune(NOW + 200) == 4 + len(said) - 1
    found = [store.verify(head) for head in heads]
    assert [each.broken for each in found] == [None, None]
    # one that is older proves nothing any more
    assert [each.expected for each in found] == ["pruned" if at_once == 1 else "met", "pruned"]
    fill(store)
    assert broken(store) is None
    first = rig.sql("SELECT min(seq) FROM activity")[0][0]
    rig.sql("DELETE FROM activity WHERE seq = ?", first)
    assert broken(store) == (first + 1, f"rows are missing: after {first - 1} comes {first + 1}")


def test_a_call_that_may_have_acted_keeps_its_row_and_its_entry(rig: Rig) -> None:
    store, old = rig.store(), NOW - 9 * DAY
    states = ["settled", "released", "replaced", "unknown", "reserved"]
    with store.transaction() as transaction:
        for state in states:
            for at in (old, NOW - 7 * DAY):
                transaction.reserve(entry(f"{state} {at}", at=at, state=state))
                transaction.write(row(f"{state} {at}", at=at))
    assert store.prune(NOW - DAY) == 6
    kept = [each.row.call.partition(" ")[0] for each in store.rows()]
    assert kept == ["unknown", "reserved", "unknown", "reserved", ""]
    assert sorted(each.call.split()[0] for each in store.ledger() if each.at == old) == [
        "reserved",
        "unknown",
    ]
    assert len(store.ledger(since=old)) == 5
    assert broken(store) is None
    for state in ("unknown", "reserved"):
        assert store.decide_call(f"{state} {old}", "released")
    # the next of them, which is not decided on, comes right after
    assert store.prune(NOW - DAY) == 1
    assert not store.verify().changed


def logged(store: SQLStore, count: int = 4) -> None:
    """Calls that acted, a moment apart, each with its entry and both rows."""
    for number in range(count):
        at = NOW + number
        with store.transaction() as transaction:
            transaction.reserve(entry(f"c{number}", at=at))
            transaction.write(row(f"c{number}", at=at))
        with store.transaction() as transaction:
            transaction.settle(f"c{number}", "settled")
            transaction.write(row(f"c{number}", at=at, kind="finished", outcome="succeeded"))


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize(
    ("act", "unlogged", "given_back"),
    [
        ("SELECT 1", None, None),
        ("DELETE FROM activity", Calls(4, "c0", NOW), None),
        ("DROP TABLE activity", Calls(4, "c0", NOW), None),
        ("DELETE FROM activity WHERE seq > 5", Calls(1, "c3", NOW + 3), None),
        ("UPDATE ledger SET category = 'read'; DELETE FROM activity", None, None),
        ("UPDATE ledger SET state = 'released' WHERE call IN ('c1', 'c2')", None, Calls(2, "c1", NOW + 1)),
    ],
)
def test_what_the_ledger_names_has_its_rows(
    act: str, unlogged: Calls | None, given_back: Calls | None, keyed: bool, rig: Rig
) -> None:
    own: Any = "own" if keyed else None
    logged(rig.store(own))
    for statement in act.split("; "):
        rig.sql(statement)
    store = rig.store(own)
    verdict = store.verify()
    assert (verdict.unlogged, verdict.given_back, verdict.broken) == (unlogged, given_back, None)
    assert verdict.changed is (unlogged is not None or given_back is not None)
    # calls that come after do not hide it
    write(store, row("later", at=NOW + 9))
    verdict = store.verify()
    assert (verdict.unlogged, verdict.given_back) == (unlogged, given_back)
    if verdict.changed:
        assert refused(lambda: store.prune(NOW + 2)).startswith("The activity is not as it was written")


def test_what_was_pruned_is_not_missed_and_nothing_else_is_excused_by_it(rig: Rig) -> None:
    store = rig.store()
    rig.now = NOW + 2.5
    logged(store)
    # of a moment to come, only what is past goes
    assert store.prune(NOW + 99) == 6
    assert not store.verify().changed
    rig.sql("DELETE FROM activity WHERE call = 'c3' AND kind = 'finished'")
    rig.sql("UPDATE activity SET call = 'other' WHERE call = 'c3'")
    assert store.verify().broken is not None
    rig.sql("DELETE FROM activity")
    assert store.verify().unlogged == Calls(4, "c0", NOW)


def test_a_row_that_anyone_can_write_prunes_nothing_in_a_keyed_log(rig: Rig) -> None:
    store, unkeyed = rig.store(), rig.store(None)
    logged(store)
    rig.sql("DELETE FROM activity WHERE seq > 4")
    with unkeyed.transaction() as transaction:
        transaction.write(row("y", kind="pruned"), {"pruned": {}, "before": NOW + 99})
    assert store.verify().unlogged == Calls(2, "c2", NOW + 2)


def test_what_a_person_released_may_have_succeeded(rig: Rig) -> None:
    store = rig.store()
    with store.transaction() as transaction:
        transaction.reserve(entry("c0"))
        transaction.write(row("c0"))
    assert store.decide_call("c0", "released")
    with store.transaction() as transaction:
        transaction.settle("c0", "settled")
        transaction.write(row("c0", kind="finished", outcome="succeeded"))
    assert not store.verify().changed


def test_a_broken_log_is_pruned_only_when_told_to(rig: Rig) -> None:
    store = rig.store()
    fill(store)
    rig.now = NOW + 9
    rig.sql("UPDATE activity SET app = 'b' WHERE seq = 1")
    assert refused(lambda: store.prune(NOW + 2)).startswith("The activity is not as it was written")
    assert store.prune(NOW + 2, anyway=True) == 2
    assert broken(store) is None


# --- how it is asked -------------------------------------------------------------------------------------


def test_every_statement_of_a_call_goes_by_an_index(rig: Rig) -> None:
    store, said = rig.store(), list[str]()
    every = (Selector("*"), Selector("effect:money_in"), Selector("read"))
    with store.transaction() as transaction:
        transaction.connection.set_trace_callback(said.append)
        transaction.version()
        transaction.take_over("a", "shop_pay", "h", NOW, ())
        for everyone in (True, False):
            for identical in (True, False):
                for currency in ("", "usd"):
                    tally = Tally(DAY, every, "", everyone, identical, currency)
                    transaction.spent(tally, entry())
        transaction.settle("c1", "settled")
        transaction.write(BASE_ROW)
        transaction.connection.set_trace_callback(None)
    told = [text for text in said if text.lstrip().startswith(("SELECT", "UPDATE"))]
    assert len(told) == 12
    for text in told:
        for plan in rig.sql(f"EXPLAIN QUERY PLAN {text}"):
            assert "SCAN" not in plan[3], (text, plan[3])


def test_many_calls_that_are_alike_do_not_slow_the_next(rig: Rig) -> None:
    """A load of one call repeated: its key is looked for among the open ones alone."""
    store = rig.store()
    steps = []
    for count in (1, 3000):
        with store.transaction() as transaction:
            for number in range(count):
                transaction.reserve(entry(f"{count} {number}", state="settled"))
        with store.transaction() as transaction:
            seen: list[int] = []
            transaction.connection.set_progress_handler(partial(seen.append, 1), 1)
            transaction.take_over("a", "shop_pay", "h", NOW - DAY, ())
            transaction.connection.set_progress_handler(None, 0)
        steps.append(len(seen))
    assert steps[1] < steps[0] + 50
