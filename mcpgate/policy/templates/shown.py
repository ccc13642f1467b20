"""How limits are written into the schema that an agent is shown."""

from __future__ import annotations

from collections.abc import Mapping

from mcpgate.policy.folding import fold, same
from mcpgate.policy.templates.template import Projection, Schema
from mcpgate.values import Json


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


def between(config: Mapping[str, Json], schema: Schema) -> None:
    """Writes both bounds."""
    at_least("minimum", "min")(config, schema)
    at_most("maximum", "max")(config, schema)


def only(config: Mapping[str, Json], schema: Schema) -> None:
    """Writes the values that are allowed, less those that the schema does not take."""
    allowed: list[Json] = config["values"]
    known: list[Json] = schema.get("enum", allowed)
    left = [value for value in known if any(same(value, other) for other in allowed)]
    schema["enum"] = left or allowed


def none(config: Mapping[str, Json], schema: Schema) -> None:
    """Takes the blocked values out of those that the schema lists, or names them."""
    if "enum" in schema:
        blocked = {fold(value) for value in config["values"]}
        left = [value for value in schema["enum"] if fold(value) not in blocked]
        schema["enum"] = left or schema["enum"]
    else:
        describe(schema, f"Not: {', '.join(map(str, config['values']))}.")


def describe(schema: Schema, line: str) -> None:
    """Add a line to a schema's description, once."""
    described = schema.get("description", "")
    if line not in described:
        schema["description"] = f"{described} {line}".strip()
