"""What the decision costs of a call: with 0, 5 and 50 rules, beside the whole call to a server on loopback.

`python benchmarks/decision.py [CALLS]`: the three in turn, CALLS times each. Ratios are of medians. A call is
taken twice: `Gateway.call`, without any wire, and `mcpgate run` over stdio, as a client sees it.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import mcpgate.gateway as gateway_module
from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.gateway import Gateway
from mcpgate.policy.binding import Bound
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.secrets import Scrubber
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Decision, Source

COUNTS = (0, 5, 50)
WARM_UP = 50
ROOT = Path(__file__).parent.parent
CHARGE = {
    "amount": 4200,
    "currency": "usd",
    "customer": "cus_QXg1o8vcGmoR32",
    "description": "Two gray t-shirts",
    "metadata": {"order": "6735"},
}
# five of the kinds that people write, each another template
RULES = """
max_value: { field: amount, max: 50000 }
allow_values: { field: currency, values: [usd, eur, gbp] }
max_amount: { usd: 40000, eur: 40000, gbp: 40000 }
block_values: { field: source, values: [tok_amex] }
required_fields: { fields: [metadata.order] }
"""
STUB = textwrap.dedent(
    """
    import asyncio, json
    BODY = json.dumps({"id": "ch_1", "amount": 4200, "currency": "usd", "status": "succeeded"}).encode()
    HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
    HEAD %= len(BODY)

    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
                size = int(head.split(b"content-length: ")[1].split(b"\\r\\n")[0])
                await reader.readexactly(size)
                writer.write(HEAD + BODY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())
    """
)


def policy_text(rules: int) -> str:
    """A policy of so many rules for one tool, each of another kind than the one before."""
    kinds = RULES.strip().splitlines()
    lines = [f"  - {{ for: stripe_create_charge, {kinds[number % len(kinds)]} }}" for number in range(rules)]
    return "\n".join(["policy: p", "guardrails:", *lines]) + "\n" if rules else "policy: p\n"


def connector_text(port: int) -> str:
    """The shipped connector, pointed at the stub."""
    text = (ROOT / "connectors" / "stripe.yaml").read_text()
    return text.replace("https://api.stripe.com", f"http://127.0.0.1:{port}")


def open_gateway(port: int, rules: int) -> Gateway:
    """A gateway to the stub under so many rules."""
    connector = read_connector(
        "stripe.yaml", connector_text(port).encode(), Source("file", "stripe.yaml", "")
    )
    policies = (read_policy("p.yaml", policy_text(rules).encode()),)
    grant = Grant(open_account(connector, {}), catalog.load_policy("transact", "preset"))
    backend = HTTPBackend(Client(lambda *_: None))
    return Gateway(build_toolset(App("bench", (grant,), rules=policies)), backend, MemoryStore(), Scrubber())


class Server:
    """`mcpgate run` over stdio, to the same stub under so many rules."""

    def __init__(self, folder: Path, port: int, rules: int) -> None:
        (folder / "stripe.yaml").write_text(connector_text(port))
        (folder / f"{rules}.yaml").write_text(policy_text(rules))
        words = ["run", "./stripe.yaml", "--preset", "transact", "--policy", f"{rules}.yaml"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mcpgate", *words],
            cwd=folder,
            env={**os.environ, "MCPGATE_HOME": str(folder), "MCPGATE_STRIPE_KEY": "sk_test_" + "x" * 24},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "b", "version": "1"},
        }
        self._ask("initialize", hello)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self) -> None:
        """One call, answered."""
        answer = self._ask("tools/call", {"name": "stripe_create_charge", "arguments": CHARGE})
        assert not answer["result"].get("isError"), answer

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._send({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def measure_wire(port: int, calls: int) -> dict[int, list[float]]:
    """Microseconds of a call as a client sees it, by the number of rules."""
    figures: dict[int, list[float]] = {rules: [] for rules in COUNTS}
    with tempfile.TemporaryDirectory() as folder:
        servers = {rules: Server(Path(folder), port, rules) for rules in COUNTS}
        for number in range(calls + WARM_UP):
            for rules, server in servers.items():
                began = time.perf_counter()
                server.call()
                if number >= WARM_UP:
                    figures[rules].append((time.perf_counter() - began) * 1e6)
        for server in servers.values():
            server.close()
    return figures


async def measure(port: int, calls: int) -> dict[int, tuple[list[float], list[float]]]:
    """Microseconds of the decision and of the whole call, by the number of rules."""
    spent: list[float] = []

    def timed(bound: Bound, call: Call) -> Decision:
        began = time.perf_counter()
        decision = decide(bound, call)
        spent.append((time.perf_counter() - began) * 1e6)
        return decision

    setattr(gateway_module, "decide", timed)  # noqa: B010  it is not for others to see
    gateways = {rules: open_gateway(port, rules) for rules in COUNTS}
    figures: dict[int, tuple[list[float], list[float]]] = {rules: ([], []) for rules in gateways}
    for number in range(calls + WARM_UP):
        for rules, gateway in gateways.items():
            spent.clear()
            began = time.perf_counter()
            outcome = await gateway.call("stripe_create_charge", dict(CHARGE))
            took = (time.perf_counter() - began) * 1e6
            assert not outcome.is_error, outcome
            if number >= WARM_UP:
                figures[rules][0].append(sum(spent))
                figures[rules][1].append(took)
    for gateway in gateways.values():
        await gateway.close()
    return figures


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(STUB)
        script.flush()
        with subprocess.Popen([sys.executable, script.name], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            try:
                port = int(server.stdout.readline())
                figures = asyncio.run(measure(port, calls))
                wire = measure_wire(port, calls)
            finally:
                server.terminate()
    print("| rules | decision, µs | Gateway.call, µs | share | call over stdio, µs | share |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for rules, (decided, whole) in figures.items():
        one, inside, outside = map(statistics.median, (decided, whole, wire[rules]))
        figures_of = f"{one:.1f} | {inside:.0f} | {one / inside:.1%} | {outside:.0f} | {one / outside:.1%}"
        print(f"| {rules} | {figures_of} |")


if __name__ == "__main__":
    main()
