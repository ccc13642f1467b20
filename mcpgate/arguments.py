"""Step 2 of a call: its arguments made canonical and held against the tool's own schema. Pure.

What comes out is what rules see and what is sent; nobody parses it again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from jsonschema import ValidationError

from mcpgate.errors import ArgumentsError
from mcpgate.policy.fields import member
from mcpgate.spec.params import allows_null
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Json, Tool

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
_SAFE_INTEGER: Final = 2**53 - 1
_MOST_SHOWN: Final = 5
_MOST_KEPT: Final = 8 * 1024
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode
_ENCODE_SORTED: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_LISTS: Final = (list, tuple)


def check_arguments(tool: Tool, validator: Any, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The canonical arguments of a call; raises `ArgumentsError` with every fault and how to mend it.

    Integral floats become integers and -0 becomes 0; null is left out where the schema does not allow it;
    defaults are filled in.
    """
    canonical = _canonical(arguments, dict(tool.schema), "", 1)
    assert isinstance(canonical, dict)
    if len(_ENCODE(canonical).encode()) > MAX_BYTES:
        raise ArgumentsError(f"The arguments have more than {MAX_BYTES // 1024} KiB.")
    problems = list(islice(_problems(tool, validator, canonical), _MOST_SHOWN + 1))
    if problems:
        more = "; and more" if len(problems) > _MOST_SHOWN else ""
        raise ArgumentsError(f"{tool.name}: {'; '.join(problems[:_MOST_SHOWN])}{more}.")
    return canonical


def hash_of(arguments: Mapping[str, Json]) -> str:
    """What the same canonical arguments are known by."""
    return _hash(_sorted_text(arguments))


def written(arguments: Mapping[str, Json], *, acts: bool) -> tuple[str, Mapping[str, Json] | None]:
    """The hash of canonical arguments, and those that a row keeps: of what moves nothing only a few, for an
    agent can go on for ever."""
    text = _sorted_text(arguments)
    return _hash(text), arguments if acts or len(text) <= _MOST_KEPT else None


def _sorted_text(arguments: Mapping[str, Json]) -> str:
    return _ENCODE_SORTED(arguments)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _problems(tool: Tool, validator: Any, canonical: dict[str, Json]) -> Iterator[str]:
    """Each fault once, found as they are asked for: hostile arguments have a great many."""
    told = set()
    for error in validator.iter_errors(canonical):
        for problem in _say(error):
            if problem not in told:
                told.add(problem)
                yield problem
    yield from _groups(tool, canonical)


def _canonical(value: Json, schema: Json, where: str, depth: int) -> Json:
    if depth > MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        raise ArgumentsError(f"The arguments are nested more than {MAX_DEPTH} deep.")
    if isinstance(value, Mapping):
        return _object(value, schema, where, depth)
    if isinstance(value, _LISTS):
        inner = _at(schema, "items") if isinstance(schema, dict) else {}
        return [_canonical(item, inner, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, float):
        return _number(value, where)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        raise ArgumentsError(f"{where}: this is beyond ±(2^53 - 1), which JSON cannot carry safely.")
    return value


def _object(value: Mapping[str, Json], schema: Json, where: str, depth: int) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, item in value.items():
        _text(key, where or "an argument's name")
        place = _clip(f"{where}.{key}" if where else key)
        inner = _member(schema, key)
        if item is None and inner is not None and not allows_null(inner):
            continue
        result[key] = _canonical(item, inner or {}, place, depth + 1)
    for key, inner in schema.get("properties", {}).items() if isinstance(schema, dict) else ():
        if "default" in inner and key not in result:
            result[key] = _canonical(inner["default"], inner, key, depth + 1)
    return result


def _member(schema: Json, key: str) -> dict[str, Json] | None:
    """The schema of an object's member; choices are joined as anyOf, unknown members have none."""
    found = [dict(subschema) for subschema in member(schema, key)]
    if not found:
        return None
    return found[0] if len(found) == 1 else {"anyOf": found}


def _at(schema: dict[str, Json], keyword: str) -> Json:
    """A subschema, looked for in the choices as well."""
    for candidate in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if isinstance(candidate, dict) and keyword in candidate:
            return candidate[keyword]
    return {}


def _text(value: str, where: str) -> str:
    if "\0" in value:
        raise ArgumentsError(f"{where}: a text has no NUL character.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentsError(f"{where}: a text has no lone surrogate.") from None
    return value


def _number(value: float, where: str) -> int | float:
    if not math.isfinite(value):
        raise ArgumentsError(f"{where}: {value} is not a number that JSON knows.")
    if not value.is_integer():
        return value
    if abs(value) > _SAFE_INTEGER:
        raise ArgumentsError(f"{where}: this is beyond ±(2^53 - 1), which JSON cannot carry safely.")
    return int(value)


def _groups(tool: Tool, arguments: Mapping[str, Json]) -> Iterator[str]:
    for group in tool.exactly_one:
        found = [name for name in group if name in arguments]
        if len(found) != 1:
            instead = f", not {' and '.join(found)}" if found else ""
            yield f"give exactly one of {', '.join(group)}{instead}"
    for group in tool.at_least_one:
        if not any(name in arguments for name in group):
            yield f"give at least one of {', '.join(group)}"


def _say(error: ValidationError) -> Iterator[str]:
    where = _where(error.absolute_path)
    prefix = f"{where}: " if where else ""
    expected: Any = error.validator_value
    found: Any = error.instance
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and isinstance(found, dict):
        known = list(schema.get("properties", {}))
        for key in found:
            if key not in known:
                yield f"{prefix}there is no argument '{_clip(key)}'{did_you_mean(_clip(key), known)}"
    elif error.validator == "required":
        yield from (f"{prefix}{key} is missing" for key in expected if key not in found)
    elif error.validator == "type":
        wanted = expected if isinstance(expected, str) else " or ".join(expected)
        yield f"{prefix}{_short(found)} is not of type {wanted}"
    elif error.validator == "enum":
        yield f"{prefix}{_short(found)} is not one of {', '.join(map(str, expected))}"
    elif error.validator in ("anyOf", "oneOf") and error.context:
        yield f"{prefix}{_short(found)} fits none of the forms allowed here"
    elif error.validator in ("minimum", "maximum"):
        side = "under" if error.validator == "minimum" else "over"
        yield f"{prefix}{_short(found)} is {side} {expected}"
    elif error.validator in ("minLength", "maxLength", "minItems", "maxItems"):
        word = "short" if str(error.validator).startswith("min") else "long"
        yield f"{prefix}this is too {word}; {error.validator} is {expected}"
    else:
        yield prefix + _clip(error.message)


def _where(path: Any) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return _clip(text)


def _short(value: Json) -> str:
    return _clip(json.dumps(value, ensure_ascii=False, default=str))


def _clip(text: str) -> str:
    """A text as messages show it: what would not show is escaped, and it is never long."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:80])
    return shown if len(shown) <= 80 else shown[:77] + "…"
