"""A run as it is read: tables in Markdown, ratios first, the goals, and a plot."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.figures import Figure, Run
from benchmarks.goals import GOALS

_BLOCK: Final = re.compile(r"(<!-- measured:([a-z]+) -->\n).*?(<!-- /measured -->)", re.DOTALL)
_OURS: Final = (goals.GATE, goals.SERVED, "15 tools", "0 rules", "all of it, with stopwatches", goals.THE_API)
_PLOTTED: Final = (
    (goals.COLD, "ms", "Spawn to tools/list, ms"),
    (goals.STDIO.format(goals.BALANCE), goals.CALL, "stripe_get_balance over stdio, median, ms"),
    (goals.HTTP.format(goals.BALANCE), goals.CALL, "stripe_get_balance over HTTP, median, ms"),
)


def markdown(run: Run) -> str:
    """Every table of a run."""
    parts = [table(run, name) for name in run.tables()]
    if run.skipped:
        rows = [f"- {name}: {reason}" for name, reason in run.skipped.items()]
        parts.append("\n".join(["**Skipped**", "", *rows]))
    return "\n\n".join(parts) + "\n"


def table(run: Run, name: str) -> str:
    """One table: the ratio of the first column to mcpgate's, then medians and what half the rounds lie in."""
    figures = [figure for figure in run.figures if figure.table == name]
    columns = list(dict.fromkeys(figure.column for figure in figures))
    subjects = list(dict.fromkeys(figure.subject for figure in figures))
    first = columns[1] if columns[0] == "tools" else columns[0]
    ours = next((each for each in _OURS if each in subjects), subjects[0])
    reference = run.find(name, first, ours)
    rows = []
    for subject in subjects:
        own = run.find(name, first, subject)
        ratio = "" if own is None or reference is None else f"{own.over(reference):.2f}"
        cells = [run.find(name, column, subject) for column in columns]
        rows.append([subject, ratio, *("" if cell is None else shown(cell) for cell in cells)])
    return f"**{name}**\n\n" + grid(["", f"× {ours}", *columns], rows)


def goal_table(run: Run) -> str:
    """Each goal with what the run has come to."""
    rows = []
    for goal in GOALS:
        value = goal.value(run)
        met = "not measured" if value is None else "met" if goal.met(value) else "**not met**"
        rows.append([goal.says, goal.limit, "" if value is None else number(value), met])
    return grid(["goal", "limit", "measured", ""], rows)


def comparison(old: Run, new: Run) -> str:
    """What has become of every figure that both have; by the peers one sees what is the machine's."""
    rows = []
    for figure in new.figures:
        before = old.find(figure.table, figure.column, figure.subject)
        if before is not None and before.median:
            change = f"{figure.median / before.median - 1:+.0%}"
            name = [figure.table, figure.subject, figure.column]
            rows.append([*name, number(before.median), number(figure.median), change])
    return grid(["table", "subject", "", "before", "now", "change"], rows)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all but the first column to the right."""
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(figure: Figure) -> str:
    """A median, and what half of the rounds lie between where there are several."""
    low, high = figure.spread
    return number(figure.median) + (f" ({number(low)}–{number(high)})" if len(figure.rounds) > 1 else "")


def number(value: float) -> str:
    """A number with three digits that count."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def plot(run: Run) -> str:
    """Bars as an SVG, shortest first; mcpgate's are dark."""
    parts, top = [], 10
    for name, column, title in _PLOTTED:
        figures = [each for each in run.figures if (each.table, each.column) == (name, column)]
        if not figures:
            continue
        parts.append(f'<text x="10" y="{top + 14}" font-weight="bold">{escape(title)}</text>')
        top += 24
        longest = max(figure.median for figure in figures)
        for figure in sorted(figures, key=lambda each: each.median):
            width = max(1.0, 420 * figure.median / longest)
            colour = "#1f4e79" if figure.subject.startswith("mcpgate") else "#a8bccf"
            parts.append(
                f'<text x="220" y="{top + 13}" text-anchor="end">{escape(figure.subject)}</text>'
                f'<rect x="228" y="{top + 2}" width="{width:.0f}" height="14" fill="{colour}"/>'
                f'<text x="{234 + width:.0f}" y="{top + 13}">{number(figure.median)}</text>'
            )
            top += 20
        top += 14
    size = f'width="720" height="{top}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f'<rect width="720" height="{top}" fill="white"/>', *parts, "</svg>"]) + "\n"


def write(run: Run, page: Path) -> None:
    """Put the tables between their marks in a page, and the plot beside it."""
    blocks = {"goals": goal_table(run), "tables": markdown(run).rstrip()}
    text = page.read_text()
    page.write_text(_BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]}\n{found[3]}", text))
    page.with_suffix(".svg").write_text(plot(run))
