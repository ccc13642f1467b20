"""A store in memory: it lives as long as the process."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from mcpgate.activity import Row
from mcpgate.ledger import Entry, State

_KEPT: Final = 10_000


class MemoryStore:
    """Ledger and activity of one process: the latest ten thousand rows, and the entries of as many calls."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Entry, ...]] = {}
        self.rows: deque[Row] = deque(maxlen=_KEPT)
        self.latest: dict[tuple[str, str, str], Row] = {}

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        """Everything done inside happens together at its end; an exception undoes it."""
        transaction = MemoryTransaction(self)
        yield transaction
        for step in transaction.steps:
            step()
        _keep_latest(self.entries)
        _keep_latest(self.latest)


def _keep_latest(table: dict[Any, Any]) -> None:
    while len(table) > _KEPT:
        del table[next(iter(table))]


class MemoryTransaction:
    """Changes that wait for the end of their transaction."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.steps: list[Callable[[], None]] = []

    def reserve(self, entries: Iterable[Entry]) -> None:
        """Enter what a call is about to use."""
        entered = tuple(entries)
        self.steps.append(lambda: self._store.entries.update({entered[0].call: entered}))

    def settle(self, call: str, state: State) -> None:
        """Say what became of a call's entries."""
        settled = tuple(dataclasses.replace(entry, state=state) for entry in self._store.entries.get(call, ()))
        self.steps.append(lambda: self._store.entries.update({call: settled}))

    def unknown_key(self, app: str, tool: str, args_hash: str, since: float) -> str:
        """The idempotency key of the same call, made since then, whose outcome is unknown; empty: none."""
        row = self._store.latest.get((app, tool, args_hash))
        return row.key if row is not None and row.outcome == "unknown" and row.at >= since else ""

    def write(self, row: Row) -> None:
        """Add a row to the activity."""
        self.steps.append(lambda: self._store.rows.append(row))
        if row.kind in ("started", "finished"):
            self.steps.append(lambda: self._remember(row))

    def _remember(self, row: Row) -> None:
        same = (row.app, row.tool, row.args_hash)
        self._store.latest.pop(same, None)
        self._store.latest[same] = row
