"""A run under way: who takes part, and how a round is made of all of them."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from benchmarks.answers import BALANCE, CUSTOMERS, check
from benchmarks.figures import Run
from benchmarks.processes import FAILURES, FailedError
from benchmarks.site import Site
from benchmarks.subjects import SUBJECTS, Running, Subject

LIMIT: Final = {"limit": 10}
CALLS: Final[Mapping[str, Mapping[str, Any]]] = {BALANCE: {}, CUSTOMERS: LIMIT}
MILLI: Final = 1000.0
Who = TypeVar("Who", Running, Subject)
# by subject, what each round has given
Found: TypeAlias = dict[str, list[Mapping[str, float]]]


@dataclass(frozen=True)
class Bench:
    """How many rounds, how many calls in each, and who takes part."""

    site: Site
    run: Run
    rounds: int
    calls: int
    chance: random.Random
    only: Sequence[str] = ()
    quick: bool = False
    everyone: Sequence[Subject] = SUBJECTS
    lost: list[object] = field(default_factory=list)

    def subjects(self, wire: str) -> list[Subject]:
        """Who can be measured over a wire; who cannot is noted with the reason."""
        chosen = []
        for subject in self.everyone:
            named = not self.only or any(word.lower() in subject.name.lower() for word in self.only)
            if subject.wire == wire and named and subject.name not in self.run.skipped:
                slow = subject.slow and self.quick and not self.only
                reason = "left out of a quick look" if slow else subject.install()
                if reason:
                    self.run.skipped[subject.name] = reason
                else:
                    chosen.append(subject)
        return chosen

    @contextmanager
    def started(self, subjects: Iterable[Subject]) -> Iterator[list[Running]]:
        """Their servers, warm; one that does not start, or cannot make both calls, is noted."""
        with ExitStack() as stack:
            running = []
            for subject in subjects:
                title = f"{subject.name}, {subject.wire}"
                with self.noted(title):
                    each, _ = subject.start(self.site)
                    stack.callback(each.server.close)
                    for tool, arguments in CALLS.items():
                        for _ in range(3):
                            self.ask(each, tool, arguments)
                    if subject in self.everyone:
                        self.run.about.setdefault("versions", {})[each.name] = each.version
                    running.append(each)
            yield running

    @contextmanager
    def noted(self, title: str) -> Iterator[None]:
        """What fails in the block is noted, and the run goes on."""
        try:
            yield
        except FAILURES as error:
            self.note(title, error)

    def note(self, title: str, error: BaseException) -> None:
        """Put what was not measured into the report."""
        self.run.skipped[title] = (str(error) or type(error).__name__)[:300]

    def ask(self, running: Running, tool: str, arguments: Mapping[str, Any]) -> float:
        """One call whose answer is looked at: the milliseconds it took."""
        began = time.perf_counter()
        answer = running.server.call(running.tools[tool], arguments)
        took = (time.perf_counter() - began) * MILLI
        check(tool, running.server.text(answer))
        return took

    @contextmanager
    def counted(self, running: Running, count: int) -> Iterator[None]:
        """Raises `FailedError` where the API was asked another number of times in the block."""
        before = self.site.stub.asked()
        yield
        asked = self.site.stub.asked() - before
        if asked != (count if running.asks else 0):
            raise FailedError(f"the API was asked {asked} times for {count} calls")

    def interleave(
        self,
        title: str,
        everyone: Iterable[Who],
        measure: Callable[[Who], Mapping[str, float]],
        rounds: int = 0,
        before: Callable[[], None] | None = None,
    ) -> Found:
        """Measure all in turn, in a fresh order each round, which begins with `before`: what was found.

        Who fails is noted, left out, and not asked again: what it says later may belong to what failed.
        """
        known = {each.name: each for each in everyone if each not in self.lost}
        found: Found = {name: [] for name in known}
        for number in range(rounds or self.rounds):
            print(f"\r  round {number + 1}   ", end="", file=sys.stderr, flush=True)
            if before is not None:
                before()
            for name in self.chance.sample([*found], len(found)):
                try:
                    found[name].append(measure(known[name]))
                except FAILURES as error:
                    self.note(f"{name}: {title}, round {number + 1}", error)
                    self.lost.append(known[name])
                    del found[name]
        print("\r              \r", end="", file=sys.stderr, flush=True)
        return found

    def put(self, table: str, found: Found) -> None:
        """What was found, as a table."""
        for name, values in found.items():
            for column in values[0]:
                self.run.add(table, column, name, [each[column] for each in values])
