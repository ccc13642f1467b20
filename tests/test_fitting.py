"""What certainly fits a schema, the validator has nothing against: never the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from mcpgate.fitting import fitting
from mcpgate.json_schema import _FORMATS, _Validator, compile_pattern

Json = Any

SHOP = {
    "type": "object",
    "additionalProperties": False,
    "required": ["amount"],
    "properties": {
        "amount": {"type": "integer", "minimum": 1, "maximum": 500, "description": "In cents."},
        "rate": {"type": "number", "minimum": 0},
        "currency": {"type": "string", "enum": ["usd", "eur"]},
        "customer": {"type": "string", "pattern": "^cus_[a-z0-9]+$", "maxLength": 9},
        "gift": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 2},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
        "open": {"type": "object", "additionalProperties": True},
        "when": {"type": "string", "format": "date"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    },
}


def fits(schema: Json, value: Json) -> bool:
    return fitting(schema, compile_pattern)(value)


def is_valid(schema: Json, value: Json) -> bool:
    return bool(_Validator(schema, format_checker=_FORMATS).is_valid(value))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"rate": 0.5, "currency": "eur", "gift": True},
        {"rate": 3, "customer": "cus_1"},
        {"tags": ["a", "b"], "metadata": {"a": "b"}, "open": {"x": [None]}},
    ],
)
def test_what_is_sound_fits(more: dict[str, Json]) -> None:
    value = {"amount": 5, **more}
    assert fits(SHOP, value)
    assert is_valid(SHOP, value)


WRONG = [
    {"amount": True},
    {"amount": 5.0},
    {"amount": "5"},
    {"amount": None},
    {"amount": 0},
    {"amount": 501},
    {"amount": float("nan")},
    {"rate": True},
    {"rate": -0.1},
    {"rate": float("nan")},
    {"currency": "USD"},
    {"currency": ["usd"]},
    {"customer": "cus_1/../x"},
    {"customer": "cus_1/x"},
    {"customer": ""},
    {"customer": "cus_123456"},
    {"gift": 0},
    {"gift": "false"},
    {"tags": []},
    {"tags": [""]},
    {"tags": ["a", "b", "c"]},
    {"tags": "a"},
    {"metadata": {"a": 1}},
    {"metadata": {"a": "", "b": "", "c": ""}},
    {"metadata": []},
    {"other": 1},
    {"Amount": 5},
]


@pytest.mark.parametrize("more", WRONG, ids=repr)
def test_what_is_wrong_does_not_fit(more: dict[str, Json]) -> None:
    assert not fits(SHOP, {"amount": 5, **more})
    assert not is_valid(SHOP, {"amount": 5, **more}) or "nan" in repr(more)


@pytest.mark.parametrize("value", [{}, [], "x", 5, None, True])
def test_what_is_no_object_or_lacks_something_does_not_fit(value: Json) -> None:
    assert not fits(SHOP, value)


@pytest.mark.parametrize("more", [{"when": "2026-11-23"}, {"either": 5}], ids=repr)
def test_a_keyword_that_is_not_known_is_left_to_the_validator(more: dict[str, Json]) -> None:
    assert not fits(SHOP, {"amount": 5, **more})
    assert is_valid(SHOP, {"amount": 5, **more})


@pytest.mark.parametrize(
    "schema",
    [
        {},
        False,
        {"type": "null"},
        {"type": ["string", "null"]},
        {"enum": [1]},
        {"type": "integer", "exclusiveMinimum": 3},
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "enum": [1]},
        {"type": "string", "const": "a"},
        {"type": "string", "not": {}},
        {"type": "object", "patternProperties": {"": False}},
        {"type": "object", "propertyNames": False},
        {"type": "object", "minProperties": 1},
        {"type": "array", "uniqueItems": True},
        {"type": "array", "prefixItems": [False]},
        {"type": "string", "$ref": "#/x"},
        {"type": "string", "allOf": [False]},
    ],
    ids=repr,
)
def test_of_nothing_else_is_it_certain(schema: Json) -> None:
    for value in (None, 0, 1, 4, 2.5, "", "a", True, [], [1], [1, 1], {}, {"a": 1}):
        assert not fits(schema, value)


SMALL = some.integers(0, 3)
SCALARS = some.none() | some.booleans() | SMALL | some.floats() | some.sampled_from(["", "a", "ab", "abc"])
VALUES = some.recursive(
    SCALARS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from("abc"), inner),
    max_leaves=6,
)
TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]


def _schemas(inner: some.SearchStrategy[Json]) -> some.SearchStrategy[Json]:
    return some.fixed_dictionaries(
        {"type": some.sampled_from(TYPES)},
        optional={
            "minimum": SMALL,
            "maximum": SMALL,
            "minLength": SMALL,
            "maxLength": SMALL,
            "minItems": SMALL,
            "maxItems": SMALL,
            "maxProperties": SMALL,
            "pattern": some.sampled_from(["a", "^b", "c$", "^$"]),
            "enum": some.lists(SCALARS, min_size=1, max_size=3),
            "items": inner,
            "properties": some.dictionaries(some.sampled_from("abc"), inner),
            "additionalProperties": inner,
            "required": some.lists(some.sampled_from("abc"), unique=True, max_size=2),
            "description": some.just("Something."),
        },
    )


SCHEMAS = some.recursive(some.booleans() | _schemas(some.booleans()), _schemas, max_leaves=4)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, VALUES)
def test_what_certainly_fits_is_valid(schema: Json, value: Json) -> None:
    if fits(schema, value):
        assert is_valid(schema, value)


def _known(kind: str, inner: some.SearchStrategy[Json]) -> some.SearchStrategy[Json]:
    """Schemas of what is known here alone, so that values fit more often."""
    own: dict[str, dict[str, some.SearchStrategy[Json]]] = {
        "string": {"minLength": SMALL, "maxLength": SMALL, "pattern": some.sampled_from(["a", "^$"])},
        "integer": {"minimum": SMALL, "maximum": SMALL},
        "number": {"minimum": SMALL, "maximum": SMALL},
        "boolean": {},
        "array": {"items": inner, "minItems": SMALL, "maxItems": SMALL},
        "object": {
            "properties": some.dictionaries(some.sampled_from("abc"), inner),
            "additionalProperties": inner | some.booleans(),
            "required": some.lists(some.sampled_from("abc"), unique=True, max_size=1),
            "maxProperties": SMALL,
        },
    }
    return some.fixed_dictionaries({"type": some.just(kind)}, optional=own[kind])


KNOWN = some.recursive(
    some.sampled_from(TYPES[:4]).flatmap(lambda kind: _known(kind, some.just(True))),
    lambda inner: some.sampled_from(["array", "object"]).flatmap(lambda kind: _known(kind, inner)),
    max_leaves=4,
)


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(KNOWN, VALUES)
def test_of_what_it_knows_it_is_certain_exactly_where_the_validator_is(schema: Json, value: Json) -> None:
    assert fits(schema, value) == (is_valid(schema, value) and "nan" not in repr(value))
