"""The ledger: what was spent and how often. One entry per call; every counting rule is a sum over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mcpgate.values import Category, Fate, Json

State: TypeAlias = Literal["reserved", "settled", "released", "unknown", "replaced"]
STATE_OF: Final[dict[Fate, State]] = {"succeeded": "settled", "failed": "released", "unknown": "unknown"}

# what may have acted, and so was spent
SPENT: Final[tuple[State, ...]] = ("reserved", "settled", "unknown")


@dataclass(frozen=True, slots=True)
class Entry:
    """One call in the ledger; `at` is seconds since the epoch.

    `amount` is in the currency's smallest unit, None where it is not known. `key` is the idempotency key it
    was sent under, `key_at` when that was first used. A *reserved* call is under way, or its process died;
    *replaced* is one that was made again under the same key, so that the later entry stands for both. A call
    in the sandbox moves nothing: it counts beside others of the sandbox only.
    """

    at: float
    app: str
    grant: str
    tool: str
    category: Category
    effects: tuple[str, ...]
    call: str
    args_hash: str
    currency: str = ""
    amount: int | None = None
    key: str = ""
    key_at: float = 0.0
    state: State = "reserved"
    subject: str = ""
    sandbox: bool = False


@dataclass(frozen=True, slots=True)
class Earlier:
    """A call that may have acted: the idempotency key it went under, and when that was first used."""

    key: str
    key_at: float


def facts(entry: Entry) -> dict[str, Json]:
    """An entry as plain facts, for people and machines."""
    return {
        "call": entry.call,
        "at": entry.at,
        "app": entry.app,
        "connector": entry.grant,
        "tool": entry.tool,
        "currency": entry.currency,
        "amount": entry.amount,
        "state": entry.state,
    }
