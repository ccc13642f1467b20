"""What is checked of a request before anything else runs. Every refusal is a constant text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from starlette.responses import PlainTextResponse, Response

from mcpgate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcpgate.server.web.door import Limits

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_ANYWHERE: Final = ("/healthz", "/readyz")  # those who ask for them know no name of this machine
_KEY_IN_URL: Final = re.compile(rb"mgw_|(?:^|[?&;])(?:access_token|api_?key|token|key)=", re.IGNORECASE)
_HOST: Final = re.compile(r"(?P<name>[^:\[\]]+|\[(?P<address>[^\]]+)\])(?::(?P<port>[0-9]{1,5}))?")
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")

IN_URL: Final = (
    "A key does not belong in a URL, where it is written into logs and histories: send it as "
    "`Authorization: Bearer mgw_…`. If this one was real, rotate it."
)
WRONG_HOST: Final = "This name is not served here: start mcpgate with --allow-host NAME to allow it."
WRONG_ORIGIN: Final = "A page from elsewhere may not call this server: --allow-origin allows an origin."


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
        self._hosts = {host.lower() for host in hosts}
        self._exact = {name + suffix for name in LOOPBACK for suffix in ports} | self._hosts
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuses a request by another name, and one that a page from elsewhere makes."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._exact and re.sub(r":\d+\Z", "", host) not in self._hosts:
            raise RefusedRequestError(421, WRONG_HOST)
        if b"origin" not in headers:
            return
        origin = headers[b"origin"].decode("latin-1").lower()
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
        entrance: Callable[[Mapping[bytes, bytes], Scope, Receive, Send], Awaitable[None]],
        names: Names,
        limits: Limits,
        refused: Callable[[RefusedRequestError], Response],
    ) -> None:
        self._app = app
        self._entrance = entrance
        self._names = names
        self._limits = limits
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = self._checked(scope)
            if scope["path"] == "/mcp":
                await self._entrance(headers, scope, receive, send)
                return
        except RefusedRequestError as refusal:
            await self._refused(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _checked(self, scope: Scope) -> dict[bytes, bytes]:
        target = scope.get("raw_path", b"") + b"?" + scope["query_string"]
        if (
            len(target) + sum([len(name) + len(value) + 4 for name, value in scope["headers"]])
            > self._limits.headers
        ):
            raise RefusedRequestError(431, "The headers are too large.")
        headers = once(scope["headers"])
        if scope["path"] not in _ANYWHERE:
            self._names.check(headers)
        if _KEY_IN_URL.search(target) or b"mgw_" in unquote_to_bytes(target):
            raise RefusedRequestError(400, IN_URL)
        return headers


def once(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by their names; one that stands twice is empty, for each reader would take another one."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = b"" if name in found else value.strip()
    return found


def bearer(headers: Mapping[bytes, bytes]) -> bytes:
    """What is sent as a bearer token; empty if there is none."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""
