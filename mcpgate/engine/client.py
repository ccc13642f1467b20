"""Sends requests: opens the credential, adds it last, retries, and bounds everything that comes back.

One per process. It stands on the HTTP library's transport, below its client: no redirects, no cookies, no reading
of netrc, and nothing of the URL in a log.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import httpx2

from mcpgate import __version__
from mcpgate.engine.auth import authorize
from mcpgate.engine.response import read
from mcpgate.secrets import Secret
from mcpgate.values import Account, Reply, Request

MAX_REPLY_BYTES: Final = 5 * 1024 * 1024
TRIES: Final = 3
_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_CONNECT_SECONDS: Final = 10.0
_UNSENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_OWN_HEADERS: Final = (("User-Agent", f"mcpgate/{__version__}"), ("Accept-Encoding", "gzip"))

for _name in ("httpx2", "httpcore2"):
    # they write full URLs and headers, which may hold a credential
    logging.getLogger(_name).setLevel(logging.WARNING)


class Client:
    """The HTTP client of a process; `backoff` is the seconds before the first retry, doubled for the next."""

    def __init__(
        self,
        open_credential: Callable[[Account], Secret | None],
        transport: httpx2.AsyncBaseTransport | None = None,
        backoff: float = 0.5,
    ) -> None:
        self._open_credential = open_credential
        self._transport = transport
        self._proxied: dict[str, httpx2.AsyncBaseTransport] = {}
        self._backoff = backoff

    async def send(self, request: Request, account: Account) -> Reply:
        """Send a request until it is answered, may not be repeated, or its time is up.

        `request.timeout` is seconds for the whole call, retries included. Raises `CredentialError` before
        anything is sent; whatever happens later is a `Reply`.
        """
        secret = self._open_credential(account)
        deadline = asyncio.get_running_loop().time() + request.timeout
        unknown = False
        for attempt in range(1, TRIES + 1):
            attempted = _Attempt()
            reply, wait = await self._try(request, account, secret, deadline, attempted)
            unknown = unknown or reply.fate == "unknown"
            if wait is None or attempt == TRIES or not (request.repeatable == "always" or not attempted.sent):
                break
            wait = max(wait, self._pause(attempt))
            left = deadline - asyncio.get_running_loop().time()
            if wait >= left:
                told = f"{reply.problem}; it may be tried again in {wait:.0f} s, which is too long to wait"
                reply = _amend(reply, told)
                break
            await asyncio.sleep(wait)
        fate = "unknown" if unknown and reply.fate == "failed" else reply.fate
        return _amend(reply, reply.problem, fate=fate, attempts=attempt)

    async def close(self) -> None:
        """Close every connection."""
        for transport in (self._transport, *self._proxied.values()):
            if transport is not None:
                await transport.aclose()

    async def _try(
        self, request: Request, account: Account, secret: Secret | None, deadline: float, attempted: _Attempt
    ) -> tuple[Reply, float | None]:
        """One attempt: its reply, and the seconds to wait before another one, None for never."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._exchange(request, account, secret, attempted)
        except TimeoutError:
            problem = f"no complete reply within {request.timeout:g} s"
            return _broken(request, problem, attempted.sent), None
        except _UNSENT as error:
            attempted.sent = False
            return _broken(request, f"no connection to {account.origin} ({_why(error)})", False), 0.0
        except httpx2.TransportError as error:
            problem = f"the connection to {account.origin} broke ({_why(error)})"
            return _broken(request, problem, attempted.sent), 0.0

    async def _exchange(
        self, request: Request, account: Account, secret: Secret | None, attempted: _Attempt
    ) -> tuple[Reply, float | None]:
        url, headers = authorize(request, account, secret)
        if request.key:
            headers.append((request.key_header, request.key))
        message = httpx2.Request(
            request.method,
            url,
            headers=[*_OWN_HEADERS, *headers],
            content=request.body,
            extensions={
                "timeout": {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None},
                "trace": attempted.trace,
            },
        )
        if str(message.url) != url:
            attempted.sent = False
            raise httpx2.UnsupportedProtocol("the HTTP library would have changed the address")
        response = await self._transport_to(account.origin).handle_async_request(message)
        attempted.sent = True
        try:
            received = {name.lower(): text for name, text in response.headers.items() if name.lower() != "set-cookie"}
            body, fault = await _receive(response)
        finally:
            await response.aclose()
        reply = read(account.connector, request.tool, request, response.status_code, received, body)
        if fault and response.status_code < 400:
            reply = _amend(reply, f"the API answered {response.status_code}, but {fault}", fate="unknown")
        return reply, _wait(account, reply, received)

    def _transport_to(self, origin: str) -> httpx2.AsyncBaseTransport:
        if self._transport is not None:
            return self._transport
        proxy = _proxy_for(origin)
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx2.AsyncHTTPTransport(proxy=proxy or None)
        return self._proxied[proxy]

    def _pause(self, attempt: int) -> float:
        longest: float = min(self._backoff * 2 ** (attempt - 1), 5.0)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter


class _Attempt:
    """Whether an attempt got as far as sending; unknown counts as sent."""

    def __init__(self) -> None:
        self.sent = True

    async def trace(self, event: str, info: Any) -> None:
        if event in ("connection.connect_tcp.started", "http_proxy.connect.started"):
            self.sent = False
        elif event.endswith("send_request_headers.started"):
            self.sent = True


def _amend(reply: Reply, problem: str, **changes: Any) -> Reply:
    return dataclasses.replace(reply, problem=problem, **changes)


def _broken(request: Request, problem: str, sent: bool) -> Reply:
    return Reply(request, "unknown" if sent else "failed", None, {}, None, problem)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _wait(account: Account, reply: Reply, headers: dict[str, str]) -> float | None:
    """Seconds to wait before trying again, None where the reply is not one to try again."""
    said = headers.get(account.connector.retry.lower(), "").lower() if account.connector.retry else ""
    if reply.status is None or reply.status < 400 or said == "false":
        return None
    if reply.status not in _RETRIED and said != "true":
        return None
    return _retry_after(headers.get("retry-after", ""))


def _retry_after(text: str) -> float:
    """The seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(text)) if float(text) < float("inf") else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


async def _receive(response: httpx2.Response) -> tuple[bytes, str]:
    """The body, unpacked as it comes and never past the limit, and what is wrong with it."""
    encoding = response.headers.get("content-encoding", "").lower()
    if encoding not in ("", "identity", "gzip"):
        return b"", f"it is packed as {encoding}, which was not asked for"
    body = bytearray()
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    chunks = aiter(response.stream)
    try:
        async for piece in _unpack(chunks) if encoding == "gzip" else chunks:
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                return bytes(body[:MAX_REPLY_BYTES]), f"with more than {MAX_REPLY_BYTES // 1024 // 1024} MiB"
    except zlib.error:
        return b"", "its gzip is broken"
    return bytes(body), ""


async def _unpack(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    async for chunk in chunks:
        while chunk:
            yield unpacker.decompress(chunk, 65536)
            chunk = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise zlib.error("cut off")


def _proxy_for(origin: str) -> str:
    """The proxy that the environment names for an origin, or nothing; this machine is never proxied."""
    scheme, _, host = origin.partition("://")
    if scheme != "https" or proxy_bypass(host):
        return ""
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all") or ""
