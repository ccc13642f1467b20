"""What a call waits for: a connection that is kept, and statements that are compiled once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from mcpgate.errors import StoreError
from mcpgate.store.database import Database

_SECONDS: Final = 5.0


class Statement:
    """A statement of Core, compiled for one dialect: the driver takes it as it is."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        if compiled.post_compile_params:
            # lists of values; such a statement has all of its own
            compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        self._names = compiled.positiontup
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def rows(self, connection: Any, **values: Any) -> list[Any]:
        """What it finds, all of it: a cursor that is left half-way would hold the database up."""
        found: list[Any] = self._run(connection, values).fetchall()
        return found

    def change(self, connection: Any, **values: Any) -> int:
        """How many rows it has changed."""
        count: int = self._run(connection, values).rowcount
        return count

    def _run(self, connection: Any, values: dict[str, Any]) -> Any:
        given = {**self._fixed, **values}
        return connection.execute(
            self.text, given if self._names is None else [given[name] for name in self._names]
        )


class Line:
    """A connection that is kept, for one at a time; an exception undoes what was begun on it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.keep(self)
        self._lock = threading.Lock()
        self._connection: Any = None
        self._beside: tuple[object, ...] = ()

    @contextmanager
    def held(self) -> Iterator[Any]:
        """The driver's connection, with nothing begun on it. Raises `StoreError`."""
        if not self._lock.acquire(timeout=_SECONDS):
            raise StoreError("The database is held by another call of this process.", "Try again.")
        try:
            with self._database.told():
                self._connect()
                try:
                    yield self._connection
                except BaseException:
                    self._undo()
                    raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the connection; the next use makes another."""
        with self._lock:
            self._drop()

    def _connect(self) -> None:
        self._database.check()
        if self._connection is None:
            self._connection = self._database.connection()
            self._beside = self._database.beside()
        elif self._beside != self._database.beside():
            # whoever comes now writes to new ones, and nothing of that is seen here
            self._database.refuse()

    def _undo(self) -> None:
        try:
            self._connection.rollback()
        except Exception:  # noqa: BLE001  one that is lost
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
