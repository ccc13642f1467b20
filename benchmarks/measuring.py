"""The sections: what is measured of the subjects, each in its turn, in a fresh order each round."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import goals, stub
from benchmarks.figures import Run, percentile
from benchmarks.servers import Answering, Raw, Server, Stdio, Warm, peak, worked
from benchmarks.site import ROOT, Site
from benchmarks.subjects import SUBJECTS, VAULTED, Found, Running, Subject, grown

LIMIT: Final = {"limit": 10}
CALLS: Final[Mapping[str, Mapping[str, Any]]] = {goals.BALANCE: {}, goals.CUSTOMERS: LIMIT}
SLOW: Final = {"limit": 100}
RAW: Final = "raw kept socket, no server"
WARM: Final = "warm HTTP client, no server"
MILLI: Final = 1000.0
_NONE: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True)
class Bench:
    """A run under way: how many rounds, and how many calls in each."""

    site: Site
    run: Run
    rounds: int
    calls: int
    chance: random.Random
    only: Sequence[str] = ()
    quick: bool = False

    def subjects(self, wire: str) -> list[Subject]:
        """Who can be measured over a wire; who cannot is noted with the reason."""
        chosen = []
        for subject in SUBJECTS:
            named = not self.only or any(word in subject.name.lower() for word in self.only)
            if subject.wire == wire and named and subject.name not in self.run.skipped:
                reason = subject.install()
                if reason:
                    self.run.skipped[subject.name] = reason
                else:
                    chosen.append(subject)
        return chosen

    @contextmanager
    def started(self, subjects: Iterable[Subject]) -> Iterator[list[Running[Server]]]:
        """Their servers; one that does not start, or cannot make both calls, is skipped with the reason."""
        with ExitStack() as stack:
            running = []
            for subject in subjects:
                try:
                    server, _ = subject.start(self.site)
                    stack.callback(server.server.close)
                    for tool, arguments in CALLS.items():
                        for _ in range(3):
                            server.server.call(server.tools[tool], arguments)
                except (RuntimeError, OSError, ValueError, KeyError) as error:
                    self.run.skipped[f"{subject.name}, {subject.wire}"] = str(error)[:300]
                    continue
                running.append(server)
            yield running

    def each_round(self, servers: Sequence[Running[Found]], rounds: int = 0) -> Iterator[Running[Found]]:
        """Every server in turn, so many rounds, after a round that warms up."""
        for number in range(rounds or self.rounds):
            print(f"\r  round {number + 1}   ", end="", file=sys.stderr, flush=True)
            yield from self.chance.sample(servers, len(servers))
        print("\r              \r", end="", file=sys.stderr, flush=True)

    def call_rounds(self, table: str, servers: Sequence[Running[Answering]], tool: str) -> None:
        """Time and processor of one call after the other."""
        middle: dict[str, list[float]] = {each.name: [] for each in servers}
        cpu: dict[str, list[float]] = {each.name: [] for each in servers}
        every: dict[str, list[float]] = {each.name: [] for each in servers}
        for running in self.each_round(servers):
            server, name, arguments = running.server, running.tools[tool], CALLS[tool]
            for _ in range(3):
                server.call(name, arguments)
            before, took = worked(server.pid), []
            for _ in range(self.calls):
                began = time.perf_counter()
                server.call(name, arguments)
                took.append((time.perf_counter() - began) * MILLI)
            cpu[running.name].append((worked(server.pid) - before) / self.calls * MILLI)
            middle[running.name].append(percentile(took, 0.5))
            every[running.name] += took
        for each in servers:
            self.run.add(table, goals.CALL, each.name, middle[each.name])
            self.run.add(table, "p99, ms", each.name, [percentile(every[each.name], 0.99)])
            self.run.add(table, goals.CPU, each.name, cpu[each.name])


def cold_start(bench: Bench) -> None:
    """Spawn, `initialize`, `tools/list`; then two idle seconds and the first call."""
    subjects = bench.subjects("stdio")
    # the first start of each writes `.pyc` files, and saves what it saves
    ready = []
    for subject in subjects:
        if subject.name == VAULTED:
            continue
        server, _ = subject.spawn(bench.site)
        server.close()
        ready.append(subject)
    took: dict[str, list[float]] = {each.name: [] for each in ready}
    memory: dict[str, list[float]] = {each.name: [] for each in ready}
    for number in range(bench.rounds):
        print(f"\r  round {number + 1}   ", end="", file=sys.stderr, flush=True)
        for subject in bench.chance.sample(ready, len(ready)):
            began = time.perf_counter()
            server, _ = subject.spawn(bench.site)
            took[subject.name].append((time.perf_counter() - began) * MILLI)
            memory[subject.name].append(peak(server.pid))
            server.close()
    for subject in ready:
        bench.run.add(goals.COLD, "ms", subject.name, took[subject.name])
        bench.run.add(goals.COLD, "peak, MiB", subject.name, memory[subject.name])
    _first_call(bench, ready)


def _first_call(bench: Bench, subjects: Sequence[Subject]) -> None:
    """All are started, one after the other, and idle together for two seconds more."""
    figures: dict[str, tuple[list[float], list[float], list[float]]] = {
        each.name: ([], [], []) for each in subjects
    }
    for _ in range(1 if bench.quick else max(2, bench.rounds // 4)):
        started = [each.start(bench.site)[0] for each in bench.chance.sample(subjects, len(subjects))]
        time.sleep(2)
        for running in started:
            server, tool = running.server, running.tools[goals.BALANCE]
            first, more, memory = figures[running.name]
            memory.append(peak(server.pid))
            taken = _timed(server, tool)
            later = percentile([_timed(server, tool) for _ in range(10)], 0.5)
            first.append(taken)
            more.append(taken - later)
            server.close()
    for subject in subjects:
        for column, values in zip(("ms", "ms more", "peak, MiB"), figures[subject.name], strict=True):
            bench.run.add(goals.AFTER_IDLE, column, subject.name, values)


def _timed(server: Server, tool: str, arguments: Mapping[str, Any] = _NONE) -> float:
    began = time.perf_counter()
    server.call(tool, arguments)
    return (time.perf_counter() - began) * MILLI


def calls(bench: Bench) -> None:
    """One call after the other, over both wires."""
    for wire, table in (("stdio", goals.STDIO), ("HTTP", goals.HTTP)):
        with bench.started(bench.subjects(wire)) as servers:
            api: list[Running[Answering]] = [
                Running(RAW, Raw(bench.site.api)),
                Running(WARM, Warm(bench.site.api)),
            ]
            for tool in CALLS:
                bench.call_rounds(table.format(tool), [*servers, *api], tool)
            for each in api:
                each.server.close()


def throughput(bench: Bench) -> None:
    """Calls side by side; then against an API that takes its time."""
    for wire in ("stdio", "HTTP"):
        subjects = [each for each in bench.subjects(wire) if each.name != VAULTED or not bench.quick]
        with bench.started(subjects) as servers:
            for at_once in (8, 32) if bench.quick else (1, 8, 32, 128):
                count = 2 * at_once if bench.quick else max(200, 4 * at_once)
                _flood(bench, goals.FLOOD.format(wire, at_once), servers, at_once, count)
            # so many that the beginning, when all are sent at once, does not count for much
            with stub.delayed(bench.site.api, 100):
                _flood(bench, goals.DELAYED.format(wire), servers, 32, 96 if bench.quick else 640)
            _held(bench, goals.HELD.format(wire), servers)


def _flood(bench: Bench, table: str, servers: Sequence[Running[Server]], at_once: int, count: int) -> None:
    rates: dict[str, list[float]] = {each.name: [] for each in servers}
    cpu: dict[str, list[float]] = {each.name: [] for each in servers}
    failed: set[str] = set()
    for running in bench.each_round(servers, 1 if bench.quick else max(2, bench.rounds // 2)):
        if running.name in failed:
            continue
        server, tool = running.server, running.tools[goals.BALANCE]
        # one that takes the calls one by one would need long for all
        serial = running.name == goals.TOOLBOX and "100 ms" in table and isinstance(server, Stdio)
        made = 20 if serial else count
        try:
            if not serial:
                server.flood(tool, {}, at_once, at_once)
            before = worked(server.pid)
            took = server.flood(tool, {}, at_once, made)
        except (RuntimeError, OSError) as error:
            failed.add(running.name)
            bench.run.skipped[f"{running.name}: {table}"] = str(error)[:300]
            continue
        rates[running.name].append(made / took)
        cpu[running.name].append((worked(server.pid) - before) / made * MILLI)
    for each in servers:
        if each.name not in failed:
            bench.run.add(table, goals.RATE, each.name, rates[each.name])
            bench.run.add(table, goals.CPU, each.name, cpu[each.name])


def _held(bench: Bench, table: str, servers: Sequence[Running[Server]]) -> None:
    more: dict[str, list[float]] = {each.name: [] for each in servers}
    for running in bench.each_round(servers, max(1, bench.rounds // 5)):
        server, quick, slow = running.server, running.tools[goals.BALANCE], running.tools[goals.CUSTOMERS]
        alone = percentile([_timed(server, quick) for _ in range(10)], 0.5)
        more[running.name].append(server.held_back(quick, slow, SLOW) * MILLI - alone)
    for each in servers:
        bench.run.add(table, "ms more", each.name, more[each.name])


def scaling(bench: Bench) -> None:
    """The cost of a call as the tools grow, and as the rules do that it has to pass."""
    by_tools = [_with_tools(count) for count in ((15, 1000) if bench.quick else (15, 100, 1000))]
    by_rules = [_with_rules(count) for count in ((0, 50) if bench.quick else (0, 10, 50, 200))]
    for table, variants in ((goals.TOOLS, by_tools), (goals.RULES, by_rules)):
        with bench.started(variants) as servers:
            bench.call_rounds(table, servers, goals.CUSTOMERS)


def _with_tools(count: int) -> Subject:
    return grown(f"{count:,} tools", lambda site: site.grown(count), lambda site: site.rules(10))


def _with_rules(count: int) -> Subject:
    return grown(f"{count} rules", lambda site: site.connector, lambda site: site.reaching(count))


def tokens(bench: Bench) -> None:
    """What a model reads: the tools, and the results."""
    for wire in ("stdio", "HTTP"):
        for subject in bench.subjects(wire):
            if subject.name in (VAULTED, goals.SERVED, goals.BARE, goals.SDK) or _listed(bench, subject):
                continue
            try:
                running, _ = subject.start(bench.site)
            except RuntimeError as error:
                bench.run.skipped[f"{subject.name}, {wire}"] = str(error)[:300]
                continue
            for tool, arguments in CALLS.items():
                answer = json.loads(running.server.call(running.tools[tool], arguments))["result"]
                _weigh(bench, _said(tool, arguments), subject.name, _read(answer))
            running.server.close()
            _weigh_tools(bench, subject)
    for tool, body in ((goals.BALANCE, stub.balance()), (goals.CUSTOMERS, stub.customers())):
        _weigh(bench, _said(tool, CALLS[tool]), goals.THE_API, stub.written(body).decode())


def _listed(bench: Bench, subject: Subject) -> bool:
    return bench.run.find(goals.LISTED, goals.BYTES, subject.name) is not None


def _weigh_tools(bench: Bench, subject: Subject) -> None:
    command = list(subject.command(bench.site, 0))
    if subject.name == goals.GATE:
        command = [command[0], "run", "stripe", "--preset", "full-access"]
    if subject.wire == "HTTP":
        return
    server = Stdio(command, subject.environment(bench.site), bench.site.folder)
    try:
        tools = server.open()["tools"]
    finally:
        server.close()
    size = len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")).encode())
    bench.run.add(goals.LISTED, "tools", subject.name, [len(tools)])
    bench.run.add(goals.LISTED, "bytes per tool", subject.name, [size / len(tools)])
    bench.run.add(goals.LISTED, goals.BYTES, subject.name, [size])
    bench.run.add(goals.LISTED, "tokens, about", subject.name, [size / 4])


def _weigh(bench: Bench, title: str, name: str, text: str) -> None:
    size = len(text.encode())
    bench.run.add(goals.RESULTS.format(title), goals.BYTES, name, [size])
    bench.run.add(goals.RESULTS.format(title), "tokens, about", name, [size / 4])


def _read(result: Mapping[str, Any]) -> str:
    """What a client passes on to its model: the texts, or what is structured where there are none."""
    texts = [block["text"] for block in result.get("content", ()) if block.get("type") == "text"]
    return "\n".join(texts) or json.dumps(result.get("structuredContent"))


def _said(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool}({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def by_part(bench: Bench) -> None:
    """Where the time of one call goes; stopwatches cost time, so the whole is measured without them too."""
    ours = next(each for each in SUBJECTS if each.name == goals.GATE)
    count = 100 if bench.quick else 400
    for tool, arguments in CALLS.items():
        table = goals.PARTS.format(tool)
        spent, whole, seen = bench.site.folder / "parts.json", [], []
        for _ in range(1 if bench.quick else max(2, bench.rounds // 5)):
            plain, _ = ours.start(bench.site)
            words = ours.command(bench.site, 0)[1:]
            timed = Stdio(
                [sys.executable, "-m", "benchmarks.parts", str(spent), *words],
                {**ours.environment(bench.site), "PYTHONPATH": str(ROOT)},
                bench.site.folder,
            )
            timed.open()
            for server in (plain.server, timed):
                for _ in range(30):
                    server.call(tool, arguments)
            os.kill(timed.pid, signal.SIGUSR1)
            timed.call(tool, arguments)
            whole.append(percentile([_timed(plain.server, tool, arguments) for _ in range(count)], 0.5))
            began = time.perf_counter()
            for _ in range(count):
                timed.call(tool, arguments)
            took = (time.perf_counter() - began) / count * MILLI
            plain.server.close()
            timed.close()
            parts = {
                name: all_of * MILLI / (count + 1)
                for name, all_of in json.loads(spent.read_text())["spent"].items()
            }
            seen.append({**parts, "the loop, the pipes and the client": took - sum(parts.values())})
        for part in sorted(seen[0], key=lambda name: -seen[0][name]):
            bench.run.add(table, "ms", part, [each.get(part, 0.0) for each in seen])
        bench.run.add(table, "ms", "all of it, with stopwatches", [sum(each.values()) for each in seen])
        bench.run.add(table, "ms", "all of it, without", whole)


SECTIONS: Final[Mapping[str, Callable[[Bench], None]]] = {
    "cold": cold_start,
    "calls": calls,
    "throughput": throughput,
    "scaling": scaling,
    "tokens": tokens,
    "parts": by_part,
}
