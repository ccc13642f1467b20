"""The checks behind the templates: pure, each given a configuration and what it looks at.

A check returns None when all is well, else a `Miss`. It raises `UndecidableError` when it cannot tell,
and the call is denied.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mcpgate import money
from mcpgate.places import MISSING, Place
from mcpgate.policy.fields import is_missing, read_field
from mcpgate.values import Json, Tool

Config: TypeAlias = Mapping[str, Json]


class UndecidableError(Exception):
    """A rule cannot be evaluated; its text says why, `field` where."""

    def __init__(self, says: str, field: str = "") -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class Call:
    """One call as rules see it: canonical arguments, and `before`, a lookup's reply (`MISSING`: unknown)."""

    tool: Tool
    arguments: Mapping[str, Json]
    before: Json = MISSING


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a check says no: the sentence, what would pass, and the figures behind it."""

    says: str
    passes: str
    field: str = ""
    limit: Json = None
    value: Json = None


Check: TypeAlias = Callable[[Config, Call, list[Any]], "Miss | None"]

# letters and marks that show nothing; the rest of what is invisible has a category of its own
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u180b\u180c\u180d\u180f") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}


def fold(value: Json) -> str:
    """The copy of a value that block rules compare: NFKC, case folded, without invisible characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFD", "".join(char for char in text if not _is_invisible(char)))
        for _ in range(2):
            text = unicodedata.normalize("NFKC", text.casefold())
    return text.casefold().strip()


def _is_invisible(char: str) -> bool:
    """Zero-width, bidi and other format characters, control characters, and letters that show nothing."""
    return char in _BLANK or (unicodedata.category(char) in ("Cf", "Cc") and char not in "\t\n\r")


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are exactly equal: true is not 1, and text is never a number."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def within(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value is a number from `min` to `max`, where each is given."""
    low, high, field = config.get("min"), config.get("max"), config["field"]
    limit: Json = [low, high] if None not in (low, high) else high if low is None else low
    passes = " ≤ ".join(str(part) for part in (low, field, high) if part is not None)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UndecidableError(f"{field} is not a number", field)
        if high is not None and not value <= high:
            return Miss(f"{field} {value} is over the limit of {high}", passes, field, limit, value)
        if low is not None and not value >= low:
            return Miss(f"{field} {value} is under the limit of {low}", passes, field, limit, value)
    return None


def one_of(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value is one of `values`, to the letter."""
    field, allowed = config["field"], config["values"]
    for value in values:
        if not any(same(value, other) for other in allowed):
            shown = ", ".join(map(str, allowed))
            return Miss(f"{field} {_show(value)} is not allowed", f"{field}: {shown}", field, allowed, value)
    return None


def none_of(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No value is one of `values`, look-alikes and case aside."""
    field, blocked = config["field"], {fold(value) for value in config["values"]}
    for value in values:
        if isinstance(value, dict):
            raise UndecidableError(f"{field} is an object, not a value", field)
        if fold(value) in blocked:
            passes = f"{field} other than {', '.join(map(str, config['values']))}"
            return Miss(f"{field} {_show(value)} is blocked", passes, field, config["values"], value)
    return None


def at_most_items(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every list has at most `max` items."""
    field, limit = config["field"], config["max"]
    for value in values:
        if not isinstance(value, list | dict):
            raise UndecidableError(f"{field} is not a list", field)
        if len(value) > limit:
            says = f"{field} has {len(value)} items, over the limit of {limit}"
            return Miss(says, f"at most {limit} items in {field}", field, limit, len(value))
    return None


def given(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The field is there; the decision has dealt with missing ones, so what is left is."""
    return None


def absent(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The field is not there."""
    if not values:
        return None
    field = config["field"]
    return Miss(f"{field} may not be given", f"leave out {field}", field, None, values[0])


def not_delete(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The tool is not of category delete."""
    if call.tool.category != "delete":
        return None
    return Miss(f"{call.tool.name} deletes", "tools that read or write")


def within_amount(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """What the call moves, by the tool's `money` binding, is at most the limit of its currency."""
    amount, currency = amount_of(call)
    assert call.tool.money is not None
    if currency not in config:
        field = call.tool.money.currency[0].text
        passes = "at most " + ", ".join(f"{limit} {name}" for name, limit in config.items())
        return Miss(f"no limit is set for {_show(currency)}", passes, field, dict(config), currency)
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
    amounts = _found(binding.amount, call)
    currencies = _found(binding.currency, call)
    lacking = binding.currency if amounts else binding.amount
    if not amounts or not currencies:
        what = "currency" if amounts else "amount"
        raise UndecidableError(f"the {what} of this call is not known", lacking[0].text)
    if any(isinstance(amount, bool) or not isinstance(amount, int) for amount in amounts):
        raise UndecidableError("the amount of this call is not a whole number", binding.amount[0].text)
    if any(not isinstance(currency, str) or currency != currencies[0] for currency in currencies):
        raise UndecidableError("this call names more than one currency", binding.currency[0].text)
    return sum(abs(amount) for amount in amounts), currencies[0].lower()


def _found(places: tuple[Place, ...], call: Call) -> list[Any]:
    """What stands at the first of these places that is there at all; there in part is not known."""
    tree = {**call.arguments, "before": call.before}
    for place in places:
        found = read_field(tree, place.keys, opened=True)
        known = [value for value in found if not is_missing(value)]
        if known:
            return known if len(known) == len(found) else []
    return []


def _show(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
