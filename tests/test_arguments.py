"""Arguments made canonical and held against the tool's schema: rows 1, 2, 7 and 8, and properties."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from mcpgate.arguments import MAX_BYTES, MAX_DEPTH, check_arguments
from mcpgate.errors import ArgumentsError
from mcpgate.json_schema import build_validator
from mcpgate.values import Tool
from tests.policy.shop import connector

EVERY_SHAPE = """
connector: any
base_url: https://any.example
tools:
  any_do:
    description: Do it.
    category: write
    request: POST /it
    params:
      count: { type: integer, minimum: 0, maximum: 50 }
      ratio: { type: number }
      flag: { type: boolean }
      name: { type: string, minLength: 2, maxLength: 5 }
      day: { type: string, format: date }
      kind: { enum: [a, b] }
      code: { type: string, pattern: '^[a-z]{3}$' }
      nothing: { type: [string, 'null'] }
      list: { type: array, items: { type: integer }, maxItems: 3 }
      tree: { type: object, additionalProperties: true }
      map: { type: object, additionalProperties: { type: integer } }
      lines:
        type: array
        items:
          properties:
            id: An id.
            unit: { type: string, default: piece }
            size: { type: [integer, 'null'] }
          required: [id]
      either: { anyOf: [{ type: integer }, { properties: { gt: { type: integer } } }] }
      start: { type: integer, default: 1 }
      one: One.
      other: Other.
    effects: []
"""
TOOL = connector(EVERY_SHAPE).tools["any_do"]
VALIDATOR = build_validator(TOOL.schema)
GROUPED = connector(
    EVERY_SHAPE + "    exactly_one: [[one, other]]\n    at_least_one: [[kind, code]]\n"
).tools["any_do"]


def check(arguments: dict[str, Any], tool: Tool = TOOL) -> dict[str, Any]:
    """The canonical arguments, without the default that is filled in always."""
    canonical = check_arguments(tool, build_validator(tool.schema), arguments)
    assert canonical.pop("start") == 1
    return canonical


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ({"count": 5.0}, {"count": 5}),
        ({"count": -0.0}, {"count": 0}),
        ({"ratio": 1e3}, {"ratio": 1000}),
        ({"ratio": 0.5}, {"ratio": 0.5}),
        ({"ratio": 2**53 - 1}, {"ratio": 2**53 - 1}),
        ({"ratio": 5e-324}, {"ratio": 5e-324}),
        ({"list": [1.0, 2]}, {"list": [1, 2]}),
        ({"list": (1, 2)}, {"list": [1, 2]}),
        ({"name": None, "list": None}, {}),
        ({"nothing": None}, {"nothing": None}),
        ({"map": {"a": None, "b": 1.0}}, {"map": {"b": 1}}),
        ({"tree": {"a": None, "b": [1.0, {"c": -0.0}]}}, {"tree": {"a": None, "b": [1, {"c": 0}]}}),
        ({"lines": [{"id": "x"}]}, {"lines": [{"id": "x", "unit": "piece"}]}),
        (
            {"lines": [{"id": "x", "unit": None, "size": None}]},
            {"lines": [{"id": "x", "size": None, "unit": "piece"}]},
        ),
        ({"either": {"gt": 5.0}}, {"either": {"gt": 5}}),
        ({"either": {"gt": None}}, {"either": {}}),
        ({"start": None}, {}),
        ({"name": "", "code": "abc"}, None),
    ],
)
def test_one_canonical_value(given_: dict[str, Any], canonical: dict[str, Any] | None) -> None:
    if canonical is None:
        with pytest.raises(ArgumentsError):
            check(given_)
    else:
        found = check(given_)
        assert found == canonical
        assert json.dumps(found) == json.dumps(canonical)  # 5 and not 5.0, 0 and not -0


def test_the_arguments_that_came_in_are_left_alone() -> None:
    given_: dict[str, Any] = {"lines": [{"id": "x"}], "name": None, "count": 5.0}
    check(given_)
    assert given_ == {"lines": [{"id": "x"}], "name": None, "count": 5.0}


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        # row 1: a value of another type is never read as the one that is wanted
        ({"count": "5"}, 'count: "5" is not of type integer'),
        ({"count": True}, "count: true is not of type integer"),
        ({"ratio": False}, "ratio: false is not of type number"),
        ({"count": 5.5}, "count: 5.5 is not of type integer"),
        ({"count": [5]}, "count: [5] is not of type integer"),
        ({"flag": 1}, "flag: 1 is not of type boolean"),
        ({"name": 12}, "name: 12 is not of type string"),
        ({"nothing": 1}, "nothing: 1 is not of type string or null"),
        ({"list": [1, "2"]}, 'list[1]: "2" is not of type integer'),
        ({"list": [None]}, "list[0]: null is not of type integer"),
        # row 2: bounds, and numbers that JSON cannot carry
        ({"count": -1}, "count: -1 is under 0"),
        ({"count": 51}, "count: 51 is over 50"),
        ({"ratio": math.nan}, "ratio: nan is not a number that JSON knows"),
        ({"ratio": -math.inf}, "ratio: -inf is not a number that JSON knows"),
        ({"ratio": 2**53}, "ratio: this is beyond ±(2^53 - 1)"),
        ({"ratio": -(2.0**53)}, "ratio: this is beyond ±(2^53 - 1)"),
        ({"tree": {"a": [10**5000]}}, "tree.a[0]: this is beyond ±(2^53 - 1)"),
        # row 7: unknown arguments at every depth
        ({"cuont": 5}, "there is no argument 'cuont'; did you mean 'count'?"),
        ({"Count": 5}, "there is no argument 'Count'; did you mean 'count'?"),
        ({"count[]": 5}, "there is no argument 'count[]'"),
        ({"gone": None}, "there is no argument 'gone'"),
        ({"lines": [{"id": "x", "idd": "y"}]}, "lines[0]: there is no argument 'idd'; did you mean 'id'?"),
        ({"either": {"lt": 5}}, 'either: {"lt": 5} fits none of the forms allowed here'),
        ({"lines": [{}]}, "lines[0]: id is missing"),
        ({"lines": '[{"id": "x"}]'}, 'lines: "[{\\"id\\": \\"x\\"}]" is not of type array'),
        # row 8: texts that two readers read in two ways
        ({"name": "a\0b"}, "name: a text has no NUL character"),
        ({"name": "\ud83d"}, "name: a text has no lone surrogate"),
        ({"tree": {"\ud83d": 1}}, "tree: a text has no lone surrogate"),
        ({"\0count": 5}, "an argument's name: a text has no NUL character"),
        # the rest of the schema
        ({"name": "a"}, "name: this is too short; minLength is 2"),
        ({"list": [1, 2, 3, 4]}, "list: this is too long; maxItems is 3"),
        ({"kind": "c"}, 'kind: "c" is not one of a, b'),
        ({"code": "usd\n"}, "code: 'usd\\n' does not match"),
        ({"day": "2026-02-30"}, "day: '2026-02-30' is not a 'date'"),
    ],
)
def test_what_is_refused_and_how_it_is_said(given_: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentsError) as raised:
        check(given_)
    message = raised.value.message
    assert says in message
    message.encode()


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({}, "give exactly one of one, other; give at least one of kind, code"),
        ({"one": "", "other": "x", "kind": "a"}, "give exactly one of one, other, not one and other"),
        ({"one": None, "code": "abc"}, "give exactly one of one, other"),
        ({"one": "x", "kind": None}, "give at least one of kind, code"),
    ],
)
def test_groups(given_: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentsError) as raised:
        check(given_, GROUPED)
    assert raised.value.message == f"any_do: {says}."
    assert check({"one": "", "kind": "a", "code": "abc"}, GROUPED)


def nested(depth: int) -> dict[str, Any]:
    """Arguments that are so many objects deep, with a number at the bottom."""
    value: Any = 1
    for _ in range(depth - 1):
        value = {"a": value}
    return {"tree": value}


def test_depth_is_bounded_before_anything_recursive_sees_it() -> None:
    assert check(nested(MAX_DEPTH))
    with pytest.raises(ArgumentsError, match="nested more than 64 deep"):
        check(nested(MAX_DEPTH + 1))
    with pytest.raises(ArgumentsError, match="nested more than 64 deep"):
        check(nested(100_000))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ArgumentsError, match="nested more than 64 deep"):
        check({"tree": {"a": deep}})


def test_size_is_bounded_in_bytes() -> None:
    room = MAX_BYTES - len(json.dumps({"tree": {"a": ""}, "start": 1}))
    assert check({"tree": {"a": "x" * room}})
    for too_much in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(ArgumentsError, match="more than 256 KiB"):
            check({"tree": {"a": too_much}})


@pytest.mark.parametrize(
    "hostile",
    [
        {f"x{number}": 1 for number in range(20_000)},
        {"x" * 200_000: 1},
        {"list": ["1"] * 50_000},
        {"lines": [{}] * 50_000},
        {"map": {f"x{number}": "1" for number in range(10_000)}},
        {"tree": {"a" * 200_000: {"b": math.nan}}},
    ],
    ids=["names", "long-name", "items", "required", "map", "long-key"],
)
def test_many_faults_are_told_in_few_words(hostile: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError) as raised:
        check(hostile)
    assert len(raised.value.message) < 1000


def test_faults_are_looked_for_no_further_than_they_are_told() -> None:
    class Endless:
        def iter_errors(self, canonical: Any) -> Iterator[Any]:
            (error,) = VALIDATOR.iter_errors({"gone": 1})
            for number in count():
                error.path.clear()
                error.path.append(number)
                yield error

    with pytest.raises(ArgumentsError, match="; and more"):
        check_arguments(TOOL, Endless(), {})


# --- properties ------------------------------------------------------------------------------------------

TEXTS = some.text(max_size=6) | some.sampled_from(["abc", "2026-01-31", "a", "\0", "\ud800", "x"])
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | TEXTS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FITTING = some.fixed_dictionaries(
    {},
    optional={
        "count": some.integers(0, 50) | some.integers(0, 50).map(float) | some.none(),
        "ratio": some.floats(-1e9, 1e9) | some.integers(-(2**53) + 1, 2**53 - 1),
        "flag": some.booleans(),
        "tree": some.dictionaries(TEXTS, VALUES, max_size=3),
        "map": some.dictionaries(TEXTS, some.integers(-9, 9) | some.none(), max_size=3),
        "lines": some.lists(
            some.fixed_dictionaries({"id": TEXTS}, optional={"size": some.none()}), max_size=2
        ),
        "either": some.integers(0, 9) | some.fixed_dictionaries({"gt": some.integers(0, 9)}),
    },
)
ARGUMENTS = FITTING | some.dictionaries(
    some.sampled_from(["count", "ratio", "name", "list", "tree", "lines", "either", "gone"]),
    VALUES,
    max_size=4,
)


def canonical_or_none(arguments: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return check_arguments(TOOL, VALIDATOR, arguments)
    except ArgumentsError as error:
        error.message.encode()
        return None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ARGUMENTS)
def test_what_passes_is_canonical_already(arguments: dict[str, Any]) -> None:
    canonical = canonical_or_none(arguments)
    if canonical is not None:
        again = check_arguments(TOOL, VALIDATOR, canonical)
        assert json.dumps(again) == json.dumps(canonical)


@given(ARGUMENTS)
def test_what_passes_is_strict_json_with_safe_integers(arguments: dict[str, Any]) -> None:
    canonical = canonical_or_none(arguments)
    if canonical is None:
        return
    text = json.dumps(canonical, allow_nan=False, ensure_ascii=False)
    text.encode()

    def safe(digits: str) -> int:
        assert abs(int(digits)) < 2**53
        assert digits != "-0"
        return int(digits)

    def fraction(digits: str) -> float:
        assert not float(digits).is_integer()
        return float(digits)

    assert json.loads(text, parse_int=safe, parse_float=fraction) == canonical
    assert "\0" not in text
