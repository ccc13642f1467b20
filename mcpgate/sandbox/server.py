"""The sandbox as an HTTP server on loopback, which can misbehave on purpose."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from mcpgate.errors import UsageError
from mcpgate.sandbox.api import Answer, Sandbox
from mcpgate.values import Connector

FAULTS: Final = {
    "ok": "answers as it should",
    "timeout": "takes the request and never answers",
    "drip": "answers a byte a second",
    "html": "answers 200 with a web page",
    "cut": "closes the connection in the middle of the answer",
}
_STATUS: Final = re.compile(r"[45]\d\d\Z")
_PAGE: Final = Answer(
    200,
    b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>",
    {"Content-Type": "text/html; charset=utf-8"},
)
_FOREVER_SECONDS: Final = 3600.0

_Scope: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Scope]]
_Send: TypeAlias = Callable[[_Scope], Awaitable[None]]


class SandboxServer:
    """An ASGI application (specification 3.0) in front of one connector's sandbox.

    `faults` are what becomes of the requests, in turn and over again; an empty list is good behaviour.
    """

    def __init__(self, connector: Connector, faults: Sequence[str] = ()) -> None:
        self._sandbox = Sandbox([connector])
        # whatever stands for a setting in the address fits it
        address = "".join(part if isinstance(part, str) else "sandbox" for part in connector.base_url.parts)
        self._origin = "/".join(address.split("/")[:3])
        self._faults = itertools.cycle(faults or ("ok",))

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        body = await _read(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        url = f"{self._origin}{path}{f'?{query}' if query else ''}"
        fault = next(self._faults)
        if fault == "timeout":
            await asyncio.sleep(_FOREVER_SECONDS)
        elif fault == "html":
            await _write(send, _PAGE)
        elif _STATUS.match(fault):
            await _write(send, self._sandbox.fail(int(fault)))
        else:
            await _write(send, self._sandbox.respond(scope["method"], url, headers, body), fault)


def parse_faults(text: str) -> list[str]:
    """`429,ok,drip` as a list; raises `UsageError` for a word that is none."""
    faults = [word.strip() for word in text.split(",") if word.strip()]
    for fault in faults:
        if fault not in FAULTS and not _STATUS.match(fault):
            known = ", ".join(FAULTS)
            raise UsageError(
                f"--fault {fault}: there is no such fault.", f"A status such as 429 or 500, or: {known}."
            )
    return faults


def serve(connector: Connector, port: int, faults: Sequence[str], ready: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until it is stopped; port 0 takes any free one. `ready` is told the origin."""
    import uvicorn

    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used: {error.strerror}.", "Choose another --port.") from None
    ready(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        SandboxServer(connector, faults), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run([listener])


async def _read(receive: _Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _write(send: _Send, answer: Answer, fault: str = "ok") -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for piece in _pieces(answer.body, fault):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if fault == "drip":
            await asyncio.sleep(1)
    if fault == "cut":
        raise ConnectionAbortedError
    await send({"type": "http.response.body", "body": b""})


def _pieces(body: bytes, fault: str) -> Iterable[bytes]:
    if fault == "drip":
        return (body[index : index + 1] for index in range(len(body)))
    return (body[: len(body) // 2],) if fault == "cut" else (body,)
