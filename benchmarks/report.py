"""A run as it is read: tables in Markdown with the ratios first, the goals, and what has changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.answers import BALANCE, CUSTOMERS
from benchmarks.figures import UNSTEADY, Figure, Run, number, quartiles, unsteady
from benchmarks.goals import GOALS, Goal
from benchmarks.plot import plot

_BLOCK: Final = re.compile(r"(<!-- measured:([a-z]+) -->\n).*?(<!-- /measured -->)", re.DOTALL)
_OURS: Final = (goals.GATE, goals.SERVED, "15 tools", "0 rules", goals.THE_API)
_DIFFERENCES: Final = (goals.MORE, *goals.OVER)
# where a ratio to mcpgate's would say nothing
_APART: Final = tuple(
    [goals.BESIDE.format(wire, goals.AT_ONCE) for wire in ("stdio", "HTTP")]
    + [goals.PARTS.format(wire, tool) for wire in ("stdio", "HTTP") for tool in (BALANCE, CUSTOMERS)]
)
# whose version says nothing that another's does not
_UNNAMED: Final = (goals.VAULTED, goals.SERVED, goals.BARE, goals.SDK_ALONE, goals.TUNED)
_DOUBT: Final = " ~"
_DOUBTED: Final = f"`~`: half of the rounds lie further apart than {UNSTEADY:.0%} of the median."
_CHANGED: Final = 0.05


def markdown(run: Run) -> str:
    """Every table of a run."""
    parts = [about(run), *(table(run, name) for name in run.tables())]
    if any(_DOUBT in part for part in parts):
        parts.append(_DOUBTED)
    if run.skipped:
        rows = [f"- {name}: {reason}" for name, reason in run.skipped.items()]
        parts.append("\n".join(["**Not measured**", "", *rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def about(run: Run) -> str:
    """What it was made on, and of which versions."""
    said = run.about
    if not said:
        return ""
    load = f"{said.get('load before')} before and {said.get('load after')} after"
    line = f"{said['rounds']} rounds on {said['processors']}, {said['system']}, Python {said['python']}; "
    known = said.get("versions", {}).items()
    versions = [f"{name} {version}" for name, version in known if version and name not in _UNNAMED]
    return line + f"load average {load}." + (f" {', '.join(versions)}." if versions else "")


def table(run: Run, name: str) -> str:
    """One table: medians, what half the rounds lie in, and the ratios to mcpgate's."""
    figures = [figure for figure in run.figures if figure.table == name]
    columns = list(dict.fromkeys(figure.column for figure in figures))
    subjects = list(dict.fromkeys(figure.subject for figure in figures))
    ours = next((each for each in _OURS if each in subjects), "")
    # where the columns are of one kind each has its ratio, elsewhere the first that is compared
    each_has = columns[0].endswith("in flight") and columns[0][0].isdigit()
    compared = [each for each in columns if each != "tools" and each not in _DIFFERENCES]
    first = compared[0] if ours and compared and not each_has and name not in _APART else ""
    rows = []
    for subject in subjects:
        row = [subject, ratio(run, name, first, subject, ours)] if first else [subject]
        for column in columns:
            figure = run.find(name, column, subject)
            before = f"**{ratio(run, name, column, subject, ours)}** " if each_has and figure and ours else ""
            row.append("" if figure is None else before + shown(figure))
        rows.append(row)
    note = f"Before each figure its ratio to that of {ours}.\n\n" if each_has and ours else ""
    head = ["", f"× {ours}", *columns] if first else ["", *columns]
    return f"**{name}**\n\n{note}" + grid(head, rows)


def ratio(run: Run, name: str, column: str, subject: str, ours: str) -> str:
    """The median of the ratios of each round to mcpgate's."""
    own, reference = run.find(name, column, subject), run.find(name, column, ours)
    found = own.ratios(reference) if own and reference else ()
    return f"{quartiles(found)[1]:.2f}{_DOUBT if unsteady(found) else ''}" if found else ""


def goal_table(run: Run) -> str:
    """Each goal with what the run has come to."""
    rows = []
    for goal in GOALS:
        rounds = goal.rounds(run)
        doubt = _DOUBT if rounds and goal.column not in _DIFFERENCES and unsteady(rounds) else ""
        rows.append([goal.says, goal.limit, spread(rounds) + doubt if rounds else "", verdict(goal, run)])
    text = grid(["goal", "limit", "measured", ""], rows)
    return f"{text}\n\n{_DOUBTED}" if _DOUBT in text else text


def verdict(goal: Goal, run: Run) -> str:
    """Whether a run has met it."""
    value = goal.value(run)
    return "not measured" if value is None else "met" if goal.met(value) else "**not met**"


def comparison(old: Run, new: Run) -> str:
    """What has become of a later run: mcpgate's ratios to its peers, its own figures, and the goals."""
    rows, still = [], 0
    for figure in new.figures:
        ours = next((each for each in _OURS if new.find(figure.table, figure.column, each)), "")
        for title, before, now in _pairs(old, new, figure, ours):
            (low, was, high), (lower, middle, higher) = quartiles(before), quartiles(now)
            # what half of the rounds lie between, once and now: where that overlaps, it may be the machine
            if abs(middle / was - 1) < _CHANGED or (len(now) > 1 and low <= higher and lower <= high):
                still += 1
                continue
            name = [figure.table, figure.column, title]
            rows.append([*name, number(was), number(middle), f"{middle / was - 1:+.0%}"])
    changed = [
        f"- {goal.says}: was {verdict(goal, old)}, is {verdict(goal, new)}"
        for goal in GOALS
        if verdict(goal, old) != verdict(goal, new) and goal.value(new) is not None
    ]
    return "\n".join(
        [
            "**Since then**",
            "",
            grid(["table", "figure", "", "before", "now", "change"], rows),
            "",
            f"{still} more have changed by less than {_CHANGED:.0%}, or no more than within a run.",
            "",
            *(changed or ["No goal has changed."]),
        ]
    )


def _pairs(
    old: Run, new: Run, figure: Figure, ours: str
) -> Iterable[tuple[str, Sequence[float], Sequence[float]]]:
    """The rounds of a figure of mcpgate's before and now; of a peer's, what mcpgate's were to it."""
    before = old.find(figure.table, figure.column, figure.subject)
    if before is None or figure.column in _DIFFERENCES or figure.column.startswith("p99"):
        return
    mine, then = new.find(figure.table, figure.column, ours), old.find(figure.table, figure.column, ours)
    if figure.subject == ours or mine is None or then is None:
        if before.median:
            yield figure.subject, before.rounds, figure.rounds
        return
    was, now = then.ratios(before), mine.ratios(figure)
    if was and now and quartiles(was)[1]:
        yield f"{ours} ÷ {figure.subject}", was, now


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all but the first column to the right."""
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(figure: Figure) -> str:
    """A median, what half of the rounds lie between, and whether that is far."""
    doubt = _DOUBT if figure.column not in _DIFFERENCES and unsteady(figure.rounds) else ""
    return spread(figure.rounds) + doubt


def spread(rounds: Sequence[float]) -> str:
    """A median, and what half of the rounds lie between where there are several."""
    low, middle, high = quartiles(rounds)
    return number(middle) + (f" ({number(low)}–{number(high)})" if len(rounds) > 1 else "")


def write(run: Run, page: Path) -> None:
    """Put the tables and the plot between their marks in a page; the plot lies beside it."""
    picture = page.with_suffix(".svg")
    blocks = {
        "goals": goal_table(run),
        "plot": f"![Ratios to mcpgate, shortest first]({picture.name})",
        "tables": markdown(run).rstrip(),
    }
    text = page.read_text()
    page.write_text(_BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]}\n{found[3]}", text))
    picture.write_text(plot(run))
