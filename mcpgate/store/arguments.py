"""The arguments of a call as they are kept: sealed, personal data in a second part that can be erased."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from mcpgate.store.activity_key import ActivityKey
from mcpgate.values import Json

Opened: TypeAlias = Literal["none", "whole", "erased", "locked"]
"""*none* were kept, or they are *whole*, *erased* of personal data, or *locked*: the key is another."""

Path: TypeAlias = list[Any]
OPEN: Final = "open"
PRIVATE: Final = "private"
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))


def seal(
    key: ActivityKey, call: str, arguments: Mapping[str, Json], private: Collection[str]
) -> tuple[bytes, bytes | None]:
    """The part for everyone who may look, and the personal one; None where nothing personal is in them."""
    places: list[Path] = []
    apart: list[Json] = []
    document = {"arguments": _split(arguments, frozenset(private), (), places, apart), "places": places}
    sealed = key.seal(call, OPEN, _text(document))
    return sealed, key.seal(call, PRIVATE, _text(apart)) if apart else None


def unseal(
    key: ActivityKey | None, call: str, sealed: bytes | None, private: bytes | None
) -> tuple[Opened, Mapping[str, Json] | None, tuple[str, ...]]:
    """How far arguments open, what they are, and the names of the personal ones among them."""
    if sealed is None:
        return "none", None, ()
    text = None if key is None else key.open(call, OPEN, sealed)
    if key is None or text is None:
        return "locked", None, ()
    document = json.loads(text)
    arguments, places = document["arguments"], document["places"]
    names = tuple(dict.fromkeys(str(place[-1]) for place in places))
    if not places:
        return "whole", arguments, names
    if private is None:
        for place in places:
            del _parent(arguments, place)[place[-1]]
        return "erased", arguments, names
    text = key.open(call, PRIVATE, private)
    if text is None:
        return "locked", None, ()
    for place, value in zip(places, json.loads(text), strict=True):
        _parent(arguments, place)[place[-1]] = value
    return "whole", arguments, names


def _split(
    value: Json, names: frozenset[str], path: tuple[Any, ...], places: list[Path], apart: list[Json]
) -> Json:
    """A value with null for every member of a private name; where those are, and what they were."""
    if isinstance(value, Mapping):
        return dict(_members(value, names, path, places, apart))
    if isinstance(value, list | tuple):
        return [_split(item, names, (*path, at), places, apart) for at, item in enumerate(value)]
    return value


def _members(
    value: Mapping[str, Json],
    names: frozenset[str],
    path: tuple[Any, ...],
    places: list[Path],
    apart: list[Json],
) -> Iterator[tuple[str, Json]]:
    for name, item in value.items():
        if name in names:
            places.append([*path, name])
            apart.append(item)
            yield name, None
        else:
            yield name, _split(item, names, (*path, name), places, apart)


def _parent(arguments: Any, place: Path) -> Any:
    for step in place[:-1]:
        arguments = arguments[step]
    return arguments


def _text(value: Any) -> bytes:
    return _COMPACT.encode(value).encode()
