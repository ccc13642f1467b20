"""Shapes a reply down to the places a model needs.

A name passes scalars and lists of them; an object passes only through named members or `name.*`, so that what
an API chooses to expand does not reach the agent by itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, TypeAlias

from mcpgate.places import MISSING, Place
from mcpgate.values import Json

_Tree: TypeAlias = dict[str, "_Tree"]
_LEAF: Final = ""
_NUMBER: Final = re.compile(r"-?\d+\Z")


def project(fields: tuple[Place, ...], value: Json) -> Json:
    """The value with nothing left but the fields; of a list, of each of its items."""
    kept = _keep(_tree(fields), value)
    return {} if kept is MISSING else kept


@lru_cache(maxsize=4096)
def _tree(fields: tuple[Place, ...]) -> _Tree:
    tree: _Tree = {}
    for field in fields:
        node = tree
        for key in field.keys:
            node = node.setdefault(key, {})
        node[_LEAF] = {}
    return tree


def _keep(tree: _Tree, value: Json) -> Any:
    if isinstance(value, dict):
        return MISSING if tree.keys() <= {_LEAF} else _keep_members(tree, value)
    if isinstance(value, list):
        return [item for item in _keep_items(tree, value) if item is not MISSING]
    return value if _LEAF in tree else MISSING


def _keep_members(tree: _Tree, value: dict[str, Json]) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for key, subtree in tree.items():
        if key == "*":
            members = {name: _keep(subtree, item) for name, item in value.items()}
        elif key in value and key != _LEAF:
            members = {key: _keep(subtree, value[key])}
        else:
            continue
        kept.update({name: item for name, item in members.items() if item is not MISSING})
    return kept


def _keep_items(tree: _Tree, value: list[Json]) -> list[Any]:
    """A number picks an item; a name reaches through the list; `*` is any item, or any member of each."""
    numbers = [key for key in tree if _NUMBER.match(key)]
    picked = [_keep(tree[key], value[int(key)]) for key in numbers if -len(value) <= int(key) < len(value)]
    names = {key: subtree for key, subtree in tree.items() if key not in numbers}
    names.update({key: subtree for key, subtree in tree.get("*", {}).items() if key != _LEAF})
    return picked + [_keep(names, item) for item in value] if names else picked
