"""Moments as people write and read them: a date, RFC 3339, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from mcpgate.errors import UsageError

_SPAN: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMED: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_HINT: Final = "Write 2h or 7d for so long ago (s, m, h, d, w), 2026-11-23, or 2026-11-23T10:00:00Z."


def read_moment(flag: str, text: str, now: float, *, whole_day: bool = False) -> float:
    """Seconds since the epoch, by the local clock where no zone is given; raises `UsageError`.

    A date is its first moment, or with `whole_day` the last.
    """
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now - int(span[1]) * _SECONDS[span[2]]
    found: datetime | None = None
    try:
        if _DATE.fullmatch(text):
            found = datetime.fromisoformat(text) + timedelta(days=whole_day)
        elif _TIMED.fullmatch(text):
            found = datetime.fromisoformat(text.upper())
        moment = None if found is None else found.timestamp()
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None:
        raise UsageError(f"{flag} {text[:80]}: that is no moment.", _HINT)
    return moment


def show_moment(at: float) -> str:
    """A moment as a person reads it, by the local clock."""
    return _at(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def exact(at: float) -> str:
    """A moment for machines: RFC 3339, in UTC."""
    return _at(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _at(at: float) -> datetime:
    # a row may have been changed by anyone: what is no moment is shown as the first one
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return datetime.fromtimestamp(0, UTC)
