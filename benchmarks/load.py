"""`mcpgate serve` at full speed: a hundred clients, reads, and writes under a budget, in both eras.

`python benchmarks/load.py [SECONDS] [--clients N] [--app-keys N] [--only WORD] [--profile]`: each scenario is
a server of its own with a vault, a keyed log and an API on loopback. CPU is the server's, of one call; memory
is its resident set after a quarter, half and all of the time. With --profile the server runs under cProfile,
which slows it, and its dearest functions are shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pstats
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONNECTOR = """
connector: till
base_url: http://127.0.0.1:{port}
idempotency: Idempotency-Key
auth:
  type: bearer
  secret: {{ label: Key }}
tools:
  till_get_payout:
    description: Look at a payment.
    category: read
    request: GET /payouts/{{order}}
    params: {{ order: What it was for. }}
    required: [order]
    fields: [id, amount]
  till_pay:
    description: Pay money out.
    category: write
    effects: [money_out]
    request: POST /payouts
    params:
      amount: {{ type: integer, minimum: 1, description: In cents. }}
      currency: {{ enum: [usd], description: The currency. }}
      order: What it is for.
    required: [amount, currency, order]
    money: {{ amount: amount, currency: currency }}
    fields: [id, amount]
"""
PURSE = """
policy: purse
guardrails:
  - { for: effect:money_out, budget: { usd: 1000000000, per: day } }
"""
STUB = textwrap.dedent(
    """
    import asyncio, json
    BODY = json.dumps({"id": "po_1", "amount": 1}).encode()
    HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
    HEAD %= len(BODY)

    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
                if b"content-length: " in head:
                    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\\r\\n")[0]))
                writer.write(HEAD + BODY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())
    """
)
# by the time of the processor: what others do on the machine does not show
PROFILED = textwrap.dedent(
    """
    import cProfile, runpy, sys, time
    path = sys.argv.pop(1)
    profile = cProfile.Profile(time.process_time)
    try:
        profile.runcall(runpy.run_module, "mcpgate", run_name="__main__")
    finally:
        profile.dump_stats(path)
    """
)
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
}
SCENARIOS = (
    ("reads, 2025-11-25", "till_get_payout", False),
    ("reads, 2026-07-28", "till_get_payout", True),
    ("writes, 2025-11-25", "till_pay", False),
    ("writes, 2026-07-28", "till_pay", True),
)


@dataclass
class Figures:
    """What a scenario came to: seconds of each call, what went wrong, MiB by share of the time."""

    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    memory: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    worked: float = 0.0

    def row(self, name: str) -> str:
        """A row of the table."""
        took = sorted(self.latencies)
        middle, most = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
        memory = " | ".join(f"{each:.1f}" for each in self.memory.values())
        rate = len(took) / self.seconds
        each = f"{self.worked / len(took) * 1000:.1f}"
        return (
            f"| {name} | {rate:.0f} | {middle:.0f} | {most:.0f} | {each} | {self.errors.total()} | {memory} |"
        )


@dataclass(frozen=True)
class Server:
    """`mcpgate serve`: its process, its port, and the keys of its apps."""

    pid: int
    port: int
    keys: tuple[str, ...]

    def worked(self) -> float:
        """Seconds of the processor that it has taken; 0 where the system does not say."""
        try:
            said = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Its resident set in MiB."""
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, check=True)
        return int(said.stdout) / 1024


@contextmanager
def stub() -> Iterator[int]:
    """The API, in a process of its own; its port."""
    with subprocess.Popen([sys.executable, "-c", STUB], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def serving(folder: Path, api: int, apps: int, profile: Path | None) -> Iterator[Server]:
    """A server for so many apps, each under a budget of its own, in a folder that is all it has."""
    (folder / "till.yaml").write_text(CONNECTOR.format(port=api))
    (folder / "purse.yaml").write_text(PURSE)
    env = {**os.environ, "MCPGATE_HOME": str(folder / "home")}
    words = [sys.executable, "-m", "mcpgate"]

    def run(*more: str, given: str | None = None) -> str:
        done = subprocess.run(
            [*words, *more], cwd=folder, env=env, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"mcpgate {' '.join(more)}: {done.stderr}"
        return done.stdout

    run("init", "--key-file", str(folder / "master.key"))
    run("connect", "./till.yaml", "--no-probe", given="a-key-of-the-till\n")
    create = ["--connector", "./till.yaml", "--preset", "full-access", "--rules", "purse.yaml", "--json"]
    keys = [json.loads(run("apps", "create", f"load-{each}", *create))["key"] for each in range(apps)]
    if profile is not None:
        words = [sys.executable, "-c", PROFILED, str(profile)]
    with subprocess.Popen(
        [*words, "serve", "--port", "0"], cwd=folder, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        try:
            yield Server(process.pid, int(line.rpartition(":")[2].partition("/")[0]), tuple(keys))
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
    if rest:
        print(rest, file=sys.stderr)


async def measure(server: Server, clients: int, seconds: float, tool: str, modern: bool) -> Figures:
    """What so many clients see who call as fast as they are answered."""
    figures, made, worked = Figures(), 0, server.worked()
    began = time.perf_counter()
    until = began + seconds

    async def client(number: int) -> None:
        nonlocal made
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        key = server.keys[number % len(server.keys)]
        while time.perf_counter() < until:
            made += 1
            start = time.perf_counter()
            writer.write(message(server.port, key, tool, made, modern))
            try:
                wrong = fault(*await answer(reader))
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                wrong = type(error).__name__
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            figures.latencies.append(time.perf_counter() - start)
            if wrong:
                figures.errors[wrong] += 1
        writer.close()

    async def weigh() -> None:
        for share in (0.25, 0.5, 1):
            await asyncio.sleep(began + seconds * share - time.perf_counter())
            figures.memory[f"{share:.0%}"] = await asyncio.to_thread(server.memory)

    await asyncio.gather(weigh(), *(client(number) for number in range(clients)))
    figures.seconds = time.perf_counter() - began
    figures.worked = server.worked() - worked
    return figures


def message(port: int, key: str, tool: str, number: int, modern: bool) -> bytes:
    """A call as it goes over the wire."""
    arguments: dict[str, Any] = {"order": f"order-{number}"}
    if tool == "till_pay":
        arguments |= {"amount": 1, "currency": "usd"}
    params = {"name": tool, "arguments": arguments, **({"_meta": ENVELOPE} if modern else {})}
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Authorization": f"Bearer {key}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "MCP-Protocol-Version": "2026-07-28" if modern else "2025-11-25",
    }
    if modern:
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of what comes."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    if b"content-length: " in head:
        size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        return status, await reader.readexactly(size)
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).strip(), 16)
        body += (await reader.readexactly(size + 2))[:size]
        if not size:
            return status, bytes(body)


def fault(status: int, body: bytes) -> str:
    """What is wrong with an answer; nothing where the call succeeded."""
    if status == 200 and b'"isError":false' in body.replace(b" ", b""):
        return ""
    return f"{status} {body.decode(errors='replace')[:160]}"


def show_profile(path: Path, most: int = 40) -> None:
    """The dearest functions of the server."""
    stats = pstats.Stats(str(path))
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(most)


def main() -> None:
    """Every scenario in turn, as a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float, nargs="?", default=10)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--app-keys", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    given = parser.parse_args()
    rows, errors = [], Counter[str]()
    for name, tool, modern in SCENARIOS:
        if given.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder, stub() as api:
            profile = Path(folder) / "profile" if given.profile else None
            with serving(Path(folder), api, given.app_keys, profile) as server:
                figures = asyncio.run(measure(server, given.clients, given.seconds, tool, modern))
            if profile is not None:
                show_profile(profile)
        rows.append(figures.row(name))
        errors += figures.errors
        print(rows[-1], file=sys.stderr, flush=True)
    print(f"{given.clients} clients, {given.seconds:g} s each\n")
    print("| scenario | calls/s | p50, ms | p99, ms | CPU, ms | errors | MiB, 25 % | 50 % | 100 % |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(rows))
    for text, count in errors.most_common(10):
        print(f"\n{count} × {text}")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
