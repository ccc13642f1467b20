"""One connection over HTTP/1.1, at the least cost to the client."""

from __future__ import annotations

import socket
from typing import Final

from benchmarks.answers import short
from benchmarks.processes import FailedError

WAIT: Final = 60.0
_CHUNK: Final = 1 << 20


class Lane:
    """One connection, on which one request is under way at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._came = self._head = b""
        self._connect()

    def renew(self) -> None:
        """Connect again where the server has closed what was idle for too long."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            self.socket.settimeout(WAIT)
        else:
            self.socket.close()
            self._connect()

    def send(self, message: bytes) -> None:
        """Send a request."""
        self.socket.sendall(message)

    def exchange(self, message: bytes) -> bytes:
        """Send a request and wait for the body of its reply."""
        self.send(message)
        while (body := self.take()) is None:
            pass
        return body

    def take(self) -> bytes | None:
        """Read what is there; the body once it is whole."""
        data = self.socket.recv(_CHUNK)
        if not data:
            raise FailedError("the server closed the connection")
        self._came += data
        head, end, rest = self._came.partition(b"\r\n\r\n")
        if not end:
            return None
        self._head = head.lower()
        if b"content-length:" in self._head:
            whole = len(rest) >= int(self.header(b"content-length"))
        else:
            whole = b"chunked" not in self._head or rest.endswith(b"0\r\n\r\n")
        if not whole:
            return None
        self._came = b""
        status = int(head.split(b" ", 2)[1])
        if not 200 <= status < 300:
            raise FailedError(f"HTTP {status}: {short(rest)}")
        return rest

    def header(self, name: bytes) -> str:
        """A header of the last reply, or nothing."""
        found = self._head.partition(b"\r\n" + name + b":")[2]
        return found.split(b"\r\n")[0].strip().decode()

    def _connect(self) -> None:
        self.socket = socket.create_connection(self._address, timeout=WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def payload(reply: bytes) -> bytes:
    """The JSON of a reply, which may have come in chunks and as an event."""
    if reply[:1] == b"{":
        return reply
    if not reply.startswith((b"event:", b"data:", b"id:", b":", b"retry:")):
        reply = _joined(reply)
    lines = [line.strip() for line in reply.splitlines()]
    found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
    # an event may come before that says nothing but that there will be more
    return next((data for data in found if data.startswith(b"{")), reply)


def _joined(chunks: bytes) -> bytes:
    whole = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        whole, chunks = whole + rest[:length], rest[length + 2 :]
        if not length:
            break
    return whole
