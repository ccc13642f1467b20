"""Rows 1 and 2: a number of another type, and numbers at the edge. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from mcpgate.attack.attempt import Attempt, Breach, Shot, line_of
from mcpgate.attack.placing import at
from mcpgate.places import MISSING

_MARK: Final = "@@number@@"


def other_types(breach: Breach, honest: Shot) -> Iterator[Attempt]:
    """Row 1: the forbidden number as something that some parser takes for it."""
    number, good = breach.value, at(honest.arguments, breach.keys)
    last = breach.keys[-1]
    for trick, value in (
        ("number as text", str(number)),
        ("number as text, with an exponent", f"{number:e}"),
        ("number as text, with a fraction", f"{number}.0"),
        ("number as text, spaces around", f" {number} "),
        ("number as text, with a plus", f"+{number}"),
        ("number as text, hexadecimal", hex(int(number))),
        ("number as text, octal", oct(int(number))),
        ("number as text, thousands apart", f"{number:,}"),
        ("number as text, underscores", f"{number:_}"),
        ("number as text, zeros before", f"000{number}"),
        ("number as text, letters behind", f"{number}abc"),
        ("number as text, with a currency", f"{number} usd"),
        ("number as text, in quotes", f'"{number}"'),
        ("number with a fraction", number + 0.5),
        ("true", True),
        ("false", False),
        ("list of one", [number]),
        ("list of one text", [str(number)]),
        ("list inside a list", [[number]]),
        ("list, the good one first", [good, number]),
        ("list, the good one last", [number, good]),
        ("object with a value", {"value": number}),
        ("object with its own name", {last: number}),
        ("object with an index", {"0": number}),
        ("object of a database", {"$numberLong": str(number)}),
        ("object of a comparison", {"gt": number}),
        ("empty object", {}),
        ("expression", f"={number}"),
    ):
        if MISSING not in (value if isinstance(value, list) else [value]):
            yield Attempt(1, trick, breach.on(honest, value))
    for trick, token in (
        ("written with a fraction of zero", f"{number}.0"),
        ("written with an exponent", f"{number:e}"),
        ("written with a capital exponent", f"{number}E0"),
        ("written as a large number with a negative exponent", f"{number}00e-2"),
    ):
        yield spelled(1, trick, breach, honest, token)


def edges(breach: Breach, honest: Shot, limit: float) -> Iterator[Attempt]:
    """Row 2: numbers at which parsers, floats and machine words end."""
    number = int(breach.value)
    step = math.nextafter(float(limit), math.inf if number > limit else -math.inf)
    for trick, value in (
        ("negative", -number),
        ("zero", 0),
        ("the smallest step beyond", step),
        ("one beyond a signed 32-bit word", 2**31),
        ("wrapped at 32 bits", 2**32 + number),
        ("wrapped at 32 bits, negative", number - 2**32),
        ("2^53", 2**53),
        ("2^53 + 1", 2**53 + 1),
        ("-(2^53)", -(2**53)),
        ("beyond 63 bits", 2**63),
        ("wrapped at 64 bits", 2**64 + number),
        ("wrapped at 64 bits, negative", number - 2**64),
        ("huge", 10**30),
        ("huge, negative", -(10**30)),
        ("huge, as a float", 1e300),
        ("of 5,000 digits", MISSING),
        ("NaN as text", "NaN"),
        ("Infinity as text", "Infinity"),
        ("minus a huge float", -1e300),
    ):
        if value is not MISSING:
            yield Attempt(2, trick, breach.on(honest, value))
    for trick, token in (
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("-0", "-0"),
        ("-0.0", "-0.0"),
        ("1E400", "1E400"),
        ("-1E400", "-1E400"),
        ("1e-400", "1e-400"),
        ("of 500 digits", "9" * 500),
        ("of 5,000 digits", "9" * 5000),
        ("of 500 digits, negative", "-" + "9" * 500),
        ("minus before zeros", "-00"),
        ("plus before", f"+{number}"),
        ("hexadecimal", hex(number) if number >= 0 else f"-{hex(-number)}"),
        ("zero before", f"0{abs(number)}"),
        ("no digit before the point", ".5e6"),
    ):
        yield spelled(2, trick, breach, honest, token)


def spelled(row: int, trick: str, breach: Breach, honest: Shot, token: str) -> Attempt:
    """An attempt whose value is spelled in the JSON as it is given here."""
    shot = breach.on(honest, _MARK)
    text = json.dumps(shot.arguments).replace(json.dumps(_MARK), token)
    return Attempt(row, trick, _read(breach, honest, token), line_of(honest.tool.name, text))


def _read(breach: Breach, honest: Shot, token: str) -> Shot:
    """What a lenient parser reads in a token: the call that another wire would bring."""
    value: Any
    try:
        value = json.loads(token)
    except ValueError:
        value = breach.value
    return breach.on(honest, value)
