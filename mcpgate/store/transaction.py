"""A transaction over ledger and activity, by statements that are made once for a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mcpgate.activity import Row
from mcpgate.ledger import Earlier, Entry, State
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.chain import Chain
from mcpgate.store.config_version import VERSION
from mcpgate.store.counting import Counting
from mcpgate.store.statement import Statement
from mcpgate.values import Tally


class Statements:
    """What a process asks of a database all the time; `stream` is the chain that it writes to."""

    def __init__(self, stream: str, mark: str) -> None:
        self.counting = Counting(mark)
        self.chain = Chain(stream, mark)
        self._version = Statement(VERSION, mark)

    def version(self, connection: Any) -> int:
        """The version of the configuration; nobody has changed it yet where there is none."""
        found = self._version.rows(connection)
        return int(found[0][0]) if found else 0


class SQLTransaction:
    """What is done on a connection between its beginning and its end, which are the store's."""

    def __init__(self, statements: Statements, connection: Any, key: ActivityKey | None) -> None:
        self.connection = connection
        self.key = key
        self._statements = statements

    def version(self) -> int:
        """The version of the configuration, as it stays until the end."""
        return self._statements.version(self.connection)

    def take_over(
        self, app: str, tool: str, args_hash: str, since: float, under_way: Collection[str]
    ) -> Earlier | None:
        """The same call that may have acted; its entries are *replaced* from here on."""
        return self._statements.counting.take_over(
            self.connection, self.key, app, tool, args_hash, since, under_way
        )

    def spent(self, tally: Tally, entry: Entry) -> int:
        """What calls that a tally takes in have spent, by the entries there are."""
        return self._statements.counting.spent(self.connection, self.key, tally, entry)

    def reserve(self, entry: Entry) -> None:
        """Enter what a call is about to use."""
        self._statements.counting.reserve(self.connection, self.key, entry)

    def settle(self, call: str, state: State) -> None:
        """Say what became of a call's entry; one that was settled by a person stays as it is."""
        self._statements.counting.settle(self.connection, call, state, ("reserved",))

    def decide(self, call: str, state: State) -> bool:
        """The same as a person says it, of a call of which nobody else does; whether there is one."""
        return self._statements.counting.settle(self.connection, call, state, ("reserved", "unknown"))

    def write(self, row: Row, vouched: Mapping[str, Any] | None = None) -> None:
        """Add a row to the activity; `vouched` is what it says of rows that were taken out of the log."""
        self._statements.chain.append(self.connection, self.key, row, vouched)
