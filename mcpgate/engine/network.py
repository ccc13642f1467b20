"""The connections of a process: made when they are needed, over TLS and a proxy where there is one, and kept.

Only what carries bytes: no redirects, no cookies, no reading of netrc, and nothing of a message in a log.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import ssl
from collections import defaultdict, deque
from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from mcpgate.engine.connection import Connection, written
from mcpgate.engine.transport import Attempt, Message, Received, UnsentError
from mcpgate.engine.trust import trusted
from mcpgate.spec.connector import is_loopback

_CONNECT_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 5.0
# as many as an app may have under way: those of one wave of calls are there for the next
_MOST_IDLE: Final = 200
_EYEBALLS_SECONDS: Final = 0.25  # RFC 8305, section 8
_MOST_OF_HEAD: Final = 64 * 1024
_TUNNEL: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_PORTS: Final = {"http": 80, "https": 443}
_ENVIRONMENT: Final = "the proxy or the certificates that the environment names"

_Opened = TypeVar("_Opened", bound=asyncio.BaseProtocol)


class Network:
    """The transport that goes out; a connection that is idle for five seconds is not used again."""

    def __init__(self) -> None:
        self._idle: dict[str, deque[tuple[float, Connection]]] = defaultdict(deque)
        self._sweep: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxies: dict[str, str] = {}
        self._trust: ssl.SSLContext | None = None

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        """Send a message over a connection that is free, or a new one; how many there are at once is bounded
        by how many calls are."""
        data = written(message)
        connection = self._free(message.origin) or await self._connect(message.origin)
        received = await connection.exchange(data, attempt, bodiless=message.method == "HEAD")
        if connection.fit:
            self._keep(message.origin, connection)
        return received

    def warm(self, origin: str) -> None:
        """Look up the proxy and read the certificates; what goes wrong is told by the first message."""
        try:
            self._proxy(origin)
            if origin.startswith("https:"):
                self._trusted()
        except UnsentError:
            pass

    async def close(self) -> None:
        """Close what is idle; what is not belongs to those who wait for it."""
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        # in its next turn the loop lets go of them
        await asyncio.sleep(0)

    # --- connections that are kept ---

    def _free(self, origin: str) -> Connection | None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # what another loop had open went with it
            self._idle.clear()
            self._loop, self._sweep = loop, None
        kept, now = self._idle[origin], loop.time()
        while kept:
            since, connection = kept.pop()
            if now - since < _IDLE_SECONDS and connection.usable:
                return connection
            connection.close()
        return None

    def _keep(self, origin: str, connection: Connection) -> None:
        kept, loop = self._idle[origin], asyncio.get_running_loop()
        kept.append((loop.time(), connection))
        if len(kept) > _MOST_IDLE:
            kept.popleft()[1].close()
        if self._sweep is None:
            self._sweep = loop.call_later(_IDLE_SECONDS, self._close_idle, loop)

    def _close_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Closes what has been idle for too long, and comes back while there is anything left."""
        self._sweep, oldest = None, loop.time() - _IDLE_SECONDS
        for kept in self._idle.values():
            while kept and kept[0][0] <= oldest:
                kept.popleft()[1].close()
        since = [kept[0][0] for kept in self._idle.values() if kept]
        if since:
            self._sweep = loop.call_at(min(since) + _IDLE_SECONDS, self._close_idle, loop)

    # --- connections that are made ---

    async def _connect(self, origin: str) -> Connection:
        server, proxy = urlsplit(origin), self._proxy(origin)
        trust = self._trusted() if server.scheme == "https" else None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                if proxy:
                    return await self._through(urlsplit(proxy), server)
                return await _open(Connection, server, trust)
        except TimeoutError:
            raise UnsentError(f"none within {_CONNECT_SECONDS:g} s") from None
        except OSError as error:
            # a certificate will be no other the next time
            again = not isinstance(error, ssl.SSLCertVerificationError)
            raise UnsentError(_why(error), again=again) from None
        except UnicodeError:
            raise UnsentError("no name service takes such a name", again=False) from None

    async def _through(self, proxy: SplitResult, server: SplitResult) -> Connection:
        """A connection over a tunnel of the proxy's (RFC 9110, section 9.3.6): TLS to the API inside it."""
        trust = self._trusted() if proxy.scheme == "https" else None
        try:
            tunnel = await _open(_Tunnel, proxy, trust)
        except OSError as error:
            raise UnsentError(f"the proxy {proxy.hostname}: {_why(error)}") from None
        try:
            name = f"[{server.hostname}]" if ":" in (server.hostname or "") else server.hostname
            await tunnel.ask(f"{name}:{_port(server)}", proxy)
            connection = Connection()
            loop = asyncio.get_running_loop()
            transport = await loop.start_tls(
                tunnel.transport, connection, self._trusted(), server_hostname=server.hostname
            )
            assert transport is not None
        except BaseException:
            tunnel.transport.abort()
            raise
        connection.connection_made(transport)
        return connection

    def _proxy(self, origin: str) -> str:
        """The proxy that the environment named for an origin when it was first asked for."""
        if origin not in self._proxies:
            proxy = proxy_for(origin)
            try:
                parts = urlsplit(proxy)
                sound = not proxy or (parts.scheme in _PORTS and parts.hostname and _port(parts))
            except ValueError:
                sound = False
            if not sound:
                raise UnsentError(f"{_ENVIRONMENT}: a proxy is http:// or https://", again=False)
            self._proxies[origin] = proxy
        return self._proxies[origin]

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            try:
                self._trust = trusted()
            except (OSError, ImportError) as error:
                raise UnsentError(f"{_ENVIRONMENT}: {type(error).__name__}", again=False) from None
        return self._trust


class _Tunnel(asyncio.Protocol):
    """A connection to a proxy, until it leads to the server that was asked for."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._head = b""
        self._answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def ask(self, server: str, proxy: SplitResult) -> None:
        """Ask for the tunnel; raises `UnsentError`: whatever happens here, the API sees nothing of it."""
        lines = [f"CONNECT {server} HTTP/1.1", f"Host: {server}"]
        if proxy.username is not None:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
        self.transport.write("\r\n".join([*lines, "", ""]).encode())
        status = _TUNNEL.match(await self._answered)
        if status is None or not status[1].startswith(b"2"):
            said = f"answered {status[1].decode()}" if status is not None else "did not answer in HTTP"
            raise UnsentError(f"the proxy {said}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection to the proxy stands."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes of the proxy, of which only the head of its answer is due."""
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > _MOST_OF_HEAD:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """The proxy has left."""
        self._end()

    def _end(self) -> None:
        if not self._answered.done():
            self._answered.set_result(self._head)


async def _open(kind: type[_Opened], server: SplitResult, trust: ssl.SSLContext | None) -> _Opened:
    _, protocol = await asyncio.get_running_loop().create_connection(
        kind, server.hostname or "", _port(server), ssl=trust, happy_eyeballs_delay=_EYEBALLS_SECONDS
    )
    return protocol


def _why(error: OSError) -> str:
    """What is wrong, in the system's words, which name no address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; others are named by SSL_CERT_FILE"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {error.reason}"
    if isinstance(error, socket.gaierror):
        return error.strerror or "no name service answers"
    return os.strerror(error.errno) if error.errno else "none of its addresses answers"


def _port(server: SplitResult) -> int:
    return server.port or _PORTS[server.scheme]


def proxy_for(origin: str) -> str:
    """The proxy that the environment names for an origin, or nothing; this machine is never proxied."""
    scheme, _, host = origin.partition("://")
    if scheme != "https" or is_loopback(urlsplit(origin).hostname or "") or proxy_bypass(host):
        return ""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"
