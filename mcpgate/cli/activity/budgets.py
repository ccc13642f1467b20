"""`mcpgate budgets`: what counting rules have left, and calls of which nobody knows what became."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from mcpgate import ledger, money
from mcpgate.cli.activity.counters import Counter, counters
from mcpgate.cli.activity.moments import show_moment
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.live import open_stored
from mcpgate.cli.opening import RUN, Options, open_toolset
from mcpgate.cli.vaults import config, database, sql_store
from mcpgate.errors import MCPGateError, NotFoundError, UsageError
from mcpgate.ledger import Entry
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.sql import SQLStore
from mcpgate.toolset import build_toolset

_UNDER_WAY_SECONDS: Final = 60.0
_OPEN: Final[tuple[ledger.State, ...]] = ("reserved", "unknown")
_CALL_LETTERS: Final = 4
_OF_FLAGS: Final = (
    "What mcpgate run is given by flags is kept nowhere: to see what counts for it, give the same here.\n"
    "  mcpgate budgets --connector CONNECTOR --preset PRESET --policy FILE"
)


def show_budgets(app: str, options: Options, *, as_json: bool) -> None:
    """Print every counter of every app, or of one, and the calls that a person has to decide on."""
    names = _apps(app, options)
    found, faults = _counters(names, options)
    rows = list(_rows(found))
    open_calls = _open_calls(app)
    if as_json:
        calls = [{**ledger.facts(entry), "key": entry.key} for entry in open_calls]
        print_json({"counters": rows, "open": calls, "faults": faults})
        return
    if names == [RUN] and not options.connectors:
        print(_OF_FLAGS)
    elif not names:
        print(plain(f"There is no app {app} any more, but calls of it are still spent."))
    else:
        _show_counters(rows)
    for name, fault in faults.items():
        print(plain(f"The app {name} cannot be opened, so its rules are not shown: {fault}"))
    _show_open(open_calls)


def decide(call: str, state: Literal["settled", "released"]) -> None:
    """Settle or release a call; raises `NotFoundError` where there is none to decide on."""
    entry = _find(call)
    if entry.state == "reserved" and entry.at > time.time() - _UNDER_WAY_SECONDS:
        raise UsageError(f"The call {entry.call} is still under way.", "Look again in a minute.")
    if not sql_store().decide_call(entry.call, state):
        raise NotFoundError(f"The call {entry.call} was decided on meanwhile.", "See: mcpgate budgets")
    what = " of ".join(filter(None, (_amount(entry), entry.tool)))
    done = "stays spent" if state == "settled" else "is given back"
    print(plain(f"{state.capitalize()}: {what}, by the app {entry.app}, {done}."))


def _apps(app: str, options: Options) -> list[str]:
    """The apps that are shown, none for one that is gone with calls left; raises `NotFoundError`."""
    known = [RUN, *(each.name for each in config().all())]
    if app and app not in known:
        if _open_calls(app) and not options.connectors:
            return []
        hint = f"Known are: {', '.join(known)}."
        raise NotFoundError(f"There is no app '{app[:80]}'{did_you_mean(app[:80], known)}", hint)
    if options.connectors and app not in ("", RUN):
        raise UsageError("Connectors are given by flags for the app run alone.", f"Leave out --app {app}.")
    return [app] if app else [RUN] if options.connectors else known


def _counters(names: Sequence[str], options: Options) -> tuple[list[Counter], dict[str, str]]:
    """The counters of apps, those for every app once; and why an app cannot be opened."""
    found: dict[Counter, None] = {}
    faults: dict[str, str] = {}
    if options.connectors:
        return counters(open_toolset(options)), faults
    kept = config()
    for stored in kept.all():
        if stored.name in names:
            try:
                toolset = build_toolset(open_stored(stored, kept, []))
            except MCPGateError as error:
                faults[stored.name] = error.message
            else:
                found.update(dict.fromkeys(counters(toolset)))
    return [*found], faults


def _rows(found: Sequence[Counter]) -> Iterator[dict[str, Any]]:
    now = time.time()
    sums: Iterable[int | None] = [None] * len(found)
    if found and database().exists():
        # what is counted here is not sealed, so no passphrase has to be typed
        with SQLStore(database()).transaction() as transaction:
            sums = [
                None if each.tally.identical else transaction.spent(each.tally, _asking(each, now))
                for each in found
            ]
    for each, spent in zip(found, sums, strict=True):
        counted = 0 if spent is None and not each.tally.identical else spent
        yield {
            "app": each.app or None,
            "sandbox": each.sandbox,
            "rule": each.rule,
            "mode": each.mode,
            "layer": each.layer,
            "for": each.reaches,
            "connector": each.tally.grant or None,
            "per": each.per,
            "currency": each.tally.currency or None,
            "limit": each.limit,
            "spent": counted,
            "left": None if counted is None else max(each.limit - counted, 0),
            "source": each.source,
        }


def _asking(counter: Counter, now: float) -> Entry:
    """Who asks what was spent: an entry that is not in the ledger."""
    return Entry(now, counter.app, "", "", "read", (), "", "", sandbox=counter.sandbox)


def _show_counters(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("No rule counts: rate_limit, daily_quota, repeat_block and budget would be shown here.")
        return
    shown = table("App", "Rule", "For", "Window", "Limit", "Spent", "Left", "Policy")
    for row in rows:
        observed = "" if row["mode"] == "enforce" else f" ({row['mode']})"
        figures = (_figure(row[name], row["currency"]) for name in ("limit", "spent", "left"))
        cells = (
            (row["app"] or "every app") + (" (sandbox)" if row["sandbox"] else ""),
            row["rule"] + observed,
            row["for"] + (f" of {row['connector']}" if row["connector"] else ""),
            f"last {row['per']}",
            *figures,
            # where its file lies stands in the JSON
            row["source"].partition(" (")[0],
        )
        shown.add_row(*cells)
    stdout().print(shown)


def _figure(number: int | None, currency: str | None) -> str:
    if number is None:
        return "by call"
    return money.show(number, currency) if currency else f"{number:,}"


def _open_calls(app: str) -> list[Entry]:
    """The calls that nobody knows the outcome of; one that has just begun is under way."""
    if not database().exists():
        return []
    entries, late = SQLStore(database()).ledger(app, _OPEN), time.time() - _UNDER_WAY_SECONDS
    return [entry for entry in entries if entry.state == "unknown" or entry.at <= late]


def _show_open(entries: list[Entry]) -> None:
    if not entries:
        return
    print("What became of these calls is not known, so what they would move stays spent:")
    shown = table("Call", "Time", "App", "Tool", "Amount", "Key")
    for entry in entries:
        cells = (entry.call, show_moment(entry.at), entry.app, entry.tool, _amount(entry), entry.key)
        shown.add_row(*(cell or "–" for cell in cells))
    stdout().print(shown)
    print("Look at the API, then for each call:")
    print("  it did happen, and stays spent:   mcpgate budgets settle CALL")
    print("  it did not, and is given back:    mcpgate budgets release CALL")


def _amount(entry: Entry) -> str:
    """What a call moves; nothing where that is not known, or it moves none."""
    return "" if entry.amount is None else money.show(entry.amount, entry.currency)


def _find(call: str) -> Entry:
    """The call whose id begins so, of those to decide on."""
    open_calls = SQLStore(database()).ledger(states=_OPEN) if database().exists() else []
    found = [entry for entry in open_calls if entry.call.startswith(call)]
    if not found or len(call) < _CALL_LETTERS:
        what = f"There is no call '{call[:80]}' of which the outcome is not known."
        raise NotFoundError(what, "See those there are: mcpgate budgets")
    if len(found) > 1:
        raise UsageError(f"More than one call begins with {call}.", "Give more of its id.")
    return found[0]
