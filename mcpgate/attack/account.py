"""The judge's own account: what went over the wire, added up in every window of time. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mcpgate.attack.families.money import limits_of, moved_by
from mcpgate.attack.lenient import Number
from mcpgate.attack.reach import counts_calls, reaches
from mcpgate.attack.wire import Wire
from mcpgate.values import Fate, Rule

_SECONDS: Final = {"minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60, "week": 7 * 24 * 60 * 60}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request that went out: the moment, its idempotency key, and what became of it."""

    at: float
    wire: Wire
    key: str = ""
    fate: Fate = "succeeded"


def window_of(rule: Rule) -> int:
    """How many seconds a rule looks back."""
    return _SECONDS[rule.config.get("per", "day")]


def overdrawn(rule: Rule, arrived: Sequence[Arrived]) -> tuple[str, Arrived] | None:
    """What is too much for a rule, and the request with which it became too much; None where nothing is."""
    acted = sorted(
        _acted(each for each in arrived if reaches(rule, each.wire.tool)), key=lambda each: each.at
    )
    for at, last in enumerate(acted):
        window = [each for each in acted[: at + 1] if last.at - each.at < window_of(rule)]
        found = _too_many(rule, last, window) if counts_calls(rule) else _too_much(rule, last, window)
        if found:
            return f"{found} within {window_of(rule):,} seconds", last
    return None


def _acted(arrived: Iterable[Arrived]) -> Iterator[Arrived]:
    """The requests that may have acted: those under one key once, and none of which all failed."""
    by_key: dict[str, list[Arrived]] = {}
    for number, each in enumerate(arrived):
        by_key.setdefault(each.key or f"without a key, {number}", []).append(each)
    for same in by_key.values():
        if any(each.fate != "failed" for each in same):
            yield replace(same[0], at=min(each.at for each in same))


def _too_many(rule: Rule, last: Arrived, window: list[Arrived]) -> str:
    same = window
    if rule.template == "repeat_block":
        same = [each for each in window if _content(each.wire) == _content(last.wire)]
    most = rule.config["max"]
    return f"{len(same)} calls{' alike' * (same is not window)}, over {most}," if len(same) > most else ""


def _too_much(rule: Rule, last: Arrived, window: list[Arrived]) -> str:
    limits = limits_of(rule.config)
    currency, _, said = moved_by(last.wire, limits)
    if not currency:
        return f"{said},"
    moved: Number = sum(
        amount for code, amount, _ in (moved_by(each.wire, limits) for each in window) if code == currency
    )
    if moved <= limits[currency]:
        return ""
    return f"{len(window)} calls move {moved} {currency}, over {limits[currency]},"


def _content(wire: Wire) -> tuple[str, str]:
    return wire.tool.name, json.dumps(wire.roots, sort_keys=True, default=str)
