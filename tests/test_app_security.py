"""What an app's key opens, and what it never does: rows 17, 23, 33 and 34, at the door that `serve` opens."""

from __future__ import annotations

import asyncio
import copy
import csv
import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from mcpgate.__main__ import main
from mcpgate.activity import Row
from mcpgate.apps import open_account
from mcpgate.cli.serve import Apps
from mcpgate.cli.serving import Served
from mcpgate.cli.vaults import config, sql_store
from mcpgate.discovery import DISCOVERY_NAMES
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.remote import Remote
from mcpgate.secrets import Scrubber, Secret
from mcpgate.server.http import application, prepare
from mcpgate.server.web.entrance import Entrance
from mcpgate.server.web.guard import Guard, Names
from mcpgate.server.web.listening import bind
from mcpgate.server.web.metrics import Metrics
from mcpgate.store.app_key import moment
from mcpgate.store.config import StoredApp
from tests.engine.mcp_server import KEY as ELSEWHERE
from tests.engine.mcp_server import MCPServer
from tests.policy.shop import SHOP, connector
from tests.server.http_apps import Answer, ask, call, enveloped
from tests.server.process import HANDSHAKE, request
from tests.standins.loopback import Loopback, Reply

SECRET = "key_of_the_shop_4711"
DESK = (
    "connector: desk\nbase_url: https://desk.example\ntools:\n"
    "  desk_list_cases: { description: Cases., category: read, request: GET /cases }\n"
)
LIST = request(1, "tools/list")
NOTE = {"to": "a", "text": "b"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


@dataclass
class Gate:
    """`mcpgate serve` in a thread of the test, over the database of the test's home."""

    apps: Apps
    metrics: Metrics
    port: int = 0

    def post(self, key: str, message: Any, **headers: str) -> Answer:
        """One message with a key."""
        sent = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {key}",
            **headers,
        }
        return ask(self.port, "/mcp", "POST", json.dumps(message), **sent)

    def tools(self, key: str) -> set[str]:
        """What a key's app is offered."""
        return {tool["name"] for tool in self.post(key, LIST).message["result"]["tools"]}

    def said(self, key: str, name: str, **arguments: Any) -> str:
        """What a call comes to, in words: the text of its result or its error."""
        found = self.post(key, request(1, "tools/call", name=name, arguments=arguments)).message
        said = found["error"]["message"] if "error" in found else found["result"]["content"][0]["text"]
        return str(said)


@contextmanager
def opened() -> Iterator[Gate]:
    metrics = Metrics()
    gate = Gate(Apps(Served(), metrics.observe), metrics)
    listener: socket.socket = bind("127.0.0.1", 0)
    gate.port = listener.getsockname()[1]
    service = prepare(gate.apps, listener, version="1.2.3", metrics=metrics)
    thread = threading.Thread(target=lambda: asyncio.run(service.serve(sockets=[listener])))
    thread.start()
    try:
        yield gate
    finally:
        service.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def api() -> Iterator[Loopback]:
    with Loopback(otherwise=Reply.json({"id": "x_1"})) as api:
        yield api


@pytest.fixture
def home(tmp_path: Path, api: Loopback, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two connectors of a person's own, and the key to one of them in the environment."""
    for name in [name for name in os.environ if name.startswith("MCPGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MCPGATE_SHOP_KEY", SECRET)
    folder = tmp_path / "home" / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text(SHOP.replace("https://api.shop.example", api.url))
    (folder / "desk.yaml").write_text(DESK)
    return tmp_path / "home"


@pytest.fixture
def done(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command that has to succeed, as a person types it, and what it prints."""

    def run(*words: str) -> str:
        code, captured = main([*words]), capfd.readouterr()
        assert code == 0, captured.err
        return captured.out

    return run


@pytest.fixture
def create(done: Callable[..., str]) -> Callable[..., str]:
    """Makes an app and gives its key."""
    return lambda *words: str(json.loads(done("apps", "create", *words, "--json"))["key"])


@pytest.fixture
def billing(create: Callable[..., str]) -> str:
    return create("billing", "-c", "shop", "-p", "full-access", "--discovery")


@pytest.fixture
def gate(home: Path) -> Iterator[Gate]:
    with opened() as gate:
        yield gate


def kept(name: str = "billing") -> StoredApp:
    app = config().find(name)
    assert app is not None
    return app


# --- row 17: whoever has a key changes nothing -----------------------------------------------------------


def configuration() -> list[Any]:
    """All that a person configures, and its version."""
    there = config()
    changes = [each.row.says for each in sql_store().rows() if each.row.kind == "changed"]
    return [there.all(), there.account_policy(), there.freezes(), sql_store().version(), changes]


def test_nothing_that_a_key_opens_changes_the_configuration(billing: str, gate: Gate, home: Path) -> None:
    before, files = configuration(), sorted(home.rglob("*.yaml"))
    names = gate.tools(billing) | {"mcpgate_apps_create", "apps", "mcpgate_enable", "freeze", "thaw"}
    given = {"name": "billing", "app": "billing", "tool": "*", "policy": "policy: p\nallow: [read]\n"}
    for name in sorted(names):
        for arguments in ({}, NOTE, given):
            asked_for = request(1, "tools/call", name=name, arguments=arguments)
            assert gate.post(billing, asked_for).status == 200
    asked = ["initialize", "ping", "server/discover", "logging/setLevel", "completion/complete", "roots/list"]
    asked += ["prompts/list", "prompts/get", "resources/list", "resources/read", "resources/subscribe"]
    asked += ["tools/enable", "tools/disable", "tools/create", "apps/list", "admin/apps", "tasks/list"]
    for method in asked:
        gate.post(billing, request(1, method, **HANDSHAKE, **given))
        message, headers = enveloped(method, **given)
        gate.post(billing, message, **headers)
    for path in (
        "/mcp",
        "/healthz",
        "/readyz",
        "/metrics",
        "/apps",
        "/admin",
        "/api/apps/billing",
        "/policy",
    ):
        for method in METHODS:
            ask(gate.port, path, method, json.dumps(given), Authorization=f"Bearer {billing}")
    assert configuration() == before
    assert sorted(home.rglob("*.yaml")) == files


def test_there_is_no_other_door(gate: Gate) -> None:
    """What is served, whole: one endpoint for apps, and three that only tell."""
    guard = application(gate.apps, Names(80), version="1")
    assert isinstance(guard, Guard)
    served = guard._app
    assert isinstance(served, Starlette)
    routes = {route.path: route.methods for route in served.routes}  # type: ignore[attr-defined]
    assert isinstance(guard._entrance, Entrance), "it takes POST alone, see its own tests"
    assert routes == {path: {"GET", "HEAD"} for path in ("/healthz", "/readyz", "/metrics")}
    assert {"mcpgate_list_connectors", "mcpgate_tool_metadata"} == DISCOVERY_NAMES


def test_an_apps_key_is_nothing_to_a_person_who_changes_apps(billing: str) -> None:
    """Whoever runs commands needs the database, and a key says nothing but which app it is."""
    app = config().by_key(billing)
    assert app == kept()
    assert not {"admin", "scope", "scopes", "role", "owner"} & set(StoredApp.__slots__)


# --- row 23: a key that was stolen -----------------------------------------------------------------------


def rotate(done: Callable[..., str]) -> None:
    done("apps", "rotate", "billing")


def pause(done: Callable[..., str]) -> None:
    done("apps", "pause", "billing")


def expire(done: Callable[..., str]) -> None:
    config().replace(kept(), replace(kept(), expires=moment(time.time() - 1)), "so that it is over")


def delete(done: Callable[..., str]) -> None:
    done("apps", "delete", "billing", "--yes")


def make_again(done: Callable[..., str]) -> None:
    delete(done)
    done("apps", "create", "billing", "-c", "shop", "-p", "full-access")


ENDS = [rotate, pause, expire, delete, make_again]


@pytest.mark.parametrize("end", ENDS)
def test_a_key_ends_at_its_next_request(
    end: Callable[..., None], billing: str, gate: Gate, done: Callable[..., str]
) -> None:
    assert "shop_send_note" in gate.tools(billing)
    end(done)
    assert gate.post(billing, LIST).status == 401
    assert gate.post(billing, call("shop_send_note", **NOTE)).status == 401


@pytest.mark.parametrize("end", ENDS)
def test_a_key_that_ends_while_its_request_arrives_does_nothing(
    end: Callable[..., None], billing: str, gate: Gate, done: Callable[..., str], api: Loopback
) -> None:
    body = json.dumps(call("shop_send_note", **NOTE)).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{gate.port}\r\nAuthorization: Bearer {billing}\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gate.port), 10) as connection:
        connection.sendall(head.encode() + body[:-1])
        time.sleep(0.1)  # the headers are read, and the key was looked up
        end(done)
        connection.sendall(body[-1:])
        assert b" 401 " in connection.recv(65536).partition(b"\r\n")[0]
    assert not api.requests


def test_an_app_comes_to_its_end_in_the_middle_of_its_time(billing: str, gate: Gate) -> None:
    """Nobody changes anything: the clock alone ends it."""
    config().replace(kept(), replace(kept(), expires=moment(time.time() + 2)), "soon")
    assert gate.post(billing, LIST).status == 200
    time.sleep(2.1)
    assert gate.post(billing, LIST).status == 401


# --- row 34: another app's cache, list or counter --------------------------------------------------------


def test_a_tool_of_a_connector_that_is_not_granted_does_not_exist(
    billing: str, create: Callable[..., str], gate: Gate
) -> None:
    support = create("support", "-c", "desk", "--discovery")
    assert gate.tools(support) == {"desk_list_cases", *DISCOVERY_NAMES}
    unknown = gate.said(support, "shop_send_nope").replace("shop_send_nope", "NAME")
    assert gate.said(support, "shop_send_note").replace("shop_send_note", "NAME") == unknown
    for tool in (*DISCOVERY_NAMES, "desk_list_case"):
        assert "shop" not in gate.said(support, tool)
    told = gate.said(support, "mcpgate_tool_metadata", tool="shop_send_note")
    assert told.replace("shop_send_note", "NAME") == "There is no tool 'NAME' here"
    # another app's tools leave no trace where nothing was called
    assert "shop_send" not in gate.metrics.text().decode()


def test_what_one_app_may_and_has_used_is_no_other_apps(
    create: Callable[..., str], gate: Gate, tmp_path: Path, done: Callable[..., str]
) -> None:
    file = tmp_path / "few.yaml"
    file.write_text("policy: few\nguardrails:\n  - { for: write, rate_limit: { max: 2, per: day } }\n")
    words = ("-c", "shop", "-p", "full-access", "--rules", str(file))
    first, second = create("first", *words), create("second", *words)
    for key in (first, second):
        for passes in (True, True, False):
            assert (gate.said(key, "shop_send_note", **NOTE) == '{"id":"x_1"}') is passes
    done("apps", "disable", "first", "shop_list_orders")
    assert gate.tools(second) - gate.tools(first) == {"shop_list_orders"}
    # all together they are counted where the rule is for all
    file.write_text("policy: all\nguardrails:\n  - { for: delete, rate_limit: { max: 1, per: day } }\n")
    done("policy", "apply", str(file), "--yes")
    assert gate.said(first, "shop_delete_order", order="o") == '{"id":"x_1"}'
    assert "rate_limit" in gate.said(second, "shop_delete_order", order="o")


def test_a_listing_stays_what_it_is_whoever_is_shown_it(billing: str, gate: Gate) -> None:
    entered = gate.apps.enter(billing)
    assert entered is not None
    gate.tools(billing)
    listing = entered.listing()
    before = copy.deepcopy(listing)
    for method in ("tools/list", "server/discover"):
        message, headers = enveloped(method)
        gate.post(billing, message, **headers)
    for version in ("2024-11-05", "2025-11-25"):
        gate.post(billing, request(1, "initialize", **{**HANDSHAKE, "protocolVersion": version}))
        gate.post(billing, LIST, MCP_Protocol_Version=version)
    assert entered.listing() == before == listing


def test_a_slow_api_of_one_app_holds_up_no_other() -> None:
    async def ask_both() -> None:
        client = Client(lambda *_: Secret(SECRET), backoff=0)
        backend = HTTPBackend(client)
        asked, released = 0, asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            if b"slow" in await reader.readuntil(b"\r\n\r\n"):
                await released.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
            writer.close()

        async def read(status: str) -> None:
            planned = backend.prepare(there.tools["shop_list_orders"], {"status": status}, account)
            assert (await backend.send(planned, account, "")).fate == "succeeded"

        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=500)
        there = connector(SHOP, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        account = open_account(there, {})
        waiting = [asyncio.create_task(read("slow")) for _ in range(150)]
        async with asyncio.timeout(10):
            while asked < 100:
                await asyncio.sleep(0.02)
            await read("quick")
        released.set()
        await asyncio.gather(*waiting)
        await client.close()
        server.close()

    asyncio.run(ask_both())


# --- what a mask would tell ------------------------------------------------------------------------------


@pytest.mark.parametrize("as_name", [False, True])
def test_a_bridge_does_not_tell_a_good_guess_of_its_key_from_a_bad_one(as_name: bool) -> None:
    """An answer repeats what was asked: by how much of it is masked, a key could be had by letters."""

    async def ask_all(remote: Remote) -> set[str]:
        told = set()
        for text in (ELSEWHERE[:14].encode().hex(), (ELSEWHERE[:13] + "~").encode().hex()):
            outcome = await remote.call(f"echo{text}" if as_name else "echo", {"a": [{"b": f"x {text}"}]})
            told.add(outcome.text)
            assert outcome.is_error
        assert not (await remote.call("echo", {"a": "x"})).is_error
        await remote.close()
        return told

    with MCPServer() as there:
        remote = Remote(there.url, Secret(ELSEWHERE), Scrubber(), "1")
        told = asyncio.run(ask_all(remote))
        assert len(told) == 1
        assert "***" not in told.pop()
        assert there.methods.count("tools/call") == 1


def test_no_mask_tells_a_good_guess_of_a_credential_from_a_bad_one(
    billing: str, create: Callable[..., str], gate: Gate, api: Loopback
) -> None:
    """Not to the app whose credential it is, nor to another one."""
    support = create("support", "-c", "desk", "--discovery")
    assert gate.said(billing, "shop_send_note", **NOTE) == '{"id":"x_1"}'
    for key, tool in (
        (billing, "shop_send_note"),
        (billing, "mcpgate_tool_metadata"),
        (support, "desk_list_cases"),
        (support, "mcpgate_tool_metadata"),
    ):
        told = set()
        for text in (SECRET[:14], SECRET[:13] + "~"):
            for form in (text, text.encode().hex(), ",".join(str(ord(char)) for char in text)):
                told.add(gate.said(key, tool, **{form: 1}))
                told.add(gate.said(key, tool, to=form, tool=form))
        assert len(told) == 1, told
        assert "***" not in told.pop()
    assert len(api.requests) == 1


def test_an_app_that_is_moved_into_the_sandbox_calls_nothing_real_and_frees_nothing(
    billing: str, gate: Gate, api: Loopback
) -> None:
    api.then(Reply(501))
    assert "is sent under the same" in gate.post(billing, call("shop_send_note", **NOTE)).text
    for moved in (True, False):
        config().replace(kept(), replace(kept(), sandbox=moved), "as apps apply does it")
        before = len(api.requests)
        assert gate.post(billing, call("shop_create_order", amount=1, currency="usd")).status == 200
        assert len(api.requests) - before == (not moved)
        if moved:
            gate.said(billing, "shop_send_note", **NOTE)
            assert len(api.requests) == 1
    states = [(entry.tool, entry.state, entry.sandbox) for entry in sql_store().ledger()]
    assert ("shop_send_note", "unknown", False) in states
    assert ("shop_send_note", "settled", True) in states


# --- row 33: texts in tables and labels ------------------------------------------------------------------


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\uff1d"])
@pytest.mark.parametrize("between", [";", "; ", ";\xa0", ";;"])
def test_no_cell_is_a_formula_where_semicolons_separate_cells(
    lead: str, between: str, done: Callable[..., str]
) -> None:
    store = sql_store()
    says = f"a{between}{lead}1+1{between}b"
    with store.transaction() as transaction:
        transaction.write(Row(1.0, "changed", "", "billing", "", "", "", "", says=says))
    store.close()
    out = done("activity", "export", "--format", "csv")
    for separator in (",", ";"):
        for cells in csv.reader(io.StringIO(out), delimiter=separator):
            assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]


def test_a_label_is_no_word_of_an_agent(billing: str, gate: Gate) -> None:
    for name in ('x"} 1', "shop_send_note\n", "=cmd", "shop_" + "y" * 99, "\u202eshop"):
        gate.post(billing, call(name, text='"} 1\nfake{a="'))
    gate.post(billing, call("shop_send_note", **{'x"} 1\nfake': 1}))
    lines = [line for line in gate.metrics.text().decode().splitlines() if line.startswith("mcpgate_calls")]
    assert len(lines) == 1
    assert 'tool="shop_send_note"' in lines[0]
