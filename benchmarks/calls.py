"""One call after the other: over both wires, and as tools and rules grow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks import goals
from benchmarks.answers import CUSTOMERS, check
from benchmarks.bench import CALLS, MILLI, Bench
from benchmarks.direct import Raw, Warm
from benchmarks.figures import percentile
from benchmarks.processes import worked
from benchmarks.subjects import Running, Subject, grown

_SECONDS: Final = 0.4
_LEAST: Final = 5


def calls(bench: Bench) -> None:
    """One call after the other, over both wires, and the same request without any server."""
    for wire, table in (("stdio", goals.STDIO), ("HTTP", goals.HTTP)):
        with bench.started(bench.subjects(wire)) as servers, direct(bench) as api:
            for tool in CALLS if servers else ():
                _one_by_one(bench, table.format(tool), [*servers, *api], tool)
                _over(bench, table.format(tool))


def scaling(bench: Bench) -> None:
    """The cost of a call as the tools grow, and as the rules do that it has to pass."""
    by_tools = [_with_tools(count) for count in ((15, 1000) if bench.quick else (15, 100, 1000))]
    by_rules = [_with_rules(count) for count in ((0, 50) if bench.quick else (0, 10, 50, 200))]
    for table, variants in ((goals.TOOLS, by_tools), (goals.RULES, by_rules)):
        with bench.started(variants) as servers:
            _one_by_one(bench, table, servers, CUSTOMERS)


@contextmanager
def direct(bench: Bench) -> Iterator[list[Running]]:
    """The API itself, by sockets and by a client."""
    port = bench.site.api
    found = [
        Running(goals.RAW, Raw(("127.0.0.1", port))),
        Running(goals.WARM, Warm(port)),
    ]
    try:
        yield found
    finally:
        for each in found:
            each.server.close()


def _one_by_one(bench: Bench, table: str, servers: Sequence[Running], tool: str) -> None:
    """Time and processor of one call after the other; p99 is that of all rounds together."""
    every: dict[str, list[float]] = {each.name: [] for each in servers}
    found = bench.interleave(table, servers, lambda each: _calls(bench, each, tool, every[each.name]))
    bench.put(table, found)
    for name in found:
        bench.run.add(table, "p99, ms", name, [percentile(every[name], 0.99)])


def _calls(bench: Bench, running: Running, tool: str, every: list[float]) -> Mapping[str, float]:
    server, name, arguments = running.server, running.tools[tool], CALLS[tool]
    warm = [bench.ask(running, tool, arguments) for _ in range(3)]
    # one that is slow is asked less often
    count = max(_LEAST, min(bench.calls, int(_SECONDS * MILLI / warm[-1])))
    took, answers = [], []
    with bench.counted(running, count):
        before = worked(server.pid)
        for _ in range(count):
            began = time.perf_counter()
            answers.append(server.call(name, arguments))
            took.append((time.perf_counter() - began) * MILLI)
        cpu = (worked(server.pid) - before) / count * MILLI
    for answer in answers:
        check(tool, server.text(answer))
    every += took
    return {goals.CALL: percentile(took, 0.5), goals.CPU: cpu}


def _over(bench: Bench, table: str) -> None:
    """What each takes beyond the same request without a server, round by round."""
    figures = [each for each in bench.run.figures if (each.table, each.column) == (table, goals.CALL)]
    for column, without in zip(goals.OVER, (goals.RAW, goals.WARM), strict=True):
        bare = bench.run.find(table, goals.CALL, without)
        for figure in figures if bare else ():
            if bare and figure.subject not in (goals.RAW, goals.WARM):
                more = [mine - least for mine, least in zip(figure.rounds, bare.rounds, strict=True)]
                bench.run.add(table, column, figure.subject, more)


def _with_tools(count: int) -> Subject:
    return grown(f"{count:,} tools", lambda site: site.grown(count), lambda site: site.rules(10))


def _with_rules(count: int) -> Subject:
    return grown(f"{count} rules", lambda site: site.connector, lambda site: site.reaching(count))
