"""Ledger and activity in a database that many processes share.

What only people ask is put together by SQLAlchemy, which is imported then: it takes more memory than anything
else of a gateway.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from mcpgate.activity import Row
from mcpgate.errors import CredentialError, StoreError, UsageError
from mcpgate.ledger import Entry, State
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.chain import Stored
from mcpgate.store.counting import entry_of
from mcpgate.store.database import Database
from mcpgate.store.sqlite_file import begin
from mcpgate.store.transaction import SQLTransaction, Statements

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mcpgate.store.reading import Asked
    from mcpgate.store.verifying import Head, Verdict

Keys = Callable[[], ActivityKey | None]

_MAIN: Final = "main"
_ASK_AGAIN: Final = 60.0
# a day longer than the longest window of a rule
_COUNTED: Final = 8 * 86400.0
_NOTHING: Final[dict[str, Any]] = {
    "call": "",
    "app": "",
    "grant": "",
    "tool": "",
    "args_hash": "",
    "decision": "",
}


def none() -> None:
    """No key: arguments are not kept, and the log is chained without one."""


class SQLStore:
    """Ledger and activity of every process that shares a database.

    `keys` gives the activity's key; it is asked outside of every transaction, until there is one.
    """

    def __init__(self, database: Database, keys: Keys = none, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._key: ActivityKey | None = None
        self._ask_after = 0.0
        self._line = database.line

    # --- what a call asks --------------------------------------------------------------------------------

    def version(self) -> int:
        """The version of the configuration, asked outside of a transaction. Raises `StoreError`."""
        with self._line as connection:
            return self._statements.version(connection)

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[SQLTransaction]:
        """Everything done inside happens together; an exception undoes it. Raises `StoreError`."""
        key = self._activity_key()
        with self._line as connection:
            if self._database.is_file:
                connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                begin(connection)
            else:
                connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
                connection.execute(f"SET LOCAL synchronous_commit = {'on' if durable else 'off'}")
            yield SQLTransaction(self._statements, connection, key)
            connection.execute("COMMIT")

    def recorder(self) -> Callable[[Connection, Row], None]:
        """What adds a row to the activity within a transaction of someone else's.

        The key is asked for now: within that transaction it could not be made.
        """
        key = self._activity_key()

        def write(connection: Connection, row: Row) -> None:
            self._statements.chain.append(connection.connection.dbapi_connection, key, row)

        return write

    def close(self) -> None:
        """Let go of the connection that is kept; the next use makes another."""
        self._line.close()

    # --- what people ask ---------------------------------------------------------------------------------

    def rows(self, asked: Asked | None = None, limit: int | None = None) -> Iterator[Stored]:
        """Rows of the log, oldest first; with a limit the latest. Raises `StoreError`."""
        from mcpgate.store.reading import Asked, rows

        return rows(self._database, self._activity_key(), asked or Asked(), limit)

    def verify(self, expected: Head | None = None) -> Verdict:
        """Whether the log is as it was written, and holds a head that was kept elsewhere."""
        from mcpgate.store.verifying import verify

        key = self._activity_key()
        with self._database.read() as connection:
            return verify(connection, key, expected)

    def erase(self, asked: Asked | None = None, calls: Collection[str] = ()) -> int:
        """Take personal data out of rows for good, and write that down; how many rows had any.

        Raises `StoreError`, `UsageError` where nothing is asked for, and `CredentialError` without the key.
        """
        from mcpgate.store import removing
        from mcpgate.store.reading import Asked
        from mcpgate.store.tables import ACTIVITY

        asked = asked or Asked()
        which = [*asked.conditions(), *([ACTIVITY.c.call.in_(calls)] if calls else [])]
        if not which:
            raise UsageError("Whose personal data are to be erased?", "Name calls, an app or a moment.")
        self._check_key()
        with self.transaction(durable=True) as transaction:
            count, ranges = removing.erase(transaction.connection, self._database.dialect, which)
            if count:
                about = {"app": asked.app, "grant": asked.connector, "tool": asked.tool}
                row = self._row("erased", f"personal data of {count} rows", **about)
                transaction.write(row, {"erased": ranges})
        self._flush()
        return count

    def prune(self, before: float, *, anyway: bool = False) -> int:
        """Take out the rows from before a moment, and what no rule counts any more; how many rows.

        Raises `StoreError`, also where the log is not as it was written unless that is to go *anyway*, and
        `CredentialError` without the key.
        """
        from mcpgate.store import removing

        self._check_key()
        verdict = self.verify()
        if verdict.changed and not anyway:
            what = "The activity is not as it was written, so nothing is taken out of it."
            raise StoreError(what, "See what was changed: mcpgate activity verify")
        dialect, starts, total = self._database.dialect, verdict.starts, 0
        # what is to come is not taken out, so its absence is not excused
        before = min(before, self._clock())
        with self.transaction(durable=True) as transaction:
            removing.forget(transaction.connection, dialect, min(before, self._clock() - _COUNTED))
            upto = removing.ends(transaction.connection, dialect, before)
        while True:
            with self.transaction(durable=True) as transaction:
                count, starts = removing.prune(transaction.connection, dialect, upto, starts)
                if count:
                    moment = datetime.fromtimestamp(before, UTC).isoformat(timespec="seconds")
                    row = self._row("pruned", f"{count} rows from before {moment}")
                    transaction.write(row, {"pruned": starts, "before": before})
            if not count:
                break
            total += count
        self._flush()
        return total

    def ledger(
        self, app: str = "", states: Collection[State] = (), since: float | None = None
    ) -> list[Entry]:
        """Entries of the ledger, oldest first. Raises `StoreError`."""
        from sqlalchemy import select

        from mcpgate.store.tables import LEDGER

        chosen = select(LEDGER).order_by(LEDGER.c.at, LEDGER.c.call)
        if app:
            chosen = chosen.where(LEDGER.c.app == app)
        if states:
            chosen = chosen.where(LEDGER.c.state.in_(states))
        if since is not None:
            chosen = chosen.where(LEDGER.c.at > since)
        with self._database.read() as connection:
            return [entry_of(row) for row in connection.execute(chosen)]

    def decide_call(self, call: str, state: Literal["settled", "released"]) -> bool:
        """Settle or release a call of which nobody knows what became; whether there was one.

        It is written down as what a person did. Raises `StoreError`.
        """
        found = [entry for entry in self.ledger(states=("reserved", "unknown")) if entry.call == call]
        with self.transaction(durable=True) as transaction:
            if not found or not transaction.decide(call, state):
                return False
            entry = found[0]
            about = {"call": call, "app": entry.app, "grant": entry.grant, "tool": entry.tool}
            says = f"budgets {'settle' if state == 'settled' else 'release'} {call}"
            transaction.write(self._row("changed", says, **about))
        return True

    # --- what every step stands on -----------------------------------------------------------------------

    @cached_property
    def _statements(self) -> Statements:
        # the processes that share a file wait for each other anyway, those of a server need not
        stream = _MAIN if self._database.is_file else str(uuid.uuid4())
        return Statements(stream, self._database.mark)

    def _activity_key(self) -> ActivityKey | None:
        if self._key is None and time.monotonic() >= self._ask_after:
            self._key = self._keys()
            self._ask_after = time.monotonic() + _ASK_AGAIN
        return self._key

    def _check_key(self) -> None:
        """What is said of rows taken out of a keyed log has to be under its key."""
        if self._activity_key() is None:
            with self._line as connection:
                if self._statements.chain.keyed(connection):
                    what = "The activity is under a key that is not there, so nothing is taken out of it."
                    raise CredentialError(what, "See: mcpgate vault status")

    def _row(self, kind: Literal["changed", "erased", "pruned"], says: str, **about: Any) -> Row:
        return Row(at=self._clock(), kind=kind, says=says, **{**_NOTHING, **about})

    def _flush(self) -> None:
        """What was taken out lies in SQLite's own log too, until that is written back."""
        if self._database.is_file:
            with self._line as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
