"""A server that speaks bytes: for what no HTTP server would ever send."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterable
from typing import Self

WAIT = b"wait until the caller is gone"


class RawServer:
    """Answers the nth connection with the nth script: its next bytes after each request, then it closes.

    With `hold` it leaves the connections open, and to the test. `heads` are the request heads that came, by
    connection: one list for each of the `connections`; `ended` is set once a connection has ended.
    """

    def __init__(self, *scripts: Iterable[bytes], hold: bool = False) -> None:
        self.heads: list[list[bytes]] = []
        self.connections: list[socket.socket] = []
        self.ended = threading.Event()
        self._hold = hold
        self._scripts = list(scripts)
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for script in self._scripts:
            connection, _ = self._listener.accept()
            connection.settimeout(10)
            if self._closed:
                connection.close()
                return
            heads: list[bytes] = []
            self.heads.append(heads)
            self.connections.append(connection)
            try:
                self._converse(connection, script, heads)
            except OSError:
                pass
            finally:
                if not self._hold:
                    connection.close()
                    self.ended.set()

    def _converse(self, connection: socket.socket, script: Iterable[bytes], heads: list[bytes]) -> None:
        for answer in script:
            request = b""
            while not _is_whole(request):
                received = connection.recv(65536)
                if not received:
                    return
                request += received
            heads.append(request.partition(b"\r\n\r\n")[0])
            if answer == WAIT:
                while connection.recv(65536):
                    pass
            connection.sendall(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        while self._thread.is_alive():
            # accept() is woken by nothing but a connection
            socket.create_connection(("127.0.0.1", self.port)).close()
            self._thread.join(0.1)
        self._listener.close()
        for connection in self.connections:
            connection.close()


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)


def http(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> bytes:
    """An answer in bytes, its length right."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
