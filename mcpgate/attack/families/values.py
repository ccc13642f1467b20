"""Rules over single values: a number over a limit, a value that is not listed or is blocked. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mcpgate.attack.attempt import BEFORE, Assault, Breach, Target
from mcpgate.attack.lenient import letters, numbers, readings
from mcpgate.attack.placing import samples
from mcpgate.attack.wire import Members, Text, Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys, subschemas
from mcpgate.values import Json

LEFT_OUT: Final = "left out"


def name(keys: Keys) -> str:
    """A field as people write it."""
    return ".".join(keys)


def told(value: Any) -> str:
    """A value that arrived, for people."""
    return repr(str(value)) if isinstance(value, str) else str(value)[:80]


def schema_at(target: Target, keys: Keys) -> Any:
    """The schema at a field, that of its elements where it is a list."""
    schema: Any = next(subschemas(target.tool.schema, keys), {})
    while isinstance(schema, dict) and isinstance(schema.get("items"), dict):
        schema = schema["items"]
    return schema


# --- numbers ---------------------------------------------------------------------------------------------


def _honest_numbers(target: Target) -> Iterator[tuple[Keys, Json]]:
    low, high = target.config.get("min"), target.config.get("max")
    for keys in target.spots:
        known = [*samples(schema_at(target, keys)), 1, 0]
        for value in (high, low, *known):
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            if fits and (high is None or value <= high) and (low is None or value >= low):
                yield keys, value


def _forbidden_numbers(target: Target) -> Iterator[Breach]:
    low, high = target.config.get("min"), target.config.get("max")
    for keys in target.spots:
        if high is not None:
            top = int(high // 1)
            yield from (Breach(keys, value) for value in (top + 1, top + max(2, abs(top))))
        if low is not None:
            yield from (Breach(keys, value) for value in (-(-low // 1) - 1, -1, 0) if value < low)


def _wrong_number(target: Target, wire: Wire) -> str:
    low, high = target.config.get("min"), target.config.get("max")
    for keys in target.spots:
        for value in wire.at(keys):
            if value is MISSING:
                return f"{name(keys)} is {LEFT_OUT}"
            read = numbers(value, wrapping=keys[0] != BEFORE)
            if not read:
                return f"{name(keys)} {told(value)} is no number"
            for number in read:
                if number != number or (high is not None and number > high):
                    return f"{name(keys)} {told(value)} can be read as {number}, over {high}"
                if low is not None and number < low:
                    return f"{name(keys)} {told(value)} can be read as {number}, under {low}"
    return ""


# --- lists of values -------------------------------------------------------------------------------------


def _listed(target: Target) -> Iterator[tuple[Keys, Json]]:
    yield from ((keys, value) for keys in target.spots for value in target.config["values"])


def _unlisted(target: Target) -> Iterator[Breach]:
    values = target.config["values"]
    for keys in target.spots:
        known = [value for value in samples(schema_at(target, keys)) if not _is_listed(value, values)]
        made: list[Json] = ["jpy", "kwd"] if all(_is_code(value) for value in values) else []
        made += [value for value in known if isinstance(value, str | int | bool)]
        first = values[0]
        made.append(
            f"{first}x" if isinstance(first, str) else first + 1 if not _is_bool(first) else not first
        )
        for value in [each for each in made if not _is_listed(each, values)][:3]:
            yield Breach(keys, value)
        for value in [each for each in values if isinstance(each, str)][:2]:
            yield from (
                Breach(keys, other, row=row, trick=f"{trick} of what is listed")
                for row, trick, other in near(value)
            )


def near(value: str) -> Iterator[tuple[int, str, Json]]:
    """Values that are nearly a listed one, and are not it."""
    yield from (
        (9, "upper case", value.upper()),
        (9, "capital letter", value.capitalize()),
        (9, "space behind", f"{value} "),
        (9, "space before", f" {value}"),
        (9, "line end behind", f"{value}\n"),
        (9, "full width", "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in value)),
        (9, "zero-width space inside", f"{value[:1]}\u200b{value[1:]}"),
        (9, "right-to-left mark behind", f"{value}\u200f"),
        (8, "NUL behind", f"{value}\0"),
        (1, "list of two, one listed", [value, "zzz"]),
        (1, "list inside a list", [[value, "zzz"]]),
        (1, "object", {"value": value}),
        (7, "two in one text", f"{value},zzz"),
        (7, "pair of a form inside", f"{value}&x=zzz"),
    )


def _is_code(value: Json) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isalpha()


def _is_bool(value: Json) -> bool:
    return isinstance(value, bool)


def _is_listed(value: Json, values: list[Json]) -> bool:
    return any(value == other and _is_bool(value) == _is_bool(other) for other in values)


def spelled(value: Json) -> str:
    """A value as forms and addresses write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_listed(target: Target, wire: Wire) -> str:
    values = target.config["values"]
    for keys in target.spots:
        for value in wire.at(keys):
            if value is MISSING:
                return f"{name(keys)} is {LEFT_OUT}"
            exact = (
                any(str(value) == spelled(other) for other in values)
                if isinstance(value, Text)
                else isinstance(value, str | int | float) and _is_listed(value, values)
            )
            if not exact:
                return f"{name(keys)} {told(value)} is not listed"
    return ""


def _unblocked(target: Target) -> Iterator[tuple[Keys, Json]]:
    for keys in target.spots:
        yield from ((keys, value) for value in samples(schema_at(target, keys)))
        yield keys, MISSING


def _blocked(target: Target) -> Iterator[Breach]:
    yield from (Breach(keys, value) for keys in target.spots for value in target.config["values"][:3])


def opened(value: Any) -> Iterator[Any]:
    """The values in an object, those of all its members."""
    if isinstance(value, Members | dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from opened(inner)
    else:
        yield value


def _is_blocked(target: Target, wire: Wire) -> str:
    for keys in target.spots:
        for value in (inner for found in wire.at(keys) for inner in opened(found)):
            for other in target.config["values"]:
                number = isinstance(other, int | float) and not _is_bool(other)
                alike = letters(spelled(other)) in readings(spelled(value))
                if value is not MISSING and (alike or (number and other in numbers(value))):
                    return f"{name(keys)} {told(value)} can be read as {other}, which is blocked"
    return ""


VALUES: Final[dict[str, Assault]] = {
    "max_value": Assault("number", _honest_numbers, _forbidden_numbers, _wrong_number),
    "min_value": Assault("number", _honest_numbers, _forbidden_numbers, _wrong_number),
    "value_range": Assault("number", _honest_numbers, _forbidden_numbers, _wrong_number),
    "allow_values": Assault("text", _listed, _unlisted, _not_listed),
    "block_values": Assault("text", _unblocked, _blocked, _is_blocked),
}
