"""A run as a picture: bars as an SVG, the ratios to mcpgate first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from benchmarks import goals
from benchmarks.answers import BALANCE
from benchmarks.figures import Figure, Run, number, quartiles

# what is shown: the table, the column, what it says, and its unit
_PLOTTED: Final = (
    (goals.COLD, "ms", "From the start to the list of tools: less is better", "ms"),
    (goals.AFTER_IDLE, "peak, MiB", "Peak memory before the first call: less is better", "MiB"),
    (goals.STDIO.format(BALANCE), goals.CALL, "One call over stdio, median: less is better", "ms"),
    (goals.HTTP.format(BALANCE), goals.CALL, "One call over HTTP, median: less is better", "ms"),
    (
        goals.RATES.format("HTTP", goals.AT_ONCE),
        goals.IN_FLIGHT.format(32),
        "Calls a second over HTTP, 32 in flight: more is better",
        "calls/s",
    ),
)
_WIDTH, _LEFT, _LONGEST, _ROW = 760, 210, 360, 21
# a bar that is longer than so many of mcpgate's is broken off
_MOST: Final = 6.0
_DARK, _PALE, _GREY, _INK = "#1f4e79", "#a8bccf", "#d9d9d9", "#222222"


def plot(run: Run) -> str:
    """A group of bars for each kind of figure that was measured, shortest first; mcpgate's are dark."""
    parts, top = [], 12
    for name, column, title, unit in _PLOTTED:
        figures = [each for each in run.figures if (each.table, each.column) == (name, column)]
        ours = next((each for each in figures if each.subject in (goals.GATE, goals.SERVED)), None)
        if ours is None:
            continue
        parts.append(_text(12, top + 14, title, weight="bold"))
        top += 26
        for line in _bars(figures, ours, unit, top):
            parts.append(line)
        top += _ROW * len(figures) + 16
    size = f'width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="white"/>', *parts, "</svg>"]) + "\n"


def _bars(figures: Sequence[Figure], ours: Figure, unit: str, top: int) -> Iterator[str]:
    ratios = {each.subject: quartiles(each.ratios(ours) or (math.nan,))[1] for each in figures}
    known = [ratio for ratio in ratios.values() if math.isfinite(ratio)]
    longest = min(_MOST, max(known, default=1.0))
    for figure in sorted(figures, key=lambda each: each.median):
        ratio = ratios[figure.subject]
        width = _LONGEST * min(ratio if math.isfinite(ratio) else 0.0, longest) / longest
        mine = figure is ours or figure.subject == goals.VAULTED
        direct = figure.subject in (goals.RAW, goals.WARM, goals.SDK_ALONE)
        yield _text(_LEFT - 8, top + 14, figure.subject, anchor="end")
        colour = _DARK if mine else _GREY if direct else _PALE
        yield f'<rect x="{_LEFT}" y="{top + 3}" width="{max(width, 1):.1f}" height="14" fill="{colour}"/>'
        if ratio > longest:
            cut = _LEFT + width - 14
            yield f'<path d="M{cut:.0f} {top + 19}l6 -18h4l-6 18z" fill="white"/>'
        said = f"{number(ratio)} ×" if figure is not ours else "1"
        yield _text(_LEFT + width + 6, top + 14, f"{said}  ({number(figure.median)} {unit})")
        top += _ROW


def _text(x: float, y: float, said: str, *, anchor: str = "start", weight: str = "normal") -> str:
    where = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}"'
    return f"<text {where}>{escape(said)}</text>"
