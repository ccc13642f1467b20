"""Hides from an agent what a `mask` names. Pure.

A place counts from anywhere: `email` is hidden wherever a member has that name, `customer.email` wherever a
`customer` has it; so it holds for one object, for the items of a page, and for what contains them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from mcpgate.engine.hygiene import visible_text
from mcpgate.places import Place
from mcpgate.values import Json, Reply

HIDDEN: Final = "***"
_LEAST: Final = 4
_MOST_COMPARED: Final = 20_000_000

Keys: TypeAlias = tuple[str, ...]


def hide(mask: Iterable[Place], value: Json, *paths: Keys, hidden: list[Json] | None = None) -> Json:
    """A copy in which what is masked is `***` and null stays null; `hidden` gathers what was taken out.

    `paths` are the ways that led to the value: a place begun on one of them goes on. Where one ends here,
    texts and numbers are hidden, and an object is not: it is what the tool is for, by its own name.
    """
    hidden = [] if hidden is None else hidden
    places = tuple(place.keys for place in mask)
    begun: list[Keys] = []
    for path in paths:
        reached: tuple[Keys, ...] = ()
        for step in path:
            reached = _after((*places, *reached), step)
        begun += reached
    if () in begun:
        value = _without_scalars(value)
    return _hide(places, value, tuple(filter(None, begun)), hidden)


def without_masked(mask: Iterable[Place], reply: Reply, hidden: list[Json]) -> Reply:
    """A reply that is an error, without what is masked; of what is no object nothing can be told apart."""
    body = reply.body
    if isinstance(body, dict | list):
        body = hide(mask, body, hidden=hidden)
    elif body is not None:
        body = HIDDEN
    return dataclasses.replace(reply, body=body, problem=unquoted(reply))


def unquoted(reply: Reply) -> str:
    """What is wrong with a reply, without a word of the reply itself."""
    if reply.fate == "unknown" and reply.status is not None and 200 <= reply.status < 300:
        return f"the API answered {reply.status}, but not with what was due (not quoted, for a mask is set)"
    return reply.problem


def redact(text: str, hidden: Sequence[Json]) -> str:
    """A text in which nothing stands that was hidden elsewhere; `***` where looking would take too long."""
    if not text or not hidden:
        return text
    found = {visible_text(str(leaf)) for each in hidden for leaf in _leaves(each)}
    values = sorted((leaf for leaf in found if len(leaf) >= _LEAST), key=len, reverse=True)
    if len(values) * len(text) > _MOST_COMPARED:
        return HIDDEN
    text = visible_text(text)
    for value in values:
        text = text.replace(value, HIDDEN)
    return text


def _hide(places: tuple[Keys, ...], value: Json, begun: tuple[Keys, ...], hidden: list[Json]) -> Json:
    """`begun` is what remains of the places that lead here."""
    if isinstance(value, dict):
        # a name is compared as the agent will read it
        return {
            name: _behind(places, item, _after((*places, *begun), visible_text(name)), hidden)
            for name, item in value.items()
        }
    if isinstance(value, list):
        # a name reaches through a list, a number picks from it
        picks = [(str(index), str(index - len(value))) for index in range(len(value))]
        return [
            _behind(places, item, (*begun, *_after((*places, *begun), *pick)), hidden)
            for pick, item in zip(picks, value, strict=True)
        ]
    return value


def _behind(places: tuple[Keys, ...], value: Json, begun: tuple[Keys, ...], hidden: list[Json]) -> Json:
    if () not in begun:
        return _hide(places, value, tuple(dict.fromkeys(begun)), hidden)
    if value is None:
        return None
    hidden.append(value)
    return HIDDEN


def _after(places: Iterable[Keys], *names: str) -> tuple[Keys, ...]:
    return tuple(keys[1:] for keys in places if keys and (keys[0] == "*" or keys[0] in names))


def _without_scalars(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_scalars(item) for item in value]
    return value if value is None or isinstance(value, dict) else HIDDEN


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield value
