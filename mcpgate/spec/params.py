"""Parameters: short forms made into plain JSON Schema, closed, and without what clients cannot take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcpgate.json_schema import compile_pattern
from mcpgate.spec.yaml_text import Document, Path

_SUBSCHEMAS = ("items", "propertyNames", "not")
_LISTS = ("anyOf", "oneOf", "allOf")
_SAYS_TYPE = ("type", "enum", "const", *_LISTS)


def read_params(document: Document, path: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter as a full JSON Schema; faults are noted in the document."""
    return {name: _expand(document, (*path, name), schema) for name, schema in params.items()}


def _expand(document: Document, path: Path, schema: Any, *, part: bool = False) -> dict[str, Any]:
    """`part` marks a schema inside allOf, not or propertyNames, which need not say its type."""
    if isinstance(schema, str):
        return {"type": "string", "description": schema}
    full = dict(schema)
    if "properties" in full:
        full.setdefault("type", "object")
        full["properties"] = read_params(document, (*path, "properties"), full["properties"])
        full.setdefault("additionalProperties", False)
        for name in full.get("required", ()):
            if name not in full["properties"]:
                document.add((*path, "required"), f"'{name}' is required but not among the properties")
    if isinstance(full.get("additionalProperties"), dict | str):
        where = (*path, "additionalProperties")
        full["additionalProperties"] = _expand(document, where, full["additionalProperties"])
    for key in _SUBSCHEMAS:
        if key in full:
            full[key] = _expand(document, (*path, key), full[key], part=key != "items")
    for key in _LISTS:
        if key in full:
            full[key] = [
                _expand(document, (*path, key, index), choice, part=key == "allOf")
                for index, choice in enumerate(full[key])
            ]
    _check(document, path, full, part)
    return full


def _check(document: Document, path: Path, schema: Mapping[str, Any], part: bool) -> None:
    types = schema.get("type", ())
    types = (types,) if isinstance(types, str) else tuple(types)
    if not part and not any(key in schema for key in _SAYS_TYPE):
        document.add(path, "say what this is: type, enum, const, anyOf or oneOf")
    if "object" in types and "properties" not in schema and "additionalProperties" not in schema:
        document.add(path, "an object says its properties, or additionalProperties")
    if "array" in types and "items" not in schema:
        document.add(path, "an array says its items")
    if "pattern" in schema:
        check_pattern(document, (*path, "pattern"), schema["pattern"])


def check_pattern(document: Document, path: Path, pattern: str) -> None:
    """Note a pattern that RE2 cannot take."""
    try:
        compile_pattern(pattern)
    except ValueError as error:
        document.add(path, f"'{pattern}': {error}")


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
