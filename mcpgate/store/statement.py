"""A statement of SQL, as the driver takes it, and run on a connection of the driver's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_NAME: Final = re.compile(r":([a-z][a-z_0-9]*)")


class Statement:
    """A text that says `:name` for a value, and `mark` to the driver; `fixed` values are always the same."""

    def __init__(self, text: str, mark: str, fixed: Mapping[str, Any] | None = None) -> None:
        self.text = _NAME.sub(mark, text)
        self._names = tuple(_NAME.findall(text))
        self._fixed = dict(fixed or {})

    def rows(self, connection: Any, **values: Any) -> list[Any]:
        """What it finds, all of it: a cursor that is left half-way would hold the database up."""
        found: list[Any] = self._run(connection, values).fetchall()
        return found

    def records(self, connection: Any, **values: Any) -> list[dict[str, Any]]:
        """The same by the names of the columns."""
        found = self._run(connection, values)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def change(self, connection: Any, **values: Any) -> int:
        """How many rows it has changed."""
        count: int = self._run(connection, values).rowcount
        return count

    def _run(self, connection: Any, values: dict[str, Any]) -> Any:
        given = {**self._fixed, **values} if self._fixed else values
        return connection.execute(self.text, [given[name] for name in self._names])


def insertion(table: str, columns: Iterable[str]) -> str:
    """The text of a statement that adds a row."""
    names = [*columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608
