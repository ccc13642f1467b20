"""`mcpgate serve`: many apps over HTTP, each let in by its key."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mcpgate.activity import Row
from mcpgate.cli.serving import Served, settle
from mcpgate.errors import MCPGateError
from mcpgate.gateway import Gateway
from mcpgate.store.config import StoredApp
from mcpgate.values import Outcome

_READY_SECONDS: Final = 1.0


def serve_apps(host: str, port: int, hosts: list[str], origins: list[str]) -> int:
    """Serve every app until a signal comes; gives the exit code."""
    from mcpgate import __version__
    from mcpgate.server.http import serve
    from mcpgate.server.web.metrics import Metrics

    metrics, served = Metrics(), Served()
    # one that cannot be used is told now, and not to each client
    served.store.version()
    if not served.config.all():
        print(
            "There is no app yet; one is made, also while this runs, by: mcpgate apps create", file=sys.stderr
        )
    door = Apps(served, metrics.observe)
    settle()
    return serve(door, host, port, version=__version__, hosts=hosts, origins=origins, metrics=metrics)


@dataclass(frozen=True, slots=True)
class AppGate:
    """One app, as it is let in."""

    name: str
    gateway: Gateway

    def listing(self) -> Any:
        """What the app is offered at this moment."""
        return self.gateway.listing()

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """One call of the app."""
        return await self.gateway.call(name, arguments)


class Apps:
    """Every app behind one door: who has its key is let in, as long as the app may be used."""

    def __init__(self, served: Served, watch: Callable[[Row], None]) -> None:
        self._served = served
        self._watch = watch
        self._version: int | None = None
        self._ready, self._ready_until = "", 0.0
        self._known: dict[str, StoredApp | None] = {}
        self._gates: dict[tuple[str, str, bool], AppGate] = {}

    def enter(self, key: str) -> AppGate | None:
        """The app of a key; None for one that is unknown, paused or expired. Raises `StoreError`."""
        version = self._served.store.version()
        if version != self._version:
            self._known.clear()
            self._version = version
        if key not in self._known:
            found = self._served.config.by_key(key)
            if found is None:
                return None
            self._known[key] = found
        stored = self._known[key]
        if stored is None or stored.paused or stored.expired():
            return None
        return self._gate(stored)

    def ready(self) -> str:
        """Why no call can be answered at this moment; nothing where one can. Looked at once a second."""
        if time.monotonic() > self._ready_until:
            self._ready = ""
            try:
                with self._served.store.transaction():
                    pass
            except MCPGateError as error:
                self._ready = error.message
            self._ready_until = time.monotonic() + _READY_SECONDS
        return self._ready

    async def close(self) -> None:
        """Wait for every call that has started."""
        await asyncio.gather(*(gate.gateway.finish() for gate in self._gates.values()))
        await self._served.close()

    def _gate(self, stored: StoredApp) -> AppGate:
        # an app that was deleted and made again under its name is another one, so is one in the sandbox
        which = (stored.name, stored.created, stored.sandbox)
        if which not in self._gates:
            self._gates[which] = AppGate(stored.name, self._served.gateway(stored, self._watch))
        return self._gates[which]
