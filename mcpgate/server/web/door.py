"""What the HTTP side asks of the rest of mcpgate, and how much it takes from its clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from mcpgate.server.messages import Listing
    from mcpgate.values import Outcome


ADMITTED: Final = "mcpgate.admitted"


class Gate(Protocol):
    """One app, as the wire sees it."""

    @property
    def name(self) -> str:
        """The app's name."""
        ...

    def listing(self) -> Listing:
        """What a client is told of the tools at this moment; may raise `MCPGateError`."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Carries out one call; a tool that does not exist for the app raises `UnknownToolError`.

        It may be cancelled; a call that acts goes on all the same once it has started.
        """
        ...


class Door(Protocol):
    """Where the clients of every app come in."""

    def enter(self, key: str) -> Gate | None:
        """The app that has this key; None refuses. It is asked at every request, so a key ends at once."""
        ...

    def ready(self) -> str:
        """Why no calls can be taken now; empty if they can."""
        ...

    async def close(self) -> None:
        """Waits for the calls that have started, then lets go of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who a request was let in for."""

    gate: Gate
    key: str = field(repr=False)


def admitted(request: Any) -> Admitted:
    """Who this request, which has come in, was let in for."""
    found = request.scope[ADMITTED]
    assert isinstance(found, Admitted)
    return found


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take: bytes, seconds, and requests of one app at once.

    `arrival` is for one whole request, `idle` for an open connection without one, `stalled` for a client that
    does not read its answer. `listening` counts the streams that wait for news, `stopping` is what is left to
    the requests under way when the server stops. After `silent` a client that waits gets a sign of life.
    """

    body: int = 1024 * 1024
    headers: int = 16 * 1024
    arrival: float = 10.0
    idle: int = 5
    stalled: float = 30.0
    at_once: int = 200
    listening: int = 100
    connections: int = 1000
    stopping: int = 120
    silent: float = 15.0
