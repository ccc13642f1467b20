"""Many apps on one endpoint: what their clients see of the tools, of changes, and of what goes wrong."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ToolsListChanged

from mcpgate.errors import StoreError
from mcpgate.values import Outcome
from tests.server.http_apps import (
    CANARY,
    INSTRUCTIONS,
    Apps,
    Running,
    call,
    enveloped,
    key_of,
    old,
    running,
    started_request,
    until,
)
from tests.server.process import HANDSHAKE, INITIALIZE, request
from tests.standins.loopback import Captured, Loopback, Reply
from tests.standins.processes import NODE_TOOLS, node_missing

Mode = Literal["legacy", "auto", "2026-07-28"]
MODES: list[Mode] = ["legacy", "auto", "2026-07-28"]
EVERY = [
    "shop_list_orders",
    "shop_create_order",
    "shop_create_payout",
    "shop_create_refund",
    "shop_send_note",
    "shop_delete_order",
]
CAP = "guardrails:\n  - { for: shop_create_order, max_value: { field: amount, max: 500 } }\n"
NO_MONEY = "deny: [effect:money_out]\n"


@pytest.fixture(scope="module")
def shop() -> Iterator[Loopback]:
    """The API: it answers with what it was asked, and what is slow after a second."""

    def answer(asked: Captured) -> Reply:
        if asked.method == "GET":
            return Reply.json([{"id": asked.target}])
        return Reply(wait=1 if b"slow" in asked.body else 0)

    with Loopback(otherwise=answer) as api:
        yield api


@pytest.fixture(scope="module")
def service(shop: Loopback) -> Iterator[Running]:
    with running(Apps(shop.url)) as service:
        yield service


@pytest.fixture
def server(service: Running, shop: Loopback) -> Running:
    """Two new apps, one of which may not send money out."""
    service.apps.add("billing", CAP, INSTRUCTIONS)
    service.apps.add("support", NO_MONEY)
    service.apps.store.rows.clear()
    shop.requests.clear()
    return service


@asynccontextmanager
async def client(server: Running, app: str, mode: Mode, **rest: Any) -> AsyncIterator[Client]:
    """The SDK's client with an app's key."""
    headers = {"Authorization": f"Bearer {key_of(app)}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as sender:
        transport = streamable_http_client(server.url, http_client=sender)
        async with Client(transport, mode=mode, read_timeout_seconds=20, **rest) as found:
            yield found


async def names(found: Client) -> list[str]:
    return [tool.name for tool in (await found.list_tools()).tools]


def text(result: Any) -> str:
    return str(result.content[0].text)


# --- the clients that people use -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_two_apps_see_different_tools_on_one_endpoint(server: Running, mode: Mode) -> None:
    async def talk() -> None:
        async with client(server, "billing", mode) as billing, client(server, "support", mode) as support:
            assert await names(billing) == EVERY
            without = [name for name in EVERY if name not in ("shop_create_payout", "shop_create_refund")]
            assert await names(support) == without
            if mode != "2026-07-28":  # a pinned client asks for nothing first
                assert billing.instructions == "Ask before you buy."
                assert support.instructions is None
                assert billing.server_info
                assert (billing.server_info.name, billing.server_info.version) == ("mcpgate", "1.2.3")
                assert billing.server_capabilities.tools
                # over stateless HTTP the earlier era has no stream on which news could come
                assert billing.server_capabilities.tools.list_changed is (mode != "legacy")

            order = {"amount": 500, "currency": "usd"}
            assert not (await billing.call_tool("shop_create_order", order)).is_error
            denied = await billing.call_tool("shop_create_order", {**order, "amount": 501})
            assert denied.is_error
            assert "500" in text(denied)
            assert denied.structured_content
            assert not (await support.call_tool("shop_create_order", {**order, "amount": 501})).is_error
            assert (await support.call_tool("shop_create_payout", {})).is_error
            with pytest.raises(MCPError) as unknown:
                await billing.call_tool("no_such", {})
            assert unknown.value.error.code == -32602

            server.apps.change("billing", "deny: [shop_create_order]\n")
            assert "shop_create_order" not in await names(billing)
            assert (await billing.call_tool("shop_create_order", order)).is_error
            assert await names(support) == without
            server.apps.change("support", "")
            assert await names(support) == EVERY

            server.apps.revoke("support")
            assert await names(billing)
            with pytest.raises((MCPError, httpx2.HTTPError)):
                await names(support)

    anyio.run(talk)


@pytest.mark.parametrize(
    ("kind", "era"), [("v1", "legacy"), ("legacy", "legacy"), ("auto", "modern"), ("modern", "modern")]
)
def test_the_typescript_clients(kind: str, era: str) -> None:
    package = "@modelcontextprotocol/sdk" if kind == "v1" else "@modelcontextprotocol/client"
    if reason := node_missing(package):
        pytest.skip(reason)
    acts: dict[str, Callable[[], None]] = {}

    def answer(asked: Captured) -> Reply:
        if asked.method == "GET":
            return Reply.json([{"id": asked.target}])
        if asked.path.endswith("/notes"):
            acts[json.loads(asked.body)["to"]]()
        return Reply()

    with Loopback(otherwise=answer) as api:
        apps = Apps(api.url)
        apps.add("billing", CAP, INSTRUCTIONS)
        apps.add("support", NO_MONEY)

        def toggle() -> None:
            for app in apps.rules:
                apps.change(app, "deny: [delete]\n")

        acts["toggle"] = toggle
        acts["revoke"] = lambda: apps.revoke("support")
        with running(apps) as server:
            keys = [key_of("billing"), key_of("support")]
            done = subprocess.run(
                ["node", "--input-type=module", "-", kind, server.url, *keys],
                cwd=NODE_TOOLS,
                input=Path(__file__).with_name("http_client.mjs").read_text(),
                capture_output=True,
                text=True,
                timeout=60,
            )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["era"] == [era, era]
    assert said["instructions"] == ["Ask before you buy.", None]
    assert said["capabilities"][0] == {"tools": {"listChanged": era == "modern"}}
    assert said["before"][0] == EVERY
    assert "shop_create_refund" not in said["before"][1]
    assert said["denied"]["isError"] is True
    assert said["unknown"]["code"] == -32602
    assert [f"status={number}" in found for number, found in enumerate(said["together"])] == [True] * 30
    assert not said["toggled"].get("isError")
    assert said["after"] == [[name for name in EVERY if name != "shop_delete_order"]] * 2
    assert said["last"][0] == said["after"][0]
    for refused in (said["last"][1], said["refused"]):
        assert "key of an app" in refused["message"] or "401" in refused["message"]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_earlier_revision(server: Running, version: str) -> None:
    opening = request(1, "initialize", **{**HANDSHAKE, "protocolVersion": version})
    assert server.post("billing", opening).message["result"]["protocolVersion"] == version
    listed = server.post("billing", request(2, "tools/list"), MCP_Protocol_Version=version)
    assert len(listed.message["result"]["tools"]) == len(EVERY)
    assert "resultType" not in listed.message["result"]


# --- what a list may be kept for, and by whom ------------------------------------------------------------


@pytest.mark.parametrize("method", ["tools/list", "server/discover"])
def test_what_depends_on_the_key_is_private_and_kept_for_no_time(server: Running, method: str) -> None:
    message, headers = enveloped(method)
    result = server.post("billing", message, **headers).message["result"]
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 0)


def test_a_call_lists_nothing(server: Running) -> None:
    gate, listed = server.apps.gates[key_of("billing")], []
    object.__setattr__(gate, "listing", lambda: listed.append(1))
    message, headers = enveloped("tools/call", name="shop_list_orders", arguments={"status": "x"})
    assert server.post("billing", message, **headers).message["result"]["isError"] is False
    assert not listed


# --- news ------------------------------------------------------------------------------------------------


def test_news_comes_to_the_app_that_it_is_about(server: Running) -> None:
    heard: dict[str, list[Any]] = {"billing": [], "support": []}

    async def hear(app: str, ready: anyio.Event) -> None:
        async with (
            client(server, app, "2026-07-28") as found,
            found.listen(tools_list_changed=True) as stream,
        ):
            ready.set()
            async for event in stream:
                heard[app].append(event)

    async def talk() -> None:
        async with anyio.create_task_group() as group:
            for app in heard:
                ready = anyio.Event()
                group.start_soon(hear, app, ready)
                await ready.wait()
            server.apps.change("billing", NO_MONEY)
            with anyio.fail_after(5):
                while not heard["billing"]:
                    await anyio.sleep(0.02)
            await anyio.sleep(0.7)  # another round
            assert heard == {"billing": [ToolsListChanged()], "support": []}
            group.cancel_scope.cancel()

    anyio.run(talk)


def test_the_news_of_a_key_end_with_it(server: Running) -> None:
    async def talk() -> None:
        async with (
            client(server, "support", "2026-07-28") as found,
            found.listen(tools_list_changed=True) as stream,
        ):
            server.apps.revoke("support")
            with anyio.fail_after(5):
                async for _ in stream:
                    pytest.fail("nothing has changed")

    anyio.run(talk)


def test_a_client_hears_of_tools_only(server: Running) -> None:
    message, headers = enveloped(
        "subscriptions/listen",
        notifications={"promptsListChanged": True, "resourceSubscriptions": ["file:///etc/passwd"]},
    )
    with started_request(server.port, "billing", message, **headers) as connection:
        found = b""
        while b"acknowledged" not in found:
            found += connection.recv(65536)
    acknowledged = json.loads(found.decode().partition("data: ")[2].partition("\r\n")[0])
    assert acknowledged["params"]["notifications"] == {}


# --- what goes wrong -------------------------------------------------------------------------------------

FAULTS = [
    ValueError(f"cannot open {CANARY}"),
    RuntimeError(CANARY),
    ExceptionGroup(CANARY, [OSError(CANARY)]),
    TimeoutError(CANARY),
    KeyError(CANARY),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("modern", [False, True])
def test_no_exception_says_anything(
    server: Running, fault: Exception, modern: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    server.apps.gates[key_of("billing")].broken = fault
    messages: list[Any] = [old(INITIALIZE), old(call("shop_list_orders")), old(request(1, "tools/list"))]
    if modern:
        messages = [
            enveloped("server/discover"),
            enveloped("tools/call", name="shop_list_orders", arguments={}),
            enveloped("tools/list"),
        ]
    for message, headers in messages:
        answer = server.post("billing", message, **headers)
        assert CANARY not in answer.text + str(answer.headers)
        said = answer.message
        assert "broke inside mcpgate" in json.dumps(said)
        assert "error" in said or said["result"]["isError"] is True
    assert CANARY not in "".join(capfd.readouterr())


def test_what_mcpgate_says_itself_reaches_the_client(server: Running) -> None:
    server.apps.gates[key_of("billing")].broken = StoreError("The database is away.", "Start it.")
    listed = server.post("billing", request(1, "tools/list")).message
    assert listed["error"]["message"] == "The database is away.\nStart it."
    called = server.post("billing", call("shop_list_orders")).message
    assert called["result"]["isError"] is True
    assert called["result"]["content"][0]["text"] == "The database is away.\nStart it."


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize(
    ("outcome", "content", "structured"),
    [
        (Outcome("a", note="b"), ["a", "b"], None),
        (Outcome("half a pair: \ud83d"), ["half a pair: ?"], None),
        (Outcome("", {"a": [1, None, "\udc00"]}, is_error=True), [""], {"a": [1, None, "?"]}),
        (Outcome("", {"odd": {1, 2}}), ["broke"], None),
        (Outcome("", {"odd": float("nan")}), ["broke"], None),
    ],
)
def test_an_outcome_as_it_is_written(
    server: Running, outcome: Outcome, content: list[str], structured: Any, modern: bool
) -> None:
    async def answered(*_: object) -> Outcome:
        return outcome

    object.__setattr__(server.apps.gates[key_of("billing")], "call", answered)
    message, headers = old(call("shop_list_orders"))
    if modern:
        message, headers = enveloped("tools/call", name="shop_list_orders", arguments={})
    result = server.post("billing", message, **headers).message["result"]
    texts = [block["text"] for block in result["content"]]
    if content == ["broke"]:
        assert "broke inside mcpgate" in texts[0]
        assert result["isError"] is True
    else:
        assert texts == content
        assert result["isError"] is outcome.is_error
    assert result.get("structuredContent") == structured


@pytest.mark.parametrize("depth", [30, 300, 900, 5_000, 100_000])
@pytest.mark.parametrize("modern", [False, True])
def test_deep_json_harms_nobody(server: Running, depth: int, modern: bool) -> None:
    message, headers = old(call("shop_list_orders", status="DEEP"))
    if modern:
        message, headers = enveloped("tools/call", name="shop_list_orders", arguments={"status": "DEEP"})
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = f"{opening * depth}{'1' if opening != '[' else ''}{closing * depth}"
        answer = server.post("billing", json.dumps(message).replace('"DEEP"', nested).encode(), **headers)
        assert answer.status in (200, 400)
        assert "error" in answer.message or answer.message["result"]["isError"] is True
    assert server.post("billing", request(1, "tools/list")).status == 200


# --- calls that are given up -----------------------------------------------------------------------------


@pytest.mark.parametrize("modern", [False, True])
def test_a_client_that_leaves_cancels_what_has_not_started(
    server: Running, shop: Loopback, modern: bool
) -> None:
    """And a call that has started is carried out to its end."""
    started, ended = threading.Event(), threading.Event()
    gate = server.apps.gates[key_of("billing")]

    async def wait(*_: object) -> Outcome:
        started.set()
        try:
            await anyio.sleep(20)
        except BaseException:
            ended.set()
            raise
        return Outcome("")

    message, headers = old(call("shop_send_note", to="slow", text=""))
    if modern:
        message, headers = enveloped(
            "tools/call", name="shop_send_note", arguments={"to": "slow", "text": ""}
        )

    def leave(after: Callable[[], bool]) -> None:
        with started_request(server.port, "billing", message, **headers):
            until(after)

    leave(lambda: bool(shop.requests))
    until(lambda: any(row.kind == "finished" for row in server.apps.store.rows))
    assert [row.outcome for row in server.apps.store.rows] == ["", "succeeded"]

    object.__setattr__(gate, "call", wait)
    leave(started.is_set)
    assert ended.wait(5)
