"""Where the time of one call goes, over both wires."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import goals
from benchmarks.bench import CALLS, MILLI, Bench
from benchmarks.figures import percentile
from benchmarks.processes import FailedError, worked
from benchmarks.site import ROOT, Site
from benchmarks.subjects import SUBJECTS, Running, Subject

OURS: Final = "all that is mcpgate's own"
WHOLE: Final = "all that its process does"
SEEN: Final = "the call as its client sees it"
SHARE: Final = "% of it"
_WRITES: Final = 10.0


def by_part(bench: Bench) -> None:
    """The shares are of a server that is looked at, the whole is of one that is not."""
    if not hasattr(signal, "setitimer"):
        bench.run.skipped["the parts of a call"] = "this system has no interval timer"
        return
    for subject in SUBJECTS:
        if subject.name in (goals.GATE, goals.SERVED):
            for tool in CALLS:
                with bench.noted(f"{subject.name}: the parts of {tool}"):
                    _measure(bench, subject, tool)


def _measure(bench: Bench, subject: Subject, tool: str) -> None:
    table, count = goals.PARTS.format(subject.wire, tool), 300 if bench.quick else 1000
    found: list[dict[str, float]] = []
    for _ in range(1 if bench.quick else max(2, bench.rounds // 5)):
        plain, _ = subject.start(bench.site)
        try:
            cpu, seen = _costs(bench, plain, tool, count)
        finally:
            plain.server.close()
        looked = _looked_at(bench, subject, tool, count)
        looks = sum(looked.values())
        spent = {name: number / looks * cpu for name, number in looked.items()}
        ours = sum(took for name, took in spent.items() if name.startswith("mcpgate: "))
        found.append({**spent, OURS: ours, WHOLE: cpu, SEEN: seen})
    whole = [each[WHOLE] for each in found]
    parts = {name for each in found for name in each} - {OURS, WHOLE, SEEN}
    costliest = sorted(parts, key=lambda name: (-sum(each.get(name, 0.0) for each in found), name))
    for name in (*costliest, OURS, WHOLE, SEEN):
        took = [each.get(name, 0.0) for each in found]
        bench.run.add(table, "ms", name, took)
        if name != SEEN:
            shares = [100 * mine / all_of for mine, all_of in zip(took, whole, strict=True)]
            bench.run.add(table, SHARE, name, shares)


def _costs(bench: Bench, running: Running, tool: str, count: int) -> tuple[float, float]:
    """The processor's and the client's time of one call."""
    _warm(bench, running, tool)
    before = worked(running.server.pid)
    seen = percentile([bench.ask(running, tool, CALLS[tool]) for _ in range(count)], 0.5)
    return (worked(running.server.pid) - before) / count * MILLI, seen


def _looked_at(bench: Bench, subject: Subject, tool: str, count: int) -> dict[str, int]:
    written = bench.site.folder / "parts.json"
    written.unlink(missing_ok=True)
    running = _start(bench, subject, written)
    try:
        _warm(bench, running, tool)
        os.kill(running.server.pid, signal.SIGUSR1)
        for _ in range(count):
            bench.ask(running, tool, CALLS[tool])
        os.kill(running.server.pid, signal.SIGUSR2)
        until = time.monotonic() + _WRITES
        while not written.exists():
            if time.monotonic() > until:
                raise FailedError("it did not write down what it found")
            time.sleep(0.01)
    finally:
        running.server.close()
    kept: dict[str, Any] = json.loads(written.read_text())
    if not kept:
        raise FailedError("it found nothing that runs")
    return kept


def _start(bench: Bench, subject: Subject, written: Path) -> Running:
    def command(site: Site, port: int) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.parts", str(written), *subject.command(site, port)[1:]]

    def environment(site: Site) -> dict[str, str]:
        return {**subject.environment(site), "PYTHONPATH": str(ROOT)}

    watched = dataclasses.replace(subject, command=command, environment=environment)
    return watched.start(bench.site)[0]


def _warm(bench: Bench, running: Running, tool: str) -> None:
    for _ in range(30):
        bench.ask(running, tool, CALLS[tool])
