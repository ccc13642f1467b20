"""Holds a document against one of the shipped JSON Schemas and says its faults in plain words."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import ValidationError

from mcpgate.json_schema import build_validator
from mcpgate.spec.yaml_text import Document, Path, did_you_mean

_TYPES = {
    "string": "a text",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
}


@cache
def shipped_schema(name: str) -> dict[str, Any]:
    """One of the JSON Schemas that lie beside this module, by its name (`connector`, `policy`)."""
    text = files("mcpgate.spec").joinpath(f"{name}.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> Any:
    return build_validator(shipped_schema(name))


def check_shape(document: Document, schema: str) -> bool:
    """Note every way in which the document is not of the schema's shape; true when there is none."""
    before = len(document.problems)
    for error in _validator(schema).iter_errors(document.value):
        _note(document, error)
    return len(document.problems) == before


def _note(document: Document, error: ValidationError) -> None:
    path: Path = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    kind, found = str(error.validator), error.instance
    expected: Any = error.validator_value
    if kind == "additionalProperties" and isinstance(found, dict):
        known = list(schema.get("properties", ()))
        prefixes = tuple(pattern.lstrip("^") for pattern in schema.get("patternProperties", ()))
        for key in found:
            if key not in known and not key.startswith(prefixes):
                _note_unknown_key(document, (*path, key), key, known, found[key])
        return
    if kind == "required":
        for key in set(expected) - set(found if isinstance(found, dict) else ()):
            document.add(path, f"the key '{key}' is missing")
        return
    if "errorMessage" in schema:
        message = str(schema["errorMessage"])
    elif kind == "pattern" and "patternErrorMessage" in schema:
        message = f"{_show(found)}: {schema['patternErrorMessage']}"
    elif kind == "enum":
        message = _enum_message(schema, expected, found)
    elif kind == "type":
        wanted = [expected] if isinstance(expected, str) else expected
        message = f"expected {' or '.join(_TYPES[name] for name in wanted)}, found {_show(found)}"
        if "string" in wanted and isinstance(found, dict | list) and document.is_flow(path):
            message += "; quote it if it is a text"
    elif kind in ("minLength", "minItems", "minProperties") and not found:
        message = "this must not be empty"
    else:
        message = error.message
    document.add(path, message, at_key="propertyNames" in error.absolute_schema_path)


def _note_unknown_key(document: Document, path: Path, key: str, known: list[str], value: Any) -> None:
    message = f"unknown key '{key}'"
    near = did_you_mean(key, known)
    if near:
        message += near
    elif value is None and document.is_flow(path[:-1]):
        message += "; a comma, bracket or colon broke an unquoted text? quote it"
    document.add(path, message, at_key=True)


def _enum_message(schema: dict[str, Any], expected: list[Any], found: Any) -> str:
    if found in schema.get("x-later", ()):
        return f"'{found}' comes later"
    near = did_you_mean(found, [str(value) for value in expected]) if isinstance(found, str) else ""
    return f"{_show(found)} is not one of {', '.join(str(value) for value in expected)}{near}"


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= 60 else text[:57] + "…'"
