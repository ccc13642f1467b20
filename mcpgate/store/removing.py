"""What is taken out of log and ledger, and what the log says of it: by `verify` nothing else may be gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Dialect,
    and_,
    case,
    delete,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.compiler import SQLCompiler

from mcpgate.ledger import State
from mcpgate.store.tables import ACTIVITY, LEDGER
from mcpgate.store.verifying import Head

Ranges = dict[str, list[list[int]]]

_AT_ONCE: Final = 5_000
_C: Final = ACTIVITY.c
_OVER: Final[tuple[State, ...]] = ("settled", "released", "replaced")
_OPEN: Final[tuple[State, ...]] = ("reserved", "unknown")
_HAD_PRIVATE: Final = _C.facts.contains('"private": "', autoescape=True)


def erase(connection: Any, dialect: Dialect, which: Collection[ColumnElement[bool]]) -> tuple[int, Ranges]:
    """Take the personal data out of rows; how many there were, and which, as ranges by stream.

    A range runs over rows that have never had any, so that there are few, and over no other.
    """
    there = and_(_C.private.is_not(None), *which)
    rows = select(_C.stream, _C.seq, case((there, 1), else_=0)).where(or_(there, _HAD_PRIVATE))
    ranges: Ranges = {}
    goes_on = ""
    for stream, seq, hit in _run(rows.order_by(_C.stream, _C.seq), dialect, connection).fetchall():
        if hit and goes_on == stream:
            ranges[stream][-1][1] = seq
        elif hit:
            ranges.setdefault(stream, []).append([seq, seq])
        goes_on = stream if hit else ""
    gone = update(ACTIVITY).where(there).values(private=null())
    return _run(gone, dialect, connection).rowcount, ranges


def ends(connection: Any, dialect: Dialect, before: float) -> dict[str, int]:
    """Up to which row each stream can be pruned.

    A call that may have acted keeps its row, and so do all after it; so does the last row of a stream.
    """
    open_calls = select(LEDGER.c.call).where(LEDGER.c.state.in_(_OPEN))
    stays = or_(_C.at >= before, and_(_C.kind == "started", _C.call.in_(open_calls)))
    found: dict[str, int] = {}
    for chosen in (select(_C.stream, func.max(_C.seq)), select(_C.stream, func.min(_C.seq)).where(stays)):
        for stream, seq in _run(chosen.group_by(_C.stream), dialect, connection).fetchall():
            found[stream] = seq - 1
    return found


def prune(
    connection: Any, dialect: Dialect, upto: Mapping[str, int], starts: Mapping[str, Head]
) -> tuple[int, dict[str, Head]]:
    """Take the oldest rows out of every stream, only so many at once, for calls wait meanwhile.

    Gives how many there were, and where the streams begin now.
    """
    count, now = 0, dict(starts)
    firsts = select(_C.stream, func.min(_C.seq)).group_by(_C.stream)
    for stream, first in _run(firsts, dialect, connection).fetchall():
        last = min(upto.get(stream, 0), first + _AT_ONCE - 1)
        if last >= first:
            of_last = select(_C.mac).where(_C.stream == stream, _C.seq == last)
            now[stream] = (last, _run(of_last, dialect, connection).fetchall()[0][0])
            gone = delete(ACTIVITY).where(_C.stream == stream, _C.seq <= last)
            count += _run(gone, dialect, connection).rowcount
    return count, now


def forget(connection: Any, dialect: Dialect, before: float) -> None:
    """Take out of the ledger what is over and done."""
    over = delete(LEDGER).where(LEDGER.c.state.in_(_OVER), LEDGER.c.at < before)
    _run(over, dialect, connection)


def _run(statement: ClauseElement, dialect: Dialect, connection: Any) -> Any:
    """Run a statement on a connection of the driver's own."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)
    values: Any = compiled.params
    if compiled.positiontup is not None:
        values = [compiled.params[name] for name in compiled.positiontup]
    return connection.execute(str(compiled), values)
