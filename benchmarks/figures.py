"""What is measured: figures by rounds, so that two of one run are compared round by round."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
        return statistics.median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """What half of the rounds lie between."""
        if len(self.rounds) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def over(self, other: Figure) -> float:
        """The median of the ratios of each round: what disturbs a round disturbs both."""
        pairs = zip(self.rounds, other.rounds, strict=False)
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        return statistics.median(ratios) if ratios else float("nan")


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


def percentile(values: Iterable[float], share: float) -> float:
    """The value that so great a share of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
