"""Projection: what each template writes into the listed schema, and that nothing of it is checked."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.json_schema import build_validator
from mcpgate.toolset import build_toolset, list_tool
from tests.policy.shop import connector, guarded, judge, order


def shown(*guardrails: str, tool: str = "shop_create_order") -> dict[str, Any]:
    """The schema that is listed for a tool under these guardrails."""
    listing = build_toolset(guarded(*(f"{{ for: {tool}, {text} }}" for text in guardrails)))
    schema: dict[str, Any] = list_tool(listing.find(tool).tool, listing.find(tool).bound)["inputSchema"]
    return schema


def at(schema: dict[str, Any], path: str) -> Any:
    """The part of a schema at a path; `[]` are the items, `*` the additional properties."""
    for step in path.split(".") if path else ():
        schema = schema[{"[]": "items", "*": "additionalProperties"}.get(step, "properties")]
        schema = schema[step] if step not in ("[]", "*") else schema
    return schema


@pytest.mark.parametrize(
    ("guardrail", "path", "expected"),
    [
        ("max_value: { field: amount, max: 5 }", "amount", {"maximum": 5}),
        ("min_value: { field: amount, min: 5 }", "amount", {"minimum": 5}),
        ("value_range: { field: amount, min: 1, max: 5 }", "amount", {"minimum": 1, "maximum": 5}),
        ("allow_values: { field: currency, values: [usd, eur] }", "currency", {"enum": ["usd", "eur"]}),
        ("block_values: { field: note, values: [a, b] }", "note", {"description": "Free text. Not: a, b."}),
        ("max_items: { field: tags, max: 2 }", "tags", {"maxItems": 2}),
        # the limit of a list's values stands at its items, that of its length at the list
        ("allow_values: { field: tags, values: [a] }", "tags.[]", {"enum": ["a"]}),
        ("allow_values: { field: tags, values: [a] }", "tags", {"minItems": 1}),
        ("max_items: { field: items.codes, max: 2 }", "items.[].codes", {"maxItems": 2}),
        ("allow_values: { field: items.codes, values: [a] }", "items.[].codes.[]", {"enum": ["a"]}),
        # nested, in lists, in maps, in choices
        ("max_value: { field: address.geo.lat, max: 5 }", "address.geo.lat", {"maximum": 5}),
        ("max_value: { field: items.quantity, max: 5 }", "items.[].quantity", {"maximum": 5, "minimum": 1}),
        ("max_value: { field: items.0.quantity, max: 5 }", "items.[].quantity", {"maximum": 5}),
        ("allow_values: { field: metadata.team, values: [a] }", "metadata.team", {"enum": ["a"]}),
        ("allow_values: { field: metadata.*, values: [a] }", "metadata.*", {"enum": ["a"]}),
        ("max_value: { field: extra.left, max: 5 }", "extra.left", {"maximum": 5}),
        # what the schema says already stays where it is tighter
        ("max_items: { field: tags, max: 99 }", "tags", {"maxItems": 9}),
        ("min_value: { field: items.quantity, min: 0 }", "items.[].quantity", {"minimum": 1}),
        ("allow_values: { field: size, values: [l, xl, s] }", "size", {"enum": ["s", "l"]}),
        ("block_values: { field: size, values: [S] }", "size", {"enum": ["m", "l"]}),
        ("max_value: { field: ratio, max: 500 }", "ratio", {"maximum": 500, "exclusiveMaximum": 100}),
    ],
)
def test_a_limit_is_shown_where_it_holds(guardrail: str, path: str, expected: dict[str, Any]) -> None:
    part = at(shown(guardrail), path)
    assert {key: part.get(key) for key in expected} == expected


def test_a_choice_shows_the_limit_in_the_alternative_that_has_the_field() -> None:
    choices = at(shown("max_value: { field: created.gt, max: 5 }"), "created")["anyOf"]
    assert "maximum" not in choices[0]
    assert choices[1]["properties"]["gt"]["maximum"] == 5


@pytest.mark.parametrize(
    ("guardrail", "path", "required"),
    [
        ("max_value: { field: amount, max: 5 }", "", ["amount"]),
        ("max_value: { field: address.geo.lat, max: 5 }", "", ["address"]),
        ("max_value: { field: address.geo.lat, max: 5 }", "address.geo", ["lat"]),
        ("max_value: { field: items.quantity, max: 5 }", "items.[]", ["quantity"]),
        ("required_fields: { fields: [note, metadata.team] }", "", ["note", "metadata"]),
        ("required_fields: { fields: [note, metadata.team] }", "metadata", ["team"]),
        ("max_value: { field: amount, max: 5 }, when_missing: allow", "", None),
        ("block_values: { field: note, values: [a] }", "", None),
    ],
)
def test_what_a_limit_guards_becomes_required(guardrail: str, path: str, required: list[str] | None) -> None:
    assert at(shown(guardrail), path).get("required") == required


def test_a_blocked_field_is_gone() -> None:
    schema = shown("block_fields: { fields: [note, items.price, metadata.team] }")
    assert "note" not in schema["properties"]
    assert set(at(schema, "items.[]")["properties"]) == {"quantity", "codes"}
    assert "Leave out team." in at(schema, "metadata")["description"]
    assert "team" not in at(schema, "metadata").get("properties", {})


def test_money_is_shown_as_largest_limit_currencies_and_a_line() -> None:
    schema = shown("max_amount: { usd: 40000, jpy: 500 }")
    assert at(schema, "amount") == {
        "type": "integer",
        "maximum": 40000,
        "description": "At most 40000 usd, 500 jpy.",
    }
    assert at(schema, "currency")["enum"] == ["usd", "jpy"]
    assert schema["required"] == ["amount", "currency"]


def test_a_budget_is_shown_as_what_it_lets_through_at_most() -> None:
    schema = shown("budget: { usd: 40000, jpy: 500, per: day }")
    assert at(schema, "amount")["maximum"] == 40000
    assert re.match(
        r"At most 40000 usd, 500 jpy .*\bin any (day|24 hours)\.", at(schema, "amount")["description"]
    )
    assert at(schema, "currency")["enum"] == ["usd", "jpy"]
    assert schema["required"] == ["amount", "currency"]
    both = shown("budget: { usd: 40000, per: week }, max_amount: { usd: 900, eur: 900 }")
    assert at(both, "amount")["maximum"] == 900
    assert at(both, "currency")["enum"] == ["usd"]


@pytest.mark.parametrize(
    ("guardrail", "line"),
    [
        ("rate_limit: { max: 30, per: minute }", "At most 30 calls in any 60 seconds."),
        ("daily_quota: { max: 5 }", "At most 5 calls in any 24 hours."),
        ("repeat_block: { max: 1, per: week }", "At most 1 call with the same arguments in any 7 days."),
    ],
)
def test_how_often_is_a_line_of_the_tool(guardrail: str, line: str) -> None:
    assert shown(guardrail)["description"] == line
    assert "description" not in shown(f"{guardrail}, mode: observe")


def test_money_in_a_list_or_from_before_is_shown_as_far_as_it_is_an_argument() -> None:
    payout = shown("max_amount: { usd: 5 }", tool="shop_create_payout")
    assert at(payout, "parts.[].amount")["maximum"] == 5
    assert at(payout, "currency")["enum"] == ["usd"]
    refund = shown("max_amount: { usd: 5 }", tool="shop_create_refund")
    assert at(refund, "amount")["maximum"] == 5
    assert refund["required"] == ["order"]


def test_observed_rules_are_not_shown_and_asking_ones_are() -> None:
    guardrail = "max_value: { field: amount, max: 5 }, mode: "
    assert shown(guardrail + "observe") == connector().tools["shop_create_order"].schema
    assert at(shown(guardrail + "ask"), "amount")["maximum"] == 5


GUARDRAILS = [
    "max_value: { field: amount, max: 5 }",
    "value_range: { field: items.quantity, min: 2, max: 3 }",
    "allow_values: { field: tags, values: [a] }",
    "allow_values: { field: metadata.team, values: [a] }",
    "required_fields: { fields: [items.price, note] }",
    "max_items: { field: items, max: 1 }",
    "max_amount: { usd: 5 }",
    "block_fields: { fields: [size] }",
]


def test_showing_never_changes_what_is_checked() -> None:
    before = copy.deepcopy(dict(connector().tools["shop_create_order"].schema))
    for guardrail in GUARDRAILS:
        assert shown(guardrail) != before
    assert connector().tools["shop_create_order"].schema == before
    # a value beyond the limit is refused by the rule, which has a name, and not by the schema
    found = judge(guarded(f"{{ for: shop_create_order, {GUARDRAILS[0]} }}"), *order(amount=6))
    assert found.reason is not None
    assert found.reason.rule == "max_value"


ARGUMENTS = some.fixed_dictionaries(
    {},
    optional={
        "amount": some.integers(0, 7),
        "currency": some.sampled_from(["usd", "eur"]),
        "note": some.just("n"),
        "size": some.sampled_from(["s", "m"]),
        "tags": some.lists(some.sampled_from("ab"), max_size=2),
        "metadata": some.dictionaries(some.just("team"), some.sampled_from("ab"), max_size=1),
        "items": some.lists(
            some.fixed_dictionaries({}, optional={"price": some.just("p"), "quantity": some.integers(1, 4)}),
            max_size=2,
        ),
    },
)


@given(some.sampled_from(GUARDRAILS), ARGUMENTS)
def test_what_passes_a_rule_fits_what_is_shown(guardrail: str, arguments: dict[str, Any]) -> None:
    """A model that keeps to the listed schema loses nothing that it may do."""
    if judge(guarded(f"{{ for: shop_create_order, {guardrail} }}"), *order(**arguments)).verdict == "allow":
        assert not list(build_validator(shown(guardrail)).iter_errors(arguments))
