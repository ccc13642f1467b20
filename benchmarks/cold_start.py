"""How long from spawning a server to its list of tools, beside what a Python server can do at best.

`python benchmarks/cold_start.py [ROUNDS]`: every command in turn, ROUNDS times, after a warm-up that writes
the `.pyc` files. Ratios are of medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
MCPGATE = Path(sys.executable).with_name("mcpgate")
RUN = [str(MCPGATE), "run", "stripe", "--preset", "transact"]

CLIENT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def spawn_to_list(command: list[str], env: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """Milliseconds until the tools are listed, and the list."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin
        assert process.stdout
        for *sent, awaited in ([INITIALIZE], [INITIALIZED, LIST]):
            for message in (*sent, awaited):
                process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        took = (time.perf_counter() - started) * 1000
        process.stdin.close()
        process.wait()
    result: dict[str, Any] = answer["result"]
    return took, result


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "MCPGATE_HOME": home}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        listing = Path(home) / "listing.json"
        _, result = spawn_to_list(RUN, env)  # also saves the listing, as the first start ever does
        listing.write_text(json.dumps(result))
        commands = {
            "bare asyncio loop": [sys.executable, str(HERE / "peers/bare_loop.py"), str(listing)],
            "minimal SDK server": [sys.executable, str(HERE / "peers/sdk_server.py"), str(listing)],
            "mcpgate run": RUN,
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 2):
            for name, command in commands.items():
                took, listed = spawn_to_list(command, env)
                assert len(listed["tools"]) == len(result["tools"]), name
                if number >= 2:
                    times[name].append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare, sdk = medians["bare asyncio loop"], medians["minimal SDK server"]
    print(f"spawn to tools/list, {len(result['tools'])} tools, {rounds} rounds\n")
    print("| server | median | 10–90 % | × bare loop | × SDK server |\n|---|---|---|---|---|")
    for name, values in times.items():
        low, *_, high = statistics.quantiles(values, n=10)
        middle = medians[name]
        print(
            f"| {name} | {middle:.0f} ms | {low:.0f}–{high:.0f} | {middle / bare:.2f} | {middle / sdk:.2f} |"
        )


if __name__ == "__main__":
    main()
