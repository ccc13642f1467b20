"""Where ledger and activity are kept; every change is made in a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from mcpgate.activity import Row
from mcpgate.ledger import Entry, State


class Transaction(Protocol):
    """What can be done to the store, all of it or nothing."""

    def reserve(self, entries: Iterable[Entry]) -> None:
        """Enter what a call is about to use."""
        ...

    def settle(self, call: str, state: State) -> None:
        """Say what became of a call's entries."""
        ...

    def unknown_key(self, app: str, tool: str, args_hash: str, since: float) -> str:
        """The key of the same call, first used since then, that may have acted; empty: none."""
        ...

    def write(self, row: Row) -> None:
        """Add a row to the activity."""
        ...


class Store(Protocol):
    """Keeps the ledger and the activity."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Everything done inside happens together; an exception undoes it."""
        ...
