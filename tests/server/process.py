"""A server as its client sees it: a process with two pipes."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# What the first answers must not wait for.
HEAVY = {
    *("asyncio", "dataclasses", "logging", "ssl", "typing"),
    *("httpx2", "jsonschema", "mcp", "re2", "rich", "typer", "yaml"),
}
EXAMPLE = [sys.executable, "-m", "tests.server.example_server"]

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
HANDSHAKE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def request(request_id: Any, method: str, **params: Any) -> dict[str, Any]:
    """A request of the handshake's era."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method} | ({"params": params} if params else {})


def modern(request_id: Any, method: str, **params: Any) -> dict[str, Any]:
    """A request of 2026-07-28."""
    return request(request_id, method, _meta=ENVELOPE, **params)


def notification(method: str, **params: Any) -> dict[str, Any]:
    """A notification."""
    return {"jsonrpc": "2.0", "method": method} | ({"params": params} if params else {})


INITIALIZE = request(0, "initialize", **HANDSHAKE)
INITIALIZED = notification("notifications/initialized")
OPENING = [INITIALIZE, INITIALIZED]


def shop(request_id: Any, **arguments: Any) -> dict[str, Any]:
    """A call of the example server in the handshake's era."""
    return request(request_id, "tools/call", name="shop_get_item", arguments=arguments)


def text(message: dict[str, Any]) -> str:
    """The text of a result."""
    return str(message["result"]["content"][0]["text"])


def to_line(message: Any) -> bytes:
    """A message as a line; text and bytes are taken as they are."""
    if isinstance(message, str):
        message = message.encode()
    return (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n"


def replay(messages: Iterable[Any], *flags: str, command: list[str] = EXAMPLE) -> list[dict[str, Any]]:
    """Everything a server says to a file of messages; it must end well."""
    with tempfile.TemporaryFile() as file:
        file.writelines(map(to_line, messages))
        file.seek(0)
        done = subprocess.run([*command, *flags], stdin=file, capture_output=True, cwd=ROOT, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


class Server:
    """A server under test; everything waits for seconds, not for ever."""

    def __init__(self, *flags: str, command: list[str] = EXAMPLE, env: dict[str, str] | None = None) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [*command, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin = self.process.stdin
        self.stdout = self.process.stdout
        self.lines: queue.Queue[bytes] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.stdout:
            self.lines.put(line)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        for file in (self.stdout, self.errors):
            file.close()
        try:
            self.stdin.close()
        except BrokenPipeError:
            pass

    def send(self, *messages: Any) -> None:
        self.stdin.write(b"".join(map(to_line, messages)))
        self.stdin.flush()

    def receive(self, within: float = 10) -> dict[str, Any]:
        message = json.loads(self.lines.get(timeout=within))
        assert isinstance(message, dict)
        return message

    def ask(self, *messages: Any) -> dict[str, Any]:
        """Sends, and gives the next message that comes."""
        self.send(*messages)
        return self.receive()

    def open(self) -> None:
        """The handshake, and a call, after which everything is loaded."""
        self.ask(*OPENING)
        assert "result" in self.ask(shop("open"))

    def silent(self, within: float = 0.2) -> bool:
        """Whether nothing is said for a while."""
        try:
            self.lines.put(self.lines.get(timeout=within))
        except queue.Empty:
            return True
        return False

    def ends(self, within: float = 1) -> tuple[int, float]:
        """The exit code, and how long it took."""
        started = time.monotonic()
        code = self.process.wait(within)
        return code, time.monotonic() - started

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stderr(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode()
