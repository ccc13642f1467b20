"""News of the tools, to the clients of one app and to nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import (
    INTERNAL_ERROR,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)

from mcpgate.errors import MCPGateError

if TYPE_CHECKING:
    from mcpgate.server.messages import Listing
    from mcpgate.server.web.door import Admitted, Gate

LOOKED_AFTER: float = 0.5

_logger = logging.getLogger("mcpgate.server")


@dataclass
class _Listeners:
    """The open streams that were asked for with one key."""

    name: str
    heard: Listing | None
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    open: int = 0

    def __post_init__(self) -> None:
        self.handler = ListenHandler(self.bus)


class Changes:
    """Who listens for news, by key: with its key an app's streams end as well."""

    def __init__(self) -> None:
        self._listeners: dict[str, _Listeners] = {}
        self._closed = False

    async def listen(
        self,
        admitted: Admitted,
        ctx: ServerRequestContext[Any, Any],
        params: SubscriptionsListenRequestParams,
    ) -> SubscriptionsListenResult:
        """One stream, until the client leaves, its key ends or the server stops."""
        if self._closed:
            raise MCPError(INTERNAL_ERROR, "The server is stopping")
        wanted = SubscriptionFilter(tools_list_changed=params.notifications.tools_list_changed)
        listeners = self._listeners.get(admitted.key)
        if listeners is None:
            listeners = _Listeners(admitted.gate.name, _heard(admitted.gate))
            self._listeners[admitted.key] = listeners
        listeners.open += 1
        try:
            return await listeners.handler(ctx, params.model_copy(update={"notifications": wanted}))
        finally:
            listeners.open -= 1
            if not listeners.open and self._listeners.get(admitted.key) is listeners:
                del self._listeners[admitted.key]

    async def watch(self, enter: Callable[[str], Gate | None], pause: float = LOOKED_AFTER) -> None:
        """Asks again and again what the apps with listeners offer, and publishes what is new."""
        while True:
            await asyncio.sleep(pause)
            for key, listeners in [*self._listeners.items()]:
                try:
                    await self._look(key, listeners, enter(key))
                except MCPGateError:
                    pass  # the store is away: what is listed then is new or it is not
                except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
                    _logger.error("looking for changes broke: %s", type(problem).__name__)

    def close(self) -> None:
        """Ends every stream with its last message, and takes no more."""
        self._closed = True
        for listeners in self._listeners.values():
            listeners.handler.close()

    async def _look(self, key: str, listeners: _Listeners, gate: Gate | None) -> None:
        if gate is None:
            listeners.handler.close()
            self._listeners.pop(key, None)
            return
        listing = gate.listing()
        if listing != listeners.heard:
            listeners.heard = listing
            await listeners.bus.publish(ToolsListChanged())


def _heard(gate: Gate) -> Listing | None:
    try:
        return gate.listing()
    except Exception:  # noqa: BLE001  the first listing that there is will be news
        return None
