"""Rules over what calls move: over the limit of its currency, in another one, or unknown. Pure.

For one call alone a budget is a limit; what many together move is summed up elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpgate.attack.attempt import BEFORE, Assault, Breach, Config, Target
from mcpgate.attack.families.values import name, told
from mcpgate.attack.lenient import Number, letters, numbers
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING, Place
from mcpgate.policy.fields import Keys
from mcpgate.values import Json


def _within(target: Target) -> Iterator[tuple[Keys, Json]]:
    money = target.tool.money
    if money is None:
        return
    for currency, limit in limits_of(target.config).items():
        yield from ((place.keys, limit) for place in money.amount)
        yield from ((place.keys, currency) for place in money.currency)


def _beyond(target: Target) -> Iterator[Breach]:
    money = target.tool.money
    if money is None:
        return
    currency, limit = next(iter(limits_of(target.config).items()))
    named = tuple((place.keys, currency) for place in money.currency[:1])
    for place in money.amount:
        gone = tuple((other.keys, MISSING) for other in money.amount if other is not place)
        yield Breach(place.keys, limit + 1, beside=(*gone, *named))
        yield Breach(place.keys, limit * 2 + 1, beside=(*gone, *named))
        yield Breach(place.keys, -limit - 1, beside=named, row=2, trick="negative, larger than the limit")
        parts = [limit, limit]
        yield Breach(place.keys, parts, beside=named, row=1, trick="two amounts in a list")
    others = [code for code in ("jpy", "kwd", "xau", "zzz") if code not in target.config]
    for place in money.currency:
        yield from (Breach(place.keys, other, row=3, trick=f"currency {other}") for other in others)
        if place.keys[0] == BEFORE:
            yield from _answers(place, money.amount, limit)
    yield from _two_places(money.amount, limit + 1, 2, "an amount at two places")
    yield from _two_places(money.currency, others[0], 3, "two currencies, at two places")


def _answers(currency: Place, amounts: tuple[Place, ...], limit: int) -> Iterator[Breach]:
    """Answers of the lookup that nobody can decide by."""
    for value in (MISSING, None, "", [], ["usd", "jpy"], {"code": "usd"}, 840):
        yield Breach(currency.keys, value, row=3, trick=f"the lookup's currency is {value_in_words(value)}")
    for place in amounts:
        if place.keys[0] == BEFORE:
            gone = tuple((other.keys, MISSING) for other in amounts if other is not place)
            for value in (MISSING, None, "", [], str(limit + 1), float(limit) + 0.5, True):
                trick = f"amount left out, and the lookup's is {value_in_words(value)}"
                yield Breach(place.keys, value, beside=gone, row=4, trick=trick)


def value_in_words(value: Json) -> str:
    """A value in the description of a trick."""
    return "left out" if value is MISSING else repr(value)


def _two_places(places: tuple[Place, ...], value: Json, row: int, trick: str) -> Iterator[Breach]:
    for place in places[1:]:
        if place.keys[0] != BEFORE:
            yield Breach(place.keys, value, row=row, trick=trick)


def limits_of(config: Config) -> dict[str, int]:
    """What a rule says of each currency."""
    return {name: limit for name, limit in config.items() if isinstance(limit, int)}


def _moves_more(target: Target, wire: Wire) -> str:
    limits = limits_of(target.config)
    code, moved, said = moved_by(wire, limits)
    if code and not moved <= limits[code]:
        return f"{said} can be read as {moved}, over {limits[code]}"
    return "" if code else said


def moved_by(wire: Wire, limits: Mapping[str, int]) -> tuple[str, Number, str]:
    """The currency and the most that a request may move, as it is told; no currency, and why, if unknown."""
    money = wire.tool.money
    if money is None:
        return "", 0, f"what {wire.tool.name} moves is not known"
    currencies, unknown = _found(money.currency, wire)
    codes = {letters(str(value)) for value in currencies}
    strange = [code for code in codes if code not in limits]
    if unknown or strange or len(codes) != 1:
        none = f"the currency {strange[0]!r} has no limit" if strange else f"it names {len(codes)} currencies"
        return "", 0, unknown or none
    in_call = any(_at(place, wire) for place in money.amount if place.keys[0] != BEFORE)
    read: list[tuple[Number, str]] = []
    for place in money.amount:
        there = [] if in_call and place.keys[0] == BEFORE else _at(place, wire)
        if MISSING in there:
            return "", 0, f"{place.text} is left out in part"
        if there:
            read.append((sum(map(_largest, there)), f"{place.text} {', '.join(map(told, there))}"))
    return (codes.pop(), *max(read)) if read else ("", 0, f"{money.amount[0].text} is left out")


def _largest(value: Any) -> Number:
    read = {abs(number) for number in numbers(value)}
    return max(read) if read and not any(number != number for number in read) else float("inf")


def _at(place: Place, wire: Wire) -> list[Any]:
    """What stands at a place, nothing where nothing does."""
    found = wire.at(place.keys)
    return [] if all(value is MISSING for value in found) else found


def _found(places: tuple[Place, ...], wire: Wire) -> tuple[list[Any], str]:
    """All that the arguments say at any of these places, else what the lookup says."""
    said = [value for place in places if place.keys[0] != BEFORE for value in _at(place, wire)]
    if not said:
        said = next((found for place in places if (found := _at(place, wire))), [])
    if not said or MISSING in said:
        return said, f"{places[0].text} is left out{' in part' if said else ''}"
    return said, ""


def other_currency(target: Target, wire: Wire, allowed: frozenset[str], *, listed: bool) -> str:
    """What is wrong with the currency behind a figure that is capped without one."""
    money = target.tool.money
    if money is None:
        return ""
    for place in money.currency:
        for value in wire.at(place.keys):
            if value is MISSING:
                return f"the figure is capped, and {name(place.keys)} is left out"
            if letters(str(value)) not in allowed:
                why = "which no rule allows" if listed else "and no rule limits the currency"
                return f"the figure is capped, but in {told(value)}, {why}"
    return ""


_MOVES: Final = Assault("money", _within, _beyond, _moves_more)
MONEY: Final[dict[str, Assault]] = {"max_amount": _MOVES, "budget": _MOVES}
