"""Step 2 of a call: its arguments made canonical and held against the tool's own schema. Pure.

What comes out is what rules see and what is sent; nobody parses it again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import ValidationError

from mcpgate.errors import ArgumentsError
from mcpgate.policy.fields import subschemas
from mcpgate.spec.params import allows_null
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Json, Tool

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
_SAFE_INTEGER: Final = 2**53 - 1
_MOST_SHOWN: Final = 5


def check_arguments(tool: Tool, validator: Any, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The canonical arguments of a call; raises `ArgumentsError` with every fault and how to mend it.

    Integral floats become integers and -0 becomes 0; null is left out where the schema does not allow it;
    defaults are filled in.
    """
    canonical = _canonical(arguments, dict(tool.schema), "", 1)
    assert isinstance(canonical, dict)
    if len(json.dumps(canonical, ensure_ascii=False).encode()) > MAX_BYTES:
        raise ArgumentsError(f"The arguments have more than {MAX_BYTES // 1024} KiB.")
    problems = [_say(tool, error) for error in validator.iter_errors(canonical)] + _groups(tool, canonical)
    if problems:
        shown = list(dict.fromkeys(problems))
        more = f"; and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
        raise ArgumentsError(f"{tool.name}: {'; '.join(shown[:_MOST_SHOWN])}{more}.")
    return canonical


def _canonical(value: Json, schema: Json, where: str, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise ArgumentsError(f"The arguments are nested more than {MAX_DEPTH} deep.")
    if isinstance(value, Mapping):
        return _object(value, schema, where, depth)
    if isinstance(value, list | tuple):
        inner = _at(schema, "items") if isinstance(schema, dict) else {}
        return [_canonical(item, inner, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, float):
        return _number(value, where)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        raise ArgumentsError(f"{where}: {_short(value)} is beyond ±(2^53 - 1), which JSON cannot carry safely.")
    return value


def _object(value: Mapping[str, Json], schema: Json, where: str, depth: int) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, item in value.items():
        place = f"{where}.{key}" if where else str(key)
        inner = _member(schema, key)
        if item is None and inner is not None and not allows_null(inner):
            continue
        result[_text(key, place)] = _canonical(item, inner or {}, place, depth + 1)
    for key, inner in schema.get("properties", {}).items() if isinstance(schema, dict) else ():
        if "default" in inner and key not in result:
            result[key] = _canonical(inner["default"], inner, key, depth + 1)
    return result


def _member(schema: Json, key: str) -> dict[str, Json] | None:
    """The schema of an object's member; choices are joined as anyOf, unknown members have none."""
    found = [dict(subschema) for subschema in subschemas(schema, (key,))] if isinstance(schema, dict) else []
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
        raise ArgumentsError(f"{where}: {value} is beyond ±(2^53 - 1), which JSON cannot carry safely.")
    return int(value)


def _groups(tool: Tool, arguments: Mapping[str, Json]) -> list[str]:
    problems = []
    for group in tool.exactly_one:
        found = [name for name in group if name in arguments]
        if len(found) != 1:
            problems.append(f"give exactly one of {', '.join(group)}" + (f", not {' and '.join(found)}" if found else ""))
    for group in tool.at_least_one:
        if not any(name in arguments for name in group):
            problems.append(f"give at least one of {', '.join(group)}")
    return problems


def _say(tool: Tool, error: ValidationError) -> str:
    where = _where(error.absolute_path)
    prefix = f"{where}: " if where else ""
    expected: Any = error.validator_value
    found: Any = error.instance
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and isinstance(found, dict):
        known = list(schema.get("properties", {}))
        return "; ".join(
            f"{prefix}there is no argument '{key}'{did_you_mean(key, known)}" for key in found if key not in known
        )
    if error.validator == "required":
        return "; ".join(f"{prefix}{key} is missing" for key in expected if key not in found)
    if error.validator == "type":
        wanted = expected if isinstance(expected, str) else " or ".join(expected)
        return f"{prefix}{_short(found)} is not of type {wanted}"
    if error.validator == "enum":
        return f"{prefix}{_short(found)} is not one of {', '.join(map(str, expected))}"
    if error.validator in ("anyOf", "oneOf") and error.context:
        return f"{prefix}{_short(found)} fits none of the forms allowed here"
    if error.validator in ("minimum", "maximum"):
        return f"{prefix}{_short(found)} is {'under' if error.validator == 'minimum' else 'over'} {expected}"
    if error.validator in ("minLength", "maxLength", "minItems", "maxItems"):
        word = "short" if str(error.validator).startswith("min") else "long"
        return f"{prefix}this is too {word}; {error.validator} is {expected}"
    return prefix + _clip(error.message)


def _where(path: Any) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _short(value: Json) -> str:
    return _clip(json.dumps(value, ensure_ascii=False, default=str))


def _clip(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
