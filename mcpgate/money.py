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


# ISO 4217, list one: what is money, and not metals, funds, tests or nothing
_CODES: Final = """
aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf
chf clf clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq
gyd hkd hnl htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr
lrd lsl lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen
pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb
tjs tmt tnd top try ttd twd tzs uah ugx usd uyi uyu uyw uzs ved ves vnd vuv wst xaf xcd xcg xof xpf yer
zar zmw zwg
"""
CURRENCIES: Final = frozenset(_CODES.split())


def show(amount: int, currency: str) -> str:
    """An amount as people write it: `show(40000, "usd")` is `400.00 USD`, `show(500, "jpy")` is `500 JPY`."""
    if currency.lower() in _DISPUTED:
        return f"{amount:,} of the smallest unit of {currency.upper()}"
    decimals = _DECIMALS.get(currency.lower(), 2)
    return f"{Decimal(amount).scaleb(-decimals):,.{decimals}f} {currency.upper()}"
