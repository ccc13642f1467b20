"""`mcpgate check`: every fault of YAML files, with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mcpgate import catalog
from mcpgate.errors import MCPGateError, NotFoundError
from mcpgate.spec.yaml_text import load
from mcpgate.values import Connector, Json, Tool


def check_files(files: Sequence[str]) -> int:
    """Check each file as what its first keys say it is; 0 when all are good."""
    code = 0
    for file in files:
        try:
            for line in _check(file):
                print(line)
        except MCPGateError as error:
            code = max(code, error.exit_code)
            print(error.message, file=sys.stderr)
            if error.hint:
                print(error.hint, file=sys.stderr)
    return code


def _check(file: str) -> Iterator[str]:
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}", "Check the path.") from None
    keys = load(file, data).value
    given = file if "/" in file or "\\" in file else f"./{file}"
    if "preset" in keys or "policy" in keys:
        policy = catalog.load_policy(given, "preset" if "preset" in keys else "policy")
        yield f"{file}: {policy.kind} {policy.name}, {len(policy.rules)} guardrails"
    else:
        connector = catalog.load_connector(given)
        yield f"{file}: connector {connector.name}, {len(connector.tools)} tools"
        for warning in _warnings(connector):
            yield f"{file}: warning: {warning}"


def _warnings(connector: Connector) -> Iterator[str]:
    for tool in connector.tools.values():
        if tool.sample is not None:
            yield from (
                f"{tool.name}: the field '{field}' is not in its sample" for field in _not_in_sample(tool)
            )


def _not_in_sample(tool: Tool) -> Iterator[str]:
    value = tool.sample
    if tool.unwrap is not None:
        value = tool.unwrap.first(value)
    if tool.pagination is not None and tool.pagination.items is not None:
        value = tool.pagination.items.first(value)
    for field in tool.fields or ():
        if _lacks(value, field.keys):
            yield field.text


def _lacks(value: Json, keys: tuple[str, ...]) -> bool:
    """Whether an object on the way has no such key; null, text and empty lists on the way tell nothing."""
    if isinstance(value, list):
        return any(_lacks(item, keys) for item in value)
    if not keys or not isinstance(value, dict) or keys[0] == "*":
        return False
    return keys[0] not in value or _lacks(value[keys[0]], keys[1:])
