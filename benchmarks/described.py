"""The fifteen operations as facts, and as each peer wants to be told of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

OPERATIONS: Final = Path(__file__).parents[1] / "tests" / "data" / "stripe-operations.json"


def operations() -> dict[str, Any]:
    """The fifteen operations as facts."""
    known: dict[str, Any] = json.loads(OPERATIONS.read_text())
    return {name: facts for name, facts in known.items() if not name.startswith("_")}


def openapi() -> dict[str, Any]:
    """An OpenAPI description of the fifteen operations, with a schema of their replies that fits all."""
    paths: dict[str, Any] = {}
    for name, facts in operations().items():
        body, parameters = {}, []
        for param, said in facts["params"].items():
            schema = _schema(said)
            if said["in"] == "form":
                body[param] = schema
                continue
            style = {"style": said["style"], "explode": True} if said.get("style") == "deepObject" else {}
            required = said["in"] == "path" or bool(said.get("required"))
            parameters.append(
                {"name": param, "in": said["in"], "required": required, "schema": schema, **style}
            )
        operation: dict[str, Any] = {
            "operationId": name,
            "summary": name.removeprefix("stripe_").replace("_", " "),
            "parameters": parameters,
            "responses": {
                "200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}
            },
        }
        if body:
            content = {"schema": {"type": "object", "properties": body}}
            operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": content}}
        paths.setdefault(facts["path"], {})[facts["method"].lower()] = operation
    return {"openapi": "3.1.0", "info": {"title": "Stripe", "version": "1"}, "paths": paths}


def toolbox(api: int, key: str) -> dict[str, Any]:
    """The operations as `http` tools; of the nested parameters the topmost, for it knows no others."""
    tools = {}
    for name, facts in operations().items():
        given = [_parameter(param, said) for param, said in facts["params"].items() if said["in"] == "query"]
        tool = {
            "kind": "http",
            "source": "stub",
            "method": facts["method"],
            "path": facts["path"].replace("{", "{{.").replace("}", "}}"),
            "description": name.removeprefix("stripe_").replace("_", " "),
        }
        named = [_parameter(param, said) for param, said in facts["params"].items() if said["in"] == "path"]
        body = [_parameter(param, said) for param, said in facts["params"].items() if said["in"] == "form"]
        tool |= {"pathParams": [{**each, "required": True} for each in named]} if named else {}
        tool |= {"queryParams": given} if given else {}
        tool |= {"bodyParams": body, "requestBody": "{{json .amount}}"} if body else {}
        tools[name] = tool
    source = {
        "kind": "http",
        "baseUrl": f"http://127.0.0.1:{api}",
        "allowedIpRanges": ["127.0.0.0/8"],
        "headers": {"Authorization": f"Bearer {key}"},
    }
    return {"sources": {"stub": source}, "tools": tools}


def registered(api: int) -> list[dict[str, Any]]:
    """The operations as ContextForge is told of its tools."""
    tools = []
    for name, facts in operations().items():
        given = {param: _schema(said) for param, said in facts["params"].items()}
        tools.append(
            {
                "name": name,
                "url": f"http://127.0.0.1:{api}{facts['path']}",
                "description": name.removeprefix("stripe_").replace("_", " "),
                "integration_type": "REST",
                "request_type": facts["method"],
                "input_schema": {"type": "object", "properties": given},
            }
        )
    return tools


def _parameter(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    kind = said.get("type", "string")
    kind = kind if kind in ("string", "integer", "boolean") else "string"
    return {"name": name, "type": kind, "description": name.replace("_", " "), "required": False}


def _schema(said: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's facts as a JSON schema."""
    if "any_of" in said:
        return {"anyOf": [_schema(each) for each in said["any_of"]]}
    kind = said.get("type", "string")
    if kind == "object":
        return {
            "type": "object",
            "properties": {name: _schema(each) for name, each in said["fields"].items()},
        }
    if kind == "map":
        return {"type": "object", "additionalProperties": _schema(said.get("values", {}))}
    if kind == "array":
        return {"type": "array", "items": _schema(said.get("items", {}))}
    schema: dict[str, Any] = {
        "type": kind if kind in ("string", "integer", "boolean", "number") else "string"
    }
    schema |= {"enum": said["enum"]} if said.get("enum") else {}
    schema |= {"maxLength": said["maxLength"]} if said.get("maxLength") else {}
    return schema
