"""Row 5: calls in numbers, in the ways in which a count may be got round. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain, cycle, islice
from typing import Final

from mcpgate.attack.account import window_of
from mcpgate.attack.attempt import BEFORE, Shot
from mcpgate.attack.families.money import limits_of
from mcpgate.attack.placing import at
from mcpgate.attack.reach import counts_calls, text_fields
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Fate, Json, Rule

_WEEK: Final = 7 * 24 * 60 * 60
# the epoch was a Thursday
_MONDAY: Final = 4 * 24 * 60 * 60
_HOUR: Final = 60 * 60
_INSTANT: Final = 0.001
_PARTS: Final = (4, 20, 100)
_MOST_SPARE: Final = 3
_WELL: Final[tuple[Fate, ...]] = ("succeeded",)

Waves = tuple[tuple[float, tuple[Shot, ...]], ...]


@dataclass(frozen=True, slots=True)
class Volley:
    """Calls in numbers: at each moment those that are made at once; what is sent has these fates in turn.

    With `apps` it is made by so many apps in turn, which one rule is to bound together.
    """

    trick: str
    waves: Waves
    fates: tuple[Fate, ...] = _WELL
    apps: int = 1


def small(rule: Rule, honest: Shot) -> Iterator[tuple[Shot, int]]:
    """Calls like an honest one, of which it takes more than one to go over a rule, and how many that are."""
    if counts_calls(rule):
        yield honest, rule.config["max"] + 1
        return
    money = honest.tool.money
    if money is None:
        return
    limit = limits_of(rule.config).get(str(_first(honest, [each.keys for each in money.currency])).lower(), 0)
    places = [each.keys for each in money.amount]
    for part in _PARTS:
        for keys in places[:1] if limit >= part else ():
            yield honest.put(keys, limit // part), limit // (limit // part) + 1
    amount = _first(honest, places)
    if isinstance(amount, int) and 0 < amount <= limit:
        yield honest, limit // amount + 1


def apart(shot: Shot) -> Iterator[Keys]:
    """Fields in which calls may differ without being other calls."""
    given = {name for group in shot.tool.exactly_one for name in group}
    named = (keys for keys in text_fields(shot.tool.schema) if keys[0] not in given)
    yield from islice((keys for keys in named if at(shot.arguments, keys) is MISSING), _MOST_SPARE)


def filled(shot: Shot) -> Iterator[Shot]:
    """A call with more in it, so that it can be written otherwise; the fullest first, at last as it is."""
    spare = list(apart(shot))
    for end in range(len(spare), -1, -1):
        yield reduce(lambda made, keys: made.put(keys, "a"), spare[:end], shot)


def each_its_own(shot: Shot, keys: Keys, number: int) -> list[Shot]:
    """So many calls like one, no two of them the same."""
    return [shot.put(keys, f"a{each}") for each in range(number)]


def volleys(rule: Rule, calls: Sequence[Sequence[Shot]], start: float, *, lightly: bool) -> Iterator[Volley]:
    """Every volley of calls, given so many of each tool as are too many; `lightly` the plainest alone."""
    first, seconds = list(calls[0]), window_of(rule)
    pace = seconds / (len(first) + 1)
    yield Volley("one after the other", _paced(first, start, pace))
    yield Volley("all at once", ((start, tuple(first)),))
    if lightly:
        return
    ends = (0.0, 0.0, seconds - _INSTANT, seconds, seconds * 1.5, seconds * 2 - _INSTANT)
    yield Volley("at both ends of a window", _bursts(first, [start + each for each in ends]))
    monday = start + _WEEK - (start - _MONDAY) % _WEEK
    for trick, midnight in (
        ("around midnight", monday),
        ("around midnight to the east", monday - 2 * _HOUR),
        ("around midnight to the west", monday + 5 * _HOUR),
    ):
        yield Volley(trick, _bursts(first, [midnight + each for each in (-1, -_INSTANT, 0, 1, 59, _HOUR)]))
    twice = [*first, *first]
    for trick, fates in _FATES.items():
        yield Volley(trick, _paced(twice, start, pace / 2), fates)
        yield Volley(f"{trick}, all at once", ((start, tuple(twice)),), fates)
    again = [*[first[0]] * 3, *first]
    for trick, fates in _OF_ONE.items():
        yield Volley(trick, _paced(again, start, pace / 2), fates + _WELL * len(again))
    if len(calls) > 1:
        mixed = list(chain.from_iterable(zip(*calls, strict=False)))
        yield Volley("by several tools in turn", _paced(mixed, start, seconds / (len(mixed) + 1)))
        yield Volley("by several tools at once", ((start, tuple(mixed)),))
    yield Volley("in other spellings", _paced(list(_respelled(first)), start, pace / 2))
    yield Volley("by two apps in turn", _paced(twice, start, pace / 2), apps=2)
    yield Volley("by two apps at once", ((start, tuple(twice)),), apps=2)


_FATES: Final[Mapping[str, tuple[Fate, ...]]] = {
    "with failing calls in between": ("failed", "succeeded"),
    "with calls of an unknown outcome": ("unknown",),
    "with both in between": ("failed", "unknown", "succeeded"),
}


# of the first call and its repeats; all that comes after them succeeds
_OF_ONE: Final[Mapping[str, tuple[Fate, ...]]] = {
    "one repeated until it fails": ("unknown", "failed", "failed"),
    "one repeated while it is unknown": ("unknown", "unknown", "unknown"),
}


def _paced(shots: Sequence[Shot], start: float, pace: float) -> Waves:
    return tuple((start + number * pace, (shot,)) for number, shot in enumerate(shots))


def _bursts(shots: Sequence[Shot], moments: Sequence[float]) -> Waves:
    return tuple((moment, tuple(shots)) for moment in moments)


def _respelled(shots: Sequence[Shot]) -> Iterator[Shot]:
    """The same calls again and again, each as another hand would write it."""
    ways = (_as_it_is, _below_zero, _turned_round, _in_capitals, _with_null, _as_fraction)
    many = islice(cycle(shots), 2 * max(len(shots), len(ways)))
    yield from (way(shot) for shot, way in zip(many, cycle(ways), strict=False))


def _as_it_is(shot: Shot) -> Shot:
    return shot


def _turned_round(shot: Shot) -> Shot:
    return replace(shot, arguments=dict(reversed(shot.arguments.items())))


def _with_null(shot: Shot) -> Shot:
    spare = [name for name in shot.tool.schema.get("properties", {}) if name not in shot.arguments]
    return replace(shot, arguments={**shot.arguments, **dict.fromkeys(spare[:1])})


def _in_capitals(shot: Shot) -> Shot:
    for place in shot.tool.money.currency if shot.tool.money is not None else ():
        code = _at(shot, place.keys)
        if isinstance(code, str):
            return shot.put(place.keys, code.upper())
    return shot


def _as_fraction(shot: Shot) -> Shot:
    return _with_amount(shot, 1.0)


def _below_zero(shot: Shot) -> Shot:
    return _with_amount(shot, -1)


def _with_amount(shot: Shot, times: float) -> Shot:
    for place in shot.tool.money.amount if shot.tool.money is not None else ():
        amount = _at(shot, place.keys)
        if isinstance(amount, int):
            return shot.put(place.keys, amount * times)
    return shot


def _first(shot: Shot, places: Sequence[Keys]) -> Json:
    return next((found for keys in places if (found := _at(shot, keys)) is not MISSING), MISSING)


def _at(shot: Shot, keys: Keys) -> Json:
    if keys[0] == BEFORE and shot.tool.lookup is not None:
        return at(shot.before, keys[1:])
    return at(shot.arguments, keys)
