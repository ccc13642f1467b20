"""Sends requests: opens the credential, adds it last, retries, and bounds everything that comes back.

One per process. It stands on the HTTP library's transport, below its client: no redirects, no cookies, no
reading of netrc, and nothing of the URL in a log.

The secret ends here: a reply is scrubbed before anyone reads it, and an exception leaves without the frames,
and so the variables, of the steps that it went through.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from mcpgate.engine.auth import authorize, with_header
from mcpgate.engine.body import CUT_OFF, receive
from mcpgate.engine.response import read
from mcpgate.errors import CredentialError, MCPGateError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import is_loopback
from mcpgate.values import Account, Fate, Reply, Request

TRIES: Final = 3
_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_CONNECT_SECONDS: Final = 10.0
# how many calls an app has at once is said where it comes in: none waits here for another's
_LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=5.0)
# bytes of a body that is scrubbed in a thread: it may take a second
_LARGE: Final = 256 * 1024
# what cannot be mended by trying again
_USELESS: Final = (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)
UNSENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    *_USELESS,
)
# what ends more than one call; all else that is no Exception is the crash of a library not written in Python
_STOPS: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


def _always(account: Account) -> bool:
    return True


class Client:
    """The HTTP client of a process; `backoff` is the seconds before the first retry, doubled for the next.

    `waits` says of which accounts opening the credential may take its time, for a keyring or a person.
    """

    def __init__(
        self,
        open_credential: Callable[[Account, Request], Secret | None],
        transport: httpx2.AsyncBaseTransport | None = None,
        backoff: float = 0.5,
        waits: Callable[[Account], bool] = _always,
    ) -> None:
        self._open_credential = open_credential
        self._waits = waits
        self._transport = transport
        self._proxied: dict[str, httpx2.AsyncBaseTransport] = {}
        self._backoff = backoff
        self._scrubber = Scrubber()

    async def send(self, request: Request, account: Account) -> Reply:
        """Send a request until it is answered, may not be repeated, or its time is up.

        `request.timeout` is seconds for the whole call, retries included. Raises `CredentialError` before
        anything is sent; whatever happens later is a `Reply`.
        """
        fault: BaseException
        try:
            return await self._send(request, account)
        except (CredentialError, *_STOPS) as error:
            fault = _bare(error)
        except BaseException as error:  # noqa: BLE001  what it says may hold the secret
            return _failed(request, error, Attempt(sent=True))
        raise fault

    async def _send(self, request: Request, account: Account) -> Reply:
        secret = await self._open(request, account)
        deadline = asyncio.get_running_loop().time() + request.timeout
        unknown = False
        for attempt in range(1, TRIES + 1):
            # a transport that was handed in may not tell what it does: unknown counts as sent
            attempted = Attempt(sent=self._transport is not None)
            reply, wait = await self._try(request, account, secret, deadline, attempted)
            unknown = unknown or reply.fate == "unknown"
            if wait is None or attempt == TRIES or (attempted.sent and not _may_repeat(request)):
                break
            pause = max(wait, self._pause(attempt))
            if pause >= deadline - asyncio.get_running_loop().time():
                break
            await asyncio.sleep(pause)
        problem = self._scrubber.text(reply.problem)
        problem += f"; it asks to wait {math.ceil(wait)} s" if wait else ""
        fate = "unknown" if unknown and reply.fate == "failed" else reply.fate
        return dataclasses.replace(reply, problem=problem, fate=fate, attempts=attempt)

    async def close(self) -> None:
        """Close every connection."""
        for transport in (self._transport, *self._proxied.values()):
            if transport is not None:
                await transport.aclose()

    def warm(self, origins: Iterable[str]) -> None:
        """Make what the first call to these origins would wait for; from any thread, before there is one.

        What goes wrong is told by the first call.
        """
        for origin in origins:
            with suppress(httpx2.UnsupportedProtocol):
                self._transport_to(origin)

    async def _open(self, request: Request, account: Account) -> Secret | None:
        """The credential, of which nothing was sent yet: whatever breaks here is a `CredentialError`."""
        try:
            if self._waits(account):
                # in a thread: a keyring may be locked, and wait for a person
                secret = await asyncio.to_thread(self._open_credential, account, request)
            else:
                secret = self._open_credential(account, request)
            if secret is not None:
                self._scrubber.learn(secret.reveal())
            return secret
        except (CredentialError, *_STOPS):
            raise
        except MCPGateError as error:
            unsent = CredentialError(error.message, error.hint)
            unsent.exit_code = error.exit_code
            raise unsent from None
        except BaseException as error:  # noqa: BLE001  what it says may hold the secret
            raise CredentialError(f"The credential could not be opened ({type(error).__name__}).") from None

    async def _try(
        self, request: Request, account: Account, secret: Secret | None, deadline: float, attempted: Attempt
    ) -> tuple[Reply, float | None]:
        """One attempt: its reply, and the seconds to wait before another one, None for never."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._exchange(request, account, secret, attempted)
        except TimeoutError:
            what = "no complete reply" if attempted.sent else f"no connection to {account.origin}"
            return _broken(request, f"{what} within {request.timeout:g} s", attempted), None
        except (httpx2.TransportError, httpx2.InvalidURL, UnicodeError) as error:
            # a host name that DNS cannot carry is a UnicodeError
            attempted.sent = attempted.sent and not isinstance(error, UNSENT)
            to = account.origin
            what = f"the connection to {to} broke" if attempted.sent else f"no connection to {to}"
            again = None if isinstance(error, _USELESS) else 0.0
            return _broken(request, f"{what} ({cause_of(error)})", attempted), again
        except _STOPS:
            raise
        except BaseException as error:  # noqa: BLE001  what it says may hold the secret
            return _failed(request, error, attempted), None

    async def _exchange(
        self, request: Request, account: Account, secret: Secret | None, attempted: Attempt
    ) -> tuple[Reply, float | None]:
        url, headers = authorize(request, account, secret)
        if request.key:
            headers = with_header(headers, request.key_header, request.key)
        message = httpx2.Request(
            request.method,
            url,
            headers=with_header(headers, "Accept-Encoding", "gzip"),
            content=request.body,
            extensions={
                "timeout": {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None},
                "trace": attempted.trace,
            },
        )
        _check_address(message, url, account.origin)
        try:
            response = await self._transport_to(account.origin).handle_async_request(message)
        except BaseException:
            await attempted.abandon()
            raise
        attempted.sent, attempted.status = True, response.status_code
        try:
            received = {
                name.lower(): text for name, text in response.headers.items() if name.lower() != "set-cookie"
            }
            body, fault = await receive(response)
        finally:
            await response.aclose()
        status, received = response.status_code, self._scrubber.tree(received)
        if len(body) < _LARGE:
            body = self._scrubber.body(body)
        else:
            body = await asyncio.to_thread(self._scrubber.body, body)
        reply = read(account.connector, request.tool, request, status, received, body)
        if fault and 200 <= status < 300:
            reply = dataclasses.replace(
                reply, problem=f"the API answered {status}, but {fault}", fate="unknown"
            )
        return reply, _wait(account, status, received, broke=fault == CUT_OFF and status < 300)

    def _transport_to(self, origin: str) -> httpx2.AsyncBaseTransport:
        if self._transport is not None:
            return self._transport
        proxy = proxy_for(origin)
        if proxy not in self._proxied:
            try:
                self._proxied[proxy] = httpx2.AsyncHTTPTransport(proxy=proxy or None, limits=_LIMITS)
                keep_logs_in()
            except (ValueError, OSError, ImportError, httpx2.InvalidURL) as error:
                what = f"the proxy or the certificates that the environment names: {type(error).__name__}"
                raise httpx2.UnsupportedProtocol(what) from None
        return self._proxied[proxy]

    def _pause(self, attempt: int) -> float:
        longest: float = min(self._backoff * 2 ** (attempt - 1), 5.0)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter


def keep_logs_in() -> None:
    """Nothing of the library's loggers is passed on, whoever turns them up: they write URLs and headers.

    They are there once it has made a transport.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("httpx2", "httpcore2"):
            logging.getLogger(name).addFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


class Attempt:
    """How far one attempt got: whether the API may have seen it, and the status it answered."""

    def __init__(self, sent: bool) -> None:
        self.sent = sent
        self.status: int | None = None
        self._stream: Any = None

    async def abandon(self) -> None:
        """Close what was connected and never used: the library forgets a TLS handshake that is cancelled."""
        if self._stream is not None and not self.sent:
            await self._stream.aclose()

    async def trace(self, event: str, info: Any) -> None:
        """What the HTTP library tells of each step."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        # the CONNECT of a tunnel goes to the proxy; the API sees nothing of it
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.sent = True


def _bare(error: BaseException) -> BaseException:
    """An exception without where it went through and what it came from."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _check_address(message: httpx2.Request, url: str, origin: str) -> None:
    """What is sent is the address that was checked; only the origin may be written another way (`:443`)."""
    if str(message.url) != str(httpx2.URL(origin)) + url.removeprefix(origin):
        raise httpx2.UnsupportedProtocol("the HTTP library would have changed the address")


def _may_repeat(request: Request) -> bool:
    """Whether the API may see a request twice: a read, or a write whose key makes the second one harmless."""
    return request.repeatable == "always" and (request.tool.category == "read" or bool(request.key))


def _broken(request: Request, problem: str, attempted: Attempt) -> Reply:
    """No whole reply came; a status of 3xx or 4xx that did come says that nothing was done."""
    refused = attempted.status is not None and 300 <= attempted.status < 500
    fate: Fate = "unknown" if attempted.sent and not refused else "failed"
    return Reply(request, fate, attempted.status, {}, None, problem)


def _failed(request: Request, error: BaseException, attempted: Attempt) -> Reply:
    return _broken(request, f"mcpgate itself failed while sending ({type(error).__name__})", attempted)


def cause_of(error: Exception) -> str:
    """What broke, in the HTTP library's words where they quote nothing."""
    # a protocol error quotes the header at fault
    said = "" if isinstance(error, httpx2.LocalProtocolError) else str(error)
    return said or type(error).__name__


def _wait(account: Account, status: int, headers: dict[str, str], *, broke: bool) -> float | None:
    """Seconds to wait before trying again, None where the reply is not one to try again."""
    said = headers.get(account.connector.retry.lower(), "").lower() if account.connector.retry else ""
    again = broke or status in _RETRIED or (said == "true" and status >= 400)
    return retry_after(headers.get("retry-after", "")) if again and said != "false" else None


def retry_after(text: str) -> float:
    """The seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(text)) if float(text) < float("inf") else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def proxy_for(origin: str) -> str:
    """The proxy that the environment names for an origin, or nothing; this machine is never proxied."""
    scheme, _, host = origin.partition("://")
    if scheme != "https" or is_loopback(urlsplit(origin).hostname or "") or proxy_bypass(host):
        return ""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"
