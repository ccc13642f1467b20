"""The activity: the log of calls, one row each; a call that acts has two, *started* and *finished*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log; `at` is seconds since the epoch, `ms` milliseconds, `size` bytes of the reply."""

    at: float
    kind: Literal["refused", "started", "finished", "read", "lookup"]
    call: str
    app: str
    grant: str
    tool: str
    args_hash: str
    decision: str
    rule: str = ""
    outcome: str = ""
    status: int | None = None
    request_id: str = ""
    key: str = ""
    ms: float = 0.0
    size: int = 0
