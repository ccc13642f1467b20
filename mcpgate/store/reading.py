"""The log as people read it: filtered, oldest first, and only so many of the latest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_

from mcpgate.errors import StoreError
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.chain import Stored, stored
from mcpgate.store.counting import is_glob, like
from mcpgate.store.database import Database
from mcpgate.store.tables import ACTIVITY

_C: Final = ACTIVITY.c
_ORDER: Final = (_C.at, _C.stream, _C.seq)
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows: what is empty or None does not matter.

    `call` is the beginning of an id, `tool` a name or a glob, `after` the last one seen of each stream.
    """

    call: str = ""
    app: str = ""
    connector: str = ""
    tool: str = ""
    decision: str = ""
    outcome: str = ""
    kind: str = ""
    since: float | None = None
    until: float | None = None
    after: Mapping[str, int] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same in SQL."""
        texts = {
            _C.app: self.app,
            _C.grant_name: self.connector,
            _C.decision: self.decision,
            _C.outcome: self.outcome,
            _C.kind: self.kind,
        }
        found: list[ColumnElement[bool]] = [column == text for column, text in texts.items() if text]
        if self.tool:
            glob = is_glob(self.tool)
            found.append(_C.tool.like(like(self.tool), escape="/") if glob else _C.tool == self.tool)
        if self.call:
            # what begins so lies between itself and the same before any other character
            found.append(_C.call.between(self.call, self.call + "\uffff"))
        if self.since is not None:
            found.append(_C.at >= self.since)
        if self.until is not None:
            found.append(_C.at < self.until)
        if self.after:
            later = [and_(_C.stream == stream, _C.seq > seq) for stream, seq in self.after.items()]
            found.append(or_(_C.stream.not_in(self.after), *later))
        return found


def rows(database: Database, key: ActivityKey | None, asked: Asked, limit: int | None) -> Iterator[Stored]:
    """Rows by their moments, of many the latest; no transaction stays open while they are looked at."""
    chosen = select(ACTIVITY).where(*asked.conditions())
    if limit is not None:
        latest = chosen.order_by(*(column.desc() for column in _ORDER)).limit(limit)
        yield from (_stored(row, key) for row in reversed(_read(database, latest)))
        return
    page = chosen.order_by(*_ORDER).limit(_PAGE)
    found = _read(database, page)
    while found:
        yield from (_stored(row, key) for row in found)
        last = tuple_(*(found[-1][column.name] for column in _ORDER))
        found = _read(database, page.where(tuple_(*_ORDER) > last))


def _read(database: Database, statement: Select[Any]) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(statement).mappings())


def _stored(row: Any, key: ActivityKey | None) -> Stored:
    try:
        return stored(row, key)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        pass
    what = f"Row {row['seq']} of the activity is not one that mcpgate has written."
    raise StoreError(what, "See what was changed: mcpgate activity verify")
