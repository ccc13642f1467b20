"""`mcpgate demo`: a story, played through a real server in the sandbox by the MCP SDK's client."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcpgate import __version__, catalog
from mcpgate.cli.console import plain, stdout
from mcpgate.cli.dry_run import request_text
from mcpgate.cli.stories import Rehearsal, open_story, said_call
from mcpgate.errors import RefusedError, UsageError
from mcpgate.spec.story import Case, Story

if TYPE_CHECKING:
    from rich.console import Console

    from mcpgate.gateway import Gateway

_SECONDS_PER_ANSWER = 30
_SHOWN = 200


def play(file: str) -> int:
    """Play a story, the shipped one by default; 0 when everything came as the story expects."""
    path = Path(file) if file else _only_story()
    opened = open_story(path)
    if opened.story.kind == "test":
        hint = f"Decide it, with nothing played: mcpgate policy test {path}"
        raise UsageError(f"{path} is a test; a story begins with demo: TITLE", hint)
    listed, results = asyncio.run(_play(path, opened.story))
    return _show(opened.story, opened.gateway, listed, results)


def serve(file: str) -> int:
    """Serve what a story runs over stdin and stdout: the server that it is played through."""
    from mcpgate.server.stdio import run

    gateway = open_story(Path(file)).gateway
    listing: Any = gateway.toolset.listing()
    return run(listing, lambda: gateway, version=__version__)


def _only_story() -> Path:
    stories = catalog.stories()
    if len(stories) != 1:
        names = ", ".join(str(story) for story in stories) or "none"
        raise UsageError("Which story? Name its file.", f"Shipped are: {names}.")
    return stories[0]


async def _play(path: Path, story: Story) -> tuple[list[str], list[Any]]:
    """The tools that a real client is offered, and the result of each call."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    code = "import sys; from mcpgate.cli.demo import serve; sys.exit(serve(sys.argv[1]))"
    server = StdioServerParameters(
        command=sys.executable, args=["-c", code, str(path)], env=dict(os.environ), cwd=Path.cwd()
    )
    async with Client(
        stdio_client(server, errlog=sys.stderr), read_timeout_seconds=_SECONDS_PER_ANSWER
    ) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        return listed, [await client.call_tool(case.tool, case.arguments) for case in story.cases]


def _show(story: Story, gateway: Gateway, listed: list[str], results: list[Any]) -> int:
    console = stdout()
    console.print(plain(story.title), style="bold")
    policy = ["--policy", "…"] if story.policy or story.policy_file else []
    words = ["mcpgate", "run", *story.run, *policy, "--sandbox"]
    console.print(f"$ {plain(' '.join(words))}\n", style="dim")
    _show_tools(console, gateway, listed)
    failed = 0
    for number, (case, result) in enumerate(zip(story.cases, results, strict=True), 1):
        failed += not _show_case(console, gateway, number, case, result)
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


def _show_case(console: Console, gateway: Gateway, number: int, case: Case, result: Any) -> bool:
    """Print one case; whether it came as expected."""
    rule = (result.structured_content or {}).get("rule", "")
    if result.is_error and not rule and Rehearsal(gateway.toolset).decide_case(case).rule == "arguments":
        rule = "arguments"
    denied = bool(rule)
    text = " ".join(block.text for block in result.content if block.type == "text")
    if case.say:
        console.print(f"{number}. {plain(case.say)}", style="bold", soft_wrap=True)
    lead = "  " if case.say else f"{number}."
    console.print(f"{lead} {plain(said_call(case))}", style="cyan", soft_wrap=True, highlight=False)
    mark, style = (
        ("✗ refused", "yellow") if denied else ("✗ failed", "red") if result.is_error else ("✓", "green")
    )
    shown = plain(text) if len(text) <= _SHOWN or denied else plain(text[:_SHOWN]) + " …"
    console.print(f"   {mark} {shown}", style=style, soft_wrap=True, highlight=False)
    came = denied if case.expect == "deny" else not result.is_error
    came = came and case.rule in ("", rule)
    if not came:
        wanted = f"{case.expect}{f' by {case.rule}' if case.rule else ''}"
        console.print(f"   The story expects: {wanted}.", style="red")
    if not case.shows_request:
        console.print()
    return came


def _show_request(console: Console, gateway: Gateway, case: Case) -> None:
    entry = gateway.toolset.find(case.tool)
    try:
        text = request_text(gateway.plan(entry, case.arguments).request, entry.grant.account)
    except RefusedError:
        console.print("   There is no request behind it.\n", style="dim")
        return
    console.print("   The exact HTTP request behind it, the secret masked:", style="dim")
    for line in text.splitlines():
        console.print(f"   │ {plain(line)}", style="dim", soft_wrap=True, highlight=False)
    console.print()
