"""Parameters: short forms made into plain JSON Schema, closed, and without what clients cannot take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from mcpgate.json_schema import build_validator, compile_pattern
from mcpgate.spec.yaml_text import Document, Path, did_you_mean

_PARTS: Final = ("propertyNames", "not")
_LISTS: Final = ("anyOf", "oneOf", "allOf")
_SAYS_TYPE: Final = ("type", "enum", "const", "anyOf", "oneOf")


def read_params(document: Document, path: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter as a full JSON Schema; faults are noted in the document."""
    return {name: _expand(document, (*path, name), schema) for name, schema in params.items()}


def _expand(document: Document, path: Path, schema: Any, *, part: bool = False) -> dict[str, Any]:
    """`part` marks a schema that only narrows another one: it need not say its type, and closes nothing."""
    if isinstance(schema, str):
        return {"type": "string", "description": schema}
    full = dict(schema)
    if "properties" in full:
        full["properties"] = {
            name: _expand(document, (*path, "properties", name), member, part=part)
            for name, member in full["properties"].items()
        }
        if not part:
            full.setdefault("type", "object")
            full.setdefault("additionalProperties", False)
        for index, name in enumerate(full.get("required", ())):
            if name not in full["properties"]:
                document.add((*path, "required", index), f"'{name}' is required but not among the properties")
    for key in ("items", "additionalProperties", *_PARTS):
        if isinstance(full.get(key), dict | str):
            full[key] = _expand(document, (*path, key), full[key], part=part or key in _PARTS)
    for key in _LISTS:
        if key in full:
            narrows = part or key == "allOf" or "type" in full
            full[key] = [
                _expand(document, (*path, key, index), choice, part=narrows)
                for index, choice in enumerate(full[key])
            ]
    _check(document, path, full, part=part)
    return full


def _check(document: Document, path: Path, schema: Mapping[str, Any], *, part: bool) -> None:
    if not part:
        _check_type(document, path, schema)
    if "pattern" in schema and not check_pattern(document, (*path, "pattern"), schema["pattern"]):
        return
    if "default" in schema and document.sound(*path):
        fault = next(build_validator(schema).iter_errors(schema["default"]), None)
        if fault is not None:
            document.add((*path, "default"), f"the default is not what the parameter takes: {fault.message}")


def _check_type(document: Document, path: Path, schema: Mapping[str, Any]) -> None:
    types = schema.get("type", ())
    types = (types,) if isinstance(types, str) else tuple(types)
    if not any(key in schema for key in _SAYS_TYPE):
        document.add(path, "say what this is: type, enum, const, anyOf or oneOf")
    if "object" in types and "properties" not in schema and "additionalProperties" not in schema:
        document.add(path, "an object says its properties, or additionalProperties")
    if "array" in types and "items" not in schema:
        document.add(path, "an array says its items")


def check_pattern(document: Document, path: Path, pattern: str) -> bool:
    """Whether RE2 takes a pattern; what it cannot take is noted."""
    try:
        compile_pattern(pattern)
    except ValueError as error:
        document.add(path, f"'{pattern}': {error}")
        return False
    return True


def cannot_be_text(schema: Mapping[str, Any]) -> bool:
    """Whether a parameter is always a list or an object, so that it cannot stand inside a text."""
    types = schema.get("type", "string")
    return {types} <= {"array", "object"} if isinstance(types, str) else set(types) <= {"array", "object"}


def unknown(name: str, known: Collection[str], where: str = "") -> str:
    """The message for a name that is no parameter; without `where` it was a placeholder."""
    subject = f"{where} names '{name}', which" if where else f"{{{name}}}"
    return f"{subject} is not a parameter here{did_you_mean(name, list(known))}"


def allows_null(schema: Mapping[str, Any]) -> bool:
    """Whether null is a value that the schema may take."""
    if "enum" in schema:
        return None in schema["enum"]
    if "const" in schema:
        return schema["const"] is None
    choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if choices:
        return any(allows_null(choice) for choice in choices)
    types = schema.get("type", "null")
    return "null" in ([types] if isinstance(types, str) else types)
