"""The sandbox as a transport of the HTTP client: the whole path of a call, with no network at its end."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from mcpgate.sandbox.api import Sandbox
from mcpgate.values import Connector


class SandboxTransport(httpx2.MockTransport):
    """Answers for connectors, and remembers what was written as long as they stay what they are."""

    def __init__(self, connectors: Sequence[Connector] = ()) -> None:
        super().__init__(self._answer)
        self._connectors = [*connectors]
        self._sandbox = Sandbox(connectors)

    def answer_for(self, connectors: Sequence[Connector]) -> None:
        """Answer for these from now on; for others than before with an empty memory."""
        if [*connectors] != self._connectors:
            self._connectors = [*connectors]
            self._sandbox = Sandbox(connectors)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        reply = self._sandbox.respond(request.method, str(request.url), request.headers, request.content)
        return httpx2.Response(reply.status, content=reply.body, headers=dict(reply.headers))
