"""Row 4: what a limit guards is left out, in whole or in part. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from mcpgate.attack.attempt import BEFORE, Attempt, Shot
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json

_NOTHING: Final[tuple[tuple[str, Json], ...]] = (
    ("null", None),
    ("empty text", ""),
    ("a space", " "),
    ("a zero-width space", "\u200b"),
    ("empty list", []),
    ("list of null", [None]),
    ("list of an empty list", [[]]),
    ("list of an empty object", [{}]),
    ("list of an empty text", [""]),
    ("empty object", {}),
    ("the word null", "null"),
    ("the word undefined", "undefined"),
    ("false", False),
)


def left_out(keys: Keys, honest: Shot) -> Iterator[Attempt]:
    """Every way to leave a field out: itself, what it stands in, and in one element of several."""
    yield Attempt(4, "left out", honest.drop(keys))
    yield from (Attempt(4, trick, honest.put(keys, value)) for trick, value in _NOTHING)
    start = 2 if keys[0] == BEFORE else 1
    for end in range(start, len(keys)):
        outer = keys[:end]
        yield Attempt(4, f"{'.'.join(outer)} left out", honest.drop(outer))
        for trick, value in (("null", None), ("empty list", []), ("empty object", {}), ("empty text", "")):
            yield Attempt(4, f"{'.'.join(outer)} is {trick}", honest.put(outer, value))
    yield from _in_part(keys, honest)
    shot = honest.drop(keys)
    if isinstance(shot.arguments, dict):
        for name in (f"{keys[-1]} ", keys[-1].upper()):
            added = {**shot.arguments, name: 1}
            yield Attempt(
                4, "left out, another argument instead", Shot(shot.tool, added, shot.before, shot.now)
            )


def _in_part(keys: Keys, honest: Shot) -> Iterator[Attempt]:
    """One element of a list without the field, behind the good one and before it."""
    for end in range(1, len(keys)):
        items = _at(honest.arguments, keys[:end])
        if not isinstance(items, list) or not items:
            continue
        without = Shot(honest.tool, {keys[0]: copy.deepcopy(items[:1])}).drop((keys[0], *keys[end:]))
        bare: Any = without.arguments[keys[0]][0]
        for trick, empty in (
            ("without it", bare),
            ("that is null", None),
            ("that is empty", {}),
            ("empty list", []),
        ):
            yield Attempt(4, f"a second element {trick}", honest.put(keys[:end], [*items, empty]))
            yield Attempt(4, f"a first element {trick}", honest.put(keys[:end], [empty, *items]))


def _at(tree: Any, keys: Keys) -> Any:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return MISSING
        tree = tree[key]
    return tree
