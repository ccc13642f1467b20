"""`mcpgate call`: one call, as an agent would make it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from mcpgate.cli.console import plain, print_json, stdout
from mcpgate.cli.dry_run import dry_run
from mcpgate.cli.opening import Options
from mcpgate.cli.serving import open_gateway
from mcpgate.errors import UnknownToolError, UsageError
from mcpgate.gateway import Gateway
from mcpgate.policy.fields import split_field, subschemas
from mcpgate.values import Json, Outcome, Tool


def call_tool(options: Options, name: str, words: Sequence[str], *, as_json: bool, dry: bool) -> int:
    """Make the call and print what the agent would read; 0, 1 for a failed call, or why it was not made."""
    gateway = open_gateway(options)
    try:
        entry = gateway.toolset.find(name)
    except UnknownToolError as error:
        which = f"--app {options.app}" if options.app else options.connectors[0]
        hint = f"See them all: mcpgate tools {which}"
        raise UsageError(error.message, hint) from None
    arguments = read_arguments(entry.tool, words)
    if dry:
        return dry_run(gateway, entry, arguments, as_json=as_json, sandbox=options.sandbox)
    outcome = asyncio.run(_call(gateway, name, arguments))
    _show_outcome(outcome, as_json)
    if not outcome.is_error:
        return 0
    return outcome.exit_code


async def _call(gateway: Gateway, name: str, arguments: dict[str, Json]) -> Outcome:
    try:
        return await gateway.call(name, arguments)
    finally:
        await gateway.close()


def read_arguments(tool: Tool, words: Sequence[str]) -> dict[str, Json]:
    """`amount=100 metadata.order=7 items:=[…]` as arguments, each text typed by the tool's schema."""
    arguments: dict[str, Json] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"'{word}': write KEY=VALUE, or KEY:=JSON.")
        keys = split_field(name.removesuffix(":"))
        value = _json(name, text) if name.endswith(":") else _typed(tool, keys, text)
        node = arguments
        for key in keys[:-1]:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise UsageError(f"'{word}': {key} has a value already.")
        if keys[-1] in node:
            raise UsageError(f"'{word}': {name.removesuffix(':')} is given twice.")
        node[keys[-1]] = value
    return arguments


def _json(name: str, text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name}=…: this is not JSON ({error}).") from None


def _typed(tool: Tool, keys: tuple[str, ...], text: str) -> Json:
    """The text as the first type its field may have that it reads as."""
    types: list[str] = []
    for schema in subschemas(tool.schema, keys):
        found = schema.get("type", "string")
        types += [found] if isinstance(found, str) else found
    if "string" in types or not types:
        return text
    if "array" in types and not text.startswith("["):
        return text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show_outcome(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print_json(
            {"isError": outcome.is_error, "result": _parsed(outcome.text), "structured": outcome.structured}
        )
        return
    console = stdout()
    value = _parsed(outcome.text)
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    console.print(plain(text), style="red" if outcome.is_error else "", highlight=False, soft_wrap=True)
    if outcome.note:
        console.print(plain(outcome.note), style="yellow", highlight=False, soft_wrap=True)


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text
