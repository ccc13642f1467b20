"""What the decision costs of a call: with 0, 5 and 50 rules, beside the whole call to a server on loopback.

`python benchmarks/decision.py [CALLS]`: the three in turn, CALLS times each. Ratios are of medians. The call
is `Gateway.call`: no wire of MCP's is in it, so the share is larger here than what a client sees.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import mcpgate.gateway as gateway_module
from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.gateway import Gateway
from mcpgate.policy.binding import Bound
from mcpgate.policy.call import Call
from mcpgate.secrets import Scrubber
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Decision, Source

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
    HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY)

    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
                size = int(head.split(b"content-length: ")[1].split(b"\\r\\n")[0]) if b"content-length" in head else 0
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


def open_gateway(port: int, rules: int) -> Gateway:
    """A gateway to the stub under so many rules."""
    text = (
        (ROOT / "connectors" / "stripe.yaml")
        .read_text()
        .replace("https://api.stripe.com", f"http://127.0.0.1:{port}")
    )
    connector = read_connector("stripe.yaml", text.encode(), Source("file", "stripe.yaml", ""))
    kinds = RULES.strip().splitlines()
    lines = [f"  - {{ for: stripe_create_charge, {kinds[number % len(kinds)]} }}" for number in range(rules)]
    policies = (
        (read_policy("p.yaml", "\n".join(["policy: p", "guardrails:", *lines]).encode()),) if rules else ()
    )
    grant = Grant(open_account(connector, {}), catalog.load_policy("transact", "preset"))
    client = Client(lambda *_: None)
    return Gateway(
        build_toolset(App("bench", (grant,), rules=policies)), HTTPBackend(client), MemoryStore(), Scrubber()
    )


async def measure(port: int, calls: int) -> dict[int, tuple[list[float], list[float]]]:
    """Microseconds of the decision and of the whole call, by the number of rules."""
    spent: list[float] = []
    decide = gateway_module.decide

    def timed(bound: Bound, call: Call) -> Decision:
        began = time.perf_counter()
        decision = decide(bound, call)
        spent.append((time.perf_counter() - began) * 1e6)
        return decision

    gateway_module.decide = timed
    gateways = {rules: open_gateway(port, rules) for rules in (0, 5, 50)}
    figures: dict[int, tuple[list[float], list[float]]] = {rules: ([], []) for rules in gateways}
    for number in range(calls + 50):
        for rules, gateway in gateways.items():
            spent.clear()
            began = time.perf_counter()
            outcome = await gateway.call("stripe_create_charge", dict(CHARGE))
            took = (time.perf_counter() - began) * 1e6
            assert not outcome.is_error, outcome
            if number >= 50:
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
                figures = asyncio.run(measure(int(server.stdout.readline()), calls))
            finally:
                server.terminate()
    print("| rules | decision, µs | whole call, µs | share |\n| ---: | ---: | ---: | ---: |")
    for rules, (decided, whole) in figures.items():
        one, all_ = statistics.median(decided), statistics.median(whole)
        print(f"| {rules} | {one:.1f} | {all_:.0f} | {one / all_:.1%} |")


if __name__ == "__main__":
    main()
