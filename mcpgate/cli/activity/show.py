"""`mcpgate activity`: the log for people and machines, as it was and as it grows."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from mcpgate.activity import Row
from mcpgate.cli.activity.filter import Filter, check_app, json_lines
from mcpgate.cli.activity.moments import show_moment
from mcpgate.cli.console import plain
from mcpgate.cli.vaults import database, sql_store
from mcpgate.errors import UsageError
from mcpgate.store.chain import Stored
from mcpgate.store.reading import Asked
from mcpgate.store.sql import SQLStore

NOTHING: Final = "No activity yet: calls through mcpgate run and mcpgate serve are written down here."
NONE_SUCH: Final = "Nothing in the activity is as asked for."
_POLL_SECONDS: Final = 0.3
# how far the clocks of those who write may be apart
_APART_SECONDS: Final = 60.0
_HEADINGS: Final = ("Time", "Call", "App", "Tool", "Outcome", "Status", "ms", "Rule or key")
_WIDTHS: Final = (19, 8, 8, 24, 9, 6, 5, 0)
_SHORT: Final = 8
Cells = tuple[str, ...]


def show_activity(wanted: Filter, limit: int, *, follow: bool, as_json: bool) -> None:
    """Print the latest rows, the newest last; with `follow` also those to come, until interrupted."""
    asked = wanted.asked(time.time())
    if follow and wanted.until:
        raise UsageError("--follow waits for what is to come, and --until is an end.", "Give one of them.")
    if follow:
        _wait_for_database()
    elif not database().exists():
        say_nothing(NOTHING, as_json=as_json)
        return
    # only arguments are sealed, and people are shown none here: then no passphrase has to be typed
    store = sql_store() if as_json else SQLStore(database())
    check_app(store, wanted.app)
    began = time.time() - _APART_SECONDS
    after = _seen({}, store.rows(Asked(since=began))) if follow else {}
    # a call that acted has two rows and one line
    rows = list(store.rows(asked, limit if as_json else 2 * limit)) if limit else []
    if not rows and not follow:
        say_nothing(NONE_SUCH if any(store.rows(limit=1)) else NOTHING, as_json=as_json)
        return
    shown = [_cells(row) for row in _calls(rows)][-limit:]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *shown, strict=True)]
    widths = [max(pair) for pair in zip(widths, _WIDTHS, strict=True)]
    _print(json_lines(rows) if as_json else (_line(cells, widths) for cells in (_HEADINGS, *shown)))
    asked = replace(asked, since=max(began, asked.since or began))
    while follow:
        after = _seen(after, rows)
        time.sleep(_POLL_SECONDS)
        rows = list(store.rows(replace(asked, after=after)))
        _print(json_lines(rows) if as_json else (_line(_cells(row), widths) for row in _calls(rows)))


def say_nothing(text: str, *, as_json: bool = False) -> None:
    """Say that there is nothing; to a machine nothing says it."""
    if not as_json:
        print(text)


def shown_outcome(row: Row) -> str:
    """What a row says of its call, in a word or two."""
    if row.kind == "refused":
        return "refused" if row.rule in ("arguments", "failure") else "denied"
    return f"{row.kind} {row.outcome}".strip().removeprefix("finished ").removeprefix("read ")


def shown_number(number: object) -> str:
    """A number without its fraction; what is none, for it was changed, as it is."""
    return f"{number:,.0f}" if isinstance(number, int | float) else str(number or "")


def _wait_for_database() -> None:
    if not database().exists():
        print(NOTHING, file=sys.stderr)
    while not database().exists():
        time.sleep(_POLL_SECONDS)


def _seen(after: Mapping[str, int], rows: Iterable[Stored]) -> dict[str, int]:
    """The last row of each stream."""
    last = dict(after)
    for each in rows:
        last[each.stream] = max(each.seq, last.get(each.stream, 0))
    return last


def _calls(rows: Iterable[Stored]) -> list[Row]:
    """One row for each call: a started one is left out where the same call finished."""
    found = [each.row for each in rows]
    finished = {row.call for row in found if row.kind == "finished"}
    return [row for row in found if row.kind != "started" or row.call not in finished]


def _cells(row: Row) -> Cells:
    of_call = row.kind not in ("changed", "erased", "pruned")
    detail = row.rule or (f"key {row.key}" if row.outcome == "unknown" and row.key else row.says)
    cells = (
        show_moment(row.at),
        row.call[:_SHORT],
        f"{row.app} (sandbox)" if row.sandbox else row.app,
        row.tool,
        shown_outcome(row),
        str(row.status or ""),
        shown_number(row.ms) if of_call and row.kind not in ("started", "refused") else "",
        detail,
    )
    # escaped before they are measured
    shown = (plain(cell).replace("\n", "\\u000a") for cell in cells)
    return tuple(cell or "–" for cell in shown)


def _line(cells: Cells, widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()
