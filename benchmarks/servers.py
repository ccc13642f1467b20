"""The servers that are measured, as a client has them: over stdio, over HTTP, and the API without any."""

from __future__ import annotations

import asyncio
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self
from urllib.parse import urlencode, urlsplit

import httpx2

HELLO: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
PATHS: Final = {"stripe_get_balance": "/v1/balance", "stripe_list_customers": "/v1/customers"}
_CHUNK: Final = 1 << 20
_WAIT: Final = 60.0
_STARTS: Final = 30.0
_ENDS: Final = 1.0


class Answering(Protocol):
    """Something that is asked once and answers, a server or the API itself."""

    pid: int

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        """One call, and what came back for it; raises where that is an error."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Server(Answering, Protocol):
    """Something that answers calls of tools, many at a time."""

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> float:
        """So many calls, so many of them at a time; the seconds they took."""
        ...

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        """Seconds of a quick call that is made while a slow one is under way."""
        ...


def request(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    """A request as it goes over the wire."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def sound(answer: bytes) -> bytes:
    """An answer that is no error."""
    if b'"error"' in answer[:200] or b'"isError":true' in answer.replace(b" ", b""):
        raise RuntimeError(f"a call failed: {answer[:600].decode(errors='replace')}")
    return answer


def worked(pid: int) -> float:
    """Seconds of the processor that a process has taken, or this one; 0 where the system does not say."""
    if not pid:
        return time.process_time()
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def peak(pid: int) -> float:
    """The most memory it ever had, in MiB; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


class Stdio:
    """A server over its own stdin and stdout."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self._errors = (folder / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )
        assert self._process.stdin
        assert self._process.stdout
        self.pid = self._process.pid
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._came = b""
        self._number = 0

    def open(self) -> dict[str, Any]:
        """Say hello and ask for the tools: the answer."""
        self._ask("initialize", HELLO)
        self._send(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode())
        listed: dict[str, Any] = json.loads(self._ask("tools/list", {}))["result"]
        return listed

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return sound(self._ask("tools/call", {"name": tool, "arguments": arguments}))

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> float:
        params = {"name": tool, "arguments": arguments}
        began, sent, done = time.perf_counter(), 0, 0
        while done < count:
            new = min(count, done + at_once) - sent
            if new > 0:
                self._send(b"\n".join(request(self._next(), "tools/call", params) for _ in range(new)))
                sent += new
            while b"\n" not in self._came:
                self._came += self._read()
            *answers, self._came = self._came.split(b"\n")
            for answer in answers:
                done += b'"id"' in sound(answer)
        return time.perf_counter() - began

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        late = self._next()
        self._send(request(late, "tools/call", {"name": slow, "arguments": arguments}))
        began = time.perf_counter()
        number = self._next()
        self._send(request(number, "tools/call", {"name": quick, "arguments": {}}))
        waiting, took = {late, number}, 0.0
        while waiting:
            answer = json.loads(sound(self._line()))
            if answer.get("id") == number:
                took = time.perf_counter() - began
            waiting.discard(answer.get("id"))
        return took

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        _end(self._process)
        self._process.stdout.close()
        self._errors.close()

    def _ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        number = self._next()
        self._send(request(number, method, params))
        while True:
            line = self._line()
            # a server may tell of changes in between
            if b'"id"' in line:
                return line

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _send(self, line: bytes) -> None:
        line += b"\n"
        while line:
            line = line[os.write(self._to, line) :]

    def _line(self) -> bytes:
        while b"\n" not in self._came:
            self._came += self._read()
        line, _, self._came = self._came.partition(b"\n")
        return line

    def _read(self) -> bytes:
        data = os.read(self._from, _CHUNK)
        if not data:
            self._errors.flush()
            said = Path(self._errors.name).read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the server has ended: {said}")
        return data


class Http:
    """A server over HTTP, by connections that are kept; `key` goes in as a bearer."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], folder: Path, url: str, key: str = ""
    ) -> None:
        self._errors = (folder / "stderr-http.txt").open("wb")
        self._process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors
        )
        self.pid = self._process.pid
        split = urlsplit(url)
        self._address, self._path = (split.hostname or "", split.port or 80), split.path
        self._key, self._session = key, ""
        self._number = 0
        self._lanes: list[Lane] = []

    def open(self) -> dict[str, Any]:
        """Say hello and ask for the tools: the answer."""
        until = time.monotonic() + _STARTS
        while True:
            try:
                socket.create_connection(self._address, timeout=1).close()
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    said = Path(self._errors.name).read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the server did not start: {said}") from None
                time.sleep(0.05)
        lane = self._lane(0)
        lane.exchange(self._message("initialize", HELLO))
        self._session = lane.header(b"mcp-session-id")
        note = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
        lane.exchange(self._wrapped(note))
        listed: dict[str, Any] = json.loads(_payload(lane.exchange(self._message("tools/list", {}))))[
            "result"
        ]
        return listed

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        message = self._message("tools/call", {"name": tool, "arguments": arguments})
        return _payload(sound(self._lane(0).exchange(message)))

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> float:
        params = {"name": tool, "arguments": arguments}
        lanes = [self._lane(number) for number in range(min(at_once, count))]
        left = count - len(lanes)
        began = time.perf_counter()
        with selectors.DefaultSelector() as ready:
            for lane in lanes:
                ready.register(lane.socket, selectors.EVENT_READ, lane)
                lane.send(self._message("tools/call", params))
            done = 0
            while done < count:
                found = ready.select(_WAIT)
                if not found or time.perf_counter() > began + _WAIT:
                    raise RuntimeError("no answers for a minute")
                for key, _ in found:
                    lane = key.data
                    answer = lane.take()
                    if answer is None:
                        continue
                    sound(answer)
                    done += 1
                    if left:
                        left -= 1
                        lane.send(self._message("tools/call", params))
        return time.perf_counter() - began

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        self._lane(1).send(self._message("tools/call", {"name": slow, "arguments": arguments}))
        began = time.perf_counter()
        sound(self._lane(0).exchange(self._message("tools/call", {"name": quick, "arguments": {}})))
        took = time.perf_counter() - began
        sound(self._lanes[1].wait())
        return took

    def close(self) -> None:
        for lane in self._lanes:
            lane.socket.close()
        self._process.send_signal(signal.SIGTERM)
        _end(self._process)
        self._errors.close()

    def _lane(self, number: int) -> Lane:
        while len(self._lanes) <= number:
            self._lanes.append(Lane(self._address))
        lane = self._lanes[number]
        lane.renew()
        return lane

    def _message(self, method: str, params: Mapping[str, Any]) -> bytes:
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


class Raw:
    """The API itself, by one connection that is kept: what no server can be faster than."""

    pid = 0

    def __init__(self, port: int) -> None:
        self._lane = Lane(("127.0.0.1", port))

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return self._lane.exchange(f"GET {target(tool, arguments)} HTTP/1.1\r\nHost: api\r\n\r\n".encode())

    def close(self) -> None:
        self._lane.socket.close()


class Warm:
    """The API by a warm HTTP client, as a Python program would have it."""

    pid = 0

    def __init__(self, port: int) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}")

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return self._runner.run(self._client.get(target(tool, arguments))).content

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class Lane:
    """One connection over HTTP, on which one request is under way at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._came = b""
        self._head = b""
        self._connect()

    def renew(self) -> None:
        """Connect again where the server has closed what was idle for too long."""
        if select.select([self.socket], [], [], 0)[0]:
            self.socket.close()
            self._connect()

    def send(self, message: bytes) -> Self:
        """Send a request."""
        self.socket.sendall(message)
        return self

    def exchange(self, message: bytes) -> bytes:
        """Send a request and wait for the body of its reply."""
        return self.send(message).wait()

    def wait(self) -> bytes:
        """Wait for the body of a reply."""
        while (body := self.take()) is None:
            pass
        return body

    def take(self) -> bytes | None:
        """Read what is there; the body once it is whole."""
        data = self.socket.recv(_CHUNK)
        if not data:
            raise RuntimeError("the server closed the connection")
        self._came += data
        head, end, rest = self._came.partition(b"\r\n\r\n")
        if not end:
            return None
        self._head = head.lower()
        if b"content-length:" in self._head:
            size = int(self.header(b"content-length"))
            whole = len(rest) >= size
        elif b"chunked" in self._head:
            whole = rest.endswith(b"0\r\n\r\n")
        else:
            whole = True
        if not whole:
            return None
        self._came = b""
        status = int(head.split(b" ", 2)[1])
        if not 200 <= status < 300:
            raise RuntimeError(f"HTTP {status}: {rest[:600].decode(errors='replace')}")
        return rest

    def _connect(self) -> None:
        self.socket = socket.create_connection(self._address, timeout=_WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def header(self, name: bytes) -> str:
        """A header of the last reply, or nothing."""
        found = self._head.partition(b"\r\n" + name + b":")[2]
        return found.split(b"\r\n")[0].strip().decode()


def target(tool: str, arguments: Mapping[str, Any]) -> str:
    """The path of a call on the API, with its query."""
    query = urlencode(arguments)
    return PATHS[tool] + (f"?{query}" if query else "")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _payload(body: bytes) -> bytes:
    """The JSON of a reply, which may come as chunks and as an event."""
    if body.lstrip()[:1] == b"{":
        return body
    data = body.partition(b"data:")[2].partition(b"\r\n\r\n")[0] if b"data:" in body else body
    start, end = data.find(b"{"), data.rfind(b"}")
    return data[start : end + 1]


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_ENDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
