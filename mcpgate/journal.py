"""What is written down of a call: its rows in the activity, with every secret taken out of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from mcpgate.activity import Row
from mcpgate.apps import App
from mcpgate.errors import MCPGateError
from mcpgate.plan import Plan, Started
from mcpgate.records import call_row, discovery_row, lookup_row, refused_row
from mcpgate.secrets import Scrubber
from mcpgate.store import Store
from mcpgate.toolset import Entry
from mcpgate.values import Json, Reply


class Journal:
    """Writes the rows of one app's calls; `watch` is told every one that was written."""

    def __init__(
        self, store: Store, scrubber: Scrubber, clock: Callable[[], float], watch: Callable[[Row], None]
    ) -> None:
        self._store = store
        self._scrubber = scrubber
        self._clock = clock
        self.watch = watch

    def row(
        self, plan: Plan, started: Started, at: float, reply: Reply | None = None, seconds: float = 0.0
    ) -> Row:
        """The row of a read, or the first or the second one of a call that acts, for a transaction."""
        return self._scrubbed(call_row(plan, started, at, reply, seconds))

    def looked_up(self, entry: Entry, reply: Reply, seconds: float) -> None:
        """Write the row of what was asked for a rule."""
        self._note(lookup_row(entry, self._clock(), reply, seconds))

    def refused(self, entry: Entry, refusal: MCPGateError, arguments: Mapping[str, Json] | None) -> None:
        """Write the row of a call that was not sent."""
        self._note_if_possible(refused_row(entry, refusal, self._clock(), arguments))

    def discovered(self, app: App, tool: str, *, refused: bool) -> None:
        """Write the row of a question about the app itself."""
        self._note_if_possible(discovery_row(app, tool, self._clock(), refused=refused))

    def _note_if_possible(self, row: Row) -> None:
        """Nothing was sent, and nothing will be, whether that can be written or not."""
        try:
            self._note(row)
        except Exception:  # noqa: BLE001, S110
            pass

    def _note(self, row: Row) -> None:
        row = self._scrubbed(row)
        with self._store.transaction() as transaction:
            transaction.write(row)
        self.watch(row)

    def _scrubbed(self, row: Row) -> Row:
        arguments = None if row.arguments is None else self._scrubber.tree(dict(row.arguments))
        request_id = self._scrubber.text(row.request_id)
        if request_id == row.request_id and arguments == row.arguments:
            return row
        return dataclasses.replace(row, request_id=request_id, arguments=arguments)
