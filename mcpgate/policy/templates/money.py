"""Templates over what a call moves, by the `money` binding of its tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcpgate import money
from mcpgate.places import MISSING, Place
from mcpgate.policy.call import Call, Config, Miss, UndecidableError, shown
from mcpgate.policy.fields import is_missing, read_field
from mcpgate.policy.templates.template import COUNT, Schema, Template
from mcpgate.values import Json

LIMITS: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {
        "pattern": "^[a-z]{3}$",
        "patternErrorMessage": "a currency is three lower-case letters",
    },
    "additionalProperties": COUNT,
}


def within_amount(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """What the call moves, by the tool's `money` binding, is at most the limit of its currency."""
    amount, currency = amount_of(call)
    assert call.tool.money is not None
    if currency not in config:
        field = call.tool.money.currency[0].text
        passes = "at most " + ", ".join(f"{limit} {name}" for name, limit in config.items())
        return Miss(f"no limit is set for {shown(currency)}", passes, field, dict(config), currency)
    field, limit = call.tool.money.amount[0].text, config[currency]
    if amount <= limit:
        return None
    over, most = (f"{each} {currency} ({money.show(each, currency)})" for each in (amount, limit))
    return Miss(f"{over} is over the limit of {most}", f"{field} ≤ {limit} {currency}", field, limit, amount)


def amount_of(call: Call) -> tuple[int, str]:
    """The amount in the currency's smallest unit, never negative, and the currency; raises if not known."""
    binding = call.tool.money
    if binding is None:
        raise UndecidableError(f"what {call.tool.name} moves cannot be told from its arguments")
    amounts = _found(binding.amount, call, "amount")
    currencies = _found(binding.currency, call, "currency")
    lacking = binding.currency if amounts else binding.amount
    if not amounts or not currencies:
        what = f"the {'currency' if amounts else 'amount'} of this call is not known"
        raise UndecidableError(f"{what}: {call.unknown}" if call.unknown else what, lacking[0].text)
    for amount in amounts:
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise UndecidableError("the amount of this call is not a whole number", binding.amount[0].text)
    for currency in currencies:
        if not isinstance(currency, str) or currency != currencies[0]:
            raise UndecidableError("this call names more than one currency", binding.currency[0].text)
    code = currencies[0]
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        # it may be a text of the API's, which is not repeated
        raise UndecidableError(
            "the currency of this call is no code of three letters", binding.currency[0].text
        )
    return sum(map(abs, amounts)), code.lower()


def asks_before(call: Call) -> bool:
    """Whether the amount or the currency of a call stands in the reply of its tool's lookup."""
    binding = call.tool.money
    return binding is not None and any(
        _asks_before(places, call) for places in (binding.amount, binding.currency)
    )


def _asks_before(places: tuple[Place, ...], call: Call) -> bool:
    for place in places:
        if place.keys[:1] == ("before",):
            return True
        if any(not is_missing(value) for value in read_field(call.arguments, place.keys, opened=True)):
            return False
    return False


def _found(places: tuple[Place, ...], call: Call, what: str) -> list[Any]:
    """What stands at the first of these places that is there at all; there in part is not known.

    Two places of the arguments that say different things are undecidable: the API may take either.
    """
    if len(places) == 1 and places[0].keys[0] != "before":
        said = _read(call.arguments, places[0])
        return [] if MISSING in said else said
    said = []
    for place in places:
        in_before = place.keys[0] == "before" and call.tool.lookup is not None
        if in_before and said:
            break
        found = _read({"before": call.before} if in_before else call.arguments, place)
        if said and found and found != said:
            raise UndecidableError(f"the {what} of this call is said twice, and not the same", place.text)
        said = said or found
    return [] if MISSING in said else said


def _read(tree: Mapping[str, Json], place: Place) -> list[Any]:
    """What stands at a place, nothing where it is not there at all, with `MISSING` for what lacks in part."""
    value = tree.get(place.keys[0]) if len(place.keys) == 1 else None
    if isinstance(value, str | int):
        return [value]
    found = [MISSING if is_missing(each) else each for each in read_field(tree, place.keys, opened=True)]
    return [] if all(each is MISSING for each in found) else found


def no_money(config: Config) -> str:
    """Which of its names is no currency; nothing where all are."""
    unknown = next((code for code in config if code not in money.CURRENCIES), "")
    return f"'{unknown}' is no currency of ISO 4217" if unknown else ""


MONEY: Final[dict[str, Template]] = {
    "max_amount": Template(
        "What a call moves is at most the limit of its currency; other currencies are denied.",
        within_amount,
        LIMITS,
        "money",
        allowed=({"usd": 40000, "eur": 40000}, {"amount": 40000, "currency": "eur"}),
        denied=({"usd": 40000, "eur": 40000}, {"amount": 40001, "currency": "eur"}),
        fault=no_money,
    ),
}
