"""JSON Schema as mcpgate runs it: linear patterns (row 19), strict types (row 1), nothing fetched (row 22)."""
# ruff: noqa: E501

from __future__ import annotations

import time
from typing import Any

import pytest
from referencing.exceptions import Unresolvable

from mcpgate.json_schema import build_validator, compile_pattern
from tests.standins.loopback import Loopback


def takes(schema: dict[str, Any], value: Any) -> bool:
    return bool(build_validator(schema).is_valid(value))


@pytest.mark.parametrize("host", ["/schema.json", "/schema.json#/$defs/x"])
def test_a_remote_ref_is_never_fetched(capture: Loopback, host: str) -> None:  # row 22
    with pytest.raises(Unresolvable):
        takes({"$ref": f"{capture.url}{host}"}, 1)
    assert capture.requests == []


@pytest.mark.parametrize(
    ("kind", "value", "valid"),
    [
        ("integer", 1, True),
        ("integer", True, False),
        ("integer", 1.0, False),
        ("integer", "1", False),
        ("number", 1.5, True),
        ("number", False, False),
        ("number", "1.5", False),
        ("string", 1, False),
        ("boolean", 1, False),
        ("array", (1,), False),
    ],
)
def test_a_type_is_what_it_says(kind: str, value: Any, valid: bool) -> None:  # row 1
    assert takes({"type": kind}, value) is valid


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 200_000 + "!"),
        ({"pattern": "(x+x+)+y"}, "x" * 200_000),
        ({"patternProperties": {"^(a+)+$": False}}, {"a" * 200_000 + "!": 1}),
        ({"propertyNames": {"pattern": "^(a+)+$"}}, {"a" * 200_000 + "!": 1}),
        ({"uniqueItems": True}, [{"a": i} for i in range(20_000)]),
        ({"uniqueItems": True}, [[i, None] for i in range(20_000)]),
    ],
    ids=["pattern", "pattern that never ends", "patternProperties", "propertyNames", "unique objects", "unique lists"],
)  # fmt: skip
def test_no_check_takes_longer_than_its_input(schema: dict[str, Any], value: Any) -> None:  # row 19
    began = time.perf_counter()
    build_validator(schema).is_valid(value)
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize(
    ("items", "valid"),
    [
        ([], True),
        ([1, 2], True),
        ([1, True, "1", None, 0, False], True),
        ([1, 1], False),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ([[1], [1]], False),
        ("aa", True),
    ],
)
def test_items_are_unique_by_value(items: Any, valid: bool) -> None:
    assert takes({"uniqueItems": True}, items) is valid
    assert takes({"uniqueItems": False}, items)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=a)", "no lookaround"),
        ("(?<!a)b", "no lookaround"),
        (r"(a)\1", "no backreferences"),
        ("(a", r"^missing \): \(a$"),
        ("a{5000}", "invalid repetition size"),
        ("((a{100}){100}){100}", "invalid repetition size"),
        (r"\pL{400}", "too large"),
    ],
)
def test_a_pattern_that_is_not_linear_and_small_is_refused_with_the_reason(pattern: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-02-28", "2026-02-30 2026-2-1 20260228 2026-W01-1 २०२६-02-28"),
        ("time", "12:30:00Z 00:00:00z 23:59:59.123456789+02:00", "12:30 12:30:00 24:00:00Z 123000Z"),
        ("date-time", "2026-02-28T12:00:00Z 2026-02-28t12:00:00.5-05:00", "2026-02-28 2026-02-28T12:00:00 20260228T120000Z 2026-02-30T12:00:00Z"),
        ("email", "a@b a.b+c@d.example", "a @b a@ a@b@c"),
        ("hostname", "a a.example A-1.example", "-a a- a..b a_b ä.example"),
        ("ipv4", "192.0.2.1", "192.0.2.256 192.0.2 1.2.3.04"),
        ("ipv6", "::1 2001:db8::1", "::: 1.2.3.4 fe80::1%eth0"),
        ("uri", "https://a.example/b urn:a:b mailto:a@b", "a a/b //a.example http://["),
        ("uuid", "59833787-2cf9-4fdf-8782-e53db20768a5", "598337872cf94fdf8782e53db20768a5 {59833787-2cf9-4fdf-8782-e53db20768}"),
    ],
)  # fmt: skip
def test_formats_are_checked(name: str, good: str, bad: str) -> None:
    for text in good.split():
        assert takes({"format": name}, text), text
    for text in (*bad.split(), "", f"{good.split()[0]}\n", f" {good.split()[0]}"):
        assert not takes({"format": name}, text), text
    assert takes({"format": name}, 7)
