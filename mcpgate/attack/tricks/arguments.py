"""Row 7: the forbidden value under another name, beside the good one, or in another depth. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpgate.attack.attempt import Attempt, Breach, Shot
from mcpgate.attack.placing import at, put
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys, choices
from mcpgate.values import Json

_HOLDERS: Final = (
    "params",
    "data",
    "body",
    "arguments",
    "attributes",
    "options",
    "extra",
    "defaults",
    "_meta",
)
_MOST_OBJECTS: Final = 6


def names(key: str) -> Iterator[tuple[str, str]]:
    """Other names that some server takes for a name: what was done, and the name."""
    words = key.split("_")
    camel = words[0] + "".join(map(str.capitalize, words[1:]))
    yield from (
        ("upper case", key.upper()),
        ("capital letter", key.capitalize()),
        ("camel case", camel if camel != key else key + "Value"),
        ("hyphens", key.replace("_", "-") if "_" in key else f"-{key}"),
        ("space behind", f"{key} "),
        ("space before", f" {key}"),
        ("brackets", f"{key}[]"),
        ("bracket with an index", f"{key}[0]"),
        ("bracket with a name", f"{key}[value]"),
        ("open bracket", f"{key}["),
        ("closing bracket", f"{key}]"),
        ("dot with a name", f"{key}.value"),
        ("dot with an index", f"{key}.0"),
        ("dot behind", f"{key}."),
        ("metadata in brackets", f"metadata[{key}]"),
        ("underscore before", f"_{key}"),
        ("dollar before", f"${key}"),
        ("colon behind", f"{key}:"),
        ("plural", f"{key}s"),
        ("as a decimal", f"{key}_decimal"),
        ("in cents", f"{key}_cents"),
        ("new", f"new_{key}"),
        ("percent-encoded letter", f"%{ord(key[0]):02x}{key[1:]}"),
        ("NUL behind", f"{key}\0"),
        ("tab behind", f"{key}\t"),
        ("byte order mark before", f"\ufeff{key}"),
        ("zero-width space inside", f"{key[:1]}\u200b{key[1:]}"),
        ("full width", "".join(chr(ord(char) + 0xFEE0) for char in key)),
        ("Cyrillic letters", key.translate(str.maketrans("aeopcyx", "аеорсух"))),
        ("pair of a form", f"{key}=1&{key}"),
        ("prototype", "__proto__"),
        ("empty", ""),
    )


def other_arguments(breach: Breach, honest: Shot) -> Iterator[Attempt]:
    """The forbidden value under every other name, beside the good value and instead of it."""
    parent, key, value = breach.keys[:-1], breach.keys[-1], breach.value
    if value is MISSING:
        value = "x"
    for trick, name in names(key):
        beside = _into(honest, parent, name, {key: value} if name == "__proto__" else value)
        yield Attempt(7, f"{trick}, beside the good one", beside)
        yield Attempt(7, f"{trick}, instead of it", _into(honest.drop(breach.keys), parent, name, value))
    for name in _HOLDERS:
        yield Attempt(7, f"inside {name}", _into(honest, (), name, {key: value}))
    yield from (
        Attempt(7, trick, _into(honest, (), name, inner))
        for trick, name, inner in (
            ("named in expand", "expand", [key]),
            ("whole path in dots", ".".join(breach.keys) + ".x", value),
            (
                "whole path in brackets",
                breach.keys[0] + "".join(f"[{part}]" for part in (*breach.keys[1:], "")),
                value,
            ),
            ("a patch", "patch", [{"op": "replace", "path": "/" + "/".join(breach.keys), "value": value}]),
            ("the name and the value as a pair", "fields", [{"name": key, "value": value}]),
        )
    )
    if len(breach.keys) > 1:
        yield Attempt(7, "at the top instead of below", _into(honest, (), key, value))
        yield Attempt(7, "dotted key at the top", _into(honest, (), ".".join(breach.keys), value))
    yield from _inside(breach, honest, value)


def _inside(breach: Breach, honest: Shot, value: Json) -> Iterator[Attempt]:
    """The value under its name, and the name in brackets, in every object that the tool takes."""
    key = breach.keys[-1]
    for place in list(objects(honest.tool.schema))[:_MOST_OBJECTS]:
        where = ".".join(place)
        if place != breach.keys[:-1]:
            yield Attempt(7, f"inside {where}", honest.put((*place, key), value))
            yield Attempt(7, f"inside {where}, as text", honest.put((*place, key), str(value)))
        for trick, name in (
            ("brackets closed and opened", f"x][{key}"),
            ("bracket closed, pair of a form", f"x]&{key}"),
            ("two brackets", f"[{key}]"),
            ("closing bracket", f"{key}]"),
            ("dots up", f"../{key}"),
            ("dot", f"x.{key}"),
        ):
            yield Attempt(7, f"inside {where}: {trick}", honest.put((*place, name), str(value)))
        deep: Json = value
        for _ in range(6):
            deep = {key: deep}
        yield Attempt(7, f"inside {where}, six deep", honest.put((*place, "x"), deep))
        yield Attempt(7, f"{where} as a text", honest.put(place, f'{{"{key}": {value}}}'))
        yield Attempt(7, f"{where} as a list of pairs", honest.put(place, [[key, value]]))


def objects(schema: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Every field at which an object stands."""
    if not isinstance(schema, Mapping):
        return
    if keys and ("properties" in schema or schema.get("additionalProperties", False) is not False):
        yield keys
    for name, inner in schema.get("properties", {}).items():
        yield from objects(inner, (*keys, name))
    yield from objects(schema.get("items"), keys)
    for choice in choices(schema):
        yield from objects(choice, keys)


def _into(shot: Shot, parent: Keys, name: str, value: Json) -> Shot:
    """A call with one more member, its name taken as it is."""
    if not parent:
        return dataclasses.replace(shot, arguments={**shot.arguments, name: value})
    inside = at(shot.arguments, parent)
    if not isinstance(inside, dict):
        inside = {}
    if any(part == "before" for part in parent[:1]) and shot.tool.lookup is not None:
        return shot.put((*parent, name), value)
    return dataclasses.replace(shot, arguments=put(shot.arguments, (*parent, name), value, shot.tool.schema))
