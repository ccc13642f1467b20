"""The database: private, of one moment, and what is said where it cannot be used."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from mcpgate.errors import StoreError
from mcpgate.store.database import TABLES, Database
from mcpgate.store.tables import MASTER_KEY, METADATA

FORKS: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
FORKS.set_forkserver_preload([__name__])
CANARY = "CanaryCanary"
ROW = {
    "one": 1,
    "id": CANARY,
    "provider": "p",
    "place": "{}",
    "check_value": b"",
    "manifest": b"",
    "made": "m",
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(str(tmp_path / "a" / "b" / "mcpgate.db"))
    yield made
    made.close()


def add(database: Database, one: int, **changes: Any) -> None:
    with database.write() as connection:
        connection.execute(insert(MASTER_KEY).values({**ROW, "one": one, **changes}))


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(MASTER_KEY)).all())


def refused(database: Database, act: Callable[[Database], object] = count, hint: str = "") -> str:
    """What is said of a database that cannot be used: a line, a hint, and no value of any statement."""
    with pytest.raises(StoreError) as caught:
        act(database)
    error = caught.value
    assert error.exit_code == 6
    assert error.__context__ is None
    assert error.__cause__ is None
    told = "".join(traceback.TracebackException.from_exception(error).format())
    for hidden in (CANARY, "SELECT", "INSERT", "PRAGMA"):
        assert hidden not in error.message + error.hint
        assert hidden not in told.rpartition("StoreError")[2]
    assert len(error.message.splitlines()) == 1
    assert error.hint
    assert hint in error.hint
    return error.message.removeprefix(f"The database {database.address} cannot be used: ")


def test_the_tables_that_are_looked_for_are_those_that_are_made() -> None:
    assert METADATA.tables.keys() == TABLES


def test_looking_makes_nothing_and_the_first_use_makes_it_all(database: Database) -> None:
    assert not database.exists()
    assert not Path(database.address).parent.exists()
    assert count(database) == 0
    assert database.exists()
    add(database, 1)
    assert count(database) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bits")
def test_every_file_is_closed_to_others_whatever_the_umask(database: Database) -> None:
    before = os.umask(0)
    try:
        add(database, 1)
        folder = Path(database.address).parent
        bits = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert bits == dict.fromkeys(["mcpgate.db", "mcpgate.db-wal", "mcpgate.db-shm"], 0o600)
    assert {each.stat().st_mode & 0o777 for each in (folder, folder.parent)} == {0o700}


def test_a_commit_outlives_a_power_cut_and_what_is_removed_is_gone(database: Database) -> None:
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                *("journal_mode", "synchronous", "fullfsync", "secure_delete", "foreign_keys"),
                "wal_autocheckpoint",
            )
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "secure_delete": 1,
        "foreign_keys": 1,
        "wal_autocheckpoint": 4000,
    }


def test_an_exception_undoes_everything(database: Database) -> None:
    add(database, 1)

    def stopped() -> None:
        with database.write() as connection:
            connection.execute(insert(MASTER_KEY).values({**ROW, "one": 2}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert count(database) == 1
    assert "SQLITE_CONSTRAINT" in refused(database, lambda it: add(it, 1))
    assert count(database) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody move what is open")
def test_one_that_was_moved_or_replaced_is_not_used(database: Database) -> None:
    add(database, 1)
    path = Path(database.address)
    path.rename(path.with_name("moved"))
    other = Database(database.address)
    for make in (lambda: None, lambda: add(other, 2), lambda: path.with_name("moved").replace(path)):
        make()
        for act in (count, lambda it: add(it, 3), Database.connection, Database.exists):
            with pytest.raises(StoreError, match="it was moved or replaced") as caught:
                act(database)
            assert (caught.value.hint, caught.value.__context__) == ("Start mcpgate again.", None)
    other.close()


def test_one_that_is_closed_and_opened_again_is_the_same(database: Database) -> None:
    for one in range(3):
        add(database, one)
        database.close()
    assert count(database) == 3


def test_a_read_sees_one_moment_while_another_writes_and_holds_nobody_up(database: Database) -> None:
    add(database, 1)
    other = Database(database.address)
    with database.read() as connection:
        seen = [len(connection.execute(select(MASTER_KEY)).all())]
        for one in (2, 3):
            add(other, one)
            seen.append(len(connection.execute(select(MASTER_KEY)).all()))
    assert seen == [1, 1, 1]
    assert count(database) == 3
    # nor does whoever writes hold up one that reads, not even one that has just started
    with other.write() as writing:
        writing.execute(insert(MASTER_KEY).values({**ROW, "one": 4}))
        fresh = Database(database.address)
        assert count(fresh) == 3
        fresh.close()
    other.close()


def test_another_start_beside_it_does_not_let_go_of_its_locks(database: Database) -> None:
    """Closing any descriptor of a file lets go of every lock that the process has on it."""
    add(database, 1)
    with database.write() as connection:
        connection.execute(insert(MASTER_KEY).values({**ROW, "one": 2}))
        second = Database(database.address)
        assert count(second) == 1
        second.close()
        done = FORKS.Process(target=write_beside, args=(database.address,))
        done.start()
        done.join(30)
        assert done.exitcode == 7
    assert count(database) == 2


def write_beside(address: str) -> None:
    with closing(sqlite3.connect(address, timeout=0.1)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os._exit(7)


def test_many_first_starts_at_once_make_one_database(tmp_path: Path) -> None:
    for turn in range(3):
        address = str(tmp_path / str(turn) / "mcpgate.db")
        start = FORKS.Barrier(5)
        processes = [FORKS.Process(target=add_one, args=(address, start, one)) for one in range(5)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * 5
        made = Database(address)
        assert count(made) == 5
        made.close()


def add_one(address: str, start: Any, one: int) -> None:
    start.wait(30)
    made = Database(address)
    count(made)
    add(made, one)
    made.close()


# --- what cannot be used ---------------------------------------------------------------------------------


def a_folder(path: Path) -> None:
    path.mkdir()


def no_database(path: Path) -> None:
    path.write_text(CANARY * 500)


def damaged(path: Path) -> None:
    made = Database(str(path))
    for one in range(200):
        add(made, one, place=CANARY * 20)
    made.close()
    data = bytearray(path.read_bytes())
    data[4096:20480] = os.urandom(16384)
    path.write_bytes(data)


def older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE master_key (one INTEGER PRIMARY KEY, id TEXT)")


def newer(path: Path) -> None:
    made = Database(str(path))
    count(made)
    made.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE master_key")
        database.execute("CREATE TABLE master_key (key TEXT, more TEXT NOT NULL)")


@pytest.mark.parametrize(
    ("make", "says", "hint"),
    [
        (a_folder, "it is a folder.", "who may read"),
        (no_database, "it is no database.", "Bring it back from a copy"),
        (damaged, "it is damaged.", "Bring it back from a copy"),
        (older, "its tables are not those of this mcpgate.", "Bring it back from a copy"),
        (newer, "its tables are not those of this mcpgate.", "If a newer mcpgate made it"),
    ],
)
def test_what_is_no_database_of_ours_is_told_and_left_alone(
    make: Callable[[Path], None], says: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "mcpgate.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    database = Database(str(path))
    for act in (count, lambda it: add(it, 1)):
        assert refused(database, act, hint) == says
    database.close()
    if make in (a_folder, no_database, damaged):
        assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.skipif(sys.platform == "win32", reason="these are places of Unix")
@pytest.mark.parametrize("address", ["/dev/null/x.db", "/proc/nowhere/x.db", f"/tmp/{'x' * 300}.db"])
def test_a_place_that_cannot_be_is_told(address: str) -> None:
    database = Database(address)
    assert refused(database, lambda it: it.exists() or count(it))


def test_one_that_is_held_by_another_program_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpgate.store.sqlite_file._PRAGMAS", ("busy_timeout=50",))
    add(database, 1)
    with closing(sqlite3.connect(database.address)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(database, lambda it: add(it, 2), "another program") == "another program holds it."
        assert count(database) == 1
        other.rollback()
    add(database, 2)


def test_one_that_may_only_be_read_is_told(database: Database) -> None:
    add(database, 1)
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    assert refused(database, lambda it: add(it, 2)) == "it cannot be written to."


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    database = Database(str(tmp_path / "mcpgate.db"))
    assert refused(database) == "Permission denied."
    tmp_path.chmod(0)
    assert refused(database, lambda it: it.exists()) == "Permission denied."
    tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of Unix")
def test_a_disk_that_is_full_is_told_and_what_was_there_stays(database: Database) -> None:
    add(database, 1)
    database.close()
    filling = FORKS.Process(target=fill, args=(database.address,))
    filling.start()
    filling.join(60)
    assert filling.exitcode == 0
    assert count(database) == 1


def fill(address: str) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
    database = Database(address)
    says = refused(database, lambda it: add(it, 2, place=CANARY * 100_000))
    assert says in ("the disk is full.", "the disk failed."), says
    if says == "the disk is full.":
        refused(database, lambda it: add(it, 2, place=CANARY * 100_000), "Make room on the disk")
    assert count(database) == 1
    database.close()


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+nothing"])
def test_the_password_of_an_address_is_not_repeated(driver: str) -> None:
    database = Database(f"{driver}://person:Canary@127.0.0.1:1/mcpgate")
    assert database.exists()
    with pytest.raises(StoreError) as caught:
        count(database)
    assert "person:***@127.0.0.1:1" in caught.value.message
    assert "Canary" not in caught.value.message + caught.value.hint


def test_statements_show_no_values_to_a_log(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="sqlalchemy")
    add(database, 1)
    with database.read() as connection:
        connection.execute(text("SELECT :it"), {"it": CANARY})
    assert "INSERT INTO master_key" in caplog.text
    assert CANARY not in caplog.text
