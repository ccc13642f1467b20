"""A connector written in the test, and its calls: prepared, sent, or taken through a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Self, TypeVar

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.arguments import check_arguments
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.request import build
from mcpgate.engine.transport import Transport
from mcpgate.gateway import Gateway
from mcpgate.json_schema import build_validator
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import read_connector
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Connector, Outcome, Reply, Request, Source

ORIGIN = "https://api.example.com/v1"
CANARY = "sk_test_Canary+4711/x=="

Result = TypeVar("Result")


def load(text: str, base_url: str = ORIGIN) -> Connector:
    """A connector `t` from its YAML; its `base_url` is added unless it has one."""
    head = "" if "base_url:" in text else f"base_url: {base_url}\n"
    return read_connector("t.yaml", f"connector: t\n{head}{text}".encode(), Source("file", "t.yaml", ""))


def one_tool(spec: str, top: str = "", base_url: str = ORIGIN) -> Connector:
    """A connector with the one tool `t_x`: `spec` its lines, `top` those of the connector."""
    lines = "\n".join(f"    {line}" for line in f"description: A tool.\n{spec}".splitlines())
    return load(f"{top}\ntools:\n  t_x:\n{lines}\n", base_url)


def prepare(connector: Connector, settings: Mapping[str, str] | None = None, /, **arguments: Any) -> Request:
    """The request of a call of `t_x`, its arguments checked as the gateway does."""
    tool = connector.tools["t_x"]
    canonical = check_arguments(tool, build_validator(tool.schema), arguments)
    return build(open_account(connector, settings or {}), tool, canonical)


class Rig:
    """A connector on its way to a server: a client and a gateway over it, with an event loop of their own."""

    def __init__(
        self,
        connector: Connector,
        secret: str = "",
        settings: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        backoff: float = 0,
    ) -> None:
        self.connector = connector
        self.account: Account = open_account(connector, settings or {})
        self.opened = 0
        self.store = MemoryStore()
        self._secret = secret
        self.client = Client(self._open, transport, backoff)
        scrubber = Scrubber()
        if secret:
            scrubber.learn(secret)
        grant = Grant(self.account, catalog.load_policy("full-access", "preset"))
        toolset = build_toolset(App("tests", (grant,)))
        self.gateway = Gateway(toolset, HTTPBackend(self.client), self.store, scrubber)
        self._runner = asyncio.Runner()

    def call(self, tool: str = "t_x", /, **arguments: Any) -> Outcome:
        """Call a tool through the gateway."""
        return self.run(self.gateway.call(tool, arguments))

    def send(self, key: str = "", /, **arguments: Any) -> Reply:
        """Send one call of `t_x` with the client alone, under a key where it takes one."""
        return self.run(self.sending(key, **arguments))

    async def sending(self, key: str = "", /, **arguments: Any) -> Reply:
        """The same, for an event loop that runs."""
        request = build(self.account, self.connector.tools["t_x"], arguments)
        return await HTTPBackend(self.client).send(request, self.account, key)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run something in the rig's loop."""
        return self._runner.run(coroutine)

    def _open(self, account: Account, request: Request) -> Secret | None:
        self.opened += 1
        return Secret(self._secret) if self._secret else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.gateway.close())
        self._runner.close()
