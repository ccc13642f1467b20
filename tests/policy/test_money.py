"""Money: what a call moves, by its binding, against a limit for each currency. Rows 2, 3 and 4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.errors import SpecError
from mcpgate.places import MISSING
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.templates.money import amount_of
from tests.policy.shop import connector, guarded, judge, order, policy, reason

LIMITS = "max_amount: { usd: 500, jpy: 70, kwd: 9000 }"
ORDERS = guarded(f"{{ for: shop_create_order, {LIMITS} }}")
PAYOUTS = guarded(f"{{ for: shop_create_payout, {LIMITS} }}")
REFUNDS = guarded(f"{{ for: shop_create_refund, {LIMITS} }}")


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [
        ({"amount": 500, "currency": "usd"}, True),
        ({"amount": 501, "currency": "usd"}, False),
        ({"amount": 0, "currency": "usd"}, True),
        ({"amount": -500, "currency": "usd"}, True),
        ({"amount": -501, "currency": "usd"}, False),  # row 2: a negative amount counts as its absolute value
        ({"amount": 71, "currency": "jpy"}, False),  # row 3: the same number is another sum of money
        ({"amount": 9000, "currency": "kwd"}, True),
        ({"amount": 1, "currency": "eur"}, False),
        ({"amount": 1, "currency": ""}, False),
        ({"amount": 501, "currency": "USD"}, False),
        ({"amount": 500, "currency": "USD"}, True),
        ({"amount": 1, "currency": "usd "}, False),
        ({"amount": 1, "currency": "ｕｓｄ"}, False),
        ({"amount": 1, "currency": "us\u200bd"}, False),
        ({"amount": 1}, False),  # row 4: what is not said is unknown, and unknown is denied
        ({"currency": "usd"}, False),
        ({"amount": None, "currency": "usd"}, False),
        ({"amount": 1, "currency": None}, False),
        ({}, False),
    ],
)
def test_an_amount_against_the_limit_of_its_currency(arguments: dict[str, Any], passes: bool) -> None:
    assert (judge(ORDERS, *order(**arguments)).verdict == "allow") is passes


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [
        ({"currency": "usd", "parts": [{"amount": 300}, {"amount": 200}]}, True),
        ({"currency": "usd", "parts": [{"amount": 300}, {"amount": 201}]}, False),
        ({"currency": "usd", "parts": [{"amount": 600}, {"amount": -200}]}, False),
        ({"parts": [{"amount": 1, "currency": "usd"}, {"amount": 2, "currency": "usd"}]}, True),
        ({"parts": [{"amount": 1, "currency": "usd"}, {"amount": 2, "currency": "jpy"}]}, False),
        ({"parts": [{"amount": 1, "currency": "usd"}, {"amount": 2}]}, False),
        ({"currency": "usd", "parts": [{"amount": 1}, {}]}, False),
        ({"currency": "usd", "parts": [{"amount": 1}, {"amount": None}]}, False),
        ({"currency": "usd", "parts": []}, False),
        ({"currency": "usd"}, False),
    ],
)
def test_many_amounts_are_added_and_one_that_is_not_said_is_unknown(
    arguments: dict[str, Any], passes: bool
) -> None:
    assert (judge(PAYOUTS, "shop_create_payout", arguments).verdict == "allow") is passes


@pytest.mark.parametrize(
    ("arguments", "before", "passes"),
    [
        ({"amount": 400}, {"amount": 9000, "currency": "usd"}, True),
        ({}, {"amount": 500, "currency": "usd"}, True),
        ({}, {"amount": 501, "currency": "usd"}, False),
        ({"amount": 400}, {"amount": 9000}, False),
        ({"amount": 400}, {}, False),
        ({"amount": 400}, None, False),
        ({"amount": 400}, MISSING, False),
        ({}, {"amount": "500", "currency": "usd"}, False),
        ({}, {"amount": 5.5, "currency": "usd"}, False),
        ({}, {"amount": True, "currency": "usd"}, False),
        ({"amount": 400}, {"currency": ["usd", "jpy"]}, False),
        ({"amount": 400}, {"currency": {"code": "usd"}}, False),
    ],
)
def test_what_the_arguments_do_not_say_stands_in_before(
    arguments: dict[str, Any], before: Any, passes: bool
) -> None:
    decision = judge(REFUNDS, "shop_create_refund", {"order": "o", **arguments}, before=before)
    assert (decision.verdict == "allow") is passes


@pytest.mark.parametrize(
    ("arguments", "says", "field"),
    [
        (
            {"amount": 1},
            "the currency of this call is not known, and what cannot be decided is denied",
            "currency",
        ),
        (
            {"currency": "usd"},
            "the amount of this call is not known, and what cannot be decided is denied",
            "amount",
        ),
        ({"amount": 1, "currency": "chf"}, 'no limit is set for "chf"', "currency"),
    ],
)
def test_an_unknown_is_named(arguments: dict[str, Any], says: str, field: str) -> None:
    found = reason(ORDERS, *order(**arguments))
    assert (found.says, found.field) == (says, field)


def test_when_missing_does_not_make_the_unknown_known() -> None:
    lenient = guarded(f"{{ for: shop_create_order, {LIMITS}, when_missing: allow }}")
    assert judge(lenient, *order(currency="usd")).verdict == "deny"


@pytest.mark.parametrize(
    "limits",
    ["{}", "{ USD: 5 }", "{ dollars: 5 }", "{ usd: -1 }", "{ usd: 1.5 }", "{ usd: '5' }", "{ usd: true }"],
)
def test_limits_that_are_none_are_refused_when_the_file_is_read(limits: str) -> None:
    with pytest.raises(SpecError):
        policy(f"guardrails:\n  - {{ for: write, max_amount: {limits} }}\n")


@pytest.mark.parametrize("bound", ["1e999", "-1e999", "99999999999999999999", ".inf", ".nan"])
def test_a_bound_that_bounds_nothing_is_refused(bound: str) -> None:
    with pytest.raises(SpecError):
        policy(f"guardrails:\n  - {{ for: write, max_value: {{ field: amount, max: {bound} }} }}\n")


@given(some.lists(some.integers(-(2**53), 2**53), min_size=1, max_size=5))
def test_an_amount_is_never_negative_and_never_less_than_a_part(amounts: list[int]) -> None:
    arguments = {"currency": "usd", "parts": [{"amount": amount} for amount in amounts]}
    amount, currency = amount_of(Call(connector().tools["shop_create_payout"], arguments))
    assert amount >= max(abs(each) for each in amounts)
    assert currency == "usd"


def test_a_tool_without_a_binding_moves_what_nobody_knows() -> None:
    with pytest.raises(UndecidableError):
        amount_of(Call(connector().tools["shop_send_note"], {"amount": 5, "currency": "usd"}))


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [
        ({"currency": "usd", "parts": [{"amount": 50, "currency": "usd"}]}, True),
        ({"parts": [{"amount": 50, "currency": "usd"}]}, True),
        ({"currency": "usd", "parts": [{"amount": 50, "currency": "jpy"}]}, False),
        ({"currency": "usd", "parts": [{"amount": 50, "currency": "usd"}, {"amount": 50}]}, False),
    ],
)
def test_what_is_said_at_two_places_has_to_be_the_same(
    arguments: dict[str, Any], passes: bool
) -> None:  # row 3
    """The API may take either of them."""
    decision = judge(
        guarded("{ for: shop_create_payout, max_amount: { usd: 100 } }"), "shop_create_payout", arguments
    )
    assert (decision.verdict == "allow") is passes
