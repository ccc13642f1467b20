"""From a start to the list of tools, the first call after two idle seconds, and the very first start."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import goals
from benchmarks.answers import BALANCE
from benchmarks.bench import MILLI, Bench
from benchmarks.figures import percentile
from benchmarks.processes import FailedError, peak
from benchmarks.subjects import Running, Subject

_IDLE: Final = 2.0


def cold_start(bench: Bench) -> None:
    """Spawn, `initialize`, `tools/list`; then two idle seconds and the first call."""
    ready = []
    for subject in bench.subjects("stdio"):
        # the first start of each writes `.pyc` files, and saves what it saves
        with bench.noted(f"{subject.name}, started"):
            if subject.name not in (goals.VAULTED, goals.SDK_ALONE):
                subject.spawn(bench.site).server.close()
                ready.append(subject)
    # a start takes long, and varies little
    rounds = max(2, bench.rounds * 3 // 5)
    bench.put(goals.COLD, bench.interleave(goals.COLD, ready, partial(_spawned, bench), rounds))
    _first_call(bench, ready)
    # what is saved from one start for the next is not there, and nothing has been loaded in idle time
    found = bench.interleave(goals.FIRST_EVER, ready, partial(_first_ever, bench), max(2, rounds // 3))
    bench.put(goals.FIRST_EVER, found)


def _first_ever(bench: Bench, subject: Subject) -> Mapping[str, float]:
    with TemporaryDirectory() as folder:
        home = subject.environment(bench.site).get("MCPGATE_HOME")
        env = {**subject.environment(bench.site), **({"MCPGATE_HOME": folder} if home else {})}
        began = time.perf_counter()
        running = replace(subject, environment=lambda _: env).start(bench.site)[0]
        took = (time.perf_counter() - began) * MILLI
        first = bench.ask(running, BALANCE, {})
        running.server.close()
    return {"to the list, ms": took, "its first call, ms": first}


def _spawned(bench: Bench, subject: Subject) -> Mapping[str, float]:
    began = time.perf_counter()
    running = subject.spawn(bench.site)
    took = (time.perf_counter() - began) * MILLI
    memory = peak(running.server.pid)
    running.server.close()
    return {"ms": took, "peak, MiB": memory}


def _first_call(bench: Bench, subjects: Sequence[Subject]) -> None:
    """All are started, one after the other, and idle together."""
    started: dict[str, Running] = {}

    def start() -> None:
        for subject in subjects:
            with bench.noted(f"{subject.name}, started to idle"):
                started[subject.name] = subject.start(bench.site)[0]
        time.sleep(_IDLE)

    def call(subject: Subject) -> Mapping[str, float]:
        if subject.name not in started:
            raise FailedError("it was not started")
        running = started.pop(subject.name)
        try:
            memory = peak(running.server.pid)
            first = bench.ask(running, BALANCE, {})
            later = percentile([bench.ask(running, BALANCE, {}) for _ in range(10)], 0.5)
        finally:
            running.server.close()
        return {"ms": first, goals.MORE: first - later, "peak, MiB": memory}

    rounds = 1 if bench.quick else max(2, bench.rounds // 6)
    try:
        bench.put(goals.AFTER_IDLE, bench.interleave(goals.AFTER_IDLE, subjects, call, rounds, start))
    finally:
        for running in started.values():
            running.server.close()
