"""Money as people write it, by the exponent of its currency. Row 3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.money import show


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (40000, "usd", "400.00 USD"),
        (5, "eur", "0.05 EUR"),
        (123456789, "USD", "1,234,567.89 USD"),
        (500, "jpy", "500 JPY"),
        (500, "krw", "500 KRW"),
        (12345, "kwd", "12.345 KWD"),
        (1, "bhd", "0.001 BHD"),
        (12345, "clf", "1.2345 CLF"),
        (100, "ugx", "100 of the smallest unit of UGX"),
        (1000, "isk", "1,000 of the smallest unit of ISK"),
        (0, "gbp", "0.00 GBP"),
        (2**53 - 1, "usd", "90,071,992,547,409.91 USD"),
        (100, "xxx", "1.00 XXX"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: int, currency: str, shown: str) -> None:
    assert show(amount, currency) == shown


@given(some.integers(0, 2**53), some.sampled_from(["usd", "jpy", "kwd", "clf"]))
def test_no_digit_is_lost(amount: int, currency: str) -> None:
    digits = "".join(char for char in show(amount, currency) if char.isdigit())
    assert int(digits) == amount
