"""The keys of apps: `mgw_` and 256 bits, shown once and kept as a hash; and until when one counts."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from mcpgate.errors import UsageError
from mcpgate.secrets import Secret

_PREFIX: Final = "mgw_"
_BYTES: Final = 32
_KEY: Final = re.compile(_PREFIX + r"[A-Za-z0-9_-]{43}")
_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NEVER: Final = "never"
_WRITTEN: Final = "Write a span (90d, 12h), a moment (2027-01-31T00:00:00Z), or never."


def new_key() -> Secret:
    """A key that nobody has seen."""
    return Secret(_PREFIX + secrets.token_urlsafe(_BYTES))


def is_key(text: str) -> bool:
    """Whether a text is written as keys are; of others the database is not asked."""
    return _KEY.fullmatch(text) is not None


def hash_of(key: str) -> str:
    """What is kept of a key. It has 256 bits of chance, so that nobody gets from the hash to the key."""
    return hashlib.sha256(key.encode()).hexdigest()


def moment(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def expiry(text: str, now: float) -> str:
    """The moment that a text means, empty for never; raises `UsageError`, for one that has passed as well."""
    if text in ("", _NEVER):
        return ""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return moment(now + timedelta(**{_UNITS[span[2]]: int(span[1])}).total_seconds())
    until = parse_moment(text)
    if not until:
        raise UsageError(f"'{text[:80]}' is no moment that a key can expire at.", _WRITTEN)
    if is_past(until, now):
        raise UsageError(f"{text} has passed already.", _WRITTEN)
    return until


def parse_moment(text: str) -> str:
    """An RFC 3339 moment in UTC, as it is kept; empty where the text is none."""
    try:
        given = datetime.fromisoformat(text)
        return moment(given.timestamp()) if given.tzinfo is not None else ""
    except (ValueError, OverflowError, OSError):
        return ""


def is_past(until: str, now: float) -> bool:
    """Whether a moment has come; one that cannot be read has, and none never comes."""
    if not until:
        return False
    known = parse_moment(until)
    return not known or datetime.fromisoformat(known).timestamp() <= now
