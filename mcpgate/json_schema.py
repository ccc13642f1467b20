"""JSON Schema 2020-12 as mcpgate runs it: patterns on RE2, formats checked, nothing ever fetched."""

from __future__ import annotations

import datetime
import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import re2
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from mcpgate.fitting import fitting

Json = Any

_PATTERN_BYTES: Final = 1 << 20


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Any:
    """A pattern on RE2, whose time is linear; raises `ValueError` with why RE2 cannot take it."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        shown = reason.decode() if isinstance(reason, bytes) else str(reason)
        limits = " (patterns run on RE2: no lookaround, no backreferences)" if "invalid" in shown else ""
        raise ValueError(f"{shown}{limits}") from None


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


def _unique_items(validator: Any, unique: bool, instance: Json, schema: Json) -> Iterator[ValidationError]:
    """In linear time: the validator's own compares each item with each other one."""
    if unique and validator.is_type(instance, "array"):
        texts = {json.dumps(item, sort_keys=True) for item in instance}
        if len(texts) < len(instance):
            yield ValidationError("the items are not all different")


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


_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def _reads(pattern: str, read: Callable[[str], object] = bool) -> Callable[[str], object]:
    """Whether a text has this form and can be read: Python's readers take more forms than RFC 3339 has."""
    return lambda text: compile_pattern(pattern).fullmatch(text) is not None and bool(read(text))


_format("date", _reads(_DATE, datetime.date.fromisoformat))
_format("time", _reads(_TIME, lambda text: datetime.time.fromisoformat(text.upper()) is not None))
_format(
    "date-time", _reads(f"{_DATE}[Tt]{_TIME}", lambda text: datetime.datetime.fromisoformat(text.upper()))
)
_format("ipv4", ipaddress.IPv4Address)
_format("ipv6", _reads(r"[0-9A-Fa-f:.]+", ipaddress.IPv6Address))
_format("uuid", _reads(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"))
_format("uri", lambda text: bool(urlsplit(text).scheme) and text.isprintable() and " " not in text)
_format("email", _reads(r"[^@\s]+@[^@\s]+"))
_format("hostname", _reads(rf"{_LABEL}(?:\.{_LABEL})*"))

_Validator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern, "patternProperties": _pattern_properties, "uniqueItems": _unique_items},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_strict("integer"), "number": _is_strict("number")}
    ),
    format_checker=_FORMATS,
)


class Validator:
    """A schema's, to be built once and kept: whether a value fits, and if it does not, why.

    The library is asked only of what does not certainly fit; a remote `$ref` finds an empty registry.
    """

    def __init__(self, schema: Mapping[str, Json]) -> None:
        self._fits = fitting(schema, compile_pattern)
        self._full = _Validator(schema, registry=Registry(), format_checker=_FORMATS)

    def iter_errors(self, value: Json) -> Iterator[ValidationError]:
        """Each thing that is wrong with a value, found as it is asked for."""
        return iter(()) if self._fits(value) else self._full.iter_errors(value)

    def is_valid(self, value: Json) -> bool:
        """Whether nothing is."""
        return next(self.iter_errors(value), None) is None


def build_validator(schema: Mapping[str, Json]) -> Validator:
    """A validator for one schema."""
    return Validator(schema)
