"""Parameters become closed JSON Schema; what cannot be checked, listed or closed is refused (rows 7, 19, 22)."""
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest

from mcpgate.json_schema import build_validator
from mcpgate.spec.params import allows_null, cannot_be_text
from tests.spec.files import faults, text, tool


def schema(given: str) -> Any:
    return tool(text(tool=f"params:\n  x: {given}")).schema["properties"]["x"]


def fault(given: str) -> str:
    (found,) = faults(text(tool=f"params:\n  x: {given}"))
    return found


TEXT = {"type": "string", "description": "A text."}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("A text.", TEXT),
        ("{ type: array, items: A text. }", {"type": "array", "items": TEXT}),
        (
            "{ properties: { a: A text. } }",
            {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False},
        ),
        (
            "{ type: object, additionalProperties: A text. }",
            {"type": "object", "additionalProperties": TEXT},
        ),
        (
            "{ type: object, properties: { a: { properties: { b: A text. } } }, additionalProperties: true }",
            {
                "type": "object",
                "properties": {
                    "a": {"type": "object", "properties": {"b": TEXT}, "additionalProperties": False}
                },
                "additionalProperties": True,
            },
        ),
        (
            "{ anyOf: [A text., { properties: { a: A text. } }] }",
            {
                "anyOf": [
                    TEXT,
                    {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False},
                ]
            },
        ),
        ("{ enum: [yes, 1, null] }", {"enum": ["yes", 1, None]}),
    ],
)
def test_short_forms_at_every_depth(given: str, expected: Any) -> None:
    assert schema(given) == expected


@pytest.mark.parametrize(
    ("given", "arguments", "valid"),
    [
        ("{ properties: { a: A } }", {"a": "1"}, True),
        ("{ properties: { a: A } }", {"a": "1", "b": "2"}, False),
        ("{ type: array, items: { properties: { a: A } } }", [{"a": "1", "b": "2"}], False),
        ("{ properties: { a: { properties: { b: B } } } }", {"a": {"b": "1", "c": "2"}}, False),
        ("{ anyOf: [{ properties: { a: A } }, { properties: { b: B } }] }", {"a": "1", "b": "1"}, False),
        ("{ properties: { a: A, b: B }, anyOf: [{ required: [a] }, { required: [b] }] }", {"b": "1"}, True),
        ("{ properties: { a: A, b: B }, anyOf: [{ required: [a] }, { required: [b] }] }", {}, False),
        ("{ properties: { a: A, b: B }, allOf: [{ properties: { a: { const: '1' } } }] }", {"a": "1", "b": "2"}, True),
        ("{ properties: { a: A, b: B }, allOf: [{ properties: { a: { const: '1' } } }] }", {"a": "2"}, False),
        ("{ properties: { a: A, b: B }, allOf: [{ properties: { a: { const: '1' } } }] }", {"c": "2"}, False),
        ("{ properties: { a: A, b: B }, not: { properties: { a: { const: '1' } }, required: [a] } }", {"a": "1", "b": "2"}, False),
        ("{ type: object, additionalProperties: A, propertyNames: { maxLength: 2 } }", {"abc": "1"}, False),
    ],
)  # fmt: skip
def test_objects_are_closed_at_every_depth_and_stay_so_when_narrowed(
    given: str, arguments: Any, valid: bool
) -> None:  # row 7
    assert build_validator(schema(given)).is_valid(arguments) is valid


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{}", "this must not be empty"),
        ("''", "this must not be empty"),
        ("{ type: object }", "an object says its properties, or additionalProperties"),
        ("{ type: [object, 'null'] }", "an object says its properties, or additionalProperties"),
        ("{ type: array, items: { type: object } }", "an object says its properties, or additionalProperties"),
        ("{ anyOf: [{ type: object }] }", "an object says its properties, or additionalProperties"),
        ("{ properties: { a: { type: object } } }", "an object says its properties, or additionalProperties"),
        ("{ type: object, additionalProperties: {} }", "this must not be empty"),
        ("{ type: array }", "an array says its items"),
        ("{ type: [array, string] }", "an array says its items"),
        ("{ description: x }", "say what this is: type, enum, const, anyOf or oneOf"),
        ("{ allOf: [{ properties: { a: A } }] }", "say what this is: type, enum, const, anyOf or oneOf"),
        ("{ type: int }", "'int' is not one of string, integer, number, boolean, object, array, null; did you mean 'integer'?"),
        ("{ typ: string }", "unknown key 'typ'; did you mean 'type'?"),
        ("{ type: string, nullable: true }", "unknown key 'nullable'"),
        ("{ $ref: 'http://127.0.0.1:1/x' }", "$ref is not followed; repeat the schema, or use a YAML anchor"),
        ("{ type: array, items: { $ref: '#/x' } }", "$ref is not followed; repeat the schema, or use a YAML anchor"),
        ("{ type: string, $defs: {} }", "unknown key '$defs'"),
        ("{ type: string, format: mail }", "'mail' is not one of date, date-time, email, hostname, ipv4, ipv6, time, uri, uuid; did you mean 'email'?"),
        ("{ type: string, pattern: '(?!a)b' }", "'(?!a)b': invalid perl operator: (?! (patterns run on RE2: no lookaround, no backreferences)"),
        ("{ type: string, pattern: '(a)\\1' }", "'(a)\\1': invalid escape sequence: \\1 (patterns run on RE2: no lookaround, no backreferences)"),
        ("{ type: string, pattern: '(a' }", "'(a': missing ): (a"),
        ("{ type: string, pattern: '((a{100}){100}){100}' }", "'((a{100}){100}){100}': invalid repetition size: "),
        ("{ type: string, pattern: (?=a), default: b }", "'(?=a)': invalid perl operator: (?= "),
        ("{ type: integer, default: a }", "the default is not what the parameter takes: 'a' is not of type 'integer'"),
        ("{ type: integer, default: 1.5 }", "the default is not what the parameter takes: 1.5 is not of type 'integer'"),
        ("{ enum: [a, b], default: c }", "the default is not what the parameter takes: 'c' is not one of ['a', 'b']"),
        ("{ properties: { a: { type: integer, default: no } } }", "the default is not what the parameter takes: 'no' is not of type 'integer'"),
        ("{ properties: { a: A }, required: [b] }", "'b' is required but not among the properties"),
        ("{ type: string, minLength: -1 }", "-1 is out of bounds: at least 0"),
        ("{ type: number, multipleOf: 0 }", "0 is out of bounds: more than 0"),
        ("{ type: string, enum: open, closed }", "expected a list, found 'open'; write [open]"),
        ("{ type: integer, description: In cents, so 100 is 1 }", "unknown key 'so 100 is 1'; a comma, bracket or colon broke an unquoted text? quote it"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_checked_or_listed_is_refused(given: str, says: str) -> None:
    found = faults(text(tool=f"params:\n  x: {given}"))
    assert any(fault.startswith(says) for fault in found)
    assert len(found) == 1 or "closed" in given


@pytest.mark.parametrize("name", ["a b", "1a", "a.b", "a[b]", "ä", "$x", "a" * 65, "''"])
def test_a_name_that_clients_cannot_take_is_refused(name: str) -> None:
    (found,) = faults(text(tool=f"params:\n  {name}: x"))
    assert (
        "a parameter's name has letters, digits, _ and -" in found or "has more than 64 characters" in found
    )


@pytest.mark.parametrize(
    ("given", "nullable"),
    [
        ({"type": "string"}, False),
        ({"type": ["string", "null"]}, True),
        ({"enum": ["a", None]}, True),
        ({"enum": ["a"]}, False),
        ({"const": None}, True),
        ({"const": 1}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"oneOf": [{"type": "string"}, {"enum": [1]}]}, False),
        ({}, True),
    ],
)
def test_null_is_a_value_only_where_the_schema_says_so(given: dict[str, Any], nullable: bool) -> None:
    assert allows_null(given) is nullable


@pytest.mark.parametrize(
    ("given", "structured"),
    [
        ({"type": "array"}, True),
        ({"type": ["array", "object"]}, True),
        ({"type": ["array", "string"]}, False),
        ({"enum": ["a"]}, False),
    ],
)
def test_a_list_or_an_object_is_no_text(given: dict[str, Any], structured: bool) -> None:
    assert cannot_be_text(given) is structured
