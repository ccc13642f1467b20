"""What the bridge asks of the HTTP library, whose answers may be streams of events."""

from __future__ import annotations

import logging
from typing import Any, Final

import httpx2

from mcpgate.engine.body import Body

# after these a server has seen nothing of a request
UNSENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.InvalidURL,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


class Progress:
    """How far a request got: whether the server may have seen it."""

    def __init__(self) -> None:
        self.sent = False
        self._stream: Any = None

    async def abandon(self) -> None:
        """Close what was connected and never used: the library forgets a TLS handshake that is cancelled."""
        if self._stream is not None and not self.sent:
            await self._stream.aclose()

    async def trace(self, event: str, info: Any) -> None:
        """What the library tells of each step."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        # the CONNECT of a tunnel goes to the proxy; the server sees nothing of it
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.sent = True


async def receive(response: httpx2.Response) -> tuple[bytes, str]:
    """The body as far as it came, and what is wrong with it."""
    body = Body(response.headers.get("content-encoding", ""))
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    try:
        async for chunk in response.stream:
            body.add(chunk)
            if body.fault:
                break
    except httpx2.TransportError:
        return body.end(whole=False)
    return body.end(whole=True)


def cause_of(error: Exception) -> str:
    """What broke, in the library's words where they quote nothing."""
    # a protocol error quotes the header at fault
    said = "" if isinstance(error, httpx2.LocalProtocolError) else str(error)
    return said or type(error).__name__


def keep_logs_in() -> None:
    """Nothing of the library's loggers is passed on, whoever turns them up: they write URLs and headers.

    They are there once it has made a transport.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("httpx2", "httpcore2"):
            logging.getLogger(name).addFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
