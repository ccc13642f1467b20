"""Shapes a reply down to the places a model needs.

A name passes scalars and lists of them; an object passes only through named members or `name.*`, so that what
an API chooses to expand does not reach the agent by itself. A member that is null is left out: to a model it
says what an absent one says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from mcpgate.places import MISSING, Place
from mcpgate.values import Json

_NESTED: Final = (dict, list)
_NUMBER: Final = re.compile(r"-?\d+\Z")


def project(fields: tuple[Place, ...], value: Json) -> Json:
    """The value with nothing left but the fields; of a list, of each of its items. Null stays null."""
    return project_each(fields, (value,))[0]


def project_each(fields: tuple[Place, ...], values: Iterable[Json]) -> list[Json]:
    """The same of each of several values."""
    node = _node(fields)
    kept = [None if value is None else _keep(node, value) for value in values]
    return [{} if value is MISSING else value for value in kept]


class _Node:
    """What is kept where some fields lead: the scalar there, if one of them ends here, and named members."""

    __slots__ = ("_in_list", "ends", "members")

    def __init__(self, ends: bool = False, members: dict[str, _Node] | None = None) -> None:
        self.ends = ends
        self.members: dict[str, _Node] = {} if members is None else members
        self._in_list: tuple[list[tuple[int, _Node]], _Node | None] | None = None

    def in_list(self) -> tuple[list[tuple[int, _Node]], _Node | None]:
        """What is kept of a list: items picked by a number, and what a name reaches in every item.

        `*` is any item, or any member of each.
        """
        if self._in_list is None:
            picks = [(int(key), node) for key, node in self.members.items() if _NUMBER.match(key)]
            names = {key: node for key, node in self.members.items() if not _NUMBER.match(key)}
            if "*" in names:
                names |= names["*"].members
            self._in_list = picks, _Node(self.ends, names) if names or self.ends else None
        return self._in_list


@lru_cache(maxsize=4096)
def _node(fields: tuple[Place, ...]) -> _Node:
    root = _Node()
    for field in fields:
        node = root
        for key in field.keys:
            node = node.members.setdefault(key, _Node())
        node.ends = True
    return root


def _keep(node: _Node, value: Json) -> Any:
    if isinstance(value, dict):
        return _keep_members(node, value) if node.members else MISSING
    if isinstance(value, list):
        return _keep_items(node, value)
    return value if node.ends else MISSING


def _keep_members(node: _Node, value: dict[str, Json]) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for key, inner in node.members.items():
        for name in value if key == "*" else (key,):
            item = value.get(name)
            if isinstance(item, _NESTED):
                item = _keep(inner, item)
                if item is not MISSING:
                    kept[name] = item
            elif item is not None and inner.ends:
                kept[name] = item
    return kept


def _keep_items(node: _Node, value: list[Json]) -> list[Any]:
    picks, names = node.in_list()
    kept = [_keep(inner, value[index]) for index, inner in picks if -len(value) <= index < len(value)]
    if names is not None:
        kept += [_keep(names, item) for item in value]
    return [item for item in kept if item is not MISSING]
