"""`mcpgate policy attack`: what was tried on a policy, and what got through."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from mcpgate.attack.attempt import ROWS
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.policy.attack_run import Report, Through, attack
from mcpgate.cli.policy.scope import Scope, open_scopes
from mcpgate.places import MISSING
from mcpgate.values import Json, Request

_MEMORY: Final = 5
_BY: Final = ("arguments", "rule", "harmless", "through")
_MOST_SHOWN: Final = 20
_LONGEST: Final = 400


def attack_files(files: Sequence[str], on: Sequence[str], presets: Sequence[str], *, as_json: bool) -> int:
    """Attack every rule of each file; 0 when nothing got through, else 1."""
    reports = [(scope, attack(scope.policy, scope.toolset)) for scope in open_scopes(files, on, presets)]
    if as_json:
        print_json([_facts(scope, report, presets) for scope, report in reports])
    else:
        for scope, report in reports:
            _show(scope, report, presets)
    return int(any(report.through for _, report in reports))


def _facts(scope: Scope, report: Report, presets: Sequence[str]) -> dict[str, Json]:
    rows = [
        {"row": row, "says": ROWS[row], "tried": row != _MEMORY or report.in_numbers, **_sums(report, row)}
        for row in sorted(ROWS)
    ]
    return {
        "file": plain(scope.file),
        "rules": report.rules,
        "attempts": report.attempts,
        "rows": rows,
        "by_rule": {plain(rule): count for rule, count in report.by_rule.items()},
        "through": [_fact(scope, each, presets) for each in report.through],
        "not_tried": [plain(note) for note in report.not_tried],
    }


def _fact(scope: Scope, through: Through, presets: Sequence[str]) -> dict[str, Json]:
    attempt = through.attempt
    return {
        "rule": through.rule,
        "place": plain(through.origin),
        "tool": through.tool,
        "row": attempt.row,
        "trick": plain(attempt.trick),
        "arrives": plain(through.arrives),
        "arguments": _ascii(attempt.shot.arguments),
        "lookup": None if attempt.shot.before is MISSING else _ascii(attempt.shot.before),
        "at": datetime.fromtimestamp(attempt.shot.now, UTC).isoformat(),
        "line": attempt.sent_line().decode("utf-8", "backslashreplace") if attempt.line else "",
        "request": plain(_request(through.request)),
        "again": plain(_again(scope, through, presets)),
    }


def _sums(report: Report, row: int) -> dict[str, int]:
    found = [by for (number, _), by in report.counts.items() if number == row]
    sums = {name: sum(by.get(name, 0) for by in found) for name in (*_BY, "failure")}
    sums["arguments"] += sums.pop("failure")
    return {"tricks": len(found), "attempts": sum(sums.values()), **sums}


# --- for people ------------------------------------------------------------------------------------------


def _show(scope: Scope, report: Report, presets: Sequence[str]) -> None:
    console = stdout()
    connectors = ", ".join(grant.connector.name for grant in scope.toolset.app.grants)
    console.print(plain(f"{scope.file} on {connectors or 'no connector'}"), style="bold")
    if report.attempts:
        _show_rows(report)
    for note in report.not_tried:
        console.print(plain(f"Not tried: {note}."), style="yellow", soft_wrap=True, highlight=False)
    for through in report.through[:_MOST_SHOWN]:
        _show_through(scope, through, presets)
    hidden = len(report.through) - _MOST_SHOWN
    if hidden > 0:
        console.print(f"… and {hidden:,} more; see them all with --format json.", soft_wrap=True)
    failures = sum(by.get("failure", 0) for by in report.counts.values())
    if failures:
        said = f"{failures:,} attempts made mcpgate itself fail. It refuses such calls, but that is a fault."
        console.print(said, style="yellow", soft_wrap=True)
    console.print(_last_line(report), style="red" if report.through else "green", highlight=False)


def _show_rows(report: Report) -> None:
    """What matters most stands on the left, where a narrow terminal does not cut it off."""
    refused = ("By a\nrule", "Refused as\narguments")
    shown = table("Row", "Attempts", "Got\nthrough", "What is tried", *refused, "Harmless", "Tricks")
    shown.padding = (0, 1, 0, 0)
    for column in shown.columns:
        column.min_width = max(map(len, str(column.header).split("\n")))
    for row, says in sorted(ROWS.items()):
        sums = _sums(report, row)
        cells = {name: f"{sums[name]:,}" for name in ("tricks", "attempts", *_BY)}
        if row == _MEMORY and not report.in_numbers:
            says, cells = f"{says}: not tried, no rule counts them", dict.fromkeys(cells, "–")
        before = (str(row) if row else "–", cells["attempts"], cells["through"], says)
        shown.add_row(*before, *(cells[name] for name in ("rule", "arguments", "harmless", "tricks")))
    stdout().print(shown)


def _show_through(scope: Scope, through: Through, presets: Sequence[str]) -> None:
    console = stdout()
    attempt = through.attempt
    rule = f"{through.rule} ({through.origin}) on {through.tool}"
    head = f"Got through: row {attempt.row}, {attempt.trick}. {rule}"
    wire = "" if through.taken else " (over HTTP; on stdio the line is refused)"
    lines = [f"    what arrives: {through.arrives}{wire}", f"    request: {_request(through.request)}"]
    console.print(plain(head), style="red", highlight=False, soft_wrap=True)
    if attempt.shot.before is not MISSING:
        lines.append(f"    where the lookup answers: {_short(json.dumps(attempt.shot.before))}")
    if through.rule == "time_window":
        lines.append(f"    at: {datetime.fromtimestamp(attempt.shot.now, UTC):%a %Y-%m-%d %H:%M} UTC")
    again = "the last of them" if attempt.row == _MEMORY else "again"
    for line in (*lines, f"    {again}: {_again(scope, through, presets)}"):
        console.print(plain(line), highlight=False, soft_wrap=True)


def _last_line(report: Report) -> str:
    rules = f"{report.rules} rule{'' if report.rules == 1 else 's'}"
    got = f"{len(report.through):,} got through" if report.through else "none got through"
    if not report.attempts:
        return "Nothing was tried: the policy takes no tool away and has no rule to attack."
    return f"{report.attempts:,} attempts on {rules}: {got}."


def _request(request: Request) -> str:
    body = request.body.decode("utf-8", "replace") if request.body else ""
    return _short(f"{request.method} {request.url}{' ' + body if body else ''}")


def _again(scope: Scope, through: Through, presets: Sequence[str]) -> str:
    """How to see it again: a dry run where a command line can say it, else the line itself."""
    attempt, arguments = through.attempt, through.attempt.shot.arguments
    names = isinstance(arguments, dict) and all(_can_be_typed(name) for name in arguments)
    if attempt.line or not names:
        return _short(attempt.sent_line().decode("utf-8", "backslashreplace"))
    words = [f"{name.replace('.', chr(92) + '.')}:={json.dumps(value)}" for name, value in arguments.items()]
    flags = ["-p", _path(scope)] if scope.policy.kind == "preset" else ["--policy", _path(scope)]
    for preset in presets or (["full-access"] if scope.policy.kind == "policy" else []):
        flags += ["-p", preset]
    return shlex.join(["mcpgate", "call", through.attempt.shot.tool.name, *words, *flags, "--dry-run"])


def _can_be_typed(name: str) -> bool:
    return (
        bool(name)
        and name.isprintable()
        and not set(name) & {"=", "\\"}
        and name[-1:] != ":"
        and name[:1] != "-"
    )


def _path(scope: Scope) -> str:
    known = "/" in scope.file or "\\" in scope.file or not scope.file.endswith((".yaml", ".yml"))
    return scope.file if known else f"./{scope.file}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _ascii(value: Json) -> Json:
    """Arguments as JSON that can be printed whatever is in them; what is not finite becomes its name."""
    return json.loads(json.dumps(value), parse_constant=str)
