"""The database: SQLite by default, PostgreSQL by URL. One set of statements for both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from mcpgate import paths
from mcpgate.errors import StoreError
from mcpgate.store.tables import METADATA

_BUSY_MS: Final = 5000
_OWNER_ONLY: Final = 0o600


class Database:
    """A database that is there: its tables are made at the first use, and every change is one transaction."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._engine: Engine | None = None

    def exists(self) -> bool:
        """Whether there is something to read; looking makes no file."""
        return "://" in self.address or Path(self.address).exists()

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

    def close(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            self._engine.dispose()

    def _prepared(self) -> Engine:
        if self._engine is None:
            engine = _engine(self.address)
            with engine.begin() as connection:
                METADATA.create_all(connection)
            self._engine = engine
        return self._engine

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database library raises holds statements and their values, so none of it is passed on."""
        kind = ""
        try:
            yield
        except SQLAlchemyError as error:
            kind = type(getattr(error, "orig", None) or error).__name__
        if kind:
            hint = "Look at who may read and write it, and whether another program holds it."
            raise StoreError(f"The database {self.address} could not be used ({kind}).", hint)


def _engine(address: str) -> Engine:
    if "://" in address:
        return create_engine(address, hide_parameters=True, pool_pre_ping=True)
    _make_file(Path(address))
    engine = create_engine(f"sqlite:///{address}", hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _make_file(path: Path) -> None:
    """Made before SQLite makes it, so that it is never open to others, nor what it writes beside it."""
    fault = ""
    try:
        paths.make_private(os.fspath(path.parent))
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault:
        raise StoreError(f"The database {path} cannot be opened: {fault}.", "Check the folder.")


def _set_up(connection: Any, record: object) -> None:
    # the driver would begin by itself, and too late: two first starts would block each other
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
