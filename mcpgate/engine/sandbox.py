"""The sandbox as a transport of the HTTP client: the whole path of a call, with no network at its end."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from mcpgate.sandbox.api import Sandbox
from mcpgate.values import Connector


def sandbox_transport(connectors: Sequence[Connector]) -> httpx2.AsyncBaseTransport:
    """A transport that answers for these connectors, and remembers what was written as long as it lives."""
    sandbox = Sandbox(connectors)

    def answer(request: httpx2.Request) -> httpx2.Response:
        reply = sandbox.respond(request.method, str(request.url), request.headers, request.content)
        return httpx2.Response(reply.status, content=reply.body, headers=dict(reply.headers))

    return httpx2.MockTransport(answer)
