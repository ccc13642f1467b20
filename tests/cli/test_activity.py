"""`mcpgate activity`: what people and machines see of the log, and what is taken out of it."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcpgate.activity import Row
from mcpgate.cli.vaults import database, sql_store
from mcpgate.ledger import Entry
from mcpgate.store.sql import SQLStore
from tests.cli.conftest import ROOT, Run
from tests.standins.keyring import MemoryBackend

NOW = time.time()
HOUR = 3600.0
WAITS = 30
HOSTILE = "\x1b[2J\x1b]8;;https://evil.example\x07[red]x\u202e\u200b\x9b31m\x7f\r\n\t"
CODES = set(HOSTILE) - set("[2J]8;;https://evil.example[red]x31m\n")
ARGUMENTS = {"amount": 40000, "currency": "usd", "name": "Ada Lovelace"}


def row(kind: str, call: str, ago: float = 0.0, **facts: Any) -> Row:
    """A row of a call of the app `till`, so many seconds ago."""
    given = {"app": "till", "grant": "shop", "tool": "shop_create_refund", "decision": "allow", **facts}
    return Row(at=NOW - ago, kind=kind, call=call, args_hash="abc", **given)  # type: ignore[arg-type]


def fresh(kind: str, call: str, **facts: Any) -> Row:
    """A row of this moment, whenever this module was read."""
    return row(kind, call, NOW - time.time(), **facts)


SUCCEEDED, UNKNOWN, DENIED, READ = (letter * 8 + "-0000-4000-8000-000000000000" for letter in "abcd")
ROWS = (
    row("changed", "", 9 * 24 * HOUR, grant="", tool="", decision="", says="apps create till"),
    row("started", SUCCEEDED, 3 * HOUR, key="key-1", arguments=ARGUMENTS, private=("name",)),
    row("finished", SUCCEEDED, 3 * HOUR, key="key-1", outcome="succeeded", status=200, ms=312.4, size=1024),
    row("refused", DENIED, 2 * HOUR, decision="deny", rule="max_amount", arguments=ARGUMENTS),
    row("started", UNKNOWN, HOUR, app="desk", key="key-2"),
    row("finished", UNKNOWN, HOUR, app="desk", key="key-2", outcome="unknown", status=504),
    row("read", READ, 60, tool="shop_list_refunds", outcome="succeeded", status=200),
)


def write(*rows: Row) -> SQLStore:
    """The store of this home, with these rows in it."""
    store = sql_store()
    for each in rows:
        with store.transaction() as transaction:
            transaction.write(each)
    return store


@pytest.fixture
def keyed(mcpgate: Run, keyring: MemoryBackend) -> SQLStore:
    """A log under a key of the vault."""
    assert mcpgate("init").code == 0
    return write(*ROWS)


def calls(out: str) -> list[str]:
    return [json.loads(line)["call"][:1] for line in out.splitlines()]


def sql(home: Path, statement: str) -> None:
    with sqlite3.connect(home / "mcpgate.db") as connection:
        connection.execute(statement)
    connection.close()


# --- show -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [(), ("export",), ("verify",), ("erase", "--app", "x", "--yes"), ("prune", "--older-than", "1d")]
)
def test_without_a_database_there_is_no_activity_and_looking_makes_none(
    words: tuple[str, ...], mcpgate: Run, home: Path
) -> None:
    ran = mcpgate("activity", *words)
    assert (ran.code, ran.out.startswith("No activity yet")) == (0, words != ("export",))
    assert not (home / "mcpgate.db").exists()


def test_a_call_is_one_line_and_the_newest_comes_last(keyed: SQLStore, mcpgate: Run) -> None:
    ran = mcpgate("activity")
    heading, *lines = (line.split(maxsplit=7) for line in ran.out.splitlines())
    assert heading == ["Time", "Call", "App", "Tool", "Outcome", "Status", "ms", "Rule or key"]
    # date and time are two words
    assert [" ".join(" ".join(line[2:]).split()) for line in lines] == [
        "– till – changed – – apps create till",
        "aaaaaaaa till shop_create_refund succeeded 200 312 –",
        "cccccccc till shop_create_refund denied – – max_amount",
        "bbbbbbbb desk shop_create_refund unknown 504 0 key key-2",
        "dddddddd till shop_list_refunds succeeded 200 0 –",
    ]
    assert "Ada" not in ran.out
    assert [line[2][:1] for line in map(str.split, mcpgate("activity", "-n", "2").out.splitlines())] == [
        "A",
        "b",
        "d",
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), "aacbbd"),
        (("--app", "desk"), "bb"),
        (("--connector", "shop", "--tool", "shop_list_refunds"), "d"),
        (("--connector", "other"), ""),
        (("--tool", "shop_*_refunds"), "d"),
        (("--tool", "shop_*", "--limit", "2"), "bd"),
        (("--tool", "*_create_?efund", "--app", "till"), "aac"),
        (("--decision", "deny"), "c"),
        (("--outcome", "unknown"), "b"),
        (("--kind", "started"), "ab"),
        (("--limit", "3"), "bbd"),
        (("--since", "90m"), "bbd"),
        (("--until", "90m"), "aac"),
        (("--since", "7000s", "--until", "30m"), "bb"),
        (("--since", "1970-01-01", "--until", "2001-02-03T04:05Z"), ""),
        (("--since", "2099-01-01"), ""),
        (("--until", "2099-01-01T00:00:00+02:00"), "aacbbd"),
    ],
)
def test_the_filters(words: tuple[str, ...], found: str, keyed: SQLStore, mcpgate: Run) -> None:
    ran = mcpgate("activity", "--json", *words)
    assert ran.code == 0
    assert "".join(calls(ran.out)) == found


def test_a_date_is_the_whole_day(home: Path, mcpgate: Run) -> None:
    day = time.localtime(NOW)
    midnight = time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))
    write(
        row("read", "a", NOW - midnight + 1), row("read", "b", NOW - midnight), row("read", "c", -100 * HOUR)
    )
    date = time.strftime("%Y-%m-%d", day)
    assert calls(mcpgate("activity", "--json", "--since", date, "--until", date).out) == ["b"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "yesterday"), "--since yesterday: that is no moment."),
        (("--since", "2h", "--until", "3h"), "Nothing lies between 2h and 3h."),
        (("--until", "2026-13-01"), "--until 2026-13-01"),
        (("--since", "9999999999d"), "no moment"),
        (("--since", "20261123"), "no moment"),
        (("--until", "9999-12-31"), "no moment"),
        (("--follow", "--until", "2h"), "--until is an end"),
        (("--app", "x", "verify"), "These flags do not count there."),
        (("--json", "export"), "These flags do not count there."),
        (("--limit", "3", "show", "abcd"), "These flags do not count there."),
        (("verify", "--head", "3:abc"), "that is no head"),
        (("erase",), "Whose personal data"),
        (("erase", "--call", "aaaa", "--app", "x"), "Whose personal data"),
        (("erase", "--call", "aaaa", "--before", "1d"), "Whose personal data"),
        (("prune", "--older-than", "90"), "--older-than 90: that is no moment."),
        (("prune", "--older-than", "1d"), "nobody is here to be asked"),
        (("erase", "--app", "till"), "nobody is here to be asked"),
        (("--decision", "maybe"), "maybe"),
        (("--kind", "other"), "other"),
    ],
)
def test_what_cannot_be_used_is_said(
    words: tuple[str, ...], says: str, home: Path, mcpgate: Run, give: Callable[[str], None]
) -> None:
    write(*ROWS)
    give("y\n")
    ran = mcpgate("activity", *words)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--app", "tilll"), 3, "There is no app 'tilll'"),
        (("export", "--app", "tilll"), 3, "Known are: run"),
        (("erase", "--app", "nobody", "--yes"), 3, "There is no app 'nobody'"),
        (("show", "ffff"), 3, "There is no call 'ffff'"),
        (("show", "a"), 3, "There is no call 'a'"),
        (("show", "%"), 3, "There is no call '%'"),
        (("erase", "--call", "ffff", "--yes"), 3, "There is no call 'ffff'"),
        (("--app", "run"), 0, "Nothing in the activity is as asked for."),
        (("--tool", "nothing"), 0, "Nothing in the activity is as asked for."),
    ],
)
def test_what_is_not_there_is_said(
    words: tuple[str, ...], code: int, says: str, home: Path, mcpgate: Run
) -> None:
    write(*ROWS)
    ran = mcpgate("activity", *words)
    assert ran.code == code
    assert says in ran.out + ran.err


def test_show_prints_all_of_a_call(keyed: SQLStore, mcpgate: Run) -> None:
    entry = Entry(
        NOW - HOUR,
        "desk",
        "shop",
        "shop_create_refund",
        "write",
        ("money_out",),
        UNKNOWN,
        "abc",
        "usd",
        40000,
    )
    with keyed.transaction() as transaction:
        transaction.reserve(entry)
        transaction.settle(UNKNOWN, "unknown")
    shown = mcpgate("activity", "show", SUCCEEDED)
    assert shown.out == mcpgate("activity", "show", "aaaa").out
    for says in (SUCCEEDED, "shop_create_refund of shop", "status 200", "312 ms", "1,024 bytes", "key-1"):
        assert says in shown.out
    assert f"Arguments  {json.dumps(ARGUMENTS)}\nPrivate    name\n" in shown.out
    assert "Ledger" not in shown.out
    unknown = mcpgate("activity", "show", "bbbb").out
    assert "Arguments  not kept" in unknown
    assert "Ledger     unknown, 400.00 USD\n" in unknown
    assert f"mcpgate budgets settle {UNKNOWN}" in unknown
    told = json.loads(mcpgate("activity", "show", "bbbb", "--json").out)
    assert [each["kind"] for each in told["rows"]] == ["started", "finished"]
    assert (told["ledger"]["state"], told["ledger"]["amount"]) == ("unknown", 40000)
    assert "Rule       max_amount" in mcpgate("activity", "show", "cccc").out


def test_a_beginning_that_two_calls_have_is_refused(home: Path, mcpgate: Run) -> None:
    write(row("read", "aaaa1"), row("read", "aaaa2"))
    ran = mcpgate("activity", "show", "aaaa")
    assert (ran.code, ran.err) == (2, "More than one call begins with aaaa.\nGive more of its id.\n")


def test_arguments_erased_locked_and_never_kept_are_told_apart(
    keyed: SQLStore, mcpgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased = mcpgate("activity", "erase", "--call", "aaaa", "--yes")
    assert (erased.code, erased.out) == (0, "Erased the personal data of 1 row; the rows stay.\n")
    shown = mcpgate("activity", "show", "aaaa").out
    assert 'Arguments  {"amount": 40000, "currency": "usd"}\nErased     name\n' in shown
    assert "Ada" not in shown
    assert mcpgate("activity", "erase", "--call", "aaaa", "--yes").out == "There were none.\n"
    assert mcpgate("activity", "verify").code == 0
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: None)
    assert "Arguments  sealed, and the key to them is not at hand" in mcpgate("activity", "show", "aaaa").out


# --- what is hostile --------------------------------------------------------------------------------------


def hostile(**facts: Any) -> Row:
    text = HOSTILE
    given = {"request_id": text, "rule": text, "key": text, "tool": text, "subject": text, **facts}
    return row("finished", "eeee", outcome="unknown", **given)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--json",),
        ("show", "eeee"),
        ("show", "eeee", "--json"),
        ("export",),
        ("export", "--format", "csv"),
    ],
)
def test_a_terminal_only_shows_what_texts_say(
    words: tuple[str, ...], mcpgate: Run, keyring: MemoryBackend
) -> None:
    mcpgate("init")
    write(hostile(arguments={HOSTILE: [HOSTILE]}, private=(HOSTILE,)))
    out = mcpgate("activity", *words).out
    assert "evil.example" in out
    assert set(out) & CODES == set()
    # an end of a line within a text would make up a row
    expected = {(): 2, ("--json",): 1, ("export",): 1, ("export", "--format", "csv"): 2}
    assert len(out.splitlines()) == expected.get(words, len(out.splitlines()))


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d", "\t@", "\u00a0="])
def test_no_cell_of_a_csv_is_a_formula(lead: str, home: Path, mcpgate: Run) -> None:
    write(hostile(request_id=f'{lead}HYPERLINK("https://evil.example")'))
    (cells,) = csv.DictReader(io.StringIO(mcpgate("activity", "export", "--format", "csv").out))
    assert cells["request_id"].startswith("'")
    assert cells["request_id"].endswith('HYPERLINK("https://evil.example")')
    assert cells["app"] == "till"


# --- export -----------------------------------------------------------------------------------------------


def test_export_holds_everything_in_a_file_of_its_owners_alone(
    keyed: SQLStore, mcpgate: Run, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    ran = mcpgate("activity", "export", "--output", str(path))
    assert (ran.code, ran.out) == (0, "")
    assert "Exported 7 rows" in ran.err
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert mcpgate("activity", "export").out == path.read_text("utf-8")
    stored = list(keyed.rows())
    assert [(line["stream"], line["seq"], line["mac"], line["key_id"]) for line in lines] == [
        (each.stream, each.seq, each.mac, each.key_id) for each in stored
    ]
    assert lines[1]["arguments"] == ARGUMENTS
    assert (lines[1]["private"], lines[1]["arguments_are"]) == (["name"], "whole")
    assert lines[1]["time"].endswith("Z")
    table = list(csv.DictReader(io.StringIO(mcpgate("activity", "export", "--format", "csv").out)))
    assert list(table[0]) == list(lines[0])
    assert [(cells["call"], cells["mac"], cells["status"]) for cells in table] == [
        (line["call"], line["mac"], str(line["status"] or "")) for line in lines
    ]
    assert json.loads(table[1]["arguments"]) == ARGUMENTS
    assert calls(mcpgate("activity", "export", "--decision", "deny").out) == ["c"]
    again = mcpgate("activity", "export", "--output", str(path))
    assert (again.code, again.err) == (2, f"{path} is there already.\nName another file.\n")
    nowhere = mcpgate("activity", "export", "--output", str(tmp_path / "no" / "log"))
    assert (nowhere.code, "cannot be written" in nowhere.err) == (2, True)


# --- verify, erase, prune ---------------------------------------------------------------------------------


def test_verify_of_a_sound_log_gives_a_head_to_keep(keyed: SQLStore, mcpgate: Run) -> None:
    head = next(reversed(list(keyed.rows())))
    ran = mcpgate("activity", "verify")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "Sound: 7 rows, each as written and in its place.",
        f"Rows 1 to 7: under the key {head.key_id}.",
        f"Head, to keep elsewhere: 7:{head.mac}",
        "What this cannot notice:",
        "  rows cut from the end: for that keep a head elsewhere, and give it with --head",
    ]
    write(row("read", "later"))
    held = mcpgate("activity", "verify", "--head", f"7:{head.mac}")
    assert (held.code, "The head that was kept elsewhere is in it." in held.out) == (0, True)
    assert "cannot notice" not in held.out
    told = json.loads(mcpgate("activity", "verify", "--json").out)
    assert (told["sound"], told["count"], told["broken"]) == (True, 8, None)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE activity SET app = 'other' WHERE seq = 3", "Broken at row 3: "),
        ("UPDATE activity SET facts = replace(facts, '504', '200') WHERE seq = 6", "Broken at row 6: "),
        ("DELETE FROM activity WHERE seq = 3", "Broken at row 4: "),
        ("DELETE FROM activity WHERE seq < 3", "Broken at row 3: "),
        ("UPDATE activity SET private = NULL WHERE seq = 2", "Broken at row 2: "),
        ("UPDATE activity SET sealed = NULL WHERE seq = 2", "Broken at row 2: "),
    ],
)
def test_verify_names_the_first_row_that_was_changed(
    statement: str, says: str, keyed: SQLStore, mcpgate: Run, home: Path
) -> None:
    keyed.close()
    sql(home, statement)
    ran = mcpgate("activity", "verify")
    assert ran.code == 1
    assert ran.out.startswith(says)
    assert "Head" not in ran.out
    told = json.loads(mcpgate("activity", "verify", "--json").out)
    assert (told["sound"], says) == (False, f"Broken at row {told['broken']['seq']}: ")


def test_rows_cut_from_the_end_are_noticed_with_a_head_that_was_kept(
    keyed: SQLStore, mcpgate: Run, home: Path
) -> None:
    head = next(reversed(list(keyed.rows())))
    keyed.close()
    sql(home, "DELETE FROM activity WHERE seq > 5")
    assert mcpgate("activity", "verify").code == 0
    ran = mcpgate("activity", "verify", "--head", f"7:{head.mac}")
    assert ran.code == 1
    assert "cut short" in ran.out
    for path in home.glob("mcpgate.db*"):
        path.unlink()
    ran = mcpgate("activity", "verify", "--head", f"7:{head.mac}")
    assert (ran.code, "there is no log any more" in ran.out) == (1, True)
    assert not (home / "mcpgate.db").exists()


ACTED = Entry(
    NOW - HOUR, "desk", "shop", "shop_create_refund", "write", ("money_out",), UNKNOWN, "abc", "usd", 40000
)


@pytest.mark.parametrize("statement", ["DELETE FROM activity", "DROP TABLE activity"])
def test_a_log_that_is_gone_is_noticed_by_the_ledger(
    statement: str, keyed: SQLStore, mcpgate: Run, home: Path
) -> None:
    with keyed.transaction() as transaction:
        transaction.reserve(ACTED)
    assert mcpgate("activity", "verify").code == 0
    keyed.close()
    sql(home, statement)
    ran = mcpgate("activity", "verify")
    says = f"Rows are missing: the call {UNKNOWN}, of "
    assert (ran.code, ran.out.startswith(says), "Head" in ran.out) == (1, True, False)
    assert "is in the ledger and not in the log." in ran.out
    told = json.loads(mcpgate("activity", "verify", "--json").out)
    assert (told["sound"], told["unlogged"]["count"], told["unlogged"]["first"]) == (False, 1, UNKNOWN)
    assert mcpgate("activity", "prune", "--older-than", "1d", "--yes").code == 6


def test_a_call_that_counts_as_not_made_though_it_was_is_noticed(
    keyed: SQLStore, mcpgate: Run, home: Path
) -> None:
    with keyed.transaction() as transaction:
        transaction.reserve(replace(ACTED, call=SUCCEEDED, state="released"))
    ran = mcpgate("activity", "verify")
    assert (ran.code, ran.out.startswith(f"The ledger was changed: the call {SUCCEEDED}, of ")) == (1, True)


def test_prune_says_which_call_holds_it_up(keyed: SQLStore, mcpgate: Run) -> None:
    with keyed.transaction() as transaction:
        transaction.reserve(replace(ACTED, call=SUCCEEDED, at=NOW - 3 * HOUR, state="unknown"))
        transaction.reserve(replace(ACTED, state="unknown"))
    prune = ("activity", "prune", "--older-than", "30m", "--yes")
    assert mcpgate(*prune).out.startswith("Took out 1 row from before ")
    ran = mcpgate(*prune)
    assert (ran.code, ran.out.startswith("No row from before ")) == (0, True)
    assert f"The call {SUCCEEDED}, of " in ran.out
    assert "1 more after it are like that" in ran.out
    for word in ("settle", "release"):
        assert f"mcpgate budgets {word} {SUCCEEDED}\n" in ran.out
    for call in (SUCCEEDED, UNKNOWN):
        assert mcpgate("budgets", "settle", call).code == 0
    ran = mcpgate(*prune)
    assert (ran.out.startswith("Took out 5 rows"), "budgets" in ran.out) == (True, False)


def test_verify_tells_rows_without_a_key_and_rows_it_cannot_check(
    mcpgate: Run, home: Path, keyring: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*ROWS[:2])
    assert "Rows 1 to 2: without a key." in mcpgate("activity", "verify").out
    assert "whoever can write the database can chain them" in mcpgate("activity", "verify").out
    assert mcpgate("init").code == 0
    write(*ROWS[2:])
    lines = mcpgate("activity", "verify").out.splitlines()
    assert lines[1] == "Rows 1 to 2: without a key."
    assert lines[2].startswith("Rows 3 to 7: under the key ")
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: None)
    locked = mcpgate("activity", "verify")
    assert (locked.code, locked.out.splitlines()[0]) == (
        4,
        "Not known: of 7 rows 5 have a key that is not at hand.",
    )


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "gone"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False), ("no\n", False)]
)
@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (("erase", "--app", "till"), "Erase the personal data of every call of till for good? [y/N] "),
        (("prune", "--older-than", "1d"), "Take every row from before "),
    ],
)
def test_at_a_terminal_it_is_asked_first(
    words: tuple[str, ...],
    asks: str,
    typed: str,
    gone: bool,
    keyed: SQLStore,
    mcpgate: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    ran = mcpgate("activity", *words)
    assert (ran.code, ran.err) == ((0, "") if gone else (2, "Nothing was done.\n"))
    assert ran.out.startswith(asks)
    kinds = {each.row.kind for each in keyed.rows()}
    assert bool(kinds & {"erased", "pruned"}) is gone


def test_erase_keeps_to_the_app_and_the_moment(keyed: SQLStore, mcpgate: Run) -> None:
    write(row("started", "eeee", 60, arguments=ARGUMENTS, private=("name",)))
    write(row("started", "ffff", 9 * HOUR, app="desk", arguments=ARGUMENTS, private=("name",)))
    mcpgate("activity", "erase", "--app", "till", "--before", "1h", "--yes")
    opened = {each.row.call[:4]: each.opened for each in keyed.rows() if each.row.arguments}
    assert opened == {"aaaa": "erased", "cccc": "whole", "eeee": "whole", "ffff": "whole"}
    assert mcpgate("activity", "verify").code == 0


def test_prune_takes_out_what_is_old_and_the_log_still_verifies(keyed: SQLStore, mcpgate: Run) -> None:
    ran = mcpgate("activity", "prune", "--older-than", "150m", "--yes")
    assert ran.out.startswith("Took out 3 rows from before ")
    assert calls(mcpgate("activity", "--json").out) == ["c", "b", "b", "d", ""]
    verified = mcpgate("activity", "verify")
    assert (verified.code, "Rows 1 to 3: pruned." in verified.out) == (0, True)
    assert mcpgate("activity", "prune", "--older-than", "90d", "--yes").out.startswith("No row from before ")


def test_a_log_that_was_changed_is_pruned_only_if_that_is_said(
    keyed: SQLStore, mcpgate: Run, home: Path
) -> None:
    keyed.close()
    sql(home, "UPDATE activity SET app = 'other' WHERE seq = 2")
    refused = mcpgate("activity", "prune", "--older-than", "150m", "--yes")
    assert (refused.code, "not as it was written" in refused.err) == (6, True)
    assert mcpgate("activity", "prune", "--older-than", "150m", "--anyway", "--yes").code == 0
    assert mcpgate("activity", "verify").code == 0


def test_a_head_that_was_pruned_since_proves_nothing_any_more(keyed: SQLStore, mcpgate: Run) -> None:
    head = list(keyed.rows())[1]
    assert mcpgate("activity", "prune", "--older-than", "150m", "--yes").code == 0
    ran = mcpgate("activity", "verify", "--head", f"2:{head.mac}")
    assert (ran.code, "was pruned since" in ran.out, "cut from the end" in ran.out) == (0, True, True)


# --- follow -----------------------------------------------------------------------------------------------


@pytest.fixture
def following(home: Path) -> Iterator[Callable[..., Callable[[], str]]]:
    """`mcpgate activity --follow` in a process of its own; gives what reads its next line."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> Callable[[], str]:
        command = [sys.executable, "-m", "mcpgate", "activity", "--follow", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        started.append(process)
        overdue = threading.Timer(WAITS, process.kill)
        overdue.daemon = True
        overdue.start()
        assert process.stdout is not None
        return process.stdout.readline

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_follow_shows_each_row_once_as_another_process_writes_it(
    home: Path, following: Callable[..., Callable[[], str]]
) -> None:
    write(*ROWS)
    line = following("--json", "--app", "till", "--limit", "1")
    assert json.loads(line())["call"] == READ
    for number in range(5):
        write(fresh("read", f"new{number}", app="desk"), fresh("read", f"new{number}"))
        told = json.loads(line())
        assert (told["call"], told["app"]) == (f"new{number}", "till")


def test_follow_waits_for_a_log_and_shows_a_call_while_it_is_under_way(
    home: Path, following: Callable[..., Callable[[], str]]
) -> None:
    line = following()
    write(fresh("started", SUCCEEDED))
    assert line().startswith("Time ")
    assert " aaaaaaaa  till      shop_create_refund        started " in line()
    write(fresh("finished", SUCCEEDED, outcome="succeeded", status=200))
    assert " aaaaaaaa  till      shop_create_refund        succeeded " in line()
    assert database().exists()
