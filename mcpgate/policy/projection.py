"""Writes limits into the schema that is listed, so that the model does not try what would be refused.

Only shown: arguments are checked against the tool's own schema, so that a refusal always names its rule.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mcpgate.policy.binding import Bound, BoundRule
from mcpgate.policy.templates import describe
from mcpgate.values import Json, Tool


def project(tool: Tool, bound: Bound) -> dict[str, Json]:
    """The tool's input schema with every enforced rule written into it."""
    schema = copy.deepcopy(dict(tool.schema))
    for step in bound:
        if isinstance(step, BoundRule) and step.rule.mode != "observe":
            _project_rule(tool, step, schema)
    return schema


def _project_rule(tool: Tool, step: BoundRule, schema: dict[str, Json]) -> None:
    must_be_given = not step.template.block and step.rule.when_missing == "deny"
    if step.rule.template == "block_fields":
        for _, keys in step.fields:
            _remove(schema, keys)
    elif step.rule.template == "max_amount" and tool.money is not None:
        place = tool.money.amount[0]
        line = "At most " + ", ".join(f"{limit} {name}" for name, limit in step.rule.config.items()) + "."
        for subschema in _descend(schema, place.keys, require=False):
            describe(subschema, line)
    for field, keys in step.fields:
        for subschema in _descend(schema, keys, require=must_be_given):
            if step.template.project is not None:
                step.template.project({**step.rule.config, "field": field}, subschema)


def _descend(schema: dict[str, Any], keys: tuple[str, ...], *, require: bool) -> list[dict[str, Any]]:
    """The schemas at a field, through lists; with `require`, each step on the way becomes required."""
    if not keys:
        return [schema]
    if isinstance(schema.get("items"), dict):
        if require:
            schema["minItems"] = max(1, schema.get("minItems", 1))
        return _descend(schema["items"], keys, require=require)
    properties: dict[str, Any] = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    if keys[0] not in properties and isinstance(extra, Mapping):
        properties = {**properties, keys[0]: copy.deepcopy(extra)}
        schema["properties"] = properties
    if not isinstance(properties.get(keys[0]), dict):
        return []
    if require and keys[0] not in schema.get("required", ()):
        schema["required"] = [*schema.get("required", ()), keys[0]]
    return _descend(properties[keys[0]], keys[1:], require=require)


def _remove(schema: dict[str, Any], keys: tuple[str, ...]) -> None:
    for parent in _descend(schema, keys[:-1], require=False):
        holder = parent["items"] if isinstance(parent.get("items"), dict) else parent
        holder.get("properties", {}).pop(keys[-1], None)
