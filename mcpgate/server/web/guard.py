"""What is checked of a request before anything else runs. Every refusal is a constant text."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from starlette.responses import PlainTextResponse, Response

from mcpgate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcpgate.server.web.door import Door, Gate, Limits

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_ANYWHERE: Final = ("/healthz", "/readyz")  # those who ask for them know no name of this machine
_KEY: Final = re.compile(rb"mgw_[A-Za-z0-9_-]{16,128}")
_KEY_IN_URL: Final = re.compile(rb"mgw_|(?:^|[?&;])(?:access_token|api_?key|token|key)=", re.IGNORECASE)
_HOST: Final = re.compile(r"(?P<name>[^:\[\]]+|\[(?P<address>[^\]]+)\])(?::(?P<port>[0-9]{1,5}))?")
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_ADMITTED: Final = "mcpgate.admitted"
_LISTEN: Final = b"subscriptions/listen"

UNAUTHORIZED: Final = (
    "Send the key of an app as `Authorization: Bearer mgw_…`; a key that has ended is refused."
)
IN_URL: Final = (
    "A key does not belong in a URL, where it is written into logs and histories: send it as "
    "`Authorization: Bearer mgw_…`. If this one was real, rotate it."
)
WRONG_HOST: Final = "This name is not served here: start mcpgate with --allow-host NAME to allow it."
WRONG_ORIGIN: Final = "A page from elsewhere may not call this server: --allow-origin allows an origin."
TOO_MANY: Final = "This app has too many requests under way: try again in a second."
CLOSED: Final = "mcpgate cannot look up keys now: try again later."

_logger = logging.getLogger("mcpgate.server")


class RefusedRequestError(Exception):
    """A request that goes no further: the status and the text that answer it."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> Response:
        """The answer to the request."""
        return PlainTextResponse(self.text, self.status, self.headers)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who a request was let in for."""

    gate: Gate
    key: str = field(repr=False)


def admitted(request: Any) -> Admitted:
    """Who this request, which has passed the `Guard`, was let in for."""
    found = request.scope[_ADMITTED]
    assert isinstance(found, Admitted)
    return found


class Names:
    """The hosts that this server goes by, and the origins whose pages may call it.

    Raises `UsageError` for a host that is no name, which no request could ever give.
    """

    def __init__(self, port: int, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        for host in hosts:
            if not _is_host(host):
                raise UsageError(
                    f"--allow-host {host[:80]!r} is no host name.",
                    "Give the name alone, or with its port: gate.example.com or gate.example.com:8443",
                )
        ports = (f":{port}", "") if port == 80 else (f":{port}",)
        self._loopback = {name + suffix for name in LOOPBACK for suffix in ports}
        self._hosts = {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def check(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Refuses a request by another name, and one that a page from elsewhere makes."""
        host = only(headers, b"host").decode("latin-1").lower()
        if host not in self._loopback | self._hosts and re.sub(r":\d+\Z", "", host) not in self._hosts:
            raise RefusedRequestError(421, WRONG_HOST)
        if not any(name == b"origin" for name, _ in headers):
            return
        origin = only(headers, b"origin").decode("latin-1").lower()
        if origin not in {f"http://{host}", f"https://{host}"} | self._origins:
            raise RefusedRequestError(403, WRONG_ORIGIN)


def _is_host(text: str) -> bool:
    """Whether a text is a host as a request names it: a name or an address, with or without a port."""
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 1) <= 65535:
        return False
    if found["address"] is None:
        return len(text) <= 260 and _HOST_NAME.fullmatch(found["name"]) is not None
    try:
        return bool(ipaddress.IPv6Address(found["address"]))
    except ValueError:
        return False


class Guard:
    """The way in to everything: by which name, how much, and no key in the URL."""

    def __init__(
        self,
        app: ASGIApp,
        names: Names,
        limits: Limits,
        refused: Callable[[RefusedRequestError], Response],
    ) -> None:
        self._app = app
        self._names = names
        self._limits = limits
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RefusedRequestError as refusal:
            await self._refused(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = scope["headers"]
        if sum(len(name) + len(value) + 4 for name, value in headers) > self._limits.headers:
            raise RefusedRequestError(431, "The headers are too large.")
        if scope["path"] not in _ANYWHERE:
            self._names.check(headers)
        target = scope.get("raw_path", b"") + b"?" + scope["query_string"]
        if _KEY_IN_URL.search(target) or b"mgw_" in unquote_to_bytes(target):
            raise RefusedRequestError(400, IN_URL)


class Entrance:
    """The way in to `/mcp`: with an app's key, one POST of a bounded size, so many of an app at once."""

    def __init__(self, app: ASGIApp, door: Door, limits: Limits) -> None:
        self._app = app
        self._door = door
        self._limits = limits
        self._under_way: Counter[tuple[str, bool]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = scope["headers"]
        found = self._admit(headers)
        if scope["method"] != "POST":
            raise RefusedRequestError(405, "Only POST is taken here.", allow="POST")
        with self._place(found.gate.name, only(headers, b"mcp-method") == _LISTEN) as leave:
            body = await self._body(headers, receive)
            if body is None:
                return
            # once more, for the key may have ended while the body arrived
            scope[_ADMITTED] = self._admit(headers)
            await self._app(scope, _replayed(body, receive), _ending(send, leave))

    def _admit(self, headers: list[tuple[bytes, bytes]]) -> Admitted:
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

    async def _body(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes | None:
        """The whole body, before anybody parses it; None if the client left."""
        length = only(headers, b"content-length")
        body = bytearray()
        try:
            if length.isdigit() and int(length[:20]) > self._limits.body:
                raise RefusedRequestError(413, "The request is too large.")
            async with asyncio.timeout(self._limits.arrival):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._limits.body:
                        raise RefusedRequestError(413, "The request is too large.")
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


def only(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    """The value of a header that stands once; empty if it is missing, or stands twice."""
    found = [value for header, value in headers if header == name]
    return found[0].strip() if len(found) == 1 else b""


def bearer(headers: list[tuple[bytes, bytes]]) -> bytes:
    """What is sent as a bearer token; empty if there is none."""
    scheme, _, token = only(headers, b"authorization").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
