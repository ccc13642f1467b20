"""One connection to one server, as HTTP/1.1 (RFC 9112) has it: a message at a time, each answered in full."""

from __future__ import annotations

import asyncio
import re
import select
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import httptools

from mcpgate.engine.body import Body
from mcpgate.engine.transport import Attempt, BrokenError, Message, Received, UnsentError

_MOST_OF_HEAD: Final = 64 * 1024
_MOST_SENT: Final = 16 * 1024
_TARGET: Final = re.compile(r"/[!\"$-~]{0,65535}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEXT: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_FRAMING: Final = ("content-length", "transfer-encoding")
_WITH_BODY: Final = ("POST", "PUT", "PATCH")


def written(message: Message) -> bytes:
    """The bytes of a message; raises `UnsentError` for what would not arrive as it is."""
    path = message.target.partition("?")[0]
    if not _TARGET.fullmatch(message.target) or any(part in (".", "..") for part in path.split("/")):
        raise UnsentError("the address cannot be sent as it is", again=False)
    lines = [f"{message.method} {message.target} HTTP/1.1", f"Host: {host_of(message.origin)}"]
    for name, text in message.headers:
        if not _NAME.fullmatch(name) or not _TEXT.fullmatch(text):
            raise UnsentError("a header cannot be sent as it is", again=False)
        lines.append(f"{name}: {text}")
    if message.body is not None or message.method in _WITH_BODY:
        lines.append(f"Content-Length: {len(message.body or b'')}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (message.body or b"")


def host_of(origin: str) -> str:
    """A server as a Host header names it: without the port that goes without saying."""
    parts = urlsplit(origin)
    return parts.netloc.removesuffix(":443" if parts.scheme == "https" else ":80")


class Connection(asyncio.Protocol):
    """A connection, which the loop tells what comes; it is closed once it is not `fit` any more."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.fit = True
        self._reply: _Reply | None = None

    async def exchange(self, data: bytes, attempt: Attempt, *, bodiless: bool = False) -> Received:
        """Send the bytes of a message and receive its reply, which to a HEAD is `bodiless`.

        Raises `UnsentError` if the server has left already, and `BrokenError`.
        """
        if not self.fit or self._transport.is_closing():
            raise UnsentError("the server closed the connection")
        self.fit, self._reply = False, _Reply(attempt, bodiless=bodiless)
        attempt.sent = True
        self._transport.write(data)
        answered = False
        try:
            received = await self._reply.received
            answered = True
            return received
        finally:
            self._reply.let_go()
            self._reply = None
            # of a larger message a part may still be on its way, and would be read as the next one
            self.fit = self.fit and answered and len(data) <= _MOST_SENT
            if not self.fit:
                self.close()

    @property
    def usable(self) -> bool:
        """Whether another message may go out now: all was read, and the server has not left."""
        still_open = self.fit and not self._transport.is_closing()
        return still_open and not _has_come(self._transport.get_extra_info("socket"))

    def close(self) -> None:
        """End it at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came; such as nobody waits for end the connection."""
        reply = self._reply
        if reply is None or reply.received.done():
            self.fit = False
            self.close()
        else:
            self.fit = reply.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The end."""
        self.fit = False
        if self._reply is not None:
            self._reply.end(error)


class _Reply:
    """A reply on its way, which the parser tells what it reads."""

    def __init__(self, attempt: Attempt, *, bodiless: bool) -> None:
        self.received: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._attempt = attempt
        self._bodiless = bodiless
        self._headers: dict[str, str] = {}
        self._head = 0  # bytes since something came that is no header and no trailer
        self._body: Body | None = None
        self._last = True

    def feed(self, data: bytes) -> bool:
        """Takes bytes; whether the connection can be used again after all of them."""
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._last = True
            self._break("the server did not speak HTTP")
        if self._head > _MOST_OF_HEAD:
            self._last = True
            self._break("its headers are too large")
        return not self._last

    def end(self, error: Exception | None) -> None:
        """The connection ended: and so the reply, if it says neither its length nor where it ends."""
        if self._body is not None and not self._framed() and error is None:
            self._answer(whole=True)
        self._break(type(error).__name__ if error is not None else "the server closed it without an answer")

    def let_go(self) -> None:
        """Nobody waits any more; the parser and what it tells would hold each other for ever."""
        self.received.cancel()
        self._parser = None

    # --- told by the parser ---

    def on_message_begin(self) -> None:
        """A reply begins; a second one, that nobody asked for, makes the connection unfit."""
        self._last = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, of which nothing is kept."""
        if self._body is None:
            key, text = name.decode("latin-1").lower(), _text(value)
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """The headers came; those of an answer that is only on its way say nothing (RFC 9110, 15.2)."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._headers.clear()
        elif self._body is None:
            self._attempt.status, self._head = status, 0
            self._body = Body(self._headers.get("content-encoding", ""))
            if self._bodiless or self._body.fault:
                self._answer(whole=True)

    def on_body(self, chunk: bytes) -> None:
        """A part of the body."""
        if self._body is not None:
            self._head = 0
            self._body.add(chunk)
            if self._body.fault:
                self._answer(whole=False)

    def on_message_complete(self) -> None:
        """The reply came whole; whether another may follow is the server's to say."""
        if self._body is not None and not self.received.done():
            # HTTP/1.0 may be framed as whoever passes it on reads it in another way (RFC 9112, 6.1)
            self._last = self._parser.get_http_version() != "1.1" or not self._parser.should_keep_alive()
            self._answer(whole=True)

    # --- what becomes of it ---

    def _framed(self) -> bool:
        return any(name in self._headers for name in _FRAMING)

    def _answer(self, *, whole: bool) -> None:
        if not self.received.done():
            assert self._body is not None
            assert self._attempt.status is not None
            body, fault = self._body.end(whole=whole)
            self.received.set_result(Received(self._attempt.status, self._headers, body, fault))

    def _break(self, what: str) -> None:
        if self._body is not None:
            self._answer(whole=False)
        elif not self.received.done():
            self.received.set_exception(BrokenError(what))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _has_come(connection: socket.socket) -> bool:
    """Whether bytes, or the end, lie unread: the loop may not have had the time to tell."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
