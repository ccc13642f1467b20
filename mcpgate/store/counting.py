"""The ledger in SQL: what calls have spent, and which of them may have acted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Select,
    bindparam,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from mcpgate.ledger import SPENT, Earlier, Entry, State
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.chain import hidden
from mcpgate.store.statement import Statement
from mcpgate.store.tables import LEDGER
from mcpgate.values import CATEGORIES, Selector, Tally

_C: Final = LEDGER.c
_EFFECT: Final = "effect:"
_TALLIES: Final = 512
_PLAIN: Final = tuple(f.name for f in fields(Entry) if f.name not in ("grant", "effects", "args_hash"))
# under a key and as it is: the call may have been made before there was one
_HASHES: Final = _C.args_hash.in_([bindparam("hash"), bindparam("plain")])
_OPEN: Final = (
    select(_C.call, _C.key, _C.key_at)
    .where(
        _C.app == bindparam("app"),
        _C.tool == bindparam("tool"),
        _HASHES,
        _C.state.in_([literal("unknown"), literal("reserved")]),
        _C.key != "",
        _C.key_at >= bindparam("since"),
    )
    .order_by(_C.key_at)
)
_SETTLE: Final = (
    update(LEDGER)
    .where(_C.call == bindparam("of"), _C.state.in_([bindparam("one"), bindparam("other")]))
    .values(state=bindparam("to"))
)


class Counting:
    """What a transaction asks of the ledger and enters in it; the transaction is the caller's."""

    def __init__(self, dialect: Dialect) -> None:
        self._open = Statement(_OPEN, dialect)
        self._insert = Statement(insert(LEDGER), dialect)
        self._settle = Statement(_SETTLE, dialect)
        self._sum = lru_cache(maxsize=_TALLIES)(lambda tally: Statement(_sum(tally), dialect))

    def take_over(
        self,
        connection: Any,
        key: ActivityKey | None,
        app: str,
        tool: str,
        args_hash: str,
        since: float,
        under_way: Collection[str],
    ) -> Earlier | None:
        """The same call that may have acted; the entries under its key are *replaced* from here on."""
        found = self._open.rows(
            connection,
            app=app,
            tool=tool,
            hash=hidden(key, args_hash),
            plain=args_hash,
            since=since,
        )
        left = [(call, Earlier(key, key_at)) for call, key, key_at in found if call not in under_way]
        if not left:
            return None
        earlier = left[0][1]
        for call, each in left:
            # what went under another key may have acted as well
            if each.key == earlier.key:
                self.settle(connection, call, "replaced", ("unknown", "reserved"))
        return earlier

    def spent(self, connection: Any, key: ActivityKey | None, tally: Tally, entry: Entry) -> int:
        """What calls that a tally takes in have spent, without an entry itself."""
        found = self._sum(tally).rows(
            connection,
            after=entry.at - tally.seconds,
            app=entry.app,
            call=entry.call,
            sandbox=int(entry.sandbox),
            tool=entry.tool,
            hash=hidden(key, entry.args_hash),
            plain=entry.args_hash,
        )
        return int(found[0][0])

    def reserve(self, connection: Any, key: ActivityKey | None, entry: Entry) -> None:
        """Enter what a call is about to use."""
        self._insert.change(
            connection,
            **{name: getattr(entry, name) for name in _PLAIN},
            grant_name=entry.grant,
            # a blank on either side of each, so that one is found in the middle of others
            effects=f" {' '.join(entry.effects)} ",
            args_hash=hidden(key, entry.args_hash),
        )

    def settle(self, connection: Any, call: str, state: State, before: Sequence[State]) -> bool:
        """Say what became of a call's entry that is in a state before; whether there was one."""
        one, other = before[0], before[-1]
        return self._settle.change(connection, of=call, one=one, other=other, to=state) > 0


def entry_of(row: Any) -> Entry:
    """An entry as it was made, but for the digest of its arguments."""
    plain = {name: getattr(row, name) for name in (*_PLAIN, "args_hash")}
    return Entry(**plain, grant=row.grant_name, effects=tuple(row.effects.split()))


def _sum(tally: Tally) -> Select[Any]:
    """A statement for a tally: what of the ledger it takes in, and the sum or the number of that."""
    what = func.coalesce(func.sum(_C.amount), 0) if tally.currency else func.count()
    where = [
        _C.at > bindparam("after"),
        _C.call != bindparam("call"),
        _C.state.in_([literal(state) for state in SPENT]),
        _C.sandbox == bindparam("sandbox"),
    ]
    if not tally.everyone:
        where.append(_C.app == bindparam("app"))
    if tally.grant:
        where.append(_C.grant_name == tally.grant)
    if tally.currency:
        where.append(_C.currency == tally.currency)
    if tally.identical:
        where += [_C.tool == bindparam("tool"), _HASHES]
    # last, for it takes the longest
    return select(what).where(*where, or_(false(), *map(_takes_in, tally.selectors)))


def _takes_in(selector: Selector) -> ColumnElement[bool]:
    """What `selectors.takes_in` says, in SQL."""
    text = selector.text
    if text in CATEGORIES:
        return _C.category == text
    if text.startswith(_EFFECT):
        text = f"* {text.removeprefix(_EFFECT)} *"
        return _C.effects.like(_pattern(text), escape="/")
    return is_like(_C.tool, text)


def is_like(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column has a text, or one that is like a glob."""
    if "*" in text or "?" in text:
        return column.like(_pattern(text), escape="/")
    return column == text


def _pattern(glob: str) -> str:
    return glob.replace("/", "//").replace("%", "/%").replace("_", "/_").replace("*", "%").replace("?", "_")
