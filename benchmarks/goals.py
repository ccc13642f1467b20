"""What a run must show: each goal with its ratio, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Run

GATE: Final = "mcpgate"
SERVED: Final = "mcpgate serve"
SDK: Final = "minimal SDK server"
FASTMCP: Final = "FastMCP from_openapi"
TOOLBOX: Final = "MCP Toolbox"
STRIPE: Final = "Stripe's server (node)"
BARE: Final = "bare asyncio loop"

COLD: Final = "Cold start"
AFTER_IDLE: Final = "First call after two idle seconds"
STDIO: Final = "A call over stdio: {}"
HTTP: Final = "A call over HTTP: {}"
FLOOD: Final = "Throughput over {}: {} in flight"
DELAYED: Final = "An API that takes 100 ms, over {}: 32 in flight"
HELD: Final = "A call beside one that takes 2 s, over {}"
TOOLS: Final = "Cost by tools"
RULES: Final = "Cost by rules"
LISTED: Final = "Tokens: tools/list"
RESULTS: Final = "Tokens: {}"
PARTS: Final = "Where the time of one call goes: {}"
BALANCE: Final = "stripe_get_balance"
CUSTOMERS: Final = "stripe_list_customers"
CALL: Final = "p50, ms"
CPU: Final = "CPU, ms"
RATE: Final = "calls/s"
BYTES: Final = "bytes"
THE_API: Final = "the API's own reply"


@dataclass(frozen=True)
class Goal:
    """A figure, or its ratio to another subject's, that is to be at most or at least so much."""

    says: str
    table: str
    column: str
    subject: str = GATE
    over: str = ""
    most: float | None = None
    least: float | None = None

    def value(self, run: Run) -> float | None:
        """What the run has come to; None where it was not measured."""
        mine = run.find(self.table, self.column, self.subject)
        theirs = run.find(self.table, self.column, self.over) if self.over else None
        if mine is None or (self.over and theirs is None):
            return None
        return mine.median if theirs is None else mine.over(theirs)

    def met(self, value: float) -> bool:
        """Whether that is enough."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    @property
    def limit(self) -> str:
        """The goal as it is shown."""
        sign, limit = ("≤", self.most) if self.most is not None else ("≥", self.least)
        return f"{sign} {limit:g}" + (" ×" if self.over else "")


GOALS: Final = (
    Goal("Spawn to tools/list, × MCP Toolbox", COLD, "ms", over=TOOLBOX, most=1.0),
    Goal("First call after two idle seconds, ms more than a later one", AFTER_IDLE, "ms more", most=100),
    Goal("Peak memory at tools/list, × minimal SDK server", COLD, "peak, MiB", over=SDK, most=0.7),
    Goal(
        "Peak memory before the first call, × minimal SDK server", AFTER_IDLE, "peak, MiB", over=SDK, most=0.7
    ),
    *(
        Goal(f"{tool} over stdio, × {peer}", STDIO.format(tool), CALL, over=peer, most=most)
        for tool in (BALANCE, CUSTOMERS)
        for peer, most in ((SDK, 0.7), (FASTMCP, 0.45))
    ),
    Goal("API of 100 ms, 32 in flight, stdio, calls/s", DELAYED.format("stdio"), RATE, least=290),
    Goal("API of 100 ms, 32 in flight, HTTP, calls/s", DELAYED.format("HTTP"), RATE, SERVED, least=290),
    Goal("Held back by a call of 2 s, stdio, ms", HELD.format("stdio"), "ms more", most=20),
    Goal("Held back by a call of 2 s, HTTP, ms", HELD.format("HTTP"), "ms more", SERVED, most=20),
    *(
        Goal(
            f"HTTP, {many} in flight, calls/s, × FastMCP",
            FLOOD.format("HTTP", many),
            RATE,
            SERVED,
            FASTMCP,
            least=2.5,
        )
        for many in (8, 32)
    ),
    *(
        Goal(
            f"HTTP, {many} in flight, CPU per call, × FastMCP",
            FLOOD.format("HTTP", many),
            CPU,
            SERVED,
            FASTMCP,
            most=0.5,
        )
        for many in (8, 32)
    ),
    Goal("tools/list, 15 tools, bytes per tool", LISTED, "bytes per tool", most=740),
    Goal(
        "stripe_list_customers(limit=10), × the reply's bytes",
        RESULTS.format("stripe_list_customers(limit=10)"),
        BYTES,
        over=THE_API,
        most=0.35,
    ),
    Goal("Cost per call, 1,000 tools, × 15 tools", TOOLS, CALL, "1,000 tools", "15 tools", most=1.1),
    Goal("Cost per call, 50 rules, × 0 rules", RULES, CALL, "50 rules", "0 rules", most=1.2),
)
