"""The ledger: what was spent and how often. One entry per call without effect, one per effect of a write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mcpgate.values import Fate

State: TypeAlias = Literal["reserved", "settled", "released", "unknown"]
STATE_OF: dict[Fate, State] = {"succeeded": "settled", "failed": "released", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call would move by one effect: an amount in the currency's smallest unit, None for unknown."""

    effect: str
    currency: str = ""
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger; `at` is seconds since the epoch."""

    at: float
    app: str
    grant: str
    tool: str
    call: str
    args_hash: str
    reservation: Reservation
    state: State = "reserved"


def entries(
    at: float, app: str, grant: str, tool: str, call: str, args_hash: str, reservations: Iterable[Reservation]
) -> tuple[Entry, ...]:
    """The entries of one call: one that counts its use, and one for each thing it would move."""
    every = (Reservation(""), *reservations)
    return tuple(Entry(at, app, grant, tool, call, args_hash, reservation) for reservation in every)
