"""`mcpgate run` as a client starts it: a process that is spoken to over its stdin and stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from tests.scenarios import Answer

ANSWER_WITHIN = 60
STOP_WITHIN = 10


class StdioServer:
    """One `mcpgate run`, past its handshake; a line on stdout that is not an answer fails the test."""

    def __init__(self, *arguments: str, home: Path, key: str | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MCPGATE_")}
        environment |= {"MCPGATE_HOME": str(home), "HOME": str(home)}
        if key is not None:
            environment["MCPGATE_STRIPE_KEY"] = key
        self._errors = (home / "stderr.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mcpgate", "run", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        self._last = 0
        self.request(
            "initialize",
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "mcpgate-tests", "version": "0"},
            },
        )
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def request(self, method: str, params: dict[str, Any]) -> Any:
        """Ask, and wait for the result."""
        self._last += 1
        self._send({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        overdue = threading.Timer(ANSWER_WITHIN, self._process.kill)
        overdue.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        overdue.cancel()
        assert line, f"the server ended: {self.errors()}"
        answer = json.loads(line)
        assert answer.get("id") == self._last, line
        assert "error" not in answer, line
        return answer["result"]

    def tools(self) -> list[Any]:
        """The tools that are offered."""
        tools: list[Any] = self.request("tools/list", {})["tools"]
        return tools

    def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool and take its answer apart."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        text, *notes = [block["text"] for block in result["content"]]
        structured = result.get("structuredContent") or {}
        return Answer(text, result.get("isError", False), structured, "\n".join(notes))

    def errors(self) -> str:
        """What the server has written to stderr so far."""
        self._errors.flush()
        return Path(self._errors.name).read_text(encoding="utf-8")

    def close(self) -> None:
        """Close its stdin, at which it ends by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(STOP_WITHIN)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, ensure_ascii=False) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
