"""Money: currencies and their exponents, as data.

Amounts are integers in the currency's smallest unit. Exponents are those of ISO 4217; a currency that is not
listed here has two decimals. On isk, mga and ugx APIs disagree, so they are shown in the smallest unit only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_BY_DECIMALS: Final = {
    0: "bif clp djf gnf jpy kmf krw pyg rwf uyi vnd vuv xaf xof xpf",
    3: "bhd iqd jod kwd lyd omr tnd",
    4: "clf uyw",
}
_DECIMALS: Final = {name: decimals for decimals, names in _BY_DECIMALS.items() for name in names.split()}
_DISPUTED: Final = frozenset({"isk", "mga", "ugx"})


def show(amount: int, currency: str) -> str:
    """An amount as people write it: `show(40000, "usd")` is `400.00 USD`, `show(500, "jpy")` is `500 JPY`."""
    if currency.lower() in _DISPUTED:
        return f"{amount:,} of the smallest unit of {currency.upper()}"
    decimals = _DECIMALS.get(currency.lower(), 2)
    return f"{Decimal(amount).scaleb(-decimals):,.{decimals}f} {currency.upper()}"
