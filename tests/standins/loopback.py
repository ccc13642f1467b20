"""An HTTP server on loopback that keeps every request and answers as the test says."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

JSON = {"Content-Type": "application/json"}
NOT_FORWARDED = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Captured:
    """One request as it came over the wire: the target as sent, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target up to its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded query in order, empty values kept."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def form(self) -> list[tuple[str, str]]:
        """The decoded form body in order, empty values kept."""
        return parse_qsl(self.body.decode(), keep_blank_values=True)


@dataclass(frozen=True)
class Reply:
    """What the server answers, and how badly.

    `wait` is seconds before the first byte, `drip` seconds before each byte of the body; `cut` closes the
    connection after so many bytes of the body, `silent` before any byte at all.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    wait: float = 0
    drip: float = 0
    cut: int | None = None
    silent: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """The value as JSON."""
        return cls(status, json.dumps(value).encode(), {**JSON, **(headers or {})})

    @classmethod
    def bomb(cls, size: int) -> Self:
        """JSON of `size` bytes once unpacked, about a thousandth of that on the wire."""
        packed = gzip.compress(b'{"x": "' + b"0" * (size - 9) + b'"}')
        return cls(200, packed, {**JSON, "Content-Encoding": "gzip"})


Answer = Reply | Callable[[Captured], Reply]

LOST = Reply(silent=True)
"""The connection is closed without an answer."""


class Loopback:
    """A server that takes its answers in order, then `otherwise`; without that, a further request is a fault.

    `url` is its origin, `requests` what it got, `unexpected` the requests that had no answer.
    """

    def __init__(self, *answers: Answer, otherwise: Answer | None = None) -> None:
        self.requests: list[Captured] = []
        self.unexpected: list[Captured] = []
        self._answers = list(answers)
        self._otherwise = otherwise
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def then(self, *answers: Answer) -> None:
        """Add answers to the end of the script."""
        with self._lock:
            self._answers.extend(answers)

    def answer(self, request: Captured) -> Reply:
        """Keep the request and say what it gets."""
        with self._lock:
            self.requests.append(request)
            chosen = self._answers.pop(0) if self._answers else self._otherwise
            if chosen is None:
                self.unexpected.append(request)
                return Reply.json({"error": {"message": "the script has no answer left"}}, 418)
        return chosen(request) if callable(chosen) else chosen

    def pause(self, seconds: float) -> bool:
        """Wait, at most until the server is closed, which gives false."""
        return not self._stopped.wait(seconds) if seconds else not self._stopped.is_set()

    def close(self) -> None:
        """Stop at once, whoever is still waiting for an answer."""
        self._stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.drop_connections()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def through(origin: str, lose: bool = False) -> Callable[[Captured], Reply]:
    """An answer fetched from another server; with `lose` that server has acted, and its answer is lost."""

    def forward(request: Captured) -> Reply:
        address = urlsplit(origin)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            headers = {name: value for name, value in request.headers.items() if name not in NOT_FORWARDED}
            connection.request(request.method, request.target, request.body or None, headers)
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        kept = {name: value for name, value in reply.getheaders() if name.lower() not in NOT_FORWARDED}
        return LOST if lose else Reply(reply.status, body, kept)

    return forward


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, owner: Loopback) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def drop_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._exchange
        raise AttributeError(name)

    def _exchange(self) -> None:
        owner = self.server.owner
        length = int(self.headers.get("Content-Length", 0))
        target = self.requestline.split(" ")[1]
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = owner.answer(Captured(self.command, target, headers, self.rfile.read(length)))
        self.close_connection = self.close_connection or reply.silent or reply.cut is not None
        if not owner.pause(reply.wait) or reply.silent:
            self.close_connection = True
            return
        try:
            self._send(reply, owner)
        except OSError:
            self.close_connection = True

    def _send(self, reply: Reply, owner: Loopback) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        body = b"" if self.command == "HEAD" or reply.status == 204 else reply.body[: reply.cut]
        if not reply.drip:
            self.wfile.write(body)
            return
        for place in range(len(body)):
            if not owner.pause(reply.drip):
                return
            self.wfile.write(body[place : place + 1])

    def log_message(self, *_: Any) -> None:
        pass
