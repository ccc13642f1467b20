"""`mcpgate demo`: a story, played through a real server in the sandbox by the MCP SDK's client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mcpgate import catalog
from mcpgate.cli.console import plain, stdout
from mcpgate.cli.dry_run import request_text
from mcpgate.cli.execution import gateway_of
from mcpgate.errors import UsageError
from mcpgate.spec.story import Case, Story, read_story

if TYPE_CHECKING:
    from rich.console import Console

    from mcpgate.gateway import Gateway

_SECONDS_PER_ANSWER = 30
_SHOWN = 200


def play(file: str) -> int:
    """Play a story, the shipped one by default; 0 when everything came as the story expects."""
    path = Path(file) if file else _only_story()
    story = read_story(str(path), catalog.read_file(path))
    with _policy_file(story) as policy:
        words = ["run", *story.run, *policy, "--sandbox"]
        listed, results = asyncio.run(_play(story, words))
        return _show(story, words, gateway_of(words), listed, results)


def _only_story() -> Path:
    stories = catalog.stories()
    if len(stories) != 1:
        names = ", ".join(str(story) for story in stories) or "none"
        raise UsageError("Which story? Name its file.", f"Shipped are: {names}.")
    return stories[0]


@contextmanager
def _policy_file(story: Story) -> Iterator[list[str]]:
    if story.policy is None:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="mcpgate-demo-") as folder:
        file = Path(folder) / "policy.yaml"
        file.write_text(yaml.safe_dump(story.policy, sort_keys=False), "utf-8")
        yield ["--policy", str(file)]


async def _play(story: Story, words: list[str]) -> tuple[list[str], list[Any]]:
    """The tools that a real client is offered, and the result of each call."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcpgate", *words], env=dict(os.environ), cwd=Path.cwd()
    )
    async with Client(
        stdio_client(server, errlog=sys.stderr), read_timeout_seconds=_SECONDS_PER_ANSWER
    ) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        return listed, [await client.call_tool(case.tool, case.arguments) for case in story.cases]


def _show(story: Story, words: list[str], gateway: Gateway, listed: list[str], results: list[Any]) -> int:
    console = stdout()
    console.print(plain(story.title), style="bold")
    shown = [word for word in words if not word.startswith(tempfile.gettempdir())]
    console.print(
        f"$ mcpgate {' '.join('…' if word == '--policy' else word for word in shown)}\n", style="dim"
    )
    _show_tools(console, gateway, listed)
    failed = 0
    for number, (case, result) in enumerate(zip(story.cases, results, strict=True), 1):
        failed += not _show_case(console, number, case, result)
        if case.shows_request:
            _show_request(console, gateway, case)
    if failed:
        console.print(f"{failed} of {len(story.cases)} calls did not come as the story says.", style="red")
        return 1
    console.print(
        f"All {len(story.cases)} calls came as the story says. Nothing left this machine.", style="green"
    )
    return 0


def _show_tools(console: Console, gateway: Gateway, listed: list[str]) -> None:
    every = gateway.toolset.entries
    console.print(f"The agent is offered {len(listed)} of {len(every)} tools:", style="bold")
    console.print(f"  {', '.join(listed)}", highlight=False)
    for name, entry in every.items():
        if name not in listed and entry.denied is not None:
            console.print(f"  not offered: {plain(entry.denied.says)}", style="dim", soft_wrap=True)
    console.print()


def _show_case(console: Console, number: int, case: Case, result: Any) -> bool:
    """Print one case; whether it came as expected."""
    structured = result.structured_content or {}
    denied = bool(structured.get("denied"))
    arguments = ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in case.arguments.items()
    )
    text = " ".join(block.text for block in result.content if block.type == "text")
    console.print(f"{number}. {plain(case.say)}", style="bold", soft_wrap=True)
    console.print(f"   {case.tool}({plain(arguments)})", style="cyan", soft_wrap=True, highlight=False)
    mark, style = (
        ("✗ refused", "yellow") if denied else ("✗ failed", "red") if result.is_error else ("✓", "green")
    )
    shown = plain(text) if len(text) <= _SHOWN or denied else plain(text[:_SHOWN]) + " …"
    console.print(f"   {mark} {shown}", style=style, soft_wrap=True, highlight=False)
    came = denied if case.expect == "deny" else not result.is_error
    if came and case.rule and structured.get("rule") != case.rule:
        came = False
    if not came:
        wanted = f"{case.expect}{f' by {case.rule}' if case.rule else ''}"
        console.print(f"   The story expects: {wanted}.", style="red")
    if not case.shows_request:
        console.print()
    return came


def _show_request(console: Console, gateway: Gateway, case: Case) -> None:
    entry = gateway.toolset.find(case.tool)
    plan = gateway.plan(entry, case.arguments)
    text = request_text(plan.request, entry.grant.account)
    console.print("   The exact HTTP request behind it, the secret masked:", style="dim")
    for line in text.splitlines():
        console.print(f"   │ {plain(line)}", style="dim", soft_wrap=True, highlight=False)
    console.print()
