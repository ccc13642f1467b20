"""What a rule looks at in a tool's calls: fields that it names, or those that have the role it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpgate.places import MISSING
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.fields import Keys, has_field, is_missing, read_field, split_field
from mcpgate.policy.templates import TEMPLATES
from mcpgate.values import Json, Rule, Tool

BEFORE: Final = "before"
# roles whose places make one value together: owner/name
_JOINTS: Final = {"repo": "/"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A field as it is called, and every place where it may stand; with a `joint` they make one value.

    `straight` are its keys where they lead through objects only, as most do: those are walked at once.
    """

    field: str
    places: tuple[Keys, ...]
    joint: str = ""
    straight: Keys = ()

    @property
    def in_before(self) -> bool:
        """Whether it stands in the reply of a lookup."""
        return any(keys[0] == BEFORE for keys in self.places)


def named_fields(template: str, config: Mapping[str, Json]) -> tuple[str, ...]:
    """The fields that a rule names itself: none, one, or several."""
    return tuple(field for field, _ in _wanted(template, config) if field)


def readings(rule: Rule, tool: Tool) -> tuple[tuple[Reading, ...], str]:
    """What a rule looks at in a tool's calls, and the first field or role that the tool does not have."""
    found: list[Reading] = []
    lacking = ""
    for field, role in _wanted(rule.template, rule.config):
        places = tool.roles.get(role, ())
        if field:
            keys = split_field(field)
            straight = () if "*" in keys or keys[0] == BEFORE else keys
            found.append(Reading(field, (keys,), straight=straight))
            lacking = lacking or ("" if has(tool, keys) else f"field {field}")
        elif places:
            label = _JOINTS.get(role, ", ").join(place.text for place in places)
            joint = _JOINTS.get(role, "") if len(places) > 1 else ""
            found.append(Reading(label, tuple(place.keys for place in places), joint))
        elif role:
            lacking = lacking or f"{role} (see roles, or name a field)"
    return tuple(found), lacking


def has(tool: Tool, keys: Keys) -> bool:
    """Whether a tool has a place for a field: in its arguments, or in the reply of its lookup."""
    return has_field(tool.schema, keys) or (tool.lookup is not None and keys[0] == BEFORE)


def read(reading: Reading, call: Call, *, opened: bool, nulls: bool) -> tuple[list[Any], bool]:
    """What stands at a reading's places, and whether it is missing: in a part of one, or at all of them.

    Of several places one may be absent, but not from an element of a list that is there: `to: [{user: 5}]`.
    `opened` gives a list's elements one by one. A limit takes null and an empty list as missing; a block
    (`nulls`) sees whatever is sent. Raises `UndecidableError` where a lookup has told nothing.
    """
    values: list[Any] = []
    missing = False
    for keys in reading.places:
        tree = _tree(reading, keys, call)
        found = read_field(tree, keys, opened=opened)
        there = [value for value in found if value is not MISSING and (nulls or not is_missing(value))]
        in_part = bool(there or reading.joint) or _has_elements(tree, keys)
        missing = missing or (len(there) < len(found) and in_part)
        values += there
    if reading.joint:
        values = [] if missing else [_joined(reading, values)]
    return values, missing or not values


def _has_elements(value: Any, keys: Keys) -> bool:
    """Whether there is a list or a map on the way that is not empty."""
    for key in keys:
        if isinstance(value, list) or key == "*":
            break
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    else:
        return isinstance(value, list) and bool(value)
    return bool(value)


def _joined(reading: Reading, values: list[Any]) -> str:
    """The one value that the places make together: each holds one part of it."""
    if len(values) != len(reading.places) or not all(isinstance(value, str) for value in values):
        raise UndecidableError(f"{reading.field} is not one text at each of its places", reading.field)
    return reading.joint.join(values)


def _tree(reading: Reading, keys: Keys, call: Call) -> Mapping[str, Json]:
    if keys[0] != BEFORE or call.tool.lookup is None:
        return call.arguments
    if call.before is MISSING:
        why = call.unknown or "nothing was looked up"
        raise UndecidableError(f"{reading.field} is not known: {why}", reading.field)
    return {BEFORE: call.before}


def _wanted(template: str, config: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Each field that a rule is about, by its name or by its role."""
    looks_at, role = TEMPLATES[template].looks_at, TEMPLATES[template].role
    if looks_at == "fields":
        yield from ((field, "") for field in config["fields"])
    elif looks_at == "span":
        yield from ((config.get(end, ""), end) for end in ("start", "end"))
    elif looks_at in ("values", "field", "texts"):
        yield config.get("field", ""), role
