"""Rules of a template without an attack of its own: its example of what is denied is tried. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.values import name, opened, schema_at, spelled, told
from mcpgate.attack.lenient import letters
from mcpgate.attack.placing import samples
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.policy.templates import TEMPLATES
from mcpgate.values import Json


def example_values(target: Target, *, denied: bool) -> list[Json]:
    """The values in the template's own example."""
    template = TEMPLATES[target.rule.template]
    _, arguments = template.denied if denied else template.allowed
    return [value for value in opened(dict(arguments)) if value is not None]


def _honest(target: Target) -> Iterator[tuple[Keys, Json]]:
    for keys in target.spots:
        yield from ((keys, value) for value in example_values(target, denied=False))
        yield from ((keys, value) for value in samples(schema_at(target, keys)))
        yield keys, MISSING


def _forbidden(target: Target) -> Iterator[Breach]:
    yield from (Breach(keys, value) for keys in target.spots for value in example_values(target, denied=True))


def _arrives(target: Target, wire: Wire) -> str:
    wrong = {letters(spelled(value)) for value in example_values(target, denied=True)}
    for keys in target.spots:
        for value in (inner for found in wire.at(keys) for inner in opened(found)):
            if value is MISSING and not target.block:
                return f"{name(keys)} is left out"
            if value is not MISSING and any(text in letters(spelled(value)) for text in wrong):
                return f"{name(keys)} {told(value)} holds what the rule's example denies"
    return ""


OTHER: Final = Assault("text", _honest, _forbidden, _arrives)
