"""What a run must show: each goal with its ratio, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.answers import BALANCE, CUSTOMERS
from benchmarks.figures import Run, quartiles

GATE: Final = "mcpgate"
SERVED: Final = "mcpgate serve"
SDK: Final = "minimal SDK server"
FASTMCP: Final = "FastMCP from_openapi"
TOOLBOX: Final = "MCP Toolbox"
STRIPE: Final = "Stripe's server (node)"
BARE: Final = "bare asyncio loop"

VAULTED: Final = "mcpgate, account in its vault"
SDK_ALONE: Final = "the SDK alone, no API"
TUNED: Final = "FastMCP, tuned"
CONTEXTFORGE: Final = "ContextForge"
RAW: Final = "raw kept sockets, no server"
WARM: Final = "warm httpx2, no server"

COLD: Final = "Cold start"
AFTER_IDLE: Final = "First call after two idle seconds"
FIRST_EVER: Final = "A first start, with nothing saved, and a call at once"
STDIO: Final = "A call over stdio: {}"
HTTP: Final = "A call over HTTP: {}"
AT_ONCE: Final = "an API that answers at once"
LATE: Final = "an API that takes 100 ms"
RATES: Final = "Calls/s over {}, {}"
WORK: Final = "CPU per call, ms, over {}, {}"
BESIDE: Final = "CPU per call of the client and of the API, ms, over {}, {}"
HELD: Final = "A call beside one that takes 2 s, over {}"
TOOLS: Final = "Cost by tools"
RULES: Final = "Cost by rules"
LISTED: Final = "Tokens: tools/list"
RESULTS: Final = "Tokens: {}"
PARTS: Final = "Where the time of one call goes, over {}: {}"
CALL: Final = "p50, ms"
CPU: Final = "CPU, ms"
IN_FLIGHT: Final = "{} in flight"
MORE: Final = "ms more"
OVER: Final = ("over raw, ms", "over httpx2, ms")
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

    def rounds(self, run: Run) -> tuple[float, ...]:
        """What each round of a run has come to; nothing where it was not measured."""
        mine = run.find(self.table, self.column, self.subject)
        theirs = run.find(self.table, self.column, self.over) if self.over else None
        if mine is None or (self.over and theirs is None):
            return ()
        return mine.rounds if theirs is None else mine.ratios(theirs)

    def value(self, run: Run) -> float | None:
        """The median of them."""
        rounds = self.rounds(run)
        return quartiles(rounds)[1] if rounds else None

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
    Goal("First call after two idle seconds, ms more than a later one", AFTER_IDLE, MORE, most=100),
    Goal("Peak memory at tools/list, × minimal SDK server", COLD, "peak, MiB", over=SDK, most=0.7),
    Goal(
        "Peak memory before the first call, × minimal SDK server", AFTER_IDLE, "peak, MiB", over=SDK, most=0.7
    ),
    *(
        Goal(f"{tool} over stdio, × {peer}", STDIO.format(tool), CALL, over=peer, most=most)
        for tool in (BALANCE, CUSTOMERS)
        for peer, most in ((SDK, 0.7), (FASTMCP, 0.45))
    ),
    Goal(
        "API of 100 ms, 32 in flight, stdio, calls/s",
        RATES.format("stdio", LATE),
        IN_FLIGHT.format(32),
        least=290,
    ),
    Goal(
        "API of 100 ms, 32 in flight, HTTP, calls/s",
        RATES.format("HTTP", LATE),
        IN_FLIGHT.format(32),
        SERVED,
        least=290,
    ),
    Goal("Held back by a call of 2 s, stdio, ms", HELD.format("stdio"), MORE, most=20),
    Goal("Held back by a call of 2 s, HTTP, ms", HELD.format("HTTP"), MORE, SERVED, most=20),
    *(
        Goal(
            f"HTTP, {many} in flight, calls/s, × FastMCP",
            RATES.format("HTTP", AT_ONCE),
            IN_FLIGHT.format(many),
            SERVED,
            FASTMCP,
            least=2.5,
        )
        for many in (8, 32)
    ),
    *(
        Goal(
            f"HTTP, {many} in flight, CPU per call, × FastMCP",
            WORK.format("HTTP", AT_ONCE),
            IN_FLIGHT.format(many),
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
