"""Where ledger and activity are kept; every change is made in a transaction."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from mcpgate.activity import Row
from mcpgate.ledger import Earlier, Entry, State
from mcpgate.values import Tally


class Transaction(Protocol):
    """What can be done to the store, all of it or nothing."""

    def version(self) -> int:
        """The version of the configuration: another number means that something was changed."""
        ...

    def take_over(
        self, app: str, tool: str, args_hash: str, since: float, under_way: Collection[str]
    ) -> Earlier | None:
        """The same call, under a key first used since then, that may have acted; None where there is none.

        That is one whose outcome is unknown, or that is reserved and not among those `under_way` here: who
        made it may have died. What went under its key is *replaced* from here on: the call made again stands
        for it.
        """
        ...

    def spent(self, tally: Tally, entry: Entry) -> int:
        """What calls that a tally takes in have spent up to the moment of an entry, without that entry."""
        ...

    def reserve(self, entry: Entry) -> None:
        """Enter what a call is about to use."""
        ...

    def settle(self, call: str, state: State) -> None:
        """Say what became of a call's entry; one that was settled by a person stays as it is."""
        ...

    def write(self, row: Row) -> None:
        """Add a row to the activity."""
        ...


class Store(Protocol):
    """Keeps the ledger and the activity."""

    def version(self) -> int:
        """The version of the configuration, asked outside of a transaction."""
        ...

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[Transaction]:
        """Everything done inside happens together; an exception undoes it.

        What is *durable* outlives a power cut, all else the death of the process.
        """
        ...
