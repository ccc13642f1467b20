"""What `tests/test_under_fire.py` proves, many times over, with figures.

`python benchmarks/under_fire.py [ROUNDS] [KILLS]`: ROUNDS of four processes that spend one budget and are
killed with -9, then KILLS of one process in the middle of a thousand calls. It stops at the first fault.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.test_under_fire import kill_at_work, spend_under_fire

CALLS_OF_A_LANE = 20


def repeat(times: int, once: Callable[[Path, int], Counter[str]]) -> tuple[Counter[str], float]:
    """The sum of the figures of so many rounds, and the seconds they took."""
    figures: Counter[str] = Counter()
    began = time.perf_counter()
    for number in range(times):
        with tempfile.TemporaryDirectory() as folder:
            figures += once(Path(folder), number)
        print(f"{number + 1}/{times}", file=sys.stderr, flush=True)
    return figures, time.perf_counter() - began


def main() -> None:
    """Both proofs as a table."""
    rounds, kills = [*map(int, sys.argv[1:]), 10, 10][:2]
    spent, spending = repeat(rounds, spend_under_fire)
    killed, killing = repeat(kills, lambda folder, number: kill_at_work(folder, number, CALLS_OF_A_LANE))
    print(f"| | {rounds} rounds of a budget | {kills} × 1,000 calls |")
    print("| --- | ---: | ---: |")
    for name in sorted(spent | killed):
        print(f"| {name} | {spent[name]} | {killed[name]} |")
    print(f"| seconds | {spending:.0f} | {killing:.0f} |")


if __name__ == "__main__":
    main()
