"""A store in memory: it lives as long as the process."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from mcpgate.activity import Row
from mcpgate.ledger import SPENT, Earlier, Entry, State
from mcpgate.selectors import takes_in
from mcpgate.values import Tally

_KEPT: Final = 10_000


class MemoryStore:
    """Ledger and activity of one process: the latest ten thousand rows, and the entries of as many calls."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.rows: deque[Row] = deque(maxlen=_KEPT)

    def version(self) -> int:
        """Nothing changes in a configuration that nobody can reach."""
        return 0

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[MemoryTransaction]:
        """Everything done inside happens together at its end; an exception undoes it."""
        transaction = MemoryTransaction(self)
        yield transaction
        for step in transaction.steps:
            step()
        while len(self.entries) > _KEPT:
            del self.entries[next(iter(self.entries))]


class MemoryTransaction:
    """Changes that wait for the end of their transaction."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._replaced: set[str] = set()
        self.steps: list[Callable[[], None]] = []

    def version(self) -> int:
        """Nothing changes in a configuration that nobody can reach."""
        return self._store.version()

    def take_over(
        self, app: str, tool: str, args_hash: str, since: float, under_way: Collection[str]
    ) -> Earlier | None:
        """The same call that may have acted; the entries under its key are *replaced* from here on."""
        found = [
            entry
            for entry in self._store.entries.values()
            if (entry.app, entry.tool, entry.args_hash) == (app, tool, args_hash)
            and entry.state in ("unknown", "reserved")
            and entry.key
            and entry.key_at >= since
            and entry.call not in under_way
        ]
        first = min(found, key=lambda entry: entry.key_at, default=None)
        if first is None:
            return None
        for entry in found:
            if entry.key == first.key:
                self._replaced.add(entry.call)
                self.steps.append(partial(self._settle, entry.call, "replaced", ("unknown", "reserved")))
        return Earlier(first.key, first.key_at)

    def spent(self, tally: Tally, entry: Entry) -> int:
        """What calls that a tally takes in have spent, by the entries there are."""
        counted = (
            each
            for each in self._store.entries.values()
            if each.state in SPENT and each.call not in self._replaced and _counts(tally, each, entry)
        )
        return sum((each.amount or 0) if tally.currency else 1 for each in counted)

    def reserve(self, entry: Entry) -> None:
        """Enter what a call is about to use."""
        self.steps.append(lambda: self._store.entries.update({entry.call: entry}))

    def settle(self, call: str, state: State) -> None:
        """Say what became of a call's entry; one that was settled by a person stays as it is."""
        self.steps.append(lambda: self._settle(call, state, ("reserved",)))

    def write(self, row: Row) -> None:
        """Add a row to the activity."""
        self.steps.append(lambda: self._store.rows.append(row))

    def _settle(self, call: str, state: State, before: tuple[State, ...]) -> None:
        entry = self._store.entries.get(call)
        if entry is not None and entry.state in before:
            self._store.entries[call] = dataclasses.replace(entry, state=state)


def _counts(tally: Tally, each: Entry, entry: Entry) -> bool:
    return (
        each.at > entry.at - tally.seconds
        and each.sandbox == entry.sandbox
        and (tally.everyone or each.app == entry.app)
        and tally.grant in ("", each.grant)
        and (not tally.currency or each.currency == tally.currency)
        and (not tally.identical or (each.tool, each.args_hash) == (entry.tool, entry.args_hash))
        and any(takes_in(s, each.tool, each.category, each.effects) for s in tally.selectors)
    )
