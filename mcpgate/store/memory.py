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
    """Ledger and activity of one process: the latest ten thousand rows, and the entries of as many calls.

    `unknown` holds, by app, tool and arguments, the first row under the key of a call that may have acted.
    """

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Entry, ...]] = {}
        self.rows: deque[Row] = deque(maxlen=_KEPT)
        self.unknown: dict[tuple[str, str, str], Row] = {}

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        """Everything done inside happens together at its end; an exception undoes it."""
        transaction = MemoryTransaction(self)
        yield transaction
        for step in transaction.steps:
            step()
        _keep_latest(self.entries)
        _keep_latest(self.unknown)


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
        self.steps.append(lambda: self._settle(call, state))

    def unknown_key(self, app: str, tool: str, args_hash: str, since: float) -> str:
        """The key of the same call, first used since then, that may have acted; empty: none."""
        row = self._store.unknown.get((app, tool, args_hash))
        return row.key if row is not None and row.at >= since else ""

    def write(self, row: Row) -> None:
        """Add a row to the activity."""
        self.steps.append(lambda: self._write(row))

    def _settle(self, call: str, state: State) -> None:
        entries = self._store.entries.get(call, ())
        if entries:
            settled = tuple(dataclasses.replace(entry, state=state) for entry in entries)
            self._store.entries[call] = settled

    def _write(self, row: Row) -> None:
        """A key's outcome is unknown until a call under it succeeds: a failure may be the repeat's alone."""
        self._store.rows.append(row)
        same, unknown = (row.app, row.tool, row.args_hash), self._store.unknown
        if row.kind != "finished" or not row.key:
            return
        if row.outcome == "succeeded" and same in unknown and unknown[same].key == row.key:
            del unknown[same]
        elif row.outcome == "unknown" and (same not in unknown or unknown[same].key != row.key):
            unknown[same] = row
