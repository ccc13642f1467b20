"""The sandbox as a transport of the HTTP client: the whole path of a call, with no network at its end."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from mcpgate.sandbox.respond import respond
from mcpgate.values import Connector


def sandbox_transport(connectors: Sequence[Connector]) -> httpx2.AsyncBaseTransport:
    """A transport that answers for these connectors from their samples."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        status, body = respond(connectors, request.method, str(request.url), request.content)
        return httpx2.Response(status, content=body, headers={"Content-Type": "application/json"})

    return httpx2.MockTransport(answer)
