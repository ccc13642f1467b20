"""The database: SQLite by default, PostgreSQL by URL. One set of statements for both.

What a call needs of SQLite goes to the driver itself. SQLAlchemy is imported for all else, and for
PostgreSQL: it takes more memory than anything else of a gateway.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from mcpgate.errors import StoreError
from mcpgate.store.faults import cannot_be_used, fault_of
from mcpgate.store.line import Line
from mcpgate.store.sqlite_file import BESIDE, Identity, connect, identity, make_file, tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect, Engine

TABLES: Final = frozenset(
    {
        *("master_key", "credential", "config_version", "app", "app_grant", "account_policy", "freeze"),
        *("ledger", "activity"),
    }
)


class Database:
    """A database that is there: its tables are made at the first use, and every change is one transaction."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._files = (address, *(address + end for end in BESIDE)) if self.is_file else ()
        self._engine: Engine | None = None
        self._there = False
        self._file: Identity | None = None
        self._moved = False

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite's, and no server's."""
        return "://" not in self.address

    @property
    def mark(self) -> str:
        """What stands for a value in a statement that its driver takes."""
        return "?" if self.is_file else "%s"

    @property
    def dialect(self) -> Dialect:
        """What SQLAlchemy compiles statements for. Raises `StoreError`."""
        return self._prepared().dialect

    @cached_property
    def line(self) -> Line:
        """The connection that is kept for what calls wait for.

        It is one for all: SQLite forgets what it has read as soon as another connection writes.
        """
        return Line(self)

    def exists(self) -> bool:
        """Whether there is something to read; looking makes no file. Raises `StoreError`."""
        if not self.is_file:
            return True
        self.check()
        return identity(self.address) is not None

    def check(self) -> None:
        """See that the file is the one it was at the first use. Raises `StoreError`, from then on always.

        One that was moved or replaced goes on working for whoever has it open, and sees no freeze any more.
        """
        if self._file is not None and (self._moved or identity(self.address) != self._file):
            self._refuse()

    def files(self) -> tuple[Identity | None, ...]:
        """The file and what lies beside it. Raises `StoreError`."""
        return tuple(map(identity, self._files))

    def check_files(self, known: tuple[Identity | None, ...]) -> None:
        """See that they are the same ones, as they are while a connection is open. Raises as `check` does.

        Whoever comes after one was replaced writes to the new one, and nothing of that is seen in the old.
        """
        if self._moved or self.files() != known:
            self._refuse()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other one runs beside; an exception undoes it. Raises `StoreError`."""
        with self._told(), self._prepared().begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of everything and holds nobody up. Raises `StoreError`."""
        with self._told(), self._prepared().connect() as connection:
            yield connection.execution_options(reading=True)

    @contextmanager
    def look(self) -> Iterator[Any]:
        """A connection of the driver's own that sees one state of everything. Raises `StoreError`."""
        with self._told(), closing(self.connection()) as connection:
            connection.execute("BEGIN" if self.is_file else "BEGIN ISOLATION LEVEL REPEATABLE READ")
            yield connection

    def connection(self) -> Any:
        """A connection of the driver's own, the caller's to close, on which nothing is begun by itself.

        What a call waits for goes this way, in a tenth of the time. `fault` and `fail` tell what it raises.
        """
        self._ready()
        if self.is_file:
            return connect(self.address)
        pooled = self._prepared().raw_connection()
        pooled.detach()
        connection: Any = pooled.dbapi_connection
        connection.autocommit = True
        return connection

    def fault(self, error: BaseException) -> str:
        """What went wrong, where an error is a library's own, which holds statements and their values."""
        ours: list[type[BaseException]] = [sqlite3.Error] if self.is_file else []
        library = sys.modules.get("sqlalchemy.exc")
        if library is not None:
            ours.append(library.SQLAlchemyError)
        if self._engine is not None:
            ours.append(self._engine.dialect.loaded_dbapi.Error)
        return fault_of(error) if isinstance(error, tuple(ours)) else ""

    def fail(self, fault: str) -> NoReturn:
        """Raises `StoreError` in place of a library's error, from where no variable holds that."""
        try:
            raise cannot_be_used(self.address, fault)
        except StoreError as told:
            # a `with` may still be handling the library's own error, which would hang on to this one
            told.__context__ = None
            raise

    def close(self) -> None:
        """Close every connection."""
        self.line.close()
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        fault = ""
        try:
            yield
        except Exception as error:
            fault = self.fault(error)
            if not fault:
                raise
        if fault:
            self.fail(fault)

    def _refuse(self) -> NoReturn:
        self._moved = True
        what = "is not the file that it was when this started: it was moved or replaced."
        raise StoreError(f"The database {self.address} {what}", "Start mcpgate again.")

    def _ready(self) -> None:
        """See at the first use that everything is there, and from then on that it is the same."""
        if not self._there:
            file = None
            if self.is_file:
                make_file(Path(self.address))
                file = identity(self.address)
            if not self.is_file or TABLES - tables(self.address):
                self._make_tables()
            self._there, self._file = True, file
        self.check()

    def _make_tables(self) -> None:
        from mcpgate.store.engine import make_tables, open_engine

        engine = open_engine(self.address)
        try:
            make_tables(engine)
        except BaseException:
            engine.dispose()
            raise
        self._engine = engine

    def _prepared(self) -> Engine:
        self._ready()
        if self._engine is None:
            from mcpgate.store.engine import open_engine

            self._engine = open_engine(self.address)
        return self._engine
