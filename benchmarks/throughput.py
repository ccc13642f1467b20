"""Calls side by side: how many a second, what each costs, and whether one holds another back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Final

from benchmarks import goals
from benchmarks.answers import BALANCE, CUSTOMERS, check
from benchmarks.bench import MILLI, Bench, Found
from benchmarks.calls import direct
from benchmarks.figures import percentile
from benchmarks.processes import worked
from benchmarks.subjects import Running

# how many at a time, and for how many seconds against an API that takes its time: where a goal is, the
# beginning, when all are sent at once, must not count for much
LEVELS: Final = {1: 0.3, 8: 0.5, 32: 1.5, 128: 0.7}
SECONDS: Final = 0.25
SLOW: Final = {"limit": 100}
# a wave that would take longer is not made
MOST: Final = 5.0
_SHOWN: Final = 32


def throughput(bench: Bench) -> None:
    """Against an API that answers at once, then against one that takes its time."""
    for wire in ("stdio", "HTTP"):
        with bench.started(bench.subjects(wire)) as servers, direct(bench) as api:
            everyone = [*servers, *api] if servers else []
            for said, wait in ((goals.AT_ONCE, 0), (goals.LATE, 100)):
                asking = [each for each in everyone if each.asks or not wait]
                with bench.site.stub.delayed(wait) if wait else nullcontext():
                    _floods(bench, asking, wire, said, wait / MILLI)
            _held(bench, goals.HELD.format(wire), [each for each in servers if each.asks])


def _floods(bench: Bench, servers: Sequence[Running], wire: str, said: str, wait: float) -> None:
    rates, costs = goals.RATES.format(wire, said), goals.WORK.format(wire, said)
    rounds = 2 if bench.quick else max(2, bench.rounds // (8 if wait else 5))
    beside: Found = {}
    for at_once in (1, 32) if bench.quick else LEVELS:
        column = goals.IN_FLIGHT.format(at_once)
        seconds = (LEVELS[at_once] if wait else SECONDS) / (4 if bench.quick else 1)
        asked = []
        for each in [one for one in servers if one not in bench.lost]:
            rate = _last(bench, rates, each.name)
            # one that takes the calls one by one would need very long for all
            if at_once / rate > MOST:
                bench.run.skipped[f"{each.name}: {rates}, {column}"] = f"it makes {rate:.0f} calls/s"
            else:
                asked.append(each)
        once = partial(_flood, bench, rates, at_once, seconds)
        found = bench.interleave(f"{rates}, {column}", asked, once, rounds)
        if at_once == _SHOWN and not wait:
            beside = found
        for name, values in found.items():
            bench.run.add(rates, column, name, [each["rate"] for each in values])
            bench.run.add(costs, column, name, [each["server"] for each in values])
    for whose in ("client", "API"):
        column = f"the {whose}'s, {goals.IN_FLIGHT.format(_SHOWN)}"
        for name, values in beside.items():
            bench.run.add(goals.BESIDE.format(wire, said), column, name, [each[whose] for each in values])


def _flood(bench: Bench, rates: str, at_once: int, seconds: float, running: Running) -> Mapping[str, float]:
    server, tool = running.server, running.tools[BALANCE]
    warm = server.flood(tool, {}, at_once, at_once)
    # as many as take so long, in whole waves
    rate = max(_last(bench, rates, running.name), at_once / warm.seconds)
    count = at_once * max(1, round(rate * seconds / at_once))
    pids = (server.pid, 0, bench.site.stub.pid)
    with bench.counted(running, count):
        had = [worked(pid) for pid in pids]
        flood = server.flood(tool, {}, at_once, count)
        cost = [(worked(pid) - past) / count * MILLI for pid, past in zip(pids, had, strict=True)]
    for answer in flood.answers:
        check(BALANCE, server.text(answer))
    return {"rate": count / flood.seconds, "server": cost[0], "client": cost[1], "API": cost[2]}


def _last(bench: Bench, table: str, name: str) -> float:
    known = [each.median for each in bench.run.figures if (each.table, each.subject) == (table, name)]
    return known[-1] if known else 1.0


def _held(bench: Bench, table: str, servers: Sequence[Running]) -> None:
    rounds = 1 if bench.quick else 2
    bench.put(table, bench.interleave(table, servers, partial(_beside, bench), rounds))


def _beside(bench: Bench, running: Running) -> Mapping[str, float]:
    quick, slow = running.tools[BALANCE], running.tools[CUSTOMERS]
    alone = percentile([bench.ask(running, BALANCE, {}) for _ in range(10)], 0.5)
    with bench.counted(running, 2):
        more = running.server.held_back(quick, slow, SLOW) * MILLI - alone
    return {goals.MORE: more}
