"""Where the time of one call goes, by part: `mcpgate`, looked at two thousand times a second while it works.

`python -m benchmarks.parts FILE WORDS…` is mcpgate with those words. After SIGUSR1 it looks, by the clock, at
which function runs; after SIGUSR2 it writes down how often it found each part. What runs belongs to the
innermost function of a part: what that calls in the standard library or in another library, and what the
kernel does for it, is its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

# a part, and the modules that are it with all that is in them; of two that fit, the inner one
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "mcpgate: messages and pipes": ("mcpgate.server",),
    "mcpgate: the door over HTTP": ("mcpgate.server.web", "mcpgate.server.http"),
    "mcpgate: the gateway": ("mcpgate.gateway", "mcpgate.apps", "mcpgate.values"),
    "mcpgate: find the tool, see what changed": ("mcpgate.toolset", "mcpgate.discovery", "mcpgate.cli"),
    "mcpgate: check the arguments": ("mcpgate.arguments", "mcpgate.json_schema"),
    "mcpgate: decide": ("mcpgate.policy", "mcpgate.selectors", "mcpgate.places", "mcpgate.lookup"),
    "mcpgate: build the request": (
        "mcpgate.engine.request",
        "mcpgate.engine.encoding",
        "mcpgate.engine.http",
    ),
    "mcpgate: open the credential": ("mcpgate.vault", "mcpgate.engine.auth"),
    "mcpgate: send and receive": ("mcpgate.engine",),
    "mcpgate: shape the reply": (
        "mcpgate.engine.response",
        "mcpgate.engine.projection",
        "mcpgate.engine.hygiene",
        "mcpgate.engine.masking",
        "mcpgate.engine.pages",
    ),
    "mcpgate: scrub": ("mcpgate.secrets",),
    "mcpgate: row and transaction": (
        "mcpgate.store",
        "mcpgate.records",
        "mcpgate.activity",
        "mcpgate.ledger",
    ),
    "httpx2": ("httpx2", "httpcore2"),
    "uvicorn": ("uvicorn",),
    "Starlette": ("starlette",),
    "the SDK": ("mcp", "mcp_types", "anyio", "sse_starlette"),
    "Python: the event loop": ("asyncio.events:Handle._run", "asyncio.base_events:BaseEventLoop._run_once"),
}
# libraries that mcpgate may stop using; a part of its own has to be there
OPTIONAL: Final = frozenset({"httpx2", "httpcore2", "uvicorn", "starlette", "mcp", "mcp_types", "anyio"}) | {
    "sse_starlette"
}
WAITING: Final = frozenset({"select", "poll"})
_EACH: Final = 0.0005


class Parts:
    """Tells the part of what runs."""

    def __init__(self, parts: Mapping[str, tuple[str, ...]] = PARTS) -> None:
        self._by_place = {place: part for part, places in parts.items() for place in places}
        self._known: dict[CodeType, str | None] = {}

    def missing(self) -> list[str]:
        """The parts with a place that is not there any more."""
        return [
            f"{part}: there is no {place}"
            for place, part in self._by_place.items()
            if place not in OPTIONAL and not _exists(place.partition(":")[0])
        ]

    def of(self, frame: FrameType | None) -> str | None:
        """The part of what runs; nothing while it waits."""
        if frame is None or _waits(frame):
            return None
        while frame is not None:
            code = frame.f_code
            if code not in self._known:
                self._known[code] = self.named(str(frame.f_globals.get("__name__")), code.co_qualname)
            found = self._known[code]
            if found is not None:
                return found
            frame = frame.f_back
        return "Python: everything else"

    def named(self, module: str, function: str) -> str | None:
        """The part of a function; nothing where whoever calls it tells."""
        found = self._by_place.get(f"{module}:{function}")
        while found is None and module:
            found = self._by_place.get(module)
            if found is None and module.count(".") == 1 and module.startswith("mcpgate."):
                return f"mcpgate: {module.removeprefix('mcpgate.')}"
            module = module.rpartition(".")[0]
        return found


class Sampler:
    """Looks at what runs, by the clock."""

    def __init__(self, parts: Parts) -> None:
        self.found: Counter[str] = Counter()
        self._parts = parts

    def begin(self, *_: object) -> None:
        """Look from now on."""
        self.found.clear()
        signal.signal(signal.SIGALRM, self._look)
        self._again()

    def end(self) -> None:
        """Look no more."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _look(self, _: int, frame: FrameType | None) -> None:
        part = self._parts.of(frame)
        if part is not None:
            self.found[part] += 1
        self._again()

    def _again(self) -> None:
        # never in step with the calls
        signal.setitimer(signal.ITIMER_REAL, _EACH * random.uniform(0.5, 1.5))


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _waits(frame: FrameType) -> bool:
    return frame.f_code.co_name in WAITING and frame.f_globals.get("__name__") == "selectors"


def main() -> int:
    """`mcpgate`, looked at."""
    path, sys.argv = Path(sys.argv[1]), ["mcpgate", *sys.argv[2:]]
    parts = Parts()
    missing = parts.missing()
    if missing:
        print("; ".join(missing), file=sys.stderr)
        return 2
    sampler = Sampler(parts)

    def write(*_: object) -> None:
        sampler.end()
        # whole at once, for someone waits for it
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(sampler.found))
        unfinished.replace(path)

    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, write)
    from mcpgate.__main__ import main as run

    return run()


if __name__ == "__main__":
    os._exit(main())
