"""The ledger in SQL: what calls have spent, and which of them may have acted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

from mcpgate.ledger import SPENT, Earlier, Entry, State
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.chain import hidden
from mcpgate.store.statement import Statement, insertion
from mcpgate.values import CATEGORIES, Selector, Tally

_EFFECT: Final = "effect:"
_TALLIES: Final = 512
_PLAIN: Final = tuple(f.name for f in fields(Entry) if f.name not in ("grant", "effects", "args_hash"))
_INSERT: Final = insertion("ledger", (*_PLAIN, "grant_name", "effects", "args_hash"))
# under a key and as it is: the call may have been made before there was one
_HASHES: Final = "args_hash IN (:hash, :plain)"
_OPEN: Final = (
    f"SELECT call, key, key_at FROM ledger WHERE app = :app AND tool = :tool AND {_HASHES} "  # noqa: S608
    "AND state IN ('unknown', 'reserved') AND key != '' AND key_at >= :since ORDER BY key_at"
)
_SETTLE: Final = "UPDATE ledger SET state = :to WHERE call = :of AND state IN (:one, :other)"


class Counting:
    """What a transaction asks of the ledger and enters in it; the transaction is the caller's."""

    def __init__(self, mark: str) -> None:
        self._open = Statement(_OPEN, mark)
        self._insert = Statement(_INSERT, mark)
        self._settle = Statement(_SETTLE, mark)
        self._sum = lru_cache(maxsize=_TALLIES)(lambda tally: _sum(tally, mark))

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


def _sum(tally: Tally, mark: str) -> Statement:
    """A statement for a tally: what of the ledger it takes in, and the sum or the number of that."""
    states = ", ".join(f"'{state}'" for state in SPENT)
    where = ["at > :after", "call != :call", f"state IN ({states})", "sandbox = :sandbox"]
    if not tally.everyone:
        where.append("app = :app")
    if tally.grant:
        where.append("grant_name = :grant")
    if tally.currency:
        where.append("currency = :currency")
    if tally.identical:
        where += ["tool = :tool", _HASHES]
    fixed = {"grant": tally.grant, "currency": tally.currency}
    chosen = []
    for number, selector in enumerate(tally.selectors):
        name = f"chosen{number}"
        condition, fixed[name] = _takes_in(selector, name)
        chosen.append(condition)
    # last, for it takes the longest
    where.append(f"({' OR '.join(chosen)})" if chosen else "1 = 0")
    what = "COALESCE(SUM(amount), 0)" if tally.currency else "COUNT(*)"
    return Statement(f"SELECT {what} FROM ledger WHERE {' AND '.join(where)}", mark, fixed)  # noqa: S608


def _takes_in(selector: Selector, name: str) -> tuple[str, str]:
    """What `selectors.takes_in` says, in SQL with a value of this name, and that value."""
    text = selector.text
    if text in CATEGORIES:
        return f"category = :{name}", text
    if text.startswith(_EFFECT):
        return f"effects LIKE :{name} ESCAPE '/'", like(f"* {text.removeprefix(_EFFECT)} *")
    if is_glob(text):
        return f"tool LIKE :{name} ESCAPE '/'", like(text)
    return f"tool = :{name}", text


def is_glob(text: str) -> bool:
    """Whether a text stands for others that are like it."""
    return "*" in text or "?" in text


def like(glob: str) -> str:
    """A glob as a pattern of SQL, in which a slash escapes."""
    return glob.replace("/", "//").replace("%", "/%").replace("_", "/_").replace("*", "%").replace("?", "_")
