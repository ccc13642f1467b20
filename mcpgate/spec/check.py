"""Holds a document against one of the shipped JSON Schemas and says its faults in plain words."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jsonschema import ValidationError

from mcpgate.json_schema import build_validator
from mcpgate.spec.yaml_text import MOST, Document, Path, did_you_mean

_TYPES: Final = {
    "string": "a text",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
}
_BOUNDS: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_QUOTE_IT: Final = "; a comma, bracket or colon broke an unquoted text? quote it"


@cache
def shipped_schema(name: str) -> dict[str, Any]:
    """One of the JSON Schemas that lie beside this module, by its name (`connector`, `policy`, `story`)."""
    text = files("mcpgate.spec").joinpath(f"{name}.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> Any:
    return build_validator(shipped_schema(name))


def check_shape(document: Document, schema: str) -> None:
    """Note every way in which the document is not of the schema's shape; raises when there are too many."""
    for error in _validator(schema).iter_errors(document.value):
        _note(document, error)
        if len(document.problems) > MOST:
            document.finish()


def _note(document: Document, error: ValidationError) -> None:
    path: Path = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    kind = str(error.validator)
    found: Any = error.instance
    expected: Any = error.validator_value
    if kind == "additionalProperties":
        _note_unknown_keys(document, path, schema, found)
    elif kind == "required":
        for key in expected:
            if key not in found:
                document.add(path, f"the key '{key}' is missing")
    else:
        at_key = "propertyNames" in error.absolute_schema_path
        message = _message(schema, kind, expected, found)
        if kind == "type":
            message += _type_hint(document, path, expected, found)
        message = str(schema.get("errorMessage", message))
        document.add((*path, found) if at_key else path, message or error.message, at_key=at_key)


def _note_unknown_keys(document: Document, path: Path, schema: dict[str, Any], found: dict[str, Any]) -> None:
    known: dict[str, Any] = schema.get("properties", {})
    prefixes = tuple(pattern.lstrip("^") for pattern in schema.get("patternProperties", ()))
    unknown = [key for key in found if key not in known and not key.startswith(prefixes)]
    for key in unknown[: MOST + 1]:
        message = f"unknown key '{key}'"
        near = did_you_mean(key, list(known))
        if not near and found[key] is None and document.is_flow(path):
            near = _QUOTE_IT
        # what comes later is known, but not to be advertised
        built = ", ".join(name for name, subschema in known.items() if subschema.get("not") != {})
        document.add((*path, key), message + (near or f"; known here: {built}"), at_key=True)


def _type_hint(document: Document, path: Path, wanted: Any, found: Any) -> str:
    if found is None:
        return _QUOTE_IT if document.is_flow(path[:-1]) else ""
    if "string" in wanted:
        bare = not isinstance(found, dict | list) or document.is_flow(path)
        return "; if it is a text, quote it" if bare else ""
    return f"; write [{found}]" if wanted == "array" and isinstance(found, str) else ""


def _message(schema: dict[str, Any], kind: str, expected: Any, found: Any) -> str:
    """What is wrong in plain words; empty where the validator's own are as good."""
    if kind == "pattern" and "patternErrorMessage" in schema:
        return f"{show(found)}: {schema['patternErrorMessage']}"
    if kind == "enum":
        if found in schema.get("x-later", ()):
            return f"'{found}' comes later"
        words = [str(value) for value in expected]
        near = did_you_mean(found, words) if isinstance(found, str) else ""
        return f"{show(found)} is not one of {', '.join(words)}{near}"
    if kind == "type":
        wanted = [expected] if isinstance(expected, str) else expected
        return f"expected {' or '.join(_TYPES[name] for name in wanted)}, found {show(found)}"
    if kind == "const":
        return f"{show(found)}: only {show(expected)} can stand here"
    if kind in ("minLength", "minItems", "minProperties"):
        return "this must not be empty" if not found else f"at least {expected} have to stand here"
    if kind == "maxLength":
        return f"{show(found)} has more than {expected} characters"
    if kind in _BOUNDS:
        return f"{show(found)} is out of bounds: {_BOUNDS[kind]} {expected}"
    if kind == "uniqueItems":
        return f"{show(next(item for item in found if found.count(item) > 1))} stands here twice"
    return ""


def show(value: Any) -> str:
    """A value as messages show it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    text = text if len(text) <= 60 else text[:57] + "…"
    return f"'{text}'" if isinstance(value, str) else text
