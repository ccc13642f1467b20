"""Rules over time: a moment that is past, a call out of hours, a span that is too long. Pure."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.values import LEFT_OUT, name, schema_at, told
from mcpgate.attack.lenient import numbers
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.values import Json

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NOW: Final = datetime.fromtimestamp(EXAMPLE_NOW, UTC)
_DAY: Final = 86_400


def _moments(seconds: float) -> Iterator[Json]:
    """One moment, in the forms that APIs take."""
    moment = _NOW + timedelta(seconds=seconds)
    yield from (int(moment.timestamp()), f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d}")
    yield f"{moment:%Y-%m-%dT%H:%M:%S}"


def _later(target: Target) -> Iterator[tuple[Keys, Json]]:
    for at, keys in enumerate(target.spots):
        yield from ((keys, moment) for moment in _moments(_DAY * 2 + 600 * at))


def _past(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        is_text = schema_at(target, keys).get("type", "string") == "string"
        for moment in _moments(-_DAY * 3):
            yield Breach(keys, moment)
        past = _NOW - timedelta(hours=3)
        other: list[tuple[int, str, Json]] = [
            (9, "another offset", f"{past + timedelta(hours=14):%Y-%m-%dT%H:%M:%S}+14:00"),
            (9, "space for T", f"{past:%Y-%m-%d %H:%M:%S}Z"),
            (9, "basic form", f"{past:%Y%m%dT%H%M%SZ}"),
            (9, "week date", f"{past - timedelta(days=9):%G-W%V-%u}"),
            (9, "day of the year", f"{past - timedelta(days=9):%Y-%j}"),
            (9, "American form", f"{past - timedelta(days=9):%m/%d/%Y}"),
            (9, "form of e-mail", f"{past:%a, %d %b %Y %H:%M:%S} GMT"),
            (9, "word", "yesterday"),
            (9, "relative", "-P1D"),
            (9, "full-width digits", "２０２０-01-01"),
            (2, "year 0001", "0001-01-01"),
            (2, "zero", 0),
            (2, "negative", -1),
            (1, "seconds as text", str(int(past.timestamp()))),
            (1, "milliseconds", int(past.timestamp()) * 1000),
            (1, "seconds with a fraction", past.timestamp() + 0.5),
        ]
        yield from (
            Breach(keys, value, row=row, trick=trick)
            for row, trick, value in other
            if is_text or not isinstance(value, str) or row < 9
        )


def _is_past(target: Target, wire: Wire) -> str:
    zone = zoneinfo.ZoneInfo(target.config.get("tz", "UTC"))
    now = datetime.fromtimestamp(wire.now, UTC)
    for keys in target.spots:
        for value in wire.at(keys):
            if value is MISSING:
                return f"{name(keys)} is {LEFT_OUT}"
            read = _read(value, zone)
            if not read:
                return f"{name(keys)} {told(value)} is no moment that can be read"
            if any(moment < now for moment in read):
                return f"{name(keys)} {told(value)} is past"
    return ""


def _read(value: Any, zone: tzinfo) -> list[datetime]:
    """The moments a value may mean; a day is its end."""
    found: list[datetime] = []
    text = str(value).strip()
    try:
        day = date.fromisoformat(text)
        found.append(datetime.combine(day, time(23, 59, 59), zone))
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
            found.append(moment if moment.tzinfo else moment.replace(tzinfo=zone))
        except ValueError:
            for number in numbers(value) if not any(char in text for char in "-:/ T") else ():
                seconds = number / 1000 if abs(number) > 10**11 else number
                found += [datetime.fromtimestamp(seconds, UTC)] if 0 <= seconds < 10**10 else []
    return found


# --- hours -----------------------------------------------------------------------------------------------


def _anything(target: Target) -> Iterator[tuple[Keys, Json]]:
    return iter(())


def _is_open(target: Target, moment: float) -> bool:
    config = target.config
    local = datetime.fromtimestamp(moment, UTC).astimezone(zoneinfo.ZoneInfo(config["tz"]))
    clock, begin, end = local.hour * 60 + local.minute, _minutes(config["from"]), _minutes(config["to"])
    day, before = _DAYS[local.weekday()], _DAYS[(local - timedelta(days=1)).weekday()]
    if begin < end:
        return day in config["days"] and begin <= clock < end
    return (day in config["days"] and clock >= begin) or (before in config["days"] and clock < end)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def times(target: Target, *, inside: bool) -> list[float]:
    """Moments of the next week, inside the hours of a rule or outside."""
    every = (EXAMPLE_NOW + 900 * step for step in range(4 * 24 * 8))
    return [moment for moment in every if _is_open(target, moment) is inside]


def _closed(target: Target) -> Iterator[Breach]:
    found = times(target, inside=False)
    for at in range(0, len(found), max(1, len(found) // 24)):
        yield Breach((), MISSING, now=found[at], trick=f"{_local(target, found[at])}")


def _local(target: Target, moment: float) -> str:
    local = datetime.fromtimestamp(moment, UTC).astimezone(zoneinfo.ZoneInfo(target.config["tz"]))
    return f"out of hours, {local:%a %H:%M}"


def _out_of_hours(target: Target, wire: Wire) -> str:
    return "" if _is_open(target, wire.now) else "it is sent out of hours"


# --- spans -----------------------------------------------------------------------------------------------


def _short(target: Target) -> Iterator[tuple[Keys, Json]]:
    if len(target.spots) == 2:
        start, end = target.spots
        for at, at_end in zip(_moments(_DAY), _moments(_DAY + min(600, target.config["max"])), strict=True):
            yield start, at
            yield end, at_end


def _long(target: Target) -> Iterator[Breach]:
    if len(target.spots) != 2:
        return
    (start, end), longest = target.spots, target.config["max"]
    for at, at_end in zip(_moments(_DAY), _moments(_DAY + max(longest + 1, 2 * _DAY)), strict=True):
        yield Breach(end, at_end, beside=((start, at),))
    begin = _NOW + timedelta(days=1)
    finish = begin + timedelta(seconds=longest + 7200)
    written, later = f"{begin:%Y-%m-%dT%H:%M:%SZ}", f"{finish + timedelta(hours=-12):%Y-%m-%dT%H:%M:%S}-12:00"
    yield Breach(end, later, beside=((start, written),), row=9, trick="the end at another offset")
    yield Breach(start, written, beside=((end, f"{begin:%Y-%m-%d}"),), row=1, trick="a moment and a day")
    yield Breach(end, f"{begin - timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}", beside=((start, written),), row=2,
                 trick="the end before the start")  # fmt: skip


def _too_long(target: Target, wire: Wire) -> str:
    if len(target.spots) != 2:
        return "start and end are not known"
    starts, ends = (wire.at(keys) for keys in target.spots)
    if MISSING in (*starts, *ends):
        return f"start or end is {LEFT_OUT}"
    for start, end in zip(starts, ends, strict=False):
        begin, finish = _read(start, UTC), _read(end, UTC)
        if not begin or not finish:
            return f"{told(start)} to {told(end)} cannot be read"
        day = _DAY if isinstance(end, str) and len(end) == 10 else 0
        lasts = (max(finish) - min(begin)).total_seconds()
        if lasts + day < 0 or lasts > target.config["max"] + day:
            return f"{told(start)} to {told(end)} lasts {lasts:.0f} s, over {target.config['max']} s"
    return ""


DATES: Final[dict[str, Assault]] = {
    "deny_past_dates": Assault("text", _later, _past, _is_past),
    "time_window": Assault("time", _anything, _closed, _out_of_hours),
    "max_duration": Assault("span", _short, _long, _too_long),
}
