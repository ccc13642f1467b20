"""A gateway inside the test, put together as `mcpgate run` does it, spoken to without a wire."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.transport import Transport
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.vault.environment import EnvironmentVault, variable
from tests.scenarios import Answer


class InProcess:
    """A gateway with one connector, its own event loop and, between retries, no pause."""

    def __init__(
        self, connector: Path, key: str, preset: str = "full-access", transport: Transport | None = None
    ) -> None:
        loaded = catalog.load_connector(str(connector))
        grant = Grant(open_account(loaded, {}), catalog.load_policy(preset, "preset"))
        scrubber = Scrubber()
        vault = EnvironmentVault({variable(loaded.name): key}, catalog.known_connector, scrubber)
        self.connector = loaded
        self.store = MemoryStore()
        toolset = build_toolset(App("tests", (grant,)))
        backend = HTTPBackend(Client(vault.open, transport, backoff=0))
        self._gateway = Gateway(toolset, backend, self.store, scrubber)
        self._runner = asyncio.Runner()

    def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool and wait for its outcome."""
        outcome = self._runner.run(self._gateway.call(tool, arguments))
        return Answer(outcome.text, outcome.is_error, dict(outcome.structured or {}), outcome.note)

    def close(self) -> None:
        """Let go of the connections and of the loop."""
        self._runner.run(self._gateway.close())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
