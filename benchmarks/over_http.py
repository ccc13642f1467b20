"""A server over HTTP as a client has it, by sockets that are kept."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import processes
from benchmarks.answers import HELLO, READY, ids, request, result, short, text_of
from benchmarks.direct import Raw
from benchmarks.lane import payload
from benchmarks.processes import FailedError

_STARTS: Final = 60.0


class Http(Raw):
    """An MCP server over HTTP; `key` goes in as a bearer."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], folder: Path, port: int, path: str, key: str
    ) -> None:
        super().__init__(("127.0.0.1", port))
        self._errors = (folder / f"stderr-{port}.txt").open("w+b")
        try:
            self._process = processes.start(command, folder, env, said=self._errors, errors=self._errors)
        except OSError:
            self._errors.close()
            raise
        self.pid = self._process.pid
        self.version = ""
        self._path, self._key, self._session = path, key, ""
        self._number = 0

    def open(self) -> dict[str, Any]:
        """Say hello and ask for the tools: the answer."""
        self._wait()
        lane = self._lane(0)
        said = result(payload(lane.exchange(self._request("initialize", HELLO)))).get("serverInfo", {})
        self.version = str(said.get("version", ""))
        self._session = lane.header(b"mcp-session-id")
        lane.exchange(self._wrapped(READY))
        return result(payload(lane.exchange(self._request("tools/list", {}))))

    def text(self, answer: bytes) -> str:
        return text_of(payload(answer))

    def close(self) -> None:
        super().close()
        processes.end(self._process)
        self._errors.close()

    def _wait(self) -> None:
        until = time.monotonic() + _STARTS
        while True:
            try:
                return socket.create_connection(self._address, timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._errors.seek(0)
                    said = short(self._errors.read()[-300:])
                    raise FailedError(f"the server did not start: {said}") from None
                time.sleep(0.05)

    def _message(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return self._request("tools/call", {"name": tool, "arguments": arguments})

    def _request(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._number += 1
        return self._wrapped(request(self._number, method, params))

    def _wrapped(self, body: bytes) -> bytes:
        headers = {
            "Host": "{}:{}".format(*self._address),
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "MCP-Protocol-Version": str(HELLO["protocolVersion"]),
        }
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        headers |= {"Mcp-Session-Id": self._session} if self._session else {}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self._path} HTTP/1.1\r\n{head}\r\n".encode() + body

    def _check(self, answers: Sequence[bytes], count: int) -> None:
        if ids(map(payload, answers)) != [*range(self._number - count + 1, self._number + 1)]:
            raise FailedError("what was answered is not what was asked")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
