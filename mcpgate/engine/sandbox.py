"""The sandbox as the transport of a client: the whole path of a call, with no network at its end."""

from __future__ import annotations

from collections.abc import Sequence

from mcpgate.engine.transport import Attempt, Message, Received
from mcpgate.sandbox.api import Sandbox
from mcpgate.values import Connector


class SandboxTransport:
    """Answers for connectors, and remembers what was written as long as they stay what they are."""

    def __init__(self, connectors: Sequence[Connector] = ()) -> None:
        self._connectors = [*connectors]
        self._sandbox = Sandbox(connectors)

    def answer_for(self, connectors: Sequence[Connector]) -> None:
        """Answer for these from now on; for others than before with an empty memory."""
        if [*connectors] != self._connectors:
            self._connectors = [*connectors]
            self._sandbox = Sandbox(connectors)

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        """Answer a message."""
        attempt.sent = True
        url = f"{message.origin}{message.target}"
        reply = self._sandbox.respond(message.method, url, dict(message.headers), message.body or b"")
        attempt.status = reply.status
        return Received(
            reply.status, {name.lower(): text for name, text in reply.headers.items()}, reply.body
        )

    def warm(self, origin: str) -> None:
        """Nothing has to be made."""

    async def close(self) -> None:
        """Nothing is open."""
