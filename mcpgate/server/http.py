"""MCP over HTTP: every app on one endpoint, chosen by its key.

`/mcp` speaks both eras of the protocol and keeps no session, so that any process can answer any request.
`/healthz` says that the process is up, `/readyz` whether it takes calls, `/metrics` what it has done.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mcpgate.server.web.changes import Changes
from mcpgate.server.web.direct import Direct
from mcpgate.server.web.door import Door, Limits
from mcpgate.server.web.entrance import Entrance
from mcpgate.server.web.guard import Guard, Names, RefusedRequestError, bearer, once
from mcpgate.server.web.listening import Service, bind
from mcpgate.server.web.metrics import CONTENT_TYPE, Metrics
from mcpgate.server.web.protocol import session_manager
from mcpgate.server.web.quiet import quiet

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

METRICS_TOKEN: Final = "MCPGATE_METRICS_TOKEN"  # noqa: S105  the name of the variable
NOT_READY: Final = "mcpgate takes no calls now."
IN_CLEAR: Final = (
    "That is plain HTTP beyond loopback: the keys of apps travel in clear, and whoever reads one has the app."
    " Put a proxy with TLS before it."
)
_FORWARDED: Final = {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"}


def serve(
    door: Door,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    version: str,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    metrics: Metrics | None = None,
    limits: Limits | None = None,
) -> int:
    """Serves until a signal comes, lets started calls finish and returns the exit code.

    `hosts` and `origins` are allowed besides the names of loopback. Raises `UsageError` for an address that
    cannot be listened on.
    """
    quiet()
    listener = bind(host, port)
    port = listener.getsockname()[1]
    named = f"[{host}]" if ":" in host else host
    service = prepare(
        door,
        listener,
        version=version,
        names=Names(port, hosts, origins),
        metrics=metrics,
        metrics_token=os.environ.get(METRICS_TOKEN, ""),
        limits=limits,
    )
    print(f"mcpgate serves http://{named}:{port}/mcp", file=sys.stderr, flush=True)
    if not _is_loopback(listener.getsockname()[0]):
        print(IN_CLEAR, file=sys.stderr, flush=True)
    asyncio.run(service.serve(sockets=[listener]))
    return 0


def prepare(
    door: Door,
    listener: socket.socket,
    *,
    version: str,
    names: Names | None = None,
    metrics: Metrics | None = None,
    metrics_token: str = "",
    limits: Limits | None = None,
) -> Service:
    """A server for a socket that listens already."""
    limits, changes = limits or Limits(), Changes()
    names = names or Names(listener.getsockname()[1])
    app = application(
        door,
        names,
        version=version,
        changes=changes,
        metrics=metrics,
        metrics_token=metrics_token,
        limits=limits,
    )
    return Service(app, limits, changes.close)


def application(
    door: Door,
    names: Names,
    *,
    version: str,
    changes: Changes | None = None,
    metrics: Metrics | None = None,
    metrics_token: str = "",
    limits: Limits | None = None,
) -> ASGIApp:
    """Everything that is served, as an ASGI application; its end waits for the calls that have started."""
    limits, changes, metrics = limits or Limits(), changes or Changes(), metrics or Metrics()
    manager = session_manager(version, changes, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(changes.watch(door.enter))
        try:
            async with manager.run():
                yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await door.close()

    def refused(refusal: RefusedRequestError) -> Response:
        metrics.refused(refusal.status)
        return refusal.response()

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        reason = door.ready()
        if not reason:
            return PlainTextResponse("ready")
        return PlainTextResponse(reason if _from_here(request) else NOT_READY, 503)

    async def numbers(request: Request) -> Response:
        if metrics_token:
            token = bearer(once(request.scope["headers"]))
            if not secrets.compare_digest(token, metrics_token.encode()):
                return refused(
                    RefusedRequestError(401, "Send the token for metrics.", www_authenticate="Bearer")
                )
        elif not _from_here(request):
            return refused(RefusedRequestError(404, "Not Found"))
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", numbers),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    entrance = Entrance(manager.asgi_app, Direct(version, limits), door, limits)
    return Guard(app, entrance, names, limits, refused)


def _from_here(request: Request) -> bool:
    """Whether a request comes over loopback, and no proxy says that it passes it on."""
    ends = (request.scope.get("server"), request.scope.get("client"))
    if any(name in _FORWARDED for name, _ in request.scope["headers"]):
        return False
    return all(end is not None and _is_loopback(str(end[0])) for end in ends)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
