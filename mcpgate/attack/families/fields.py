"""Rules over fields as such: given, not given, and how long a list is. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.values import LEFT_OUT, name, schema_at, told
from mcpgate.attack.placing import sample, samples
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys, subschemas
from mcpgate.values import Json


def _given(target: Target) -> Iterator[tuple[Keys, Json]]:
    yield from ((keys, value) for keys in target.spots for value in samples(schema_at(target, keys)))


def _is_missing(target: Target, wire: Wire) -> str:
    absent = (keys for keys in target.spots if any(value is MISSING for value in wire.at(keys)))
    return next((f"{name(keys)} is {LEFT_OUT}" for keys in absent), "")


def _left_out(target: Target) -> Iterator[tuple[Keys, Json]]:
    yield from ((keys, MISSING) for keys in target.spots)


def _present(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        schema: Any = next(subschemas(target.tool.schema, keys), {})
        yield Breach(keys, sample(schema))
        empties: tuple[tuple[str, Json], ...] = (("null", None), ("empty text", ""), ("empty list", []))
        empties += (("zero", 0), ("false", False), ("empty object", {}))
        yield from (Breach(keys, value, row=4, trick=trick) for trick, value in empties)


def _is_present(target: Target, wire: Wire) -> str:
    for keys in target.spots:
        for value in wire.whole(keys):
            if value is not MISSING:
                return f"{name(keys)} arrives as {told(value)}"
    return ""


# --- lengths of lists ------------------------------------------------------------------------------------


def _short_lists(target: Target) -> Iterator[tuple[Keys, Json]]:
    for keys in target.spots:
        yield keys, _items(target, keys, max(1, target.config["max"]))
        yield keys, _items(target, keys, 1)


def _long_lists(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        longer = target.config["max"] + 1
        yield Breach(keys, _items(target, keys, longer))
        yield Breach(keys, _items(target, keys, longer * 3))
        texts = [f"a{number}" for number in range(longer)]
        yield Breach(keys, ",".join(texts), row=1, trick="one text with commas")
        yield Breach(keys, str(texts), row=1, trick="the list as text")
        yield Breach(keys, {str(at): text for at, text in enumerate(texts)}, row=1, trick="object of indexes")
        yield Breach(keys, [texts], row=1, trick="list inside a list")


def _items(target: Target, keys: Keys, count: int) -> Json:
    schema: Any = next(subschemas(target.tool.schema, keys), {})
    if "items" in schema:
        return [sample(schema["items"]) for _ in range(count)]
    return {f"k{number}": sample(schema.get("additionalProperties", {})) for number in range(count)}


def _too_many(target: Target, wire: Wire) -> str:
    for keys in target.spots:
        for node in wire.whole(keys):
            if node is MISSING or node is None or node == []:
                return f"{name(keys)} is {LEFT_OUT}"
            count = _count(node)
            if count > target.config["max"]:
                return f"{name(keys)} arrives with {count} items, over {target.config['max']}"
    return ""


def _count(node: Any) -> int:
    if isinstance(node, list):
        return sum(_count(item) if isinstance(item, list) else 1 for item in node)
    if isinstance(node, dict):
        return sum(len(values) for values in node.values())
    return len(str(node).split(","))


FIELDS: Final[dict[str, Assault]] = {
    "required_fields": Assault("given", _given, lambda target: iter(()), _is_missing),
    "block_fields": Assault("absent", _left_out, _present, _is_present),
    "max_items": Assault("list", _short_lists, _long_lists, _too_many),
}
