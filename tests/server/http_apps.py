"""Apps behind a door: real gateways over the shop, whose API is a stand-in on loopback.

`python -m tests.server.http_apps ORIGIN` serves them until a signal comes.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.server.http import prepare, serve
from mcpgate.server.web.door import Limits
from mcpgate.server.web.guard import Names
from mcpgate.server.web.listening import Service, bind
from mcpgate.server.web.metrics import Metrics
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import LiveToolset
from mcpgate.values import Outcome
from tests.policy.shop import EVERYTHING, SHOP, connector, policy
from tests.server.process import ENVELOPE, request

CANARY = "canary-in-a-vault"
INSTRUCTIONS = "instructions: Ask before you buy.\n"


def key_of(name: str) -> str:
    """The key of an app, as long as real ones are."""
    return ("mgw_" + name + "-").ljust(47, "x")


class Configuration(MemoryStore):
    """A store whose configuration has a version."""

    number = 1

    def version(self) -> int:
        return self.number


@dataclass
class AppGate:
    """One app; `broken` is raised wherever it is asked anything."""

    name: str
    gateway: Gateway
    broken: Exception | None = None

    def listing(self) -> Any:
        if self.broken:
            raise self.broken
        return self.gateway.listing()

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        if self.broken:
            raise self.broken
        return await self.gateway.call(name, arguments)


class Apps:
    """A door with apps that a test may change while they are used."""

    def __init__(self, origin: str, *names: str) -> None:
        self.store = Configuration()
        self.metrics = Metrics()
        self.gates: dict[str, AppGate] = {}
        self.rules: dict[str, str] = {}
        self.unready = ""
        self.broken: Exception | None = None
        self.closed = False
        self._origin = origin
        self._gateways: list[Gateway] = []
        for name in names:
            self.add(name)

    def add(self, name: str, rules: str = "", instructions: str = "") -> str:
        """A new app and its key; what its rules say may change."""
        text = SHOP.replace("title: Shop\n", f"title: Shop\n{instructions}")
        account = open_account(connector(text, self._origin), {})

        def build() -> App:
            rules = self.rules[name]
            return App(
                name, (Grant(account, policy(EVERYTHING)),), switches=(policy(rules),) if rules else ()
            )

        self.rules[name] = rules
        toolset = LiveToolset(self.store.version, build, lambda: True)
        client = Client(lambda *_: Secret(CANARY), backoff=0)
        scrubber = Scrubber()
        scrubber.learn(CANARY)
        gateway = Gateway(toolset, HTTPBackend(client), self.store, scrubber, time.time, self.metrics.observe)
        self._gateways.append(gateway)
        self.gates[key_of(name)] = AppGate(name, gateway)
        return key_of(name)

    def change(self, name: str, rules: str) -> None:
        """Gives an app other rules, from now on."""
        self.rules[name] = rules
        self.store.number += 1

    def revoke(self, name: str) -> None:
        """Ends an app's key."""
        del self.gates[key_of(name)]

    def enter(self, key: str) -> AppGate | None:
        if self.broken:
            raise self.broken
        return self.gates.get(key)

    def ready(self) -> str:
        return self.unready

    async def close(self) -> None:
        for gateway in self._gateways:
            await gateway.close()
        self.closed = True


@dataclass
class Running:
    """A server in a thread of the test."""

    service: Service
    apps: Apps
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def ask(
        self, path: str = "/mcp", method: str = "GET", body: bytes | str | None = None, **headers: str
    ) -> Answer:
        """One request on a connection of its own."""
        return ask(self.port, path, method, body, **headers)

    def post(self, app: str, message: Mapping[str, Any] | bytes, **headers: str) -> Answer:
        """One message with an app's key."""
        return post(self.port, app, message, **headers)


@dataclass(frozen=True)
class Answer:
    """What one HTTP request got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message, whether it came as JSON or as the only event of a stream."""
        lines = [line for line in self.text.splitlines() if line.startswith(("{", "data: {"))]
        assert len(lines) == 1, self
        found = json.loads(lines[0].removeprefix("data: "))
        assert isinstance(found, dict)
        return found


def ask(
    port: int, path: str = "/mcp", method: str = "GET", body: bytes | str | None = None, **headers: str
) -> Answer:
    """One request on a connection of its own; `_` in the name of a header is `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        reply = connection.getresponse()
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def post(port: int, app: str, message: Mapping[str, Any] | bytes, **headers: str) -> Answer:
    """One message with an app's key, with the headers that its era asks for."""
    sent = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {key_of(app)}",
        **headers,
    }
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return ask(port, "/mcp", "POST", body, **sent)


@contextmanager
def started_request(
    port: int, app: str, message: Mapping[str, Any], **headers: str
) -> Iterator[socket.socket]:
    """A message that is sent whole; whoever sent it leaves at the end, answered or not."""
    body = json.dumps(message).encode()
    sent = {
        "Host": f"127.0.0.1:{port}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Authorization": f"Bearer {key_of(app)}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
        yield connection


def until(true: Callable[[], bool], within: float = 5) -> None:
    """Waits for something to become true."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """A call of the handshake's era."""
    return request(1, "tools/call", name=tool, arguments=arguments)


def enveloped(method: str, **params: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A request of 2026-07-28 and the headers that go with it."""
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    return request(1, method, _meta=ENVELOPE, **params), headers


def old(message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A request of the handshake's era, which needs no headers."""
    return message, {}


@contextmanager
def running(apps: Apps, limits: Limits | None = None, names: Any = None, **rest: Any) -> Iterator[Running]:
    """Serves the apps from a thread; stopped in order at the end."""
    listener: socket.socket = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    named = Names(port, **names) if names else None
    service = prepare(
        apps, listener, version="1.2.3", names=named, metrics=apps.metrics, limits=limits, **rest
    )
    thread = threading.Thread(target=lambda: asyncio.run(service.serve(sockets=[listener])))
    thread.start()
    try:
        yield Running(service, apps, port)
    finally:
        service.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
        assert apps.closed


if __name__ == "__main__":
    sys.exit(serve(Apps(sys.argv[1], "billing", "support"), version="1.2.3"))
