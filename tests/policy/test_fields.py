"""Fields: what a dotted path finds in arguments and in a schema, and what counts as missing."""

from __future__ import annotations

from typing import Any

import pytest

from mcpgate.places import MISSING
from mcpgate.policy.fields import field_names, has_field, is_missing, read_field, split_field
from tests.policy.shop import connector, guarded, judge, order

ORDER = connector().tools["shop_create_order"].schema


@pytest.mark.parametrize(
    ("field", "keys"),
    [
        ("amount", ("amount",)),
        ("items.price", ("items", "price")),
        (r"metadata.a\.b", ("metadata", "a.b")),
        (r"a\.b\.c.d", ("a.b.c", "d")),
    ],
)
def test_a_field_is_split_at_its_dots(field: str, keys: tuple[str, ...]) -> None:
    assert split_field(field) == keys


@pytest.mark.parametrize(
    ("field", "arguments", "found"),
    [
        ("amount", {"amount": 5}, [5]),
        ("amount", {"amount": 0}, [0]),
        ("amount", {"amount": ""}, [""]),
        ("amount", {}, [MISSING]),
        ("amount", {"amount": None}, [None]),
        ("address.geo.lat", {"address": {"geo": {"lat": 1.5}}}, [1.5]),
        ("address.geo.lat", {"address": {"geo": {}}}, [MISSING]),
        ("address.geo.lat", {"address": 7}, [MISSING]),
        ("address.geo.lat", {"address": None}, [MISSING]),
        ("items.price", {"items": [{"price": "a"}, {"price": "b"}]}, ["a", "b"]),
        ("items.price", {"items": [{"price": "a"}, {}]}, ["a", MISSING]),
        ("items.price", {"items": [{"price": "a"}, None, 3]}, ["a", MISSING, MISSING]),
        ("items.price", {"items": []}, [MISSING]),
        ("items.price", {"items": [[{"price": "a"}], []]}, ["a", MISSING]),
        ("items.codes", {"items": [{"codes": ["x"]}, {"codes": []}]}, [["x"], []]),
        ("items.0.price", {"items": [{"price": "a"}, {"price": "b"}]}, ["a"]),
        ("items.-1.price", {"items": [{"price": "a"}, {"price": "b"}]}, ["b"]),
        ("items.5.price", {"items": [{"price": "a"}]}, [MISSING]),
        ("items.*.price", {"items": [{"price": "a"}, {}]}, ["a", MISSING]),
        ("metadata.*", {"metadata": {"x": "1", "y": "2"}}, ["1", "2"]),
        ("metadata.*", {"metadata": {}}, [MISSING]),
        (r"metadata.a\.b", {"metadata": {"a.b": "1", "a": {"b": "2"}}}, ["1"]),
    ],
)
def test_what_stands_at_a_field(field: str, arguments: dict[str, Any], found: list[Any]) -> None:
    assert read_field(arguments, split_field(field)) == found


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"items": [{"codes": ["x", "y"]}, {"codes": ["z"]}]}, ["x", "y", "z"]),
        ({"items": [{"codes": [["x"], []]}, {"codes": "z"}]}, ["x", [], "z"]),
        ({"items": [{"codes": []}, {}]}, [[], MISSING]),
    ],
)
def test_a_list_at_the_end_can_be_opened(arguments: dict[str, Any], found: list[Any]) -> None:
    assert read_field(arguments, ("items", "codes"), opened=True) == found


@pytest.mark.parametrize("value", [MISSING, None, [], {}, [None], [[]], [{}], {"a": {}}])
def test_these_count_as_missing(value: Any) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, "", False, [0], [None, 1], {"a": ""}])
def test_these_are_given(value: Any) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("field", "there"),
    [
        ("amount", True),
        ("items.quantity", True),
        ("items.*.quantity", True),
        ("items.0.quantity", True),
        ("items.codes", True),
        ("metadata.whatever", True),
        ("metadata.*", True),
        ("address.geo.lat", True),
        ("created.gt", True),
        ("extra.anything.at.all", True),
        ("amuont", False),
        ("items.amount", False),
        ("metadata.a.b", False),
        ("address.geo.lat.x", False),
        ("created.lt", False),
    ],
)
def test_whether_a_schema_has_a_field(field: str, there: bool) -> None:
    assert has_field(ORDER, split_field(field)) is there


def test_fields_are_named_for_messages() -> None:
    assert {"amount", "items.price", "items.codes", "address.geo.lat"} <= set(field_names(ORDER))


# --- what is missing is denied, row 4 --------------------------------------------------------------------

QUANTITY = "max_value: { field: items.quantity, max: 3 }"
GIVEN: list[tuple[dict[str, Any], bool]] = [
    ({"items": [{"quantity": 3}]}, True),
    ({"items": [{"quantity": 3}, {"quantity": 1}]}, True),
    ({"items": [{"quantity": 3}, {"quantity": 4}]}, False),
    ({}, False),
    ({"items": None}, False),
    ({"items": []}, False),
    ({"items": [{"quantity": 3}, {"price": "p"}]}, False),
    ({"items": [{"quantity": None}]}, False),
]


@pytest.mark.parametrize(("arguments", "passes"), GIVEN)
def test_a_limit_needs_its_field_in_every_place(arguments: dict[str, Any], passes: bool) -> None:
    app = guarded(f"{{ for: shop_create_order, {QUANTITY} }}")
    assert (judge(app, *order(**arguments)).verdict == "allow") is passes


@pytest.mark.parametrize(("arguments", "passes"), GIVEN)
def test_when_missing_allow_passes_what_is_not_there_only(arguments: dict[str, Any], passes: bool) -> None:
    app = guarded(f"{{ for: shop_create_order, {QUANTITY}, when_missing: allow }}")
    too_many = any(item.get("quantity") == 4 for item in arguments.get("items") or ())
    assert (judge(app, *order(**arguments)).verdict == "allow") is not too_many


def test_a_missing_field_is_named_with_what_would_pass() -> None:
    app = guarded(f"{{ for: shop_create_order, {QUANTITY} }}")
    found = judge(app, *order(items=[])).reason
    assert found is not None
    assert found.says == "items.quantity is missing, and max_value guards it"
    assert (found.field, found.passes) == ("items.quantity", "give items.quantity")


def test_a_default_is_filled_in_before_the_rules_look() -> None:
    app = guarded("{ for: shop_create_order, allow_values: { field: urgent, values: ['no'] } }")
    assert judge(app, *order()).verdict == "allow"
    assert judge(app, *order(urgent=None)).verdict == "allow"
    assert judge(app, *order(urgent="yes")).verdict == "deny"
