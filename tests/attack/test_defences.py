"""Each defence taken out in turn: the attack has to find what then gets through, so that it is not blind."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from jsonschema.validators import extend

from mcpgate import arguments, gateway, json_schema, plan
from mcpgate.engine import encoding, request
from mcpgate.ledger import STATE_OF, Entry, State
from mcpgate.places import MISSING
from mcpgate.policy import binding, folding, reading, rule
from mcpgate.policy.call import Miss, UndecidableError
from mcpgate.policy.detect import domains, keywords, links
from mcpgate.policy.fields import read_field
from mcpgate.policy.templates import TEMPLATES, money, values
from mcpgate.server import lines
from mcpgate.store import memory
from mcpgate.store.memory import MemoryTransaction
from mcpgate.values import Fate, Selector, Tally
from tests.attack.attacked import attacked, told

Patch = pytest.MonkeyPatch
Off = Callable[[Patch], None]

ORDER = "shop_create_order"
CAP = {
    "for": ORDER,
    "max_value": {"field": "amount", "max": 50000},
    "required_fields": {"fields": ["amount"]},
}
CURRENCY = {"for": ORDER, "allow_values": {"field": "currency", "values": ["usd", "eur"]}}
CAP_IN = CAP | CURRENCY
QUANTITY = {"for": ORDER, "value_range": {"field": "items.quantity", "min": 1, "max": 5}}
NO_WORD = {"for": ORDER, "block_values": {"field": "note", "values": ["evil"]}}
MONEY_IN = {"for": "effect:money_in", "max_amount": {"usd": 50000, "eur": 40000}}
MONEY_OUT = {"for": "shop_create_refund", "max_amount": {"usd": 50000, "eur": 40000}}
PAYOUT = {"for": "shop_create_payout", "allow_values": {"field": "parts.currency", "values": ["usd"]}}
NOTE = "shop_send_note"


def _check(name: str, check: Callable[..., Any]) -> Off:
    """A template with another check."""
    table: Any = TEMPLATES
    return lambda patch: patch.setitem(table, name, dataclasses.replace(TEMPLATES[name], check=check))


def _both(*offs: Off) -> Off:
    def off(patch: Patch) -> None:
        for each in offs:
            each(patch)

    return off


# --- the defences, each by how it is taken out -----------------------------------------------------------


def _any_type(patch: Patch) -> None:
    lax = json_schema._Validator.TYPE_CHECKER.redefine_many(
        {name: lambda checker, instance: True for name in ("integer", "number", "string")}
    )
    patch.setattr(json_schema, "_Validator", extend(json_schema._Validator, type_checker=lax))  # type: ignore[no-untyped-call]


def _careless_cap(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    over = [value for value in found if type(value) in (int, float) and value > config["max"]]
    return Miss("over", "under") if over else None


def _any_argument(patch: Patch) -> None:
    open_ended = {"additionalProperties": lambda *rest: iter(())}
    patch.setattr(json_schema, "_Validator", extend(json_schema._Validator, open_ended))  # type: ignore[no-untyped-call]


def _missing_passes(patch: Patch) -> None:
    patch.setattr(rule, "read", lambda *found, **how: (reading.read(*found, **how)[0], False))


def _null_is_given(patch: Patch) -> None:
    patch.setattr(reading, "is_missing", lambda value: value is MISSING)


def _part_is_enough(patch: Patch) -> None:
    def read(*found: Any, **how: Any) -> tuple[list[Any], bool]:
        there, missing = reading.read(*found, **how)
        return there, missing and not there

    patch.setattr(rule, "read", read)


def _first_only(patch: Patch) -> None:
    patch.setattr(reading, "read_field", lambda *found, **how: read_field(*found, **how)[:1])


def _undecided_passes(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    try:
        return money.within_amount(config, call, found)
    except UndecidableError:
        return None


def _other_currencies_pass(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    amount, currency = money.amount_of(call)
    return Miss("over", "") if amount > config.get(currency, 10**12) else None


def _signed(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    amount, currency = money.amount_of(call)
    signed = call.arguments.get("amount", amount)
    return Miss("over", "") if currency not in config or signed > config[currency] else None


def _first_effect_only(patch: Patch) -> None:
    def matches(selector: Any, tool: Any) -> bool:
        if selector.text.startswith("effect:"):
            return bool(selector.text == f"effect:{tool.effects[0] if tool.effects else ''}")
        return bool(selector.text in (tool.category, tool.name))

    patch.setattr(binding, "matches", matches)


def _selected_without(**change: Any) -> Off:
    def selected(tool: Any, layer: Any, made: Any) -> Any:
        return original(tool, layer, dataclasses.replace(made, **change))

    original = binding._selected
    return lambda patch: patch.setattr(binding, "_selected", selected)


def _twice_is_fine(patch: Patch) -> None:
    patch.setattr(lines, "_decode", json.JSONDecoder(parse_constant=lines._no_constant).decode)


def _brackets_are_fine(patch: Patch) -> None:
    def pairs(name: str, value: Any, lists: str) -> Any:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from pairs(f"{name}[{key}]", item, lists)
        elif value is not None and value != []:
            yield from original(name, value, lists)

    original = encoding.pairs
    patch.setattr(encoding, "pairs", pairs)
    patch.setattr(request, "pairs", pairs)


def _begins_anyhow(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    return (
        None if all(folding.fold(value).startswith(config["prefix"]) for value in found) else Miss("no", "")
    )


def _ends_with_domain(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    at_home = (value.endswith(domain) for value in found for domain in config["domains"])
    return None if any(at_home) else Miss("no", "")


def _mapped_is_fine(patch: Patch) -> None:
    patch.setattr(domains, "is_plain", lambda domain: True)


def _contains(key: str) -> Callable[..., Miss | None]:
    """Looks for what is blocked in the text as it is."""

    def check(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
        held = any(str(word) in str(value) for value in found for word in config[key])
        return Miss("held", "") if held else None

    return check


def _finds(pattern: str) -> Callable[..., Miss | None]:
    def check(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
        return Miss("held", "") if any(re.search(pattern, str(value)) for value in found) else None

    return check


def _one_each(config: Mapping[str, Any], call: Any, found: list[Any]) -> Miss | None:
    return Miss("many", "") if len(found) > config["max"] else None


DEFENCES: dict[str, tuple[dict[str, Any] | str, Off, set[int]]] = {
    "text is never a number": (
        CAP_IN,
        _both(_any_type, _check("max_value", _careless_cap)),
        {1, 9},
    ),
    "true is no number": (
        {"for": ORDER, "value_range": {"field": "amount", "min": 100, "max": 500}} | CURRENCY,
        _both(_any_type, _check("value_range", _careless_cap)),
        {1},
    ),
    "integers no larger than JSON carries": (
        CAP_IN,
        lambda patch: patch.setattr(arguments, "_SAFE_INTEGER", 10**500),
        {2},
    ),
    "unknown arguments are refused": (QUANTITY, _any_argument, {7}),
    "a field that a limit guards is given": (CAP_IN, _missing_passes, {4}),
    "an empty list is missing": (
        {"for": ORDER, "max_items": {"field": "labels", "max": 2}},
        _null_is_given,
        {4},
    ),
    "missing in one element is missing": (QUANTITY, _part_is_enough, {4}),
    "every element is looked at": (QUANTITY, _first_only, {4, 7}),
    "what cannot be decided is denied": (MONEY_IN, _check("max_amount", _undecided_passes), {4}),
    "what was not looked up is denied": (MONEY_OUT, _check("max_amount", _undecided_passes), {3, 4}),
    "a currency without a limit is denied": (MONEY_IN, _check("max_amount", _other_currencies_pass), {3}),
    "a negative amount counts in full": (MONEY_IN, _check("max_amount", _signed), {2}),
    "a rule binds to every effect of a tool": (
        {"for": "effect:money_out", "keyword_block": {"keywords": ["refund"]}},
        _first_effect_only,
        {6, 9},
    ),
    "deny wins": (
        "preset: no-refunds\nallow: [read, write]\ndeny: [effect:reversal]\n",
        _selected_without(deny=()),
        {0, 8},
    ),
    "what no preset allows is denied": (
        "preset: reads\nallow: [read]\n",
        _selected_without(allow=tuple(map(Selector, ("read", "write", "delete")))),
        {0, 4, 8},
    ),
    "block rules compare a folded copy": (
        NO_WORD,
        lambda patch: patch.setattr(
            values, "fold", lambda value: value if isinstance(value, str) else str(value)
        ),
        {9},
    ),
    "allow lists compare to the letter": (
        CURRENCY,
        lambda patch: patch.setattr(
            values, "same", lambda left, right: folding.fold(left) == folding.fold(right)
        ),
        {3, 9},
    ),
    "no key stands twice": (CAP_IN, _twice_is_fine, {8}),
    "a text has no NUL": (
        NO_WORD,
        lambda patch: patch.setattr(arguments, "_text", lambda value, where: value),
        {9},
    ),
    "a key of a map has no brackets": (
        {"for": ORDER, "block_fields": {"fields": ["metadata.order"]}},
        _brackets_are_fine,
        {7},
    ),
    "a prefix is held to the letter": (
        {"for": NOTE, "require_prefix": {"field": "to", "prefix": "cus_"}},
        _check("require_prefix", _begins_anyhow),
        {9},
    ),
    "an address is taken apart": (
        {"for": NOTE, "allow_domains": {"field": "to", "domains": ["example.com"]}},
        _check("allow_domains", _ends_with_domain),
        {7, 9},
    ),
    "a domain is written plainly": (
        {"for": NOTE, "allow_domains": {"field": "to", "domains": ["example.com"]}},
        _mapped_is_fine,
        {9},
    ),
    "an outsider's domain is written plainly": (
        {"for": NOTE, "block_external": {"field": "to", "domain": "bücher.example"}},
        _mapped_is_fine,
        {9},
    ),
    "an address is written plainly": (
        {"for": NOTE, "allow_addresses": {"field": "to", "addresses": ["jane@example.com"]}},
        _mapped_is_fine,
        {9},
    ),
    "domains are compared by IDNA": (
        {"for": NOTE, "block_domains": {"field": "to", "domains": ["example.com"]}},
        _check("block_domains", _contains("domains")),
        {9},
    ),
    "addresses are compared without case and tag": (
        {"for": NOTE, "block_addresses": {"field": "to", "addresses": ["jane@example.com"]}},
        _check("block_addresses", _contains("addresses")),
        {9},
    ),
    "recipients in one text are counted": (
        {"for": NOTE, "max_recipients": {"field": "to", "max": 2}},
        _check("max_recipients", _one_each),
        {0, 1, 7},
    ),
    "a keyword is known in disguise": (
        {"for": NOTE, "keyword_block": {"keywords": ["refund"]}},
        _check("keyword_block", _contains("keywords")),
        {9},
    ),
    "a letter is known by its name": (
        {"for": NOTE, "keyword_block": {"keywords": ["refund"]}},
        lambda patch: patch.setattr(keywords, "latin", lambda text: text),
        {9},
    ),
    "a keyword is known with a break in it": (
        {"for": NOTE, "keyword_block": {"keywords": ["password"]}},
        _both(
            lambda patch: patch.setattr(keywords, "_broken", lambda word: word),
            lambda patch: patch.setattr(keywords, "_patterns", keywords._patterns.__wrapped__),
        ),
        {9},
    ),
    "mailto is a link": (
        {"for": NOTE, "block_urls": {}},
        lambda patch: patch.setattr(links, "_MAILTO", re.compile("(?!)")),
        {9},
    ),
    "numbers with a path are a link": (
        {"for": NOTE, "block_urls": {}},
        lambda patch: patch.setattr(links, "_NUMBERS", re.compile("(?!)")),
        {9},
    ),
    "a link is known in disguise": (
        {"for": NOTE, "block_urls": {}},
        _check("block_urls", _finds("https?://")),
        {9},
    ),
    "everyone is known in disguise": (
        {"for": NOTE, "block_mass_mentions": {}},
        _check("block_mass_mentions", _finds("@(everyone|here|channel)")),
        {9},
    ),
    "a card is known in disguise": (
        {"for": NOTE, "pii_block": {"entities": ["card"]}},
        _check("pii_block", _finds("[0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4}")),
        {9},
    ),
    "a branch is known however it is written": (
        {"for": NOTE, "protect_branches": {"field": "to", "branches": ["main"]}},
        _check("protect_branches", lambda config, call, found: Miss("", "") if found == ["main"] else None),
        {9},
    ),
    "a repository is held to the letter": (
        {"for": NOTE, "allow_repos": {"field": "to", "repos": ["acme/site"]}},
        _check(
            "allow_repos", lambda config, call, found: None if "acme/site" in str(found) else Miss("", "")
        ),
        {9},
    ),
    "a pattern matches as a whole": (
        {"for": NOTE, "allow_pattern": {"field": "to", "pattern": "[a-z]{3}-[0-9]+"}},
        _check(
            "allow_pattern",
            lambda config, call, found: None if re.search(config["pattern"], str(found)) else Miss("", ""),
        ),
        {0, 9},
    ),
    "a blocked pattern is known in disguise": (
        {"for": NOTE, "block_pattern": {"pattern": "(?i)invoice #[0-9]{4}"}},
        _check("block_pattern", _finds("(?i)invoice #[0-9]{4}")),
        {9},
    ),
    "hours are those of the time zone": (
        {
            "for": ORDER,
            "time_window": {"tz": "Asia/Tokyo", "days": ["mon", "tue"], "from": "09:00", "to": "17:00"},
        },
        _check("time_window", lambda config, call, found: None),
        {0},
    ),
    "a moment is read with its offset": (
        {"for": NOTE, "deny_past_dates": {"field": "to"}},
        _check(
            "deny_past_dates",
            lambda config, call, found: Miss("", "") if str(found[0]) < "2026-11-23T10" else None,
        ),
        {1, 9},
    ),
}


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_defence_that_is_missing_is_found(defence: str, monkeypatch: Patch) -> None:
    guardrail, off, rows = DEFENCES[defence]
    form = "bracket" in defence
    sound = attacked(guardrail, form=form)
    assert not sound.through, told(sound)
    assert sound.attempts > 20
    off(monkeypatch)
    found = {each.attempt.row for each in attacked(guardrail, form=form).through}
    assert rows <= found, f"with the defence taken out, the rows found are {found or 'none'}"


# --- many small calls, row 5 -----------------------------------------------------------------------------

DAY = {"for": "effect:money_in", "budget": {"usd": 2000, "eur": 900, "per": "day"}}
HOURLY = {"for": "write", "rate_limit": {"max": 3, "per": "hour"}}
ONCE = {"for": "write", "repeat_block": {"max": 1, "per": "day"}}
IN_AND_OUT = {"for": ["shop_create_refund", "shop_create_payout"], "budget": {"usd": 2000, "per": "day"}}


def _counted_otherwise(counted: Callable[[Tally, Entry, Entry], bool]) -> Off:
    """Entries count only where this holds as well."""
    sound = memory._counts

    def counts(tally: Tally, each: Entry, entry: Entry) -> bool:
        return counted(tally, each, entry) and sound(tally, each, entry)

    return lambda patch: patch.setattr(memory, "_counts", counts)


def _reserved_late(patch: Patch) -> None:
    """Checked and then acted: what a call uses is entered when it is over."""
    pending: dict[str, Entry] = {}

    def settle(ledger: MemoryTransaction, call: str, state: State) -> None:
        entry = dataclasses.replace(pending.pop(call), state=state)
        ledger.steps.append(lambda: ledger._store.entries.update({call: entry}))

    patch.setattr(MemoryTransaction, "reserve", lambda _, entry: pending.update({entry.call: entry}))
    patch.setattr(MemoryTransaction, "settle", settle)


def _moved_as(moved: Callable[[Mapping[str, Any]], tuple[int, str]]) -> Off:
    return lambda patch: patch.setattr(gateway, "moved", lambda call: moved(call.arguments))


def _settled_as(state_of: Callable[[Fate, bool], State]) -> Off:
    def off(patch: Patch) -> None:
        patch.setattr(gateway, "state_of", lambda fate, *, acts, repeated: state_of(fate, repeated))

    return off


def _in_any_order(patch: Patch) -> None:
    patch.setattr(plan, "hash_of", lambda given: json.dumps(given))


def _each_for_itself(patch: Patch) -> None:
    sound = memory._counts

    def counts(tally: Tally, each: Entry, entry: Entry) -> bool:
        return sound(dataclasses.replace(tally, everyone=False), each, entry)

    patch.setattr(memory, "_counts", counts)


COUNTS: dict[str, tuple[Mapping[str, Any], Off, set[str]]] = {
    "what was spent is counted": (
        DAY,
        _counted_otherwise(lambda tally, each, entry: False),
        {"one after the other", "all at once", "around midnight", "by two apps in turn"},
    ),
    "windows slide": (
        DAY,
        _counted_otherwise(lambda tally, each, entry: each.at // tally.seconds == entry.at // tally.seconds),
        {"around midnight"},
    ),
    "windows slide in every time zone": (
        DAY,
        _counted_otherwise(
            lambda tally, each, entry: (each.at + 7200) // tally.seconds == (entry.at + 7200) // tally.seconds
        ),
        {"around midnight to the east"},
    ),
    "an hour is no hour of the clock": (
        HOURLY,
        _counted_otherwise(lambda tally, each, entry: each.at // tally.seconds == entry.at // tally.seconds),
        {"around midnight"},
    ),
    "a window is as long as it says": (
        HOURLY,
        _counted_otherwise(lambda tally, each, entry: each.at > entry.at - tally.seconds + 60),
        {"at both ends of a window"},
    ),
    "it is reserved before it is sent": (HOURLY, _reserved_late, {"all at once", "by several tools at once"}),
    "an unknown outcome stays reserved": (
        DAY,
        _settled_as(lambda fate, repeated: "settled" if fate == "succeeded" else "released"),
        {"with calls of an unknown outcome"},
    ),
    "a repeat that fails gives nothing back": (
        HOURLY,
        _settled_as(lambda fate, repeated: STATE_OF[fate]),
        {"one repeated until it fails"},
    ),
    "tools share a counter": (
        HOURLY,
        _counted_otherwise(lambda tally, each, entry: each.tool == entry.tool),
        {"by several tools in turn", "by several tools at once"},
    ),
    "tools that move money share a counter": (
        IN_AND_OUT,
        _counted_otherwise(lambda tally, each, entry: each.tool == entry.tool),
        {"by several tools in turn", "by several tools at once"},
    ),
    "apps share a counter that is everyone's": (
        DAY,
        _each_for_itself,
        {"by two apps in turn", "by two apps at once"},
    ),
    "a currency has one counter however it is written": (
        DAY,
        _moved_as(lambda given: (abs(given["amount"]), given["currency"])),
        {"in other spellings"},
    ),
    "a negative amount refills nothing": (
        DAY,
        _moved_as(lambda given: (given["amount"], given["currency"].lower())),
        {"in other spellings"},
    ),
    "the same call is the same in any order": (ONCE, _in_any_order, {"in other spellings"}),
}


@pytest.mark.parametrize("defence", COUNTS)
def test_a_count_that_is_got_round_is_found(defence: str, monkeypatch: Patch) -> None:
    guardrail, off, tricks = COUNTS[defence]
    sound = attacked(guardrail)
    assert not sound.through, told(sound)
    assert not sound.not_tried
    off(monkeypatch)
    found = {each.attempt.trick for each in attacked(guardrail).through if each.attempt.row == 5}
    assert tricks <= found, f"with the defence taken out, what gets through is {found or 'nothing'}"
