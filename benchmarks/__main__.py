"""Measures mcpgate beside its peers, all pointed at one stub API on loopback.

Interleaved: every subject in turn, in a fresh order each round, so that what disturbs the machine disturbs
all. Ratios are the medians of the ratios of each round. A peer is installed once, into benchmarks/.peers.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks import goals, machine, processes, report, site
from benchmarks.bench import Bench
from benchmarks.by_part import by_part
from benchmarks.calls import calls, scaling
from benchmarks.cold import cold_start
from benchmarks.figures import Run, read_run
from benchmarks.plot import plot
from benchmarks.subjects import SUBJECTS
from benchmarks.throughput import throughput
from benchmarks.tokens import tokens

SECTIONS: Final[Mapping[str, Callable[[Bench], None]]] = {
    "cold": cold_start,
    "calls": calls,
    "throughput": throughput,
    "scaling": scaling,
    "tokens": tokens,
    "parts": by_part,
}
PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"
KEPT: Final = Path(__file__).parent / ".peers"


def main() -> int:
    """Measure, show, keep, and write where it is asked for."""
    parser = _parser()
    given = parser.parse_args()
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    for kept in (given.kept, given.compare):
        if kept and not kept.is_file():
            parser.error(f"there is no run at {kept}")
    everyone = {subject.name.lower() for subject in SUBJECTS}
    for word in given.only:
        if not any(word.lower() in name for name in everyone):
            parser.error(f"nobody has {word!r} in the name: {', '.join(sorted(everyone))}")
    if given.kept:
        run = read_run(given.kept)
    else:
        run = measured(given)
        path = given.json or KEPT / ("quick.json" if given.quick else "last.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        run.write(path)
    print(report.markdown(run))
    if given.compare:
        print(report.comparison(read_run(given.compare), run), end="\n\n")
    print(report.goal_table(run))
    if not run.about.get("whole"):
        print("\nA look, not a measurement: these figures are not for publishing.")
    if given.svg:
        given.svg.write_text(plot(run))
    if given.write:
        if not run.about.get("whole"):
            parser.error("only a run of all sections and all subjects, without --quick, goes into the page")
        report.write(run, given.page)
    ours = [title for title in run.skipped if title.startswith(goals.GATE)]
    return 1 if ours else 0


def measured(given: argparse.Namespace) -> Run:
    """A run of what was asked for; whoever ends it ends the servers too."""
    rounds = given.rounds or (3 if given.quick else 25)
    whole = not (given.quick or given.sections or given.only or given.rounds)
    run = Run(about={**machine.described(), "rounds": rounds, "whole": whole, "load before": machine.load()})
    machine.more_files()
    processes.INTERRUPTS.install()
    gc.freeze()
    try:
        with site.opened() as place:
            bench = Bench(
                place, run, rounds, 15 if given.quick else 40, random.Random(), given.only, given.quick
            )
            for name in given.sections or SECTIONS:
                began = time.monotonic()
                SECTIONS[name](bench)
                print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    finally:
        processes.end_all()
    run.about["load after"] = machine.load()
    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds, for a look")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="subjects with it in their name"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the run is kept")
    parser.add_argument("--from", dest="kept", type=Path, metavar="FILE", help="measure nothing: a kept run")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="a run that was kept, set beside")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="where to put the plot")
    parser.add_argument("--write", action="store_true", help="put the tables and the plot into a page")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"which: {PAGE.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
