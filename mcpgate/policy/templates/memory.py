"""Templates that count over the ledger: how often in a sliding window, and how much money.

Such a check is given what was spent before the call. Where nothing is given, as at a first look at the call
alone, nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcpgate import money
from mcpgate.policy.call import Call, Config, Miss, shown
from mcpgate.policy.templates.money import LIMITS, amount_of, no_money
from mcpgate.policy.templates.shown import describe
from mcpgate.policy.templates.template import COUNT, Schema, Template, takes
from mcpgate.values import Json

SECONDS: Final[Mapping[str, float]] = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
# said so that nobody takes a window that slides for one of the calendar
_LONG: Final[Mapping[str, str]] = {
    "minute": "60 seconds",
    "hour": "60 minutes",
    "day": "24 hours",
    "week": "7 days",
}
_PER: Final[Schema] = {"enum": list(SECONDS)}
_DAY: Final = "day"


def seconds_of(config: Config) -> float:
    """How far back a rule counts: the last so many seconds, a day where it does not say."""
    return SECONDS[config.get("per", _DAY)]


def within_rate(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """With this one, the calls of the window are at most so many."""
    return _counted(config, values, "")


def within_repeats(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """With this one, the calls of this tool with the same arguments are at most so many."""
    return _counted(config, values, " with the same arguments")


def within_budget(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """With this one, what the calls of the window move in its currency is at most the limit."""
    amount, currency = amount_of(call)
    assert call.tool.money is not None
    limits, window = limits_of(config), window_of(config)
    if currency not in limits:
        field = call.tool.money.currency[0].text
        passes = "at most " + ", ".join(f"{limit} {name}" for name, limit in limits.items())
        return Miss(f"no budget is set for {shown(currency)}", passes, field, limits, currency)
    field, limit = call.tool.money.amount[0].text, limits[currency]
    left = max(limit - sum(values), 0)
    if amount <= left:
        return None
    if amount > limit:
        # no waiting helps, and it is said before anybody looks at what was spent
        says = f"{_sum(amount, currency)} is over the whole budget of {_sum(limit, currency)} in {window}"
        return Miss(says, f"{field} ≤ {limit} {currency}, less what was spent", field, limit, amount)
    says = (
        f"{_sum(amount, currency)} is over what is left: {_sum(left, currency)} of {_sum(limit, currency)}"
        f" in {window}"
    )
    passes = f"{field} ≤ {left} {currency}, or {_later(window)}" if left else _later(window)
    return Miss(says, passes, field, limit, amount)


def limits_of(config: Config) -> dict[str, Json]:
    """The limit of each currency of a budget."""
    return {name: limit for name, limit in config.items() if name != "per"}


def window_of(config: Config) -> str:
    """The window of a rule in words: `24 hours`."""
    return _LONG[config.get("per", _DAY)]


def _later(window: str) -> str:
    return f"the same once earlier calls are {window} old"


def _no_limits(config: Config) -> str:
    limits = limits_of(config)
    return no_money(limits) if limits else "a budget says how much of which currency, such as usd: 200000"


def _sum(amount: int, currency: str) -> str:
    return f"{amount} {currency} ({money.show(amount, currency)})"


def _counted(config: Config, values: list[Any], what: str) -> Miss | None:
    used, most, window = sum(values), config["max"], window_of(config)
    if used < most:
        return None
    if not most:
        return Miss(f"no calls{what} are allowed", "", limit=most, value=used)
    says = f"{_calls(used)}{what} went out in the last {window}, and at most {most} may"
    return Miss(says, _later(window), limit=most, value=used)


def _calls(number: int) -> str:
    return f"{number} call{'' if number == 1 else 's'}"


def _rate(config: Mapping[str, Json], schema: Schema) -> None:
    describe(schema, f"At most {_calls(config['max'])} in any {window_of(config)}.")


def _repeats(config: Mapping[str, Json], schema: Schema) -> None:
    describe(schema, f"At most {_calls(config['max'])} with the same arguments in any {window_of(config)}.")


MEMORY: Final[dict[str, Template]] = {
    "rate_limit": Template(
        "At most `max` calls in the last minute, hour, day or week.",
        within_rate,
        takes(max=COUNT, per=_PER),
        "call",
        allowed=({"max": 30, "per": "hour"}, {}),
        denied=({"max": 0, "per": "hour"}, {}),
        project=_rate,
        seconds=seconds_of,
    ),
    "daily_quota": Template(
        "At most `max` calls in the last 24 hours.",
        within_rate,
        takes(max=COUNT),
        "call",
        allowed=({"max": 100}, {}),
        denied=({"max": 0}, {}),
        project=_rate,
        seconds=seconds_of,
    ),
    "repeat_block": Template(
        "At most `max` calls of one tool with the same arguments in the last minute, hour, day or week.",
        within_repeats,
        takes(max=COUNT, per=_PER),
        "call",
        allowed=({"max": 1, "per": "hour"}, {}),
        denied=({"max": 0, "per": "hour"}, {}),
        project=_repeats,
        seconds=seconds_of,
        identical=True,
    ),
    "budget": Template(
        "What all calls together move in the last minute, hour, day or week is at most the limit of each "
        "currency; other currencies are denied.",
        within_budget,
        {**LIMITS, "properties": {"per": _PER}, "required": ["per"], "minProperties": 0},
        "money",
        allowed=({"usd": 200000, "per": "day"}, {"amount": 40000, "currency": "usd"}),
        denied=({"usd": 200000, "per": "day"}, {"amount": 200001, "currency": "usd"}),
        fault=_no_limits,
        seconds=seconds_of,
    ),
}
