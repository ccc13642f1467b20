"""Numbers for Prometheus. A label's value is a name that mcpgate knows, or `other`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from mcpgate.activity import Row

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
OTHER: Final = "other"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ENDED: Final = ("refused", "read", "finished")
_DECISIONS: Final = ("allow", "deny", "ask")
_OUTCOMES: Final = ("succeeded", "failed", "unknown", "refused")
_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads


class Metrics:
    """Counts the calls of this process; `most` is how many pairs of an app and a tool are told apart."""

    def __init__(self, most: int = 2000) -> None:
        self._registry = CollectorRegistry()
        self._most = most
        self._seen: set[tuple[str, str]] = set()
        self._calls = Counter(
            "mcpgate_calls",
            "Calls that have ended, by app, tool, decision and outcome.",
            ("app", "tool", "decision", "outcome"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "mcpgate_call_seconds",
            "How long the calls that were sent took.",
            ("app", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "mcpgate_refused_requests",
            "HTTP requests that were refused before they reached an app, by status.",
            ("status",),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def observe(self, row: Row) -> None:
        """Counts the call that a row of the activity ends; a row that ends none counts nothing."""
        if row.kind not in _ENDED:
            return
        app, tool = self._known(row.app, row.tool)
        outcome = "refused" if row.kind == "refused" else _among(_OUTCOMES, row.outcome)
        self._calls.labels(app, tool, _among(_DECISIONS, row.decision), outcome).inc()
        if row.kind != "refused":
            self._latency.labels(app, outcome).observe(row.ms / 1000)

    def refused(self, status: int) -> None:
        """Counts a request that was refused."""
        self._requests.labels(str(status)).inc()

    def text(self) -> bytes:
        """Everything, in the format that Prometheus reads."""
        return generate_latest(self._registry)

    def _known(self, app: str, tool: str) -> tuple[str, str]:
        if not (_NAME.fullmatch(app) and _NAME.fullmatch(tool)):
            return OTHER, OTHER
        if (app, tool) not in self._seen:
            if len(self._seen) >= self._most:
                return OTHER, OTHER
            self._seen.add((app, tool))
        return app, tool


def _among(known: tuple[str, ...], name: str) -> str:
    return name if name in known else OTHER
