"""An MCP endpoint elsewhere: requests go out with an app key, and what comes back is bounded.

Nothing is sent a second time here: whoever asked is told whether a request may have taken effect.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final
from urllib.parse import urlsplit

import httpx2

from mcpgate.engine.body import MAX_REPLY_BYTES
from mcpgate.engine.client import retry_after
from mcpgate.engine.network import proxy_for
from mcpgate.engine.remote_messages import Message, Reader, RemoteError
from mcpgate.engine.streaming import UNSENT, Progress, cause_of, keep_logs_in, receive
from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import is_loopback
from mcpgate.values import Fate

_CONNECT_SECONDS: Final = 10.0
# a server made with uvicorn closes an idle connection after 5 seconds: a call must not meet that
_IDLE_SECONDS: Final = 4.0
_KEY: Final = re.compile(r"[!-~]{8,4096}")
_URL: Final = re.compile(r"https?://[!-~]+")
_FAULTS: Final = (httpx2.TransportError, httpx2.InvalidURL, httpx2.DecodingError, UnicodeError)


def check_url(url: str) -> str:
    """The address of an endpoint as it was given; raises `UsageError`, and repeats nothing that is secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or not _URL.fullmatch(url):
        raise UsageError("--url is no address of a server.", "Write it as https://gate.example.com/mcp.")
    if "@" in parts.netloc:
        raise UsageError("--url holds a user or a password.", "The app key goes into MCPGATE_APP_KEY.")
    if "?" in url or "#" in url:
        hint = "Leave out all from the ? or # on; the app key goes into MCPGATE_APP_KEY."
        raise UsageError("--url holds more than an address.", hint)
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(
            f"--url names {host} by plain http, which anybody on the way can read.",
            "Use https; plain http is for this machine only (127.0.0.1, localhost).",
        )
    return url


def check_key(key: Secret, where: str) -> Secret:
    """The app key without the space around it, if it can be sent as it is; raises `CredentialError`."""
    text = key.reveal().strip()
    if not _KEY.fullmatch(text):
        hint = "An app key is one word of letters, digits and signs: mgw_…"
        raise CredentialError(f"What {where} holds is no app key.", hint)
    return Secret(text)


class Endpoint:
    """The connections to one address; each request is one POST, answered by JSON or by a stream of events."""

    def __init__(self, url: str, key: Secret, scrubber: Scrubber, agent: str) -> None:
        scheme, host, *_ = urlsplit(check_url(url))
        self.reader = Reader(f"{scheme}://{host}", scrubber)
        self._origin = self.reader.origin
        self._url = url
        self._key = key
        self._agent = agent
        self._ssl: ssl.SSLContext | None = None
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def ask(
        self, request: Message, headers: Mapping[str, str], seconds: float
    ) -> tuple[Message, Mapping[str, str]]:
        """The result of a request, and the headers that came with it; raises `RemoteError`."""
        attempt = Progress()
        try:
            async with (
                asyncio.timeout(seconds),
                aclosing(self.messages(request, headers, attempt=attempt)) as messages,
            ):
                async for message, response in messages:
                    if "method" not in message:
                        return self.reader.result(message, response.status_code), response.headers
        except TimeoutError:
            what = "answered nothing" if attempt.sent else "could not be reached"
            raise RemoteError(f"{self._origin} {what} within {seconds:g} s.", fate=_fate(attempt)) from None
        raise RemoteError(f"The answer of {self._origin} was cut off.", fate="unknown")

    async def messages(
        self,
        request: Message,
        headers: Mapping[str, str],
        *,
        silence: float | None = None,
        attempt: Progress | None = None,
    ) -> AsyncGenerator[tuple[Message, httpx2.Response]]:
        """All that is said to a request, its answer last; `silence` is the longest pause between two parts.

        Raises `RemoteError`, and `CredentialError` if the key is refused.
        """
        attempt = attempt or Progress()
        response: httpx2.Response | None = None
        try:
            response = await self._send("POST", request, headers, silence, attempt)
            if response.status_code == 200 and _kind(response) == "text/event-stream":
                async for message in self._events(response):
                    if "method" in message or message.get("id") == request["id"]:
                        yield message, response
            else:
                yield await self._answer(response, request), response
        except httpx2.SSEError:
            raise self._too_much() from None
        except _FAULTS as error:
            attempt.sent = attempt.sent and not isinstance(error, UNSENT)
            what = "The connection to {} broke" if attempt.sent else "There is no connection to {}"
            why = self.reader.told(cause_of(error))
            raise RemoteError(f"{what.format(self._origin)} ({why}).", fate=_fate(attempt)) from None
        finally:
            await attempt.abandon()
            if response is not None:
                await response.aclose()

    async def tell(
        self, method: str, message: Message | None, headers: Mapping[str, str], seconds: float
    ) -> None:
        """Sends what needs no answer, and does not mind if it is lost."""
        attempt = Progress()
        try:
            async with asyncio.timeout(seconds):
                await (await self._send(method, message, headers, None, attempt)).aclose()
        except (TimeoutError, RemoteError, *_FAULTS):
            pass
        finally:
            await attempt.abandon()

    async def close(self) -> None:
        """Close every connection; the next request opens a new one, in whatever event loop it runs."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _send(
        self,
        method: str,
        message: Message | None,
        headers: Mapping[str, str],
        silence: float | None,
        attempt: Progress,
    ) -> httpx2.Response:
        try:
            body = None if message is None else json.dumps(message, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise RemoteError("The arguments cannot be sent as JSON.") from None
        request = httpx2.Request(
            method,
            self._url,
            headers={
                "Accept": "application/json, text/event-stream",
                "Accept-Encoding": "identity",
                "User-Agent": self._agent,
                "Content-Type": "application/json",
                **headers,
                "Authorization": f"Bearer {self._key.reveal()}",
            },
            content=body,
            extensions={
                "timeout": {"connect": _CONNECT_SECONDS, "read": silence, "write": None, "pool": None},
                "trace": attempt.trace,
            },
        )
        response = await self._opened().handle_async_request(request)
        response.request = request
        return response

    def _opened(self) -> httpx2.AsyncHTTPTransport:
        if self._transport is None:
            try:
                self._ssl = self._ssl or httpx2.create_ssl_context()
                self._transport = httpx2.AsyncHTTPTransport(
                    verify=self._ssl,
                    proxy=proxy_for(self._origin) or None,
                    limits=httpx2.Limits(keepalive_expiry=_IDLE_SECONDS),
                )
            except (ValueError, OSError, ImportError, httpx2.InvalidURL) as error:
                what = "The proxy or the certificates that the environment names cannot be used"
                hint = "Look at HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
                raise RemoteError(f"{what} ({type(error).__name__}).", hint) from None
            keep_logs_in()
        return self._transport

    async def _events(self, response: httpx2.Response) -> AsyncGenerator[Message]:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise self.reader.unreadable("with packed events, which were not asked for")
        async for event in httpx2.EventSource(response, max_event_size=MAX_REPLY_BYTES):
            if event.event == "message" and event.data:
                yield self.reader.message(event.data)

    async def _answer(self, response: httpx2.Response, request: Message) -> Message:
        """The answer that is no stream."""
        body, fault = await receive(response)
        if response.status_code != 200:
            wait = retry_after(response.headers.get("retry-after", ""))
            return self.reader.refuse(response.status_code, response.headers, body, wait)
        if fault:
            raise self.reader.unreadable(f"200, but {fault}")
        message = self.reader.message(body)
        if message.get("id") not in (request["id"], None if "error" in message else request["id"]):
            raise self.reader.unreadable("with the answer to another request")
        return message

    def _too_much(self) -> RemoteError:
        return self.reader.unreadable(f"with more than {MAX_REPLY_BYTES // 1024 // 1024} MiB")


def _fate(attempt: Progress) -> Fate:
    return "unknown" if attempt.sent else "failed"


def _kind(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower()
