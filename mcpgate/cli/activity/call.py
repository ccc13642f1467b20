"""`mcpgate activity show`: all that is known of one call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from mcpgate import ledger, money
from mcpgate.cli.activity.filter import facts, rows_of
from mcpgate.cli.activity.moments import show_moment
from mcpgate.cli.activity.show import shown_number, shown_outcome
from mcpgate.cli.console import plain, print_json
from mcpgate.cli.vaults import sql_store
from mcpgate.ledger import Entry
from mcpgate.store.chain import Stored
from mcpgate.store.sql import SQLStore

_WITHOUT: Final = {
    "none": "not kept",
    "locked": "sealed, and the key to them is not at hand",
}
_OPEN: Final = ("reserved", "unknown")


def show_call(call: str, *, as_json: bool) -> None:
    """Print every row of a call, its arguments where they are kept, and its entry in the ledger."""
    store = sql_store()
    rows = rows_of(store, call)
    entry = _entry(store, rows)
    if as_json:
        said = None if entry is None else {**ledger.facts(entry), "key": entry.key}
        print_json({"call": rows[0].row.call, "rows": [facts(each) for each in rows], "ledger": said})
        return
    for heading, text in (*_of_rows(rows), *_of_entry(entry)):
        if text:
            print(f"{heading:<11}{plain(text)}")


def amount(entry: Entry) -> str:
    """What a call moves, as people write it; nothing where that is not known, or no money."""
    return "" if entry.amount is None else money.show(entry.amount, entry.currency)


def _entry(store: SQLStore, rows: list[Stored]) -> Entry | None:
    first = rows[0].row
    return next((each for each in store.ledger(first.app) if each.call == first.call), None)


def _of_rows(rows: list[Stored]) -> Iterator[tuple[str, str]]:
    first = rows[0].row
    yield "Call", first.call
    yield (
        "App",
        " for ".join(filter(None, (first.app, first.subject))) + (" (sandbox)" if first.sandbox else ""),
    )
    yield "Tool", " of ".join(filter(None, (first.tool, first.grant)))
    for each in rows:
        yield each.row.kind.capitalize(), ", ".join(filter(None, _told(each)))
    for heading, name in (("Rule", "rule"), ("Key", "key")):
        yield heading, ", ".join(dict.fromkeys(filter(None, (getattr(each.row, name) for each in rows))))
    kept = next((each for each in rows if each.opened != "none"), rows[0])
    shown = json.dumps(kept.row.arguments, ensure_ascii=False)
    yield "Arguments", _WITHOUT.get(kept.opened, shown)
    heading = "Erased" if kept.opened == "erased" else "Private"
    yield heading, ", ".join(kept.row.private)
    yield "Digests", f"arguments {first.args_hash or '–'}"
    yield "", f"tool {first.tool_digest or '–'}"
    yield "", f"policy {first.policy_digest or '–'}"


def _told(stored: Stored) -> Iterator[str]:
    row: Any = stored.row
    yield show_moment(row.at)
    yield row.says or shown_outcome(row).removeprefix(row.kind)
    yield f"status {row.status}" if row.status else ""
    yield f"{shown_number(row.ms)} ms" if row.ms else ""
    yield f"{shown_number(row.size)} bytes" if row.size else ""
    yield f"request {row.request_id}" if row.request_id else ""
    yield f"row {stored.seq} of {stored.stream}"


def _of_entry(entry: Entry | None) -> Iterator[tuple[str, str]]:
    if entry is None:
        return
    yield "Ledger", ", ".join(filter(None, (entry.state, amount(entry))))
    if entry.state in _OPEN:
        yield "", f"if it did happen: mcpgate budgets settle {entry.call}"
        yield "", f"if it did not:    mcpgate budgets release {entry.call}"
