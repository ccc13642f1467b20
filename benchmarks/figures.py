"""What is measured: figures by rounds, so that two of one run are compared round by round."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

UNSTEADY: Final = 0.25


@dataclass(frozen=True)
class Figure:
    """One figure of one subject, once for each round."""

    table: str
    column: str
    subject: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return quartiles(self.rounds)[1]

    def ratios(self, other: Figure) -> tuple[float, ...]:
        """The ratio of each round: what disturbs a round disturbs both."""
        pairs = zip(self.rounds, other.rounds, strict=False)
        return tuple(mine / theirs for mine, theirs in pairs if theirs)


@dataclass
class Run:
    """Everything that one run has found, and what it could not measure."""

    figures: list[Figure] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def add(self, table: str, column: str, subject: str, rounds: Iterable[float]) -> None:
        """Add a figure."""
        self.figures.append(Figure(table, column, subject, tuple(rounds)))

    def find(self, table: str, column: str, subject: str) -> Figure | None:
        """A figure, where it was measured."""
        which = (table, column, subject)
        return next((each for each in self.figures if (each.table, each.column, each.subject) == which), None)

    def tables(self) -> list[str]:
        """The tables, in their order."""
        return list(dict.fromkeys(figure.table for figure in self.figures))

    def write(self, path: Path) -> None:
        """Keep it, to be compared with a later one."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def read_run(path: Path) -> Run:
    """A run that was kept."""
    kept = json.loads(path.read_text())
    figures = [Figure(**{**each, "rounds": tuple(each["rounds"])}) for each in kept["figures"]]
    return Run(figures, kept["skipped"], kept["about"])


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """What half of the values lie between, with the middle one."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def unsteady(values: Sequence[float]) -> bool:
    """Whether the values lie so far apart that their middle says little."""
    low, middle, high = quartiles(values)
    return high - low > UNSTEADY * abs(middle)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that so great a share of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def number(value: float) -> str:
    """A number with three digits that count."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
