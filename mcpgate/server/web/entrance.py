"""The way in to `/mcp`, by the key of an app."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mcpgate.server.web.connection import WHOLE
from mcpgate.server.web.direct import understood
from mcpgate.server.web.door import ADMITTED, Admitted
from mcpgate.server.web.guard import RefusedRequestError, bearer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcpgate.server.web.direct import Direct
    from mcpgate.server.web.door import Door, Limits

UNAUTHORIZED: Final = (
    "Send the key of an app as `Authorization: Bearer mgw_…`; a key that has ended is refused."
)
TOO_LARGE: Final = "The request is too large."
TOO_MANY: Final = "This app has too many requests under way: try again in a second."
CLOSED: Final = "mcpgate cannot look up keys now: try again later."

_KEY: Final = re.compile(rb"mgw_[A-Za-z0-9_-]{16,128}")
_LISTEN: Final = b"subscriptions/listen"

_logger = logging.getLogger("mcpgate.server")


class Entrance:
    """Takes one POST of a bounded size, so many of an app at once; most are answered directly."""

    def __init__(self, app: ASGIApp, direct: Direct, door: Door, limits: Limits) -> None:
        self._app = app
        self._direct = direct
        self._door = door
        self._limits = limits
        self._under_way: Counter[tuple[str, bool]] = Counter()

    async def __call__(
        self, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """One request."""
        whole = WHOLE in scope.get("state", ())
        found = self._admit(headers)
        if scope["method"] != "POST":
            raise RefusedRequestError(405, "Only POST is taken here.", allow="POST")
        with self._place(found.gate.name, headers.get(b"mcp-method") == _LISTEN) as leave:
            body = await self._body(headers, receive, None if whole else self._limits.arrival)
            if body is None:
                return
            if not whole:  # the key may have ended while the body arrived
                found = self._admit(headers)
            asked = understood(headers, body) if len(headers) == len(scope["headers"]) else None
            if asked is not None:
                await self._direct.answer(asked, found.gate, receive, send)
                return
            scope[ADMITTED] = found
            await self._app(scope, _replayed(body, receive), _ending(send, leave))

    def _admit(self, headers: Mapping[bytes, bytes]) -> Admitted:
        key = bearer(headers)
        if not _KEY.fullmatch(key):
            raise RefusedRequestError(401, UNAUTHORIZED, www_authenticate="Bearer")
        try:
            gate = self._door.enter(key.decode())
        except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
            _logger.error("looking up a key broke: %s", type(problem).__name__)
            raise RefusedRequestError(503, CLOSED, retry_after="5") from None
        if gate is None:
            raise RefusedRequestError(401, UNAUTHORIZED, www_authenticate="Bearer")
        return Admitted(gate, key.decode())

    @contextmanager
    def _place(self, name: str, listening: bool) -> Iterator[Callable[[], None]]:
        """A place among the requests of the app; streams that only wait have places of their own.

        It is left at the end, or with the last byte of the answer: the client may be back before the end.
        """
        most = self._limits.listening if listening else self._limits.at_once
        if self._under_way[name, listening] >= most:
            raise RefusedRequestError(429, TOO_MANY, retry_after="1")
        self._under_way[name, listening] += 1
        taken = [True]

        def leave() -> None:
            if taken:
                taken.clear()
                self._under_way[name, listening] -= 1
                if not self._under_way[name, listening]:
                    del self._under_way[name, listening]

        try:
            yield leave
        finally:
            leave()

    async def _body(
        self, headers: Mapping[bytes, bytes], receive: Receive, within: float | None
    ) -> bytes | None:
        """The whole body, before anybody parses it; None if the client left."""
        length = headers.get(b"content-length", b"")
        body = bytearray()
        try:
            if length.isdigit() and int(length[:20]) > self._limits.body:
                raise RefusedRequestError(413, TOO_LARGE)
            async with asyncio.timeout(within):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._limits.body:
                        raise RefusedRequestError(413, TOO_LARGE)
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise RefusedRequestError(
                408, "The request took too long to arrive.", connection="close"
            ) from None


def _ending(send: Send, leave: Callable[[], None]) -> Send:
    async def sending(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            leave()

    return sending


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
