"""A statement that is compiled once, and run on a connection of the driver's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.sql.compiler import SQLCompiler


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
        given = {**self._fixed, **values} if self._fixed else values
        return connection.execute(
            self.text, given if self._names is None else [given[name] for name in self._names]
        )
