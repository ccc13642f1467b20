"""Pairs of a form or a query as the tree they were written from, and that tree in the types of a sample."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from mcpgate.values import Json

_KEY: Final = re.compile(r"\[([^\]]*)\]")


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


def overlay(sample: dict[str, Json], sent: dict[str, Json]) -> dict[str, Json]:
    """A sample with what was sent put over the keys it has, in the types it has there."""
    return {**sample, **{name: like(sample[name], sent[name]) for name in sample.keys() & sent.keys()}}


def like(sample: Json, value: Json) -> Json:
    """What was sent, in the type its sample has; an object or list of another shape changes nothing."""
    if isinstance(sample, dict) and isinstance(value, dict):
        return {**sample, **{name: like(sample.get(name), item) for name, item in value.items()}}
    if isinstance(sample, list):
        value = value.split(",") if isinstance(value, str) else listed(value)
        first = sample[0] if sample else None
        return [like(first, item) for item in value] if isinstance(value, list) else sample
    if sample is not None and isinstance(value, dict | list):
        return sample
    if isinstance(sample, bool) and isinstance(value, str):
        return value == "true"
    if isinstance(sample, int | float) and isinstance(value, str):
        return _number(sample, value)
    return listed(value)


def listed(value: Json) -> Json:
    """Objects whose keys are indexes, as a form writes lists, made into lists."""
    if not isinstance(value, dict):
        return value
    values = [listed(item) for item in value.values()]
    if value and all(key.isdigit() for key in value):
        return values
    return dict(zip(value, values, strict=True))


def _number(sample: float, text: str) -> Json:
    try:
        return type(sample)(text)
    except ValueError:
        return text
