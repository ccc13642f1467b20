"""A person's machine: commands as they type them, and servers as their MCP clients start them.

Every command is a process of its own, with a home in the test's folder and nothing of mcpgate's in its
environment. What would leave the machine is led to `proxy`, which a test may watch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from tests.scenarios import Answer

ENDS_WITHIN = 60
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Agent:
    """An MCP client that is connected, as the SDK has it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        """The names of the tools that it is offered."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(self, tool: str, /, **arguments: Any) -> Answer:
        """Call a tool."""
        result: Any = await self._client.call_tool(tool, arguments)
        text, *notes = [block.text for block in result.content]
        structured = result.structured_content or {}
        return Answer(text, bool(result.is_error), structured, "\n".join(notes))


@dataclass
class Machine:
    """Where commands run: `home` is mcpgate's, `project` the folder that a person, or a client, stands in."""

    folder: Path
    proxy: str = NOWHERE
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home, self.project = self.folder / "home", self.folder / "project"
        self.project.mkdir()

    def run(self, *words: str, typed: str = "") -> Ran:
        """Run a command to its end, with a text on stdin."""
        done = subprocess.run(
            [sys.executable, "-m", "mcpgate", *words],
            input=typed,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=ENDS_WITHIN,
            cwd=self.project,
            env={**_clean(), **self._environ()},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def done(self, *words: str, typed: str = "") -> str:
        """Run a command that has to succeed."""
        ran = self.run(*words, typed=typed)
        assert ran.code == 0, ran.err + ran.out
        return ran.out

    @asynccontextmanager
    async def agent(self, *words: str) -> AsyncIterator[Agent]:
        """`mcpgate run` with these words, started by a client over stdio."""
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "mcpgate", "run", *words],
            cwd=self.project,
            env={**_clean(), **self._environ()},
        )
        async with Client(server, mode="legacy", read_timeout_seconds=ENDS_WITHIN) as client:
            yield Agent(client)

    def listed(self, *words: str) -> list[str]:
        """The tools that a client is offered."""

        async def ask() -> list[str]:
            async with self.agent(*words) as agent:
                return await agent.tools()

        return anyio.run(ask)

    def asked(self, *words: str, tool: str, **arguments: Any) -> Answer:
        """One call by a client of a server that was started for it."""

        async def ask() -> Answer:
            async with self.agent(*words) as agent:
                return await agent.call(tool, **arguments)

        return anyio.run(ask)

    def _environ(self) -> dict[str, str]:
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), self.proxy)
        return {"MCPGATE_HOME": str(self.home), "HOME": str(self.folder), **proxies, **self.environ}


def _clean() -> dict[str, str]:
    """The environment without what a person has set for mcpgate, and without a keyring to be found."""
    left_out = ("MCPGATE_", "DBUS_", "NO_PROXY", "no_proxy")
    return {name: text for name, text in os.environ.items() if not name.startswith(left_out)}
