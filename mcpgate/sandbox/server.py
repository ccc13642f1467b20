"""The sandbox as an HTTP server on loopback, which can misbehave on purpose."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from mcpgate.errors import UsageError
from mcpgate.sandbox.api import Sandbox
from mcpgate.sandbox.replies import Answer
from mcpgate.spec.templates import parse_template
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

_Scope: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Scope]]
_Send: TypeAlias = Callable[[_Scope], Awaitable[None]]


class SandboxServer:
    """An ASGI application (specification 3.0) in front of one connector's sandbox.

    `origin` is where it is reached; `faults` are what becomes of the requests, in turn and over again.
    """

    def __init__(self, connector: Connector, origin: str, faults: Sequence[str] = ()) -> None:
        path = str(connector.base_url).split("/")[3:]
        here = parse_template("/".join([origin, *path]))
        self.address = str(here)
        self._origin = origin
        self._sandbox = Sandbox([dataclasses.replace(connector, base_url=here)])
        self._faults = itertools.cycle(faults or ("ok",))

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        body = await _read(receive)
        fault = next(self._faults)
        if fault == "timeout":
            # whoever gives up first ends it: the client, or the person at Ctrl-C
            await _gone(receive)
        elif fault == "html":
            await _write(send, _PAGE)
        elif _STATUS.match(fault):
            await _write(send, self._sandbox.fail(int(fault)))
        else:
            await _write(send, self._respond(scope, body), fault)

    def _respond(self, scope: _Scope, body: bytes) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        url = f"{self._origin}{path}{f'?{query}' if query else ''}"
        try:
            return self._sandbox.respond(scope["method"], url, headers, body)
        except Exception as error:  # noqa: BLE001  a request that it cannot cope with ends nothing else
            return Answer(500, f"The sandbox itself failed: {type(error).__name__}.".encode())


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
    """Serve on 127.0.0.1 until it is stopped; port 0 takes any free one. `ready` is told the address."""
    import uvicorn

    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise UsageError(f"Port {port} cannot be used: {why}.", "Choose another --port.") from None
    application = SandboxServer(connector, f"http://127.0.0.1:{listener.getsockname()[1]}", faults)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # not before a signal would end it in order
            ready(application.address)

    # it writes the faults that are asked for as errors of its own, with tracebacks
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        log_level="critical",
        timeout_graceful_shutdown=0,
    )
    Server(config).run([listener])


async def _read(receive: _Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _gone(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(send: _Send, answer: Answer, fault: str = "ok") -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for piece in _pieces(answer.body, fault):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if fault == "drip":
            await asyncio.sleep(1)
    # a response that is left unfinished is cut off by the server
    if fault != "cut":
        await send({"type": "http.response.body", "body": b""})


def _pieces(body: bytes, fault: str) -> Iterable[bytes]:
    if fault == "drip":
        return (body[index : index + 1] for index in range(len(body)))
    return (body[: len(body) // 2],) if fault == "cut" else (body,)
