"""Where the time of one call goes, by part: `mcpgate run` over stdio, with a stopwatch round each step.

`python -m benchmarks parts`. A part's time is its own: what it calls that is a part itself is taken out, and
so is what a stopwatch costs. What is left of a call as the client sees it is the event loop, the tasks, the
two pipes and the client itself.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

# a part, and the functions that are it: module, then the name in it
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "read the line": ("mcpgate.server.messages:Conversation.receive",),
    "is anything changed": ("mcpgate.toolset:LiveToolset.current",),
    "check the arguments": ("mcpgate.gateway:Gateway.check",),
    "look up": ("mcpgate.gateway:Gateway.look_up",),
    "decide": ("mcpgate.gateway:decide",),
    "build the request": ("mcpgate.engine.http:HTTPBackend.prepare",),
    "open the credential": ("mcpgate.engine.client:Client._open",),
    "HTTP: message and headers": ("mcpgate.engine.client:Client._exchange",),
    "HTTP: the library, and the API": (
        "httpx2:AsyncHTTPTransport.handle_async_request",
        "mcpgate.engine.client:receive",
        "httpx2:Response.aclose",
    ),
    "scrub": (
        "mcpgate.secrets:Scrubber.tree",
        "mcpgate.secrets:Scrubber.text",
        "mcpgate.secrets:Scrubber.body",
    ),
    "read the reply": ("mcpgate.engine.client:read",),
    "transaction and row": ("mcpgate.gateway:Gateway._finish", "mcpgate.gateway:Gateway._start"),
    "shape": ("mcpgate.engine.http:HTTPBackend.shape",),
    "encode the answer": ("mcpgate.server.messages:Conversation.answer",),
    "write": ("mcpgate.server.pipes:Sink.write",),
    "the rest of the gateway": ("mcpgate.gateway:Gateway.call",),
    "the rest of the wire": ("mcpgate.server.connection:Connection._carry_out",),
}
LIBRARY: Final = frozenset({"HTTP: the library, and the API"})


class Stopwatch:
    """One clock that always runs for one part; with one call under way at a time, what waits is the top."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.entered: defaultdict[str, int] = defaultdict(int)
        self._stack: list[str] = []
        self._since = 0.0

    def enter(self, part: str) -> None:
        now = time.perf_counter()
        if self._stack:
            self.spent[self._stack[-1]] += now - self._since
        self._stack.append(part)
        self.entered[part] += 1
        self._since = time.perf_counter()

    def leave(self) -> None:
        now = time.perf_counter()
        self.spent[self._stack.pop()] += now - self._since
        self._since = time.perf_counter()

    def reset(self) -> None:
        self.spent.clear()
        self.entered.clear()


def watch(stopwatch: Stopwatch, part: str, where: str) -> None:
    """Put the stopwatch round one function."""
    module_name, _, path = where.partition(":")
    owner: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, name)
    setattr(owner, name, _timed(stopwatch, part, original))


def _timed(stopwatch: Stopwatch, part: str, original: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            stopwatch.enter(part)
            try:
                return await original(*args, **kwargs)
            finally:
                stopwatch.leave()

        return awaited

    @functools.wraps(original)
    def called(*args: Any, **kwargs: Any) -> Any:
        stopwatch.enter(part)
        try:
            return original(*args, **kwargs)
        finally:
            stopwatch.leave()

    return called


def main() -> int:
    """`mcpgate`, with stopwatches; SIGUSR1 begins anew, and at the end what was spent goes into a file."""
    import signal

    path, sys.argv = Path(sys.argv[1]), ["mcpgate", *sys.argv[2:]]
    stopwatch = Stopwatch()
    for part, places in PARTS.items():
        for place in places:
            watch(stopwatch, part, place)
    signal.signal(signal.SIGUSR1, lambda *_: stopwatch.reset())
    from mcpgate.__main__ import main as run

    code = run()
    path.write_text(json.dumps({"spent": stopwatch.spent, "entered": stopwatch.entered}))
    return code


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    os._exit(code)
