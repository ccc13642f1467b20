"""Measures mcpgate beside its peers, all pointed at one stub API on loopback.

Interleaved: every subject in turn, in a fresh order each round, so that what disturbs the machine disturbs
all. Ratios are the medians of the ratios of each round. A peer is installed once, into benchmarks/.peers.
"""

from __future__ import annotations

import argparse
import platform
import random
import signal
import sys
import time
from pathlib import Path

from benchmarks import report, site
from benchmarks.figures import Run, read_run
from benchmarks.measuring import SECTIONS, Bench

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"
KEPT = Path(__file__).parent / ".peers" / "last.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds, for a look")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="subjects with it in their name"
    )
    parser.add_argument("--json", type=Path, default=KEPT, metavar="FILE", help="where the run is kept")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="a run that was kept")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="where to put the plot")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args()
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}")
    rounds = given.rounds or (3 if given.quick else 25)
    run = Run(about={"python": platform.python_version(), "system": platform.system(), "rounds": rounds})
    # whoever ends this ends the servers too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with site.opened() as place:
        bench = Bench(place, run, rounds, 15 if given.quick else 40, random.Random(), given.only, given.quick)
        for name in given.sections or SECTIONS:
            began = time.monotonic()
            SECTIONS[name](bench)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(report.markdown(run))
    if given.compare:
        print(report.comparison(read_run(given.compare), run), end="\n\n")
    print(report.goal_table(run))
    given.json.parent.mkdir(parents=True, exist_ok=True)
    run.write(given.json)
    if given.svg:
        given.svg.write_text(report.plot(run))
    if given.write:
        report.write(run, PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
