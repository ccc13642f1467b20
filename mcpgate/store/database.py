"""The database: SQLite by default, PostgreSQL by URL. One set of statements for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NoReturn

from sqlalchemy import Connection, Dialect, Engine, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from mcpgate.errors import StoreError
from mcpgate.store.faults import cannot_be_used, fault_of
from mcpgate.store.line import Line
from mcpgate.store.sqlite_file import BESIDE, Identity, file_engine, identity
from mcpgate.store.tables import METADATA


class Database:
    """A database that is there: its tables are made at the first use, and every change is one transaction."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._files = (address, *(address + end for end in BESIDE)) if self.is_file else ()
        self._engine: Engine | None = None
        self._file: Identity | None = None
        self._moved = False

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite's, and no server's."""
        return "://" not in self.address

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for. Raises `StoreError`."""
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

    def connection(self) -> Any:
        """A connection of the driver's own, the caller's to close, on which nothing is begun by itself.

        What a call waits for goes this way, in a tenth of the time. `fault` and `fail` tell what it raises.
        """
        pooled = self._prepared().raw_connection()
        pooled.detach()
        connection: Any = pooled.dbapi_connection
        if not self.is_file:
            connection.autocommit = True
        return connection

    def fault(self, error: BaseException) -> str:
        """What went wrong, where an error is a library's own, which holds statements and their values."""
        ours = () if self._engine is None else (self._engine.dialect.loaded_dbapi.Error,)
        return fault_of(error) if isinstance(error, (SQLAlchemyError, *ours)) else ""

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

    def _prepared(self) -> Engine:
        if self._engine is None:
            engine = file_engine(self.address) if self.is_file else _server_engine(self.address)
            try:
                file = identity(self.address) if self.is_file else None
                _make_tables(engine)
            except BaseException:
                engine.dispose()
                raise
            self._engine, self._file = engine, file
        self.check()
        return self._engine


def _server_engine(address: str) -> Engine:
    fault = ""
    try:
        return create_engine(
            address, hide_parameters=True, pool_pre_ping=True, isolation_level="SERIALIZABLE"
        )
    except ImportError as error:
        fault = f"{error.name} is not installed"
    raise cannot_be_used(address, fault)


def _make_tables(engine: Engine) -> None:
    """Looked for first: whoever only reads does not wait for one that writes."""
    with engine.connect() as connection:
        there = set(inspect(connection.execution_options(reading=True)).get_table_names())
    if not there.issuperset(METADATA.tables):
        with engine.begin() as connection:
            METADATA.create_all(connection)
