"""JSON trees: read from the pairs of a form, overlaid in the types of a sample, written at a place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Final

from mcpgate.values import Json

_KEY: Final = re.compile(r"\[([^\]]*)\]")
_INDEX: Final = re.compile(r"-?\d+\Z")


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """`items[0][price]=x` as {"items": {"0": {"price": "x"}}}; `ids[]=x` and repeated names count on."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, tail = name.partition("[")
        keys = [head, *_KEY.findall(bracket + tail)]
        node = tree
        for key in keys[:-1]:
            key = key or str(len(node))
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        last = keys[-1] or str(len(node))
        if last in node:
            earlier = node[last] if isinstance(node[last], dict) else {"0": node[last]}
            node[last] = {**earlier, str(len(earlier)): value}
        else:
            node[last] = value
    return tree


def listed(value: Json) -> Json:
    """Objects whose keys are indexes, as a form writes lists, made into lists."""
    if not isinstance(value, dict):
        return value
    values = [listed(item) for item in value.values()]
    if value and all(key.isdigit() for key in value):
        return values
    return dict(zip(value, values, strict=True))


def overlay(sample: dict[str, Json], sent: dict[str, Json]) -> dict[str, Json]:
    """A sample with what was sent put over the keys it has, in the types it has there."""
    return {name: like(item, sent[name]) if name in sent else item for name, item in sample.items()}


def like(sample: Json, value: Json) -> Json:
    """What was sent, in the type its sample has; of another shape it changes nothing."""
    if isinstance(sample, dict):
        return _like_object(sample, value)
    if isinstance(sample, list):
        value = [value] if isinstance(value, str) else listed(value)
        first = sample[0] if sample else None
        return [like(first, item) for item in value] if isinstance(value, list) else sample
    if isinstance(value, dict | list):
        return listed(value) if sample is None else sample
    if isinstance(sample, bool) and isinstance(value, str):
        return value == "true"
    if isinstance(sample, int | float) and isinstance(value, str):
        return _number(sample, value)
    return value


def put(root: Json, keys: tuple[str, ...], value: Json) -> Json:
    """The tree with a value at a place, and whatever the way there needs; nothing that was given is changed.

    A name reaches through lists, as it does in a place that is read; `*` is any key, so one is made up.
    """
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(root, list) or (_INDEX.match(key) and not isinstance(root, dict)):
        items = list(root or ())
        if not _INDEX.match(key):
            return [put(item, rest if key == "*" else keys, value) for item in items or [None]]
        if -len(items) <= int(key) < len(items):
            items[int(key)] = put(items[int(key)], rest, value)
        else:
            items.append(put(None, rest, value))
        return items
    node = root if isinstance(root, dict) else {}
    name = "error" if key == "*" else key
    return {**node, name: put(node.get(name), rest, value)}


def _like_object(sample: dict[str, Json], value: Json) -> Json:
    """APIs take a short form and give the long one: an object's id for it, a list for one in an envelope."""
    items, lists = listed(value), [name for name, item in sample.items() if isinstance(item, list)]
    if isinstance(items, list) and len(lists) == 1:
        return {**sample, lists[0]: like(sample[lists[0]], items)}
    if isinstance(value, dict):
        return {**sample, **{name: like(sample.get(name), item) for name, item in value.items()}}
    if value is None:
        return None
    return {**sample, "id": like(sample["id"], value)} if "id" in sample and value != "" else sample


def _number(sample: float, text: str) -> Json:
    """A number of a form; an empty text takes it away."""
    try:
        number = type(sample)(text)
    except ValueError:
        return text or None
    return number if math.isfinite(number) else text
