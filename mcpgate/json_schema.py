"""JSON Schema 2020-12 as mcpgate runs it: patterns on RE2, formats checked, nothing ever fetched."""

from __future__ import annotations

import datetime
import ipaddress
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import re2
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry

Json = Any

_PATTERN_BYTES: Final = 1 << 20
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Any:
    """A pattern on RE2, whose time is linear; raises `ValueError` with the reason for what RE2 cannot take."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        shown = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{shown} (patterns run on RE2: no lookaround, no backreferences)") from None


def _pattern(validator: Any, pattern: str, instance: Json, schema: Json) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not compile_pattern(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Json], instance: Json, schema: Json
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for pattern, subschema in patterns.items():
            for key, value in instance.items():
                if compile_pattern(pattern).search(key):
                    yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _is_strict(kind: str) -> Callable[[Any, Json], bool]:
    def check(checker: Any, instance: Json) -> bool:
        if isinstance(instance, bool):
            return False
        return isinstance(instance, int if kind == "integer" else (int, float))

    return check


_FORMATS: Final = FormatChecker(formats=())


def _format(name: str, check: Callable[[str], object]) -> None:
    @_FORMATS.checks(name, raises=ValueError)
    def checked(instance: object) -> bool:
        return not isinstance(instance, str) or check(instance) is not False


_format("date", lambda text: len(text) == 10 and datetime.date.fromisoformat(text))
_format("time", datetime.time.fromisoformat)
_format("date-time", lambda text: "T" in text.upper() and datetime.datetime.fromisoformat(text).tzinfo is not None)
_format("ipv4", ipaddress.IPv4Address)
_format("ipv6", ipaddress.IPv6Address)
_format("uuid", lambda text: len(text) == 36 and uuid.UUID(text))
_format("uri", lambda text: bool(urlsplit(text).scheme) and not any(c.isspace() for c in text))
_format("email", lambda text: compile_pattern(r"^[^@\s]+@[^@\s]+$").search(text) is not None)
_format("hostname", lambda text: compile_pattern(rf"^{_LABEL}(?:\.{_LABEL})*$").search(text) is not None)

_Validator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern, "patternProperties": _pattern_properties},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_strict("integer"), "number": _is_strict("number")}
    ),
    format_checker=_FORMATS,
)


def build_validator(schema: Mapping[str, Json]) -> Any:
    """A validator for one schema, to be built once and kept; a remote `$ref` finds an empty registry."""
    return _Validator(schema, registry=Registry(), format_checker=_FORMATS)
