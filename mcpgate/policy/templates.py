"""The guardrail templates, as one table: name → check, configuration, projection, examples, documentation.

Names and fields are those of the commercial product's published templates where it has them, so that its
rules carry over unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from mcpgate.policy import checks
from mcpgate.policy.checks import Check
from mcpgate.values import Json

Schema: TypeAlias = dict[str, Json]
Projection: TypeAlias = Callable[[Mapping[str, Json], Schema], None]
Example: TypeAlias = tuple[Mapping[str, Json], Mapping[str, Json]]

_FIELD: Final[Schema] = {
    "type": "string",
    "pattern": r"^([^.\\]|\\.)+(\.([^.\\]|\\.)+)*$",
    "patternErrorMessage": "a field is a dotted path such as items.quantity",
}
_NUMBER: Final[Schema] = {"type": "number", "minimum": -(2**53 - 1), "maximum": 2**53 - 1}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_VALUES: Final[Schema] = {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}}
_FIELDS: Final[Schema] = {"type": "array", "minItems": 1, "uniqueItems": True, "items": _FIELD}


def _config(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _as_it_is(config: Mapping[str, Json], schema: Schema) -> None:
    """Writes nothing: that the field is required, or gone, says it all."""


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of guardrail.

    `looks_at` says what its check is given: all *values* at `field`, those in a list one by one; what stands
    at `field` or at each of `fields` as it is; the *tool* alone, which is settled before any call; or the
    *money* of a call. A *block* passes where its field is missing; every other template with a field is a
    limit, which does not. `project` writes the limit into the schema at the field, so that the model does not
    try in vain.
    """

    line: str
    check: Check
    config: Schema
    looks_at: Literal["values", "field", "fields", "tool", "money"]
    allowed: Example
    denied: Example
    block: bool = False
    project: Projection = _as_it_is


def at_most(keyword: str, key: str) -> Projection:
    """Writes an upper bound, unless the schema has a tighter one."""

    def project(config: Mapping[str, Json], schema: Schema) -> None:
        schema[keyword] = min(config[key], schema.get(keyword, config[key]))

    return project


def at_least(keyword: str, key: str) -> Projection:
    """Writes a lower bound, unless the schema has a tighter one."""

    def project(config: Mapping[str, Json], schema: Schema) -> None:
        schema[keyword] = max(config[key], schema.get(keyword, config[key]))

    return project


def _range(config: Mapping[str, Json], schema: Schema) -> None:
    at_least("minimum", "min")(config, schema)
    at_most("maximum", "max")(config, schema)


def only(config: Mapping[str, Json], schema: Schema) -> None:
    """Writes the values that are allowed, less those that the schema does not take."""
    allowed: list[Json] = config["values"]
    known: list[Json] = schema.get("enum", allowed)
    left = [value for value in known if any(checks.same(value, other) for other in allowed)]
    schema["enum"] = left or allowed


def _not(config: Mapping[str, Json], schema: Schema) -> None:
    if "enum" in schema:
        blocked = {checks.fold(value) for value in config["values"]}
        left = [value for value in schema["enum"] if checks.fold(value) not in blocked]
        schema["enum"] = left or schema["enum"]
    else:
        describe(schema, f"Not: {', '.join(map(str, config['values']))}.")


def describe(schema: Schema, line: str) -> None:
    """Add a line to a schema's description, once."""
    described = schema.get("description", "")
    if line not in described:
        schema["description"] = f"{described} {line}".strip()


TEMPLATES: Final[Mapping[str, Template]] = {
    "max_value": Template(
        "A number is at most max.",
        checks.within,
        _config(field=_FIELD, max=_NUMBER),
        "values",
        allowed=({"field": "amount", "max": 50000}, {"amount": 50000}),
        denied=({"field": "amount", "max": 50000}, {"amount": 50001}),
        project=at_most("maximum", "max"),
    ),
    "min_value": Template(
        "A number is at least min.",
        checks.within,
        _config(field=_FIELD, min=_NUMBER),
        "values",
        allowed=({"field": "amount", "min": 100}, {"amount": 100}),
        denied=({"field": "amount", "min": 100}, {"amount": 99}),
        project=at_least("minimum", "min"),
    ),
    "value_range": Template(
        "A number is from min to max.",
        checks.within,
        _config(field=_FIELD, min=_NUMBER, max=_NUMBER),
        "values",
        allowed=({"field": "quantity", "min": 1, "max": 10}, {"quantity": 10}),
        denied=({"field": "quantity", "min": 1, "max": 10}, {"quantity": 0}),
        project=_range,
    ),
    "allow_values": Template(
        "A value is one of these, to the letter.",
        checks.one_of,
        _config(field=_FIELD, values=_VALUES),
        "values",
        allowed=({"field": "currency", "values": ["usd", "eur"]}, {"currency": "eur"}),
        denied=({"field": "currency", "values": ["usd", "eur"]}, {"currency": "jpy"}),
        project=only,
    ),
    "block_values": Template(
        "A value is none of these; case, width and invisible characters aside.",
        checks.none_of,
        _config(field=_FIELD, values=_VALUES),
        "values",
        allowed=({"field": "source", "values": ["tok_amex"]}, {"source": "tok_visa"}),
        denied=({"field": "source", "values": ["tok_amex"]}, {"source": "TOK_AMEX"}),
        block=True,
        project=_not,
    ),
    "required_fields": Template(
        "Each of these fields is given.",
        checks.given,
        _config(fields=_FIELDS),
        "fields",
        allowed=({"fields": ["metadata.order"]}, {"metadata": {"order": "17"}}),
        denied=({"fields": ["metadata.order"]}, {"metadata": {}}),
    ),
    "block_fields": Template(
        "None of these fields is given.",
        checks.absent,
        _config(fields=_FIELDS),
        "fields",
        allowed=({"fields": ["trial_end"]}, {"customer": "cus_1"}),
        denied=({"fields": ["trial_end"]}, {"trial_end": 1893456000}),
        block=True,
    ),
    "max_items": Template(
        "A list has at most max items.",
        checks.at_most_items,
        _config(field=_FIELD, max=_COUNT),
        "field",
        allowed=({"field": "items", "max": 2}, {"items": [{}, {}]}),
        denied=({"field": "items", "max": 2}, {"items": [{}, {}, {}]}),
        project=at_most("maxItems", "max"),
    ),
    "max_amount": Template(
        "What a call moves is at most the limit of its currency; other currencies are denied.",
        checks.within_amount,
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {
                "pattern": "^[a-z]{3}$",
                "patternErrorMessage": "a currency is three lower-case letters",
            },
            "additionalProperties": _COUNT,
        },
        "money",
        allowed=({"usd": 40000, "eur": 40000}, {"amount": 40000, "currency": "eur"}),
        denied=({"usd": 40000, "eur": 40000}, {"amount": 40001, "currency": "eur"}),
    ),
    "block_delete": Template(
        "No tool that deletes.",
        checks.not_delete,
        _config(),
        "tool",
        allowed=({}, {}),
        denied=({}, {}),
        block=True,
    ),
}

_LATER: Final = """
allow_addresses allow_domains allow_pattern allow_prefix allow_repos block_addresses block_domains
block_external block_mass_mentions block_pattern block_urls budget content_length daily_quota deny_past_dates
keyword_block max_duration max_recipients pii_block protect_branches rate_limit repeat_block require_prefix
secret_block time_window
"""
LATER: Final = frozenset(_LATER.split())


def entry_schema() -> Schema:
    """The JSON Schema of a guardrail's templates, for the shipped schema of policy files."""
    built: Schema = {name: {"description": t.line, **t.config} for name, t in TEMPLATES.items()}
    later: Schema = {name: {"not": {}, "errorMessage": f"'{name}' comes later"} for name in sorted(LATER)}
    return built | later


def fields_of(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields a rule looks at: one, several, or none."""
    looks_at = TEMPLATES[name].looks_at
    if looks_at == "fields":
        return tuple(config["fields"])
    return (config["field"],) if looks_at in ("values", "field") else ()
