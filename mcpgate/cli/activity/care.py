"""`mcpgate activity verify`, `erase` and `prune`: whether the log holds, and what is taken out of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from mcpgate.cli.activity.filter import check_app, rows_of
from mcpgate.cli.activity.moments import read_moment, show_moment
from mcpgate.cli.activity.show import NOTHING, say_nothing
from mcpgate.cli.asking import agree
from mcpgate.cli.console import plain, print_json
from mcpgate.cli.vaults import database, sql_store
from mcpgate.errors import CredentialError, UsageError
from mcpgate.ledger import Entry
from mcpgate.store.reading import Asked
from mcpgate.store.verifying import Broken, Calls, Head, Verdict

_HEAD: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")
_BROKEN: Final = 1
_EMPTY: Final = Verdict(0, 0, {}, {}, (), "", None)
_CUT: Final = "rows cut from the end: for that keep a head elsewhere, and give it with --head"
_UNKEYED: Final = "rows without a key that were written anew: whoever can write the database can chain them"
_HELD: Final[Mapping[str, tuple[str, ...]]] = {
    "met": ("The head that was kept elsewhere is in it.",),
    "pruned": ("The head that was kept elsewhere was pruned since, so keep this one:",),
}
_LOCKED: Final = "anything in rows whose key is not at hand"


def verify(head: str, *, as_json: bool) -> int:
    """Print whether the log is as it was written; 0 when it is, 1 when not, 4 when a key is not at hand."""
    expected = _read_head(head) if head else None
    if database().exists():
        verdict = sql_store().verify(expected)
    elif expected is None:
        verdict = _EMPTY
    else:
        verdict = replace(
            _EMPTY, expected="missing", broken=Broken("", expected[0], "there is no log any more")
        )
    code = _BROKEN if verdict.changed else CredentialError.exit_code if verdict.unchecked else 0
    blind = list(_blind(verdict))
    if as_json:
        print_json(_facts(verdict, blind))
    elif not verdict.count and not verdict.changed:
        say_nothing(NOTHING)
    else:
        for line in _told(verdict, blind):
            print(plain(line))
    return code


def erase(calls: Sequence[str], app: str, before: str, *, yes: bool) -> None:
    """Take personal data out of the log for good; its rows stay, and its chain holds."""
    if bool(calls) == bool(app) or (calls and before):
        hint = "Give --call, once for each, or --app and if need be --before."
        raise UsageError("Whose personal data are to be erased?", hint)
    moment = read_moment("--before", before, time.time()) if before else None
    if not database().exists():
        say_nothing(NOTHING)
        return
    store = sql_store()
    check_app(store, app)
    ids = [rows_of(store, call)[0].row.call for call in calls]
    until = "" if moment is None else f" from before {show_moment(moment)}"
    whose = f"{len(ids)} call{'' if len(ids) == 1 else 's'}" if ids else f"every call of {app}{until}"
    agree(f"Erase the personal data of {whose} for good?", yes=yes)
    count = store.erase(Asked(app=app, until=moment), ids)
    print(f"Erased the personal data of {_rows(count)}; the rows stay." if count else "There were none.")


def prune(older_than: str, *, anyway: bool, yes: bool) -> None:
    """Take the oldest rows out of the log for good."""
    moment = read_moment("--older-than", older_than, time.time())
    if not database().exists():
        say_nothing(NOTHING)
        return
    before = show_moment(moment)
    agree(f"Take every row from before {before} out of the activity for good?", yes=yes)
    store = sql_store()
    count = store.prune(moment, anyway=anyway)
    print(
        f"Took out {_rows(count)} from before {before}." if count else f"No row from before {before} can go."
    )
    for line in _held_up(store.ledger(states=("reserved", "unknown")), moment):
        print(plain(line))


def _read_head(text: str) -> Head:
    found = _HEAD.fullmatch(text)
    if found is None:
        hint = "It is COUNT:MAC, as mcpgate activity verify printed it."
        raise UsageError(f"--head {text[:80]}: that is no head.", hint)
    return int(found[1]), found[2]


def _blind(verdict: Verdict) -> Iterator[str]:
    """What nobody could notice here."""
    if verdict.expected in ("", "pruned"):
        yield _CUT
    if any(not stretch.key_id for stretch in verdict.stretches):
        yield _UNKEYED
    if verdict.unchecked:
        yield _LOCKED


def _facts(verdict: Verdict, blind: list[str]) -> dict[str, Any]:
    broken = verdict.broken
    return {
        "sound": not verdict.changed and not verdict.unchecked,
        "count": verdict.count,
        "unchecked": verdict.unchecked,
        "heads": {stream: f"{seq}:{mac}" for stream, (seq, mac) in verdict.heads.items()},
        "pruned": {stream: seq for stream, (seq, _) in verdict.starts.items() if seq},
        "stretches": [
            {"stream": each.stream, "first": each.first, "last": each.last, "key_id": each.key_id or None}
            for each in verdict.stretches
        ],
        "broken": broken and {"stream": broken.stream, "seq": broken.seq, "what": broken.what},
        "unlogged": verdict.unlogged and asdict(verdict.unlogged),
        "given_back": verdict.given_back and asdict(verdict.given_back),
        "expected": verdict.expected or None,
        "cannot_notice": blind,
    }


def _told(verdict: Verdict, blind: list[str]) -> Iterator[str]:
    broken = verdict.broken
    if broken is not None:
        yield f"Broken at row {broken.seq}{_of(broken.stream, verdict)}: {broken.what}."
    if verdict.unlogged is not None:
        yield f"Rows are missing: {_calls(verdict.unlogged, 'is', 'are')} in the ledger and not in the log."
        yield "They were taken out, or the log was put back from an older copy."
    if verdict.given_back is not None:
        what = _calls(verdict.given_back, "has", "have")
        yield f"The ledger was changed: {what} succeeded by the log, and count there as not made."
    if verdict.changed:
        pass
    elif verdict.unchecked:
        yield f"Not known: of {_rows(verdict.count)} {verdict.unchecked:,} have a key that is not at hand."
        yield "Why it does not open: mcpgate vault status"
    else:
        yield f"Sound: {_rows(verdict.count)}, each as written and in its place."
    for stream, (seq, _) in verdict.starts.items():
        if seq:
            yield f"Rows 1 to {seq:,}{_of(stream, verdict)}: pruned."
    for each in verdict.stretches:
        under = f"under the key {each.key_id}" if each.key_id else "without a key"
        yield f"Rows {each.first:,} to {each.last:,}{_of(each.stream, verdict)}: {under}."
    if not verdict.changed:
        yield from _HELD.get(verdict.expected, ())
        for stream, (seq, mac) in verdict.heads.items():
            yield f"Head{_of(stream, verdict)}, to keep elsewhere: {seq}:{mac}"
    if blind:
        yield "What this cannot notice:"
    yield from (f"  {each}" for each in blind)


def _of(stream: str, verdict: Verdict) -> str:
    return f" of {stream}" if len(verdict.heads) > 1 and stream else ""


def _calls(found: Calls, one: str, many: str) -> str:
    first = f"{found.first}, of {show_moment(found.at)}"
    return f"the call {first}, {one}" if found.count == 1 else f"{found.count:,} calls, first {first}, {many}"


def _held_up(entries: Sequence[Entry], before: float) -> Iterator[str]:
    """The first call whose row stays, and all after it, until a person says what became of it."""
    found = [entry for entry in entries if entry.category != "read" and entry.at < before]
    if found:
        call = found[0].call
        more = f" {len(found) - 1:,} more after it are like that." if found[1:] else ""
        yield f"The call {call}, of {show_moment(found[0].at)}, stays, and so does all after it:"
        yield f"what became of it is not known.{more} Look at the API, then prune again after"
        yield f"  it did happen, and stays spent:   mcpgate budgets settle {call}"
        yield f"  it did not, and is given back:    mcpgate budgets release {call}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
