"""`mcpgate serve` and `mcpgate run` as people start them, and what another process's command does to them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ToolsListChanged

from mcpgate.apps import seen
from mcpgate.catalog import load_connector
from mcpgate.store.config import Config, StoredApp, StoredGrant
from mcpgate.store.database import Database
from mcpgate.store.sql import SQLStore
from tests.policy.shop import SHOP
from tests.server.http_apps import ask, until
from tests.server.process import INITIALIZE, INITIALIZED, Server, request
from tests.standins.loopback import Loopback, Reply
from tests.standins.machine import Machine
from tests.standins.processes import NODE_TOOLS, node_missing

SECRET = "key_of_the_shop_4711"
EVERY = {
    "shop_list_orders",
    "shop_create_order",
    "shop_create_payout",
    "shop_create_refund",
    "shop_send_note",
    "shop_delete_order",
}
READS = {"shop_list_orders"}
NOTE = {"to": "a", "text": "b"}
LIST_IN_NODE = """
const [url, ...keys] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
const found = [];
for (const key of keys) {
  const client = new Client({ name: "test", version: "1" }, { capabilities: {} });
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    found.push((await client.listTools()).tools.map((tool) => tool.name));
    await client.close();
  } catch (error) {
    found.push(error.message);
  }
}
console.log(JSON.stringify(found));
"""


class Served:
    """A person's machine on which `mcpgate serve` runs, with two apps."""

    def __init__(self, folder: Path, api: Loopback) -> None:
        self.api = api
        self.machine = Machine(folder, environ={"MCPGATE_SHOP_KEY": SECRET})
        self._environ = {**os.environ, **self.machine._environ()}
        self.connector = self.machine.home / "connectors" / "shop.yaml"
        self.connector.parent.mkdir(parents=True)
        self.connector.write_text(SHOP.replace("https://api.shop.example", api.url))
        loaded = load_connector(str(self.connector))
        database = Database(str(self.machine.home / "mcpgate.db"))
        self.config = Config(database, SQLStore(database).recorder)
        self.keys = {
            name: self.config.create(
                StoredApp(name, grants=(StoredGrant("shop", "", preset, tools=seen(loaded)),))
            ).reveal()
            for name, preset in (("billing", "full-access"), ("support", "read-only"))
        }
        self.before = self.config.all()
        self._errors = (folder / "serve.err").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mcpgate", "serve", "--port", "0"],
            cwd=self.machine.project,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        until(lambda: "serves" in self.errors(), 30)
        found = re.match(r"mcpgate serves http://127\.0\.0\.1:(\d+)/mcp\n", self.errors())
        assert found
        self.port = int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def command(self, *words: str) -> str:
        """A command in a process of its own."""
        return self.machine.done(*words)

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def run(self, *words: str) -> Server:
        """`mcpgate run` as a client starts it."""
        return Server(command=[sys.executable, "-m", "mcpgate", "run", *words], env=self._environ)

    @asynccontextmanager
    async def client(self, app: str, key: str = "", mode: Any = "auto") -> AsyncIterator[Client]:
        """The SDK's client with an app's key."""
        headers = {"Authorization": f"Bearer {key or self.keys[app]}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20) as sender:
            transport = streamable_http_client(self.url, http_client=sender)
            async with Client(transport, mode=mode, read_timeout_seconds=20) as found:
                yield found

    def close(self) -> bytes:
        """Stop it in order; gives what it has printed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            printed, _ = self.process.communicate(timeout=15)
            assert self.process.returncode == 0
            return printed
        finally:
            self.process.kill()
            self.process.wait()
            self._errors.close()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Loopback(otherwise=Reply.json({"id": "x_1"})) as api:
        served = Served(tmp_path_factory.mktemp("machine"), api)
        try:
            yield served
        finally:
            if served.process.poll() is None:
                served.close()


@pytest.fixture
def served(started: Served) -> Iterator[Served]:
    """The server, with everything as it was before."""
    started.api.requests.clear()
    text = started.connector.read_text()
    yield started
    started.connector.write_text(text)
    for now, before in zip(started.config.all(), started.before, strict=True):
        if now != before:
            started.config.replace(now, before, "as before")


async def names(found: Client) -> set[str]:
    return {tool.name for tool in (await found.list_tools()).tools}


async def command(served: Served, *words: str) -> str:
    """A person's command, while the clients stay connected."""
    return await anyio.to_thread.run_sync(lambda: served.command(*words))


def text(result: Any) -> str:
    return str(result.content[0].text)


def test_two_clients_see_their_own_tools_and_what_another_process_switches(served: Served) -> None:
    async def talk() -> None:
        async with (
            served.client("billing", mode="legacy") as billing,
            served.client("support", mode="2026-07-28") as support,
        ):
            assert (await names(billing), await names(support)) == (EVERY, READS)
            with pytest.raises(MCPError):
                await support.call_tool("desk_list_cases", {})
            denied = await support.call_tool("shop_send_note", NOTE)
            assert denied.is_error
            assert not (await billing.call_tool("shop_send_note", NOTE)).is_error

            await command(served, "apps", "disable", "billing", "shop_send_note", "shop_list_orders")
            assert await names(billing) == EVERY - {"shop_send_note", "shop_list_orders"}
            assert await names(support) == READS
            off = await billing.call_tool("shop_send_note", NOTE)
            assert "off for billing" in text(off)
            await command(served, "apps", "disable", "support", "shop_list_orders")
            assert await names(support) == set()

    anyio.run(talk)
    assert [asked.path for asked in served.api.requests] == ["/v1/notes"]


def test_news_of_a_switch_come_to_who_listens(served: Served) -> None:
    async def talk() -> None:
        async with (
            served.client("billing", mode="2026-07-28") as billing,
            billing.listen(tools_list_changed=True) as stream,
        ):
            await command(served, "apps", "disable", "billing", "shop_send_note")
            with anyio.fail_after(2):
                async for event in stream:
                    assert event == ToolsListChanged()
                    break
            assert "shop_send_note" not in await names(billing)

    anyio.run(talk)


def test_the_typescript_client_beside_it(served: Served) -> None:
    if reason := node_missing("@modelcontextprotocol/client"):
        pytest.skip(reason)

    def listed() -> list[Any]:
        done = subprocess.run(
            ["node", "--input-type=module", "-", served.url, served.keys["billing"], served.keys["support"]],
            cwd=NODE_TOOLS,
            input=LIST_IN_NODE,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        found: list[Any] = json.loads(done.stdout)
        return [set(each) if isinstance(each, list) else each for each in found]

    assert listed() == [EVERY, READS]
    served.command("apps", "disable", "billing", "shop_send_note")
    served.command("apps", "pause", "support")
    try:
        toggled, refused = listed()
    finally:
        served.command("apps", "resume", "support")
    assert toggled == EVERY - {"shop_send_note"}
    assert "key of an app" in refused or "401" in refused


def test_a_key_that_was_replaced_is_refused_at_its_next_request(served: Served) -> None:  # row 23
    async def talk() -> None:
        async with served.client("support", mode="legacy") as support:
            assert await names(support) == READS
            made = json.loads(await command(served, "apps", "rotate", "support", "--json"))
            with pytest.raises((MCPError, httpx2.HTTPError)):
                await names(support)
            served.keys["support"] = made["key"]
        async with served.client("support", mode="legacy") as support:
            assert await names(support) == READS

    old = served.keys["support"]
    anyio.run(talk)
    body = json.dumps(request(1, "tools/list"))
    assert ask(served.port, "/mcp", "POST", body, Authorization=f"Bearer {old}").status == 401


def test_a_freeze_acts_within_a_second_on_every_process(served: Served) -> None:
    """A server, an app on stdio and a run by flags go on; nothing is sent from any of them."""

    news: list[tuple[Server, str]] = []

    def call(number: int) -> dict[str, Any]:
        return request(number, "tools/call", name="shop_send_note", arguments=NOTE)

    def answer(server: Server, message: dict[str, Any]) -> Any:
        """The result of a request; what is announced before it is noted."""
        server.send(message)
        while (said := server.receive()).get("id") != message["id"]:
            news.append((server, said["method"]))
        return said["result"]

    def listed(server: Server, number: int) -> set[str]:
        return {tool["name"] for tool in answer(server, request(number, "tools/list"))["tools"]}

    def offers(server: Server, tools: set[str]) -> bool:
        return listed(server, 4) == tools

    async def talk(app: Server, run: Server) -> None:
        async with served.client("billing", mode="legacy") as billing:
            assert not (await billing.call_tool("shop_send_note", NOTE)).is_error
            for server in (app, run):
                server.ask(INITIALIZE, INITIALIZED)
                assert listed(server, 1) == EVERY
                assert not answer(server, call(2)).get("isError")
            await command(served, "freeze")
            assert "frozen since" in text(await billing.call_tool("shop_send_note", NOTE))
            assert await names(billing) == set()
            for server in (app, run):
                assert "frozen since" in answer(server, call(3))["content"][0]["text"]
            # over stdio a list is looked after once in a second, a call by itself
            for server in (app, run):
                until(partial(offers, server, set()), 3)

    with served.run("--app", "billing") as app, served.run("shop", "-p", "full-access") as run:
        anyio.run(talk, app, run)
        assert len(served.api.requests) == 3
        served.config.thaw()
        for server in (app, run):
            assert not answer(server, call(5)).get("isError")
            until(partial(offers, server, EVERY), 3)
            assert news.count((server, "notifications/tools/list_changed")) == 2


def test_a_tool_that_changes_under_its_name_is_off_while_it_is_served(served: Served) -> None:  # row 32
    new = "  shop_get_order: { description: One., category: read, request: GET /orders/a }\n"

    async def talk() -> None:
        async with served.client("billing", mode="legacy") as billing:
            assert await names(billing) == EVERY
            text_before = served.connector.read_text()
            changed = text_before.replace("request: POST /notes", "request: POST /payouts")
            served.connector.write_text(changed.replace("tools:\n", f"tools:\n{new}"))
            assert await names(billing) == EVERY - {"shop_send_note"}
            for tool, given in (("shop_send_note", NOTE), ("shop_get_order", {})):
                assert "mcpgate apps enable billing" in text(await billing.call_tool(tool, given))
            await command(served, "apps", "enable", "billing", "shop_get_order")
            assert await names(billing) == {*EVERY - {"shop_send_note"}, "shop_get_order"}

    anyio.run(talk)
    assert not served.api.requests


def test_it_listens_on_loopback_alone_and_prints_where(started: Served) -> None:  # row 24
    """The last test of the file: it stops the server."""
    with pytest.raises(OSError):  # noqa: PT011  refused: nobody listens on any other address of this machine
        socket.create_connection(("127.0.0.2", started.port), 2).close()
    for host, status in (("evil.example", 421), (f"127.0.0.1:{started.port}", 401)):
        assert ask(started.port, "/mcp", "POST", "{}", Host=host).status == status
    said = started.errors()
    assert started.close() == b""
    assert said == f"mcpgate serves {started.url}\n"
    for secret in (*started.keys.values(), SECRET):
        for path in started.machine.folder.rglob("*"):
            assert not path.is_file() or secret[4:20].encode() not in path.read_bytes(), path
