"""One connection: HTTP/1.1 as httptools reads it, of which nothing dawdles, and nothing has two readings."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mcpgate.server.web.door import Limits

WHOLE: Final = "mcpgate.whole"
_VERSIONS: Final = ("1.0", "1.1")


class _OddError(Exception):
    """What is grammatical, and yet not taken: two servers may read it in two ways."""


class Connection(HttpToolsProtocol):
    """A connection that is closed when a request is slow to arrive, and when nobody reads the answer.

    One request at a time: whoever sends more before it has the answer gets this one answer, and then the end.
    The state of a request that had arrived whole when it was taken up says `WHOLE`.
    """

    limits = Limits()

    _arriving: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _held = 0  # bytes that went into the parser since something last came out
    _in_head = False
    _upgrade = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock of the first request."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops every clock."""
        super().connection_lost(exc)
        for timer in (self._arriving, self._unread, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        self._unset_keepalive_if_required()
        self._held += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            if self._held > self.limits.headers:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._watch()

    def pause_writing(self) -> None:
        """Starts the clock of a client that does not read."""
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(self.limits.stalled, self.transport.abort)

    def resume_writing(self) -> None:
        """Stops it."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # --- what the parser finds ---

    def on_message_begin(self) -> None:
        """A request begins; not before the one before it is answered."""
        if self._answering():
            raise _OddError
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; one that says where the body ends says it in the only way that is taken."""
        if not self._in_head:  # a trailer: whoever decided by the headers has not seen it
            return
        name, value = name.lower(), value.strip()
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or self._version() != "1.1"):
            raise _OddError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request is taken up."""
        self._in_head, self._held = False, 0
        if self._version() not in _VERSIONS or not self.url.startswith(b"/") or b"#" in self.url:
            raise _OddError
        self._upgrade = self.parser.should_upgrade()
        if not self._upgrade:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The last of the request."""
        self._held = 0
        if not self._upgrade:
            self.scope["state"][WHOLE] = True
            super().on_message_complete()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # it takes the body for the other protocol: read again, as if nobody had asked for one
            line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self._version().encode())
            head = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self._feed(b"\r\n".join([line, *head, b"", data[upgrade.args[0] :]]))

    def _version(self) -> str:
        return str(self.parser.get_http_version())

    # --- what becomes of it ---

    def _answering(self) -> bool:
        """Whether a request is here as a whole, and its answer is not."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _refuse(self, status: HTTPStatus) -> None:
        """Answers what is no request, and closes; where an answer is owed it is that one, and the last."""
        if self._answering():
            self.cycle.keep_alive = False
            return
        self.logger.warning("Refused what was sent")
        head = STATUS_LINE[status] + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        text = status.phrase.encode()
        self.transport.write(head + b"content-length: %d\r\n\r\n%b" % (len(text), text))
        self.transport.close()

    def _watch(self) -> None:
        """Runs the clock from the first byte of a request to its last."""
        whole = self._answering()
        if whole and self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None
        elif not whole and self._arriving is None and not self.transport.is_closing():
            self._arriving = self.loop.call_later(self.limits.arrival, self.transport.abort)
