"""Templates over moments and spans of time."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from math import ceil
from typing import Any, Final

from mcpgate.policy.call import Call, Config, Miss, UndecidableError, shown
from mcpgate.policy.templates.shown import describe
from mcpgate.policy.templates.template import FIELD, TEXT, Schema, Template, takes
from mcpgate.values import Json

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# more digits than a Unix time in seconds has before the year 2286: milliseconds
_TOO_LATE: Final = 10**10
# RFC 3339, and the same without an offset: Python's own reader takes more forms
_HOUR: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(rf"{_DATE.pattern}[Tt]{_HOUR}:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-]{_HOUR})?")
_FORMS: Final = "a moment is Unix seconds, 2026-11-23, or 2026-11-23T10:00:00 with or without Z or +01:00"


def not_past(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value is now or later; a date is past from the next day on."""
    field, zone, now = config["field"], _zone(config.get("tz", "UTC")), _now(call)
    today, soonest = now.astimezone(zone).date(), ceil(now.timestamp())
    for value in values:
        moment = _read(value, field)
        if isinstance(moment, datetime):
            past, least = _earliest(moment, zone) < now, datetime.fromtimestamp(soonest, zone).isoformat()
        else:
            past, least = moment < today, today.isoformat()
        if past:
            limit: Json = soonest if isinstance(value, int) else least
            return Miss(f"{field} {shown(value)} is in the past", f"{field} ≥ {limit}", field, limit, value)
    return None


def within_hours(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """It is one of `days`, from `from` to `to` o'clock in `tz`, when the call is made."""
    now = _now(call).astimezone(_zone(config["tz"]))
    if _is_open(config, now):
        return None
    passes = _hours(config) + _opens(config, now)
    says = f"it is {DAYS[now.weekday()]} {now:%H:%M} in {config['tz']}, outside the hours of this rule"
    return Miss(says, passes, limit=_hours(config), value=now.isoformat(timespec="seconds"))


def lasts_at_most(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """From each start to the end that belongs to it are at most `max` seconds."""
    field, limit = config["field"], config["max"]
    starts, ends = values
    if len(starts) != len(ends):
        raise UndecidableError(f"{field}: {len(starts)} starts and {len(ends)} ends do not pair up", field)
    for start, end in zip(starts, ends, strict=True):
        seconds = _span(_read(start, field), _read(end, field), field).total_seconds()
        passes = f"at most {limit} s from start to end"
        if seconds < 0:
            return Miss(f"{field}: {shown(end)} is before {shown(start)}", passes, field, limit, seconds)
        if seconds > limit:
            says = f"{field} lasts {seconds:.15g} s, over the limit of {limit} s"
            return Miss(says, passes, field, limit, seconds)
    return None


def _now(call: Call) -> datetime:
    if call.now is None:
        raise UndecidableError("what time it is now is not known")
    return datetime.fromtimestamp(call.now, UTC)


def _zone(name: str) -> tzinfo:
    return zoneinfo.ZoneInfo(name)


def _read(value: Any, field: str) -> datetime | date:
    """A moment, a moment by a clock nobody named, or a day."""
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < _TOO_LATE:
            return _EPOCH + timedelta(seconds=value)
        raise UndecidableError(f"{field} {value} is no time in seconds; milliseconds are not taken", field)
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
        if isinstance(value, str) and _DATE_TIME.fullmatch(value):
            return datetime.fromisoformat(value.upper())
    except ValueError:
        pass
    raise UndecidableError(f"{field} {shown(value)} cannot be read ({_FORMS})", field)


def _earliest(moment: datetime, zone: tzinfo) -> datetime:
    """A moment with its offset; of the two that a clock shows when it is put back, the first."""
    if moment.tzinfo is not None:
        return moment
    return min(moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _span(start: datetime | date, end: datetime | date, field: str) -> timedelta:
    """The time between two of one form; a day at the end counts to its end."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        if (start.tzinfo is None) == (end.tzinfo is None):
            return end - start
    elif not isinstance(start, datetime) and not isinstance(end, datetime):
        return (end - start + timedelta(days=1)) if end >= start else end - start
    raise UndecidableError(f"{field} mixes moments with days, or with an offset and without", field)


def _is_open(config: Config, moment: datetime) -> bool:
    days, begin, end, clock = config["days"], config["from"], config["to"], f"{moment:%H:%M}"
    today, yesterday = DAYS[moment.weekday()] in days, DAYS[moment.weekday() - 1] in days
    if begin < end:
        return today and begin <= clock < end
    return (today and begin <= clock) or (yesterday and clock < end)


def _opens(config: Config, now: datetime) -> str:
    """When the hours begin next; a clock that is put forward may jump over those of one day."""
    begin, zone = time.fromisoformat(config["from"]), _zone(config["tz"])
    for days in range(15):
        # there and back: a time that the clock jumps over becomes the one it shows instead
        moment = datetime.combine(now.date() + timedelta(days), begin, zone).astimezone(UTC)
        opens = moment.astimezone(zone)
        if moment > now.astimezone(UTC) and _is_open(config, opens):
            return f"; next at {opens:%Y-%m-%d %H:%M} ({DAYS[opens.weekday()]})"
    return ""


def _hours(config: Mapping[str, Json]) -> str:
    return f"{', '.join(config['days'])} from {config['from']} to {config['to']} {config['tz']}"


def _no_such_zone(config: Config) -> str:
    name = config.get("tz", "UTC")
    try:
        _zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = {each.casefold(): each for each in zoneinfo.available_timezones()}
        near = [f"; did you mean '{known[each]}'?" for each in get_close_matches(name.casefold(), known, 1)]
        return f"there is no time zone {shown(name)}{''.join(near)}"
    return ""


def _no_hours(config: Config) -> str:
    if config["from"] == config["to"]:
        return "from and to are the same; the whole day is from '00:00' to '24:00'"
    return _no_such_zone(config)


def _show_not_past(config: Mapping[str, Json], schema: Schema) -> None:
    describe(schema, f"Not in the past; without an offset it is read as {config.get('tz', 'UTC')}.")


def _show_longest(config: Mapping[str, Json], schema: Schema) -> None:
    describe(schema, f"At most {config['max']} seconds from start to end.")


def _clock(pattern: str) -> Schema:
    wrong = "a time of day is written as '09:00', in quotes"
    return {"type": "string", "pattern": f"^(?:{pattern})$", "patternErrorMessage": wrong}


_HOURS: Final[dict[str, Schema]] = {
    "tz": TEXT,
    "days": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(DAYS)}},
    "from": _clock(_HOUR),
    "to": _clock(f"{_HOUR}|24:00"),
}
_WEEK: Final = {"tz": "UTC", "days": list(DAYS[:5]), "from": "09:00", "to": "17:00"}
_SPAN: Final = {"start": "start", "end": "end", "max": 3600}


def _show_hours(config: Config, schema: Schema) -> None:
    days = ", ".join(config["days"])
    describe(schema, f"Only {days}, {config['from']} to {config['to']} {config['tz']}.")


DATES: Final[dict[str, Template]] = {
    "deny_past_dates": Template(
        "A moment is not in the past, nor a date before today; tz (UTC) is for what names no offset.",
        not_past,
        takes({"field": FIELD, "tz": TEXT}),
        "values",
        allowed=({"field": "due"}, {"due": "2026-11-23T10:00:00Z"}),
        denied=({"field": "due"}, {"due": "2026-11-23T09:59:59Z"}),
        role="start",
        project=_show_not_past,
        fault=_no_such_zone,
    ),
    "time_window": Template(
        "The call is made on one of these days, at from or later and before to; past midnight the hours"
        " belong to the day on which they began.",
        within_hours,
        takes(**_HOURS),
        "call",
        allowed=(_WEEK, {}),
        denied=({**_WEEK, "days": ["sat", "sun"]}, {}),
        project=_show_hours,
        fault=_no_hours,
    ),
    "max_duration": Template(
        "From start to end are at most max seconds; a date as the end counts to the end of that day.",
        lasts_at_most,
        takes({"start": FIELD, "end": FIELD}, max={"type": "integer", "minimum": 1, "maximum": 2**53 - 1}),
        "span",
        allowed=(_SPAN, {"start": "2026-11-23T10:00:00Z", "end": "2026-11-23T11:00:00Z"}),
        denied=(_SPAN, {"start": "2026-11-23T10:00:00Z", "end": "2026-11-23T11:00:01Z"}),
        project=_show_longest,
    ),
}
