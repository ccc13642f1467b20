"""What is tried against each rule of a policy, and how it is judged. Pure: the caller carries it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mcpgate.attack.attempt import BEFORE, Assault, Attempt, Breach, Shot, Target
from mcpgate.attack.families import assault_of
from mcpgate.attack.families.money import other_currency
from mcpgate.attack.placing import at
from mcpgate.attack.reach import guarded_currencies
from mcpgate.attack.tricks.arguments import other_arguments
from mcpgate.attack.tricks.currency import currencies
from mcpgate.attack.tricks.letters import disguises
from mcpgate.attack.tricks.missing import left_out
from mcpgate.attack.tricks.numbers import edges, other_types
from mcpgate.attack.tricks.raw import raw_lines
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json, Rule

_CAPS: Final = ("max_value", "value_range")


@dataclass(frozen=True, slots=True)
class Attack:
    """A rule on a tool under attack: an honest call, and whose answers decide about what arrives."""

    target: Target
    honest: Shot
    rules: tuple[Rule, ...]

    @property
    def assault(self) -> Assault:
        """How the rule's template is attacked."""
        return assault_of(self.target.rule.template)

    def judge(self, wire: Wire) -> str:
        """What the rule should have refused in what arrives; empty if nothing."""
        found = self.assault.judge(self.target, wire)
        if found or not self._caps_money():
            return found
        listed = guarded_currencies(self.rules, self.target.tool)
        allowed = listed if listed is not None else self._own_currency()
        return other_currency(self.target, wire, allowed, listed=listed is not None)

    def breaches(self) -> list[Breach]:
        """What the rule forbids, on top of leaving its fields out."""
        return list(self.assault.forbidden(self.target))

    def attempts(self, *, lightly: bool = False) -> Iterator[Attempt]:
        """Every attempt; `lightly` those without disguises, for a rule that was tried in full elsewhere."""
        breaches = self.breaches()
        for breach in breaches:
            yield Attempt(breach.row, breach.trick or "as it is", breach.on(self.honest))
        if self._is_limit():
            for keys in self._guarded():
                yield from left_out(keys, self.honest)
        if lightly:
            return
        for breach in _carriers(breaches, self.target):
            yield from self._disguised(breach)
        yield from self._in_other_money()

    def _disguised(self, breach: Breach) -> Iterator[Attempt]:
        number = isinstance(breach.value, int | float) and not isinstance(breach.value, bool)
        if number:
            yield from other_types(breach, self.honest)
            yield from edges(breach, self.honest, breach.value - 1)
            for trick, text in disguises(str(breach.value)):
                yield Attempt(9, f"digits as text: {trick}", breach.on(self.honest, text))
        elif isinstance(breach.value, str):
            yield from _other_types_of_text(breach, self.honest)
            for trick, text in disguises(breach.value):
                yield Attempt(9, trick, breach.on(self.honest, text))
        yield from _second_of_two(breach, self.honest)
        if breach.keys[0] != BEFORE:
            yield from other_arguments(breach, self.honest)
            yield from raw_lines(breach, self.honest)

    def _in_other_money(self) -> Iterator[Attempt]:
        money = self.target.tool.money
        if money is None or not (self._caps_money() or self.assault.about == "money" or self._is_currency()):
            return
        for place in money.currency:
            yield from currencies(place.keys, self.honest)

    def _is_limit(self) -> bool:
        return not self.target.block

    def _guarded(self) -> Iterator[Keys]:
        """Fields that must not be left out."""
        yield from self.target.spots

    def _caps_money(self) -> bool:
        """Whether the rule is a bare figure on an amount whose currency stands among the arguments."""
        money = self.target.tool.money
        if money is None or self.target.rule.template not in _CAPS:
            return False
        amounts = [place.keys for place in money.amount]
        return any(keys in amounts for keys in self.target.spots) and self.has_currency()

    def has_currency(self) -> bool:
        """Whether the agent chooses the currency."""
        money = self.target.tool.money
        return money is not None and any(place.keys[0] != BEFORE for place in money.currency)

    def _is_currency(self) -> bool:
        money = self.target.tool.money
        return money is not None and any(place.keys in self.target.spots for place in money.currency)

    def _own_currency(self) -> frozenset[str]:
        money = self.target.tool.money
        found = [at(self.honest.arguments, place.keys) for place in money.currency] if money else []
        return frozenset(str(value).lower() for value in found if value is not MISSING)


def _carriers(breaches: list[Breach], target: Target) -> Iterator[Breach]:
    """One breach for each field to be disguised, and for a rule that has none the field itself."""
    seen: set[Keys] = set()
    for breach in breaches:
        if breach.keys and not breach.trick and breach.keys not in seen and len(seen) < 3:
            seen.add(breach.keys)
            yield breach
    if not breaches:
        yield from (Breach(keys, MISSING) for keys in target.spots[:3])


def _second_of_two(breach: Breach, honest: Shot) -> Iterator[Attempt]:
    """The forbidden value in a second element of a list whose first one is good, and turned round."""
    bad = breach.on(honest).arguments
    for end in range(1, len(breach.keys)):
        keys = breach.keys[:end]
        good, wrong = (_list_at(tree, keys) for tree in (honest.arguments, bad))
        if good and wrong:
            yield Attempt(7, "in a second element", honest.put(keys, [*good, *wrong]))
            yield Attempt(7, "in a first element of two", honest.put(keys, [*wrong, *good]))
            yield Attempt(7, "in the last of ten elements", honest.put(keys, [*(good * 9), *wrong]))


def _list_at(tree: Json, keys: Keys) -> list[Json]:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, list) else []


def _other_types_of_text(breach: Breach, honest: Shot) -> Iterator[Attempt]:
    text, good = breach.value, at(honest.arguments, breach.keys)
    values: Mapping[str, Json] = {
        "list of one": [text],
        "list inside a list": [[text]],
        "list, the good one first": [good, text],
        "list, the good one last": [text, good],
        "object with a value": {"value": text},
        "object with its own name": {breach.keys[-1]: text},
        "object with an index": {"0": text},
        "text as a key": {text: text},
        "letter by letter": list(text),
        "in quotes": f'"{text}"',
        "as a list in text": f'["{text}"]',
        "true": True,
        "number": 1,
    }
    for trick, value in values.items():
        if not (isinstance(value, list) and MISSING in value):
            yield Attempt(1, trick, breach.on(honest, value))


def uncovered(attack: Attack) -> str:
    """What could not be tried at a rule, in words."""
    money = attack.target.tool.money
    if money is not None and attack.target.rule.template in _CAPS and not attack.has_currency():
        amounts = [place.keys for place in money.amount]
        if any(keys in amounts for keys in attack.target.spots):
            return "another currency: it is not among the arguments, but what the call is about has it"
    return ""
