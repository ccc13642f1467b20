"""`mcpgate call`: one call as an agent would make it, or a dry run with the whole trace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcpgate.cli.console import plain, print_json, stdout
from mcpgate.cli.opening import Options
from mcpgate.cli.serving import open_gateway
from mcpgate.errors import DeniedError, RefusedError, UnknownToolError, UsageError
from mcpgate.gateway import Gateway
from mcpgate.policy.fields import split_field, subschemas
from mcpgate.values import Decision, Finding, Json, Outcome, Request, Tool

_DENIED, _FAILED = 5, 1


def call_tool(options: Options, name: str, words: Sequence[str], *, as_json: bool, dry_run: bool) -> int:
    """Make the call and print what the agent would read; exit code 5 for a denial, 1 for a failed call."""
    gateway = open_gateway(options)
    try:
        entry = gateway.toolset.find(name)
    except UnknownToolError as error:
        hint = f"See them all: mcpgate tools {options.connectors[0]}"
        raise UsageError(error.message, hint) from None
    arguments = read_arguments(entry.tool, words)
    if dry_run:
        return _dry_run(gateway, name, arguments, as_json)
    outcome = asyncio.run(_call(gateway, name, arguments))
    _show_outcome(outcome, as_json)
    if not outcome.is_error:
        return 0
    return _DENIED if (outcome.structured or {}).get("denied") else _FAILED


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
        print_json({"isError": outcome.is_error, "result": _parsed(outcome.text), "structured": outcome.structured})
        return
    console = stdout()
    value = _parsed(outcome.text)
    if isinstance(value, str):
        console.print(plain(value), style="red" if outcome.is_error else "", highlight=False)
    else:
        console.print(plain(json.dumps(value, indent=2, ensure_ascii=False)))
    if outcome.note:
        console.print(outcome.note, style="dim")


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _dry_run(gateway: Gateway, name: str, arguments: dict[str, Json], as_json: bool) -> int:
    entry = gateway.toolset.find(name)
    request: Request | None = None
    decision: Decision | None = None
    refused = ""
    try:
        plan = gateway.plan(entry, arguments)
        decision, request = plan.decision, plan.request
    except DeniedError as error:
        decision, refused = error.decision, error.message
    except RefusedError as error:
        refused = error.message
    trace = decision.trace if decision else ()
    if as_json:
        facts = {
            "tool": name,
            "verdict": decision.verdict if decision else "refused",
            "says": refused,
            "trace": [_finding(finding) for finding in trace],
            "request": _request(request, entry.grant.connector.auth is not None) if request else None,
        }
        print_json(facts)
    else:
        _show_trace(trace, refused)
        if request is not None:
            stdout().print(plain(request_text(request, entry.grant.account.connector.auth)), highlight=False)
    return _DENIED if refused else 0


def _show_trace(trace: Sequence[Finding], refused: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = stdout()
    table = Table("Layer", "Rule", "Verdict", "Why", "From", box=box.SIMPLE_HEAD, pad_edge=False)
    colors = {"allow": "green", "deny": "red", "ask": "red", "observe": "yellow"}
    for finding in trace:
        verdict = Text(finding.verdict, colors[finding.verdict])
        table.add_row(finding.layer, finding.rule, verdict, plain(finding.says), finding.source or "–")
    if trace:
        console.print(table)
    if refused:
        console.print(plain(refused), style="red", highlight=False)
    else:
        console.print("Allowed. Nothing was sent; this is what would be:", style="green")


def request_text(request: Request, auth: Any) -> str:
    """The exact request with the secret masked, as it would be on the wire."""
    facts = _request(request, auth is not None)
    headers = [f"{name}: {value}" for name, value in facts["headers"].items()]
    return "\n".join([f"{facts['method']} {facts['url']}", *headers, *(["", facts["body"]] if facts["body"] else [])])


def _request(request: Request, has_auth: bool) -> dict[str, Any]:
    headers = dict(request.headers)
    if request.key_header:
        headers[request.key_header] = "(a fresh one for each call)"
    if has_auth:
        headers["Authorization"] = "***"
    body = request.body.decode() if request.body is not None else ""
    return {"method": request.method, "url": request.url, "headers": headers, "body": body}


def _finding(finding: Finding) -> Mapping[str, Json]:
    names = ("layer", "rule", "verdict", "says", "source", "field", "limit", "value", "passes", "reason")
    facts = {name: getattr(finding, name) for name in names}
    return {name: fact for name, fact in facts.items() if fact not in ("", None)}
