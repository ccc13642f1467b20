"""`mcpgate run --url` as its clients see it: a process on stdio, and a server elsewhere behind it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.shared.subscriptions import ToolsListChanged

from tests.cli.conftest import Run
from tests.engine.mcp_server import KEY, MCPServer, until
from tests.server import http_apps
from tests.server.process import INITIALIZE, OPENING, ROOT, Server, modern, request, text
from tests.standins.loopback import Loopback, Reply

Mode = Literal["legacy", "auto", "2026-07-28"]
RUN = [sys.executable, "-m", "mcpgate", "run", "--url"]


def server(url: str, key: str = KEY, **env: str) -> StdioServerParameters:
    command = [*RUN, url]
    return StdioServerParameters(
        command=command[0], args=command[1:], cwd=ROOT, env={"MCPGATE_APP_KEY": key, **env}
    )


# --- the SDK's clients -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("era", "mode"),
    [
        ("both", "legacy"),
        ("both", "auto"),
        ("both", "2026-07-28"),
        ("old", "2026-07-28"),
        ("sessions", "legacy"),
        ("sessions", "auto"),
    ],
)
def test_a_client_and_a_server_of_any_era(era: str, mode: Mode) -> None:
    async def talk(there: MCPServer) -> None:
        news: list[Any] = []

        async def heard(message: Any) -> None:
            news.append(getattr(message, "method", None))

        stdio = server(there.url)
        async with Client(stdio, mode=mode, message_handler=heard, read_timeout_seconds=20) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == ["echo"]
            if mode != "2026-07-28":
                assert client.instructions == "Ask first."
            called = await client.call_tool("echo", {"a": "é"})
            assert [block.text for block in called.content] == ['{"a": "é"}']  # type: ignore[union-attr]
            denied = await client.call_tool("echo", {"deny": "no"})
            assert denied.is_error
            assert denied.structured_content == {"reason": "no", "key": "***"}
            assert [block.type for block in denied.content] == ["text", "text"]
            with pytest.raises(MCPError, match="Unknown tool: other") as unknown:
                await client.call_tool("other", {})
            assert unknown.value.error.code == -32602
            with anyio.move_on_after(0.2):
                await client.call_tool("echo", {"sleep": 30})
            await anyio.to_thread.run_sync(until, lambda: there.cancelled == 1)
            if era == "both" and mode != "legacy":
                async with client.listen(tools_list_changed=True) as stream:
                    there.publish("a", "b")
                    with anyio.fail_after(10):
                        async for event in stream:
                            assert event == ToolsListChanged()
                            break
            elif era == "both":
                there.publish("a", "b")
                with anyio.fail_after(10):
                    while "notifications/tools/list_changed" not in news:
                        await anyio.sleep(0.05)
            if era == "both":
                assert [tool.name for tool in (await client.list_tools()).tools] == ["a", "b"]

    with MCPServer(era) as there:
        anyio.run(talk, there)
    assert there.methods.count("tools/call") == 4
    assert ("DELETE" in there.methods) is (era == "sessions")


@pytest.fixture
def apps() -> Iterator[http_apps.Running]:
    """Apps of `mcpgate serve`, over an API that answers everything."""
    with (
        Loopback(otherwise=Reply.json({"id": "x_1"})) as api,
        http_apps.running(http_apps.Apps(api.url, "billing")) as running,
    ):
        yield running


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_an_app_of_a_gate_elsewhere(apps: http_apps.Running, mode: Mode) -> None:
    key = http_apps.key_of("billing")

    async def talk() -> None:
        async with Client(server(apps.url, key), mode=mode, read_timeout_seconds=20) as client:
            offered = apps.apps.gates[key].listing()["tools"]
            tools = (await client.list_tools()).tools
            assert [tool.model_dump(by_alias=True, exclude_none=True) for tool in tools] == offered
            refused = await client.call_tool(tools[0].name, {"no such": 1})
            assert refused.is_error
            assert "no such" in refused.content[0].text  # type: ignore[union-attr]
            apps.apps.change("billing", f"deny: [{tools[0].name}]")
            with anyio.fail_after(10):
                while len((await client.list_tools()).tools) == len(tools):
                    await anyio.sleep(0.1)
            apps.apps.revoke("billing")
            ended = await client.call_tool(tools[1].name, {})
            assert ended.is_error
            assert "refuses the app key (401)" in ended.content[0].text  # type: ignore[union-attr]
            assert key[8:20] not in str(ended)

    anyio.run(talk)


# --- the wire --------------------------------------------------------------------------------------------


def call(request_id: Any, **arguments: Any) -> dict[str, Any]:
    return request(request_id, "tools/call", name="echo", arguments=arguments)


def bridged(url: str, **env: str) -> Server:
    return Server(command=[*RUN, url], env={"MCPGATE_APP_KEY": KEY, **env})


def test_calls_side_by_side_and_an_end_at_once(home: Path) -> None:
    with MCPServer() as there, bridged(there.url) as here:
        here.ask(INITIALIZE)
        here.send(OPENING[1], *(call(number, n=number) for number in range(1, 31)))
        answers = {(said := here.receive())["id"]: json.loads(text(said))["n"] for _ in range(30)}
        assert answers == {number: number for number in range(1, 31)}
        here.send(call("long", sleep=30))
        until(lambda: there.methods.count("tools/call") == 31)
        time.sleep(0.1)
        here.stdin.close()
        code, seconds = here.ends(5)
        assert (code, here.stderr()) == (0, "")
        assert seconds < 2
        until(lambda: there.cancelled == 1)


def test_a_server_that_goes_and_comes_back(home: Path) -> None:
    with MCPServer() as there, bridged(there.url) as here:
        port = there.port
        assert "result" in here.ask(modern(1, "tools/list"))
        here.send(modern(2, "tools/call", name="echo", arguments={"sleep": 30}))
        until(lambda: "tools/call" in there.methods)
        there.__exit__()
        lost = here.receive(20)
        assert lost["result"]["isError"] is True
        assert "is not known" in text(lost)
        gone = here.ask(modern(3, "tools/call", name="echo", arguments={}))
        assert f"There is no connection to http://127.0.0.1:{port}" in text(gone)
        assert "Nothing was done." in text(gone)
        with MCPServer(port=port) as again:
            back = here.ask(modern(4, "tools/call", name="echo", arguments={"a": 1}))
            assert text(back) == '{"a": 1}'
            assert again.methods.count("tools/call") == 1
        assert KEY not in here.stderr()


# --- what is wrong at the start --------------------------------------------------------------------------


def test_no_key(mcpgate: Run) -> None:
    ran = mcpgate("run", "--url", "https://gate.example.com/mcp")
    assert (ran.code, ran.out) == (4, "")
    assert "There is no app key." in ran.err
    assert "MCPGATE_APP_KEY" in ran.err


def test_a_key_that_is_refused(mcpgate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGATE_APP_KEY", KEY)
    with MCPServer() as there:
        there.key = "mgw_another"
        ran = mcpgate("run", "--url", there.url)
    assert (ran.code, ran.out) == (4, "")
    assert f"http://127.0.0.1:{there.port} refuses the app key (401)" in ran.err
    assert KEY[4:16] not in ran.err


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("http://127.0.0.1:9/mcp", 1, "There is no connection to http://127.0.0.1:9"),
        ("http://gate.example.com/mcp", 2, "Use https"),
        (f"https://{KEY}@gate.example.com/mcp", 2, "--url holds a user or a password."),
        (f"https://gate.example.com/mcp?key={KEY}", 2, "--url holds more than an address."),
    ],
)
def test_an_address_that_cannot_be_used(
    mcpgate: Run, monkeypatch: pytest.MonkeyPatch, url: str, code: int, says: str
) -> None:
    monkeypatch.setenv("MCPGATE_APP_KEY", KEY)
    ran = mcpgate("run", "--url", url)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert KEY not in ran.err


def test_a_server_that_speaks_something_else(mcpgate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGATE_APP_KEY", KEY)
    with Loopback(otherwise=Reply(200, b"<html>\x1b[2J Hello", {"Content-Type": "text/html"})) as there:
        ran = mcpgate("run", "--url", there.url)
    assert (ran.code, ran.out) == (1, "")
    assert "no message of MCP" in ran.err
    assert "\x1b" not in ran.err


# --- the key in a file -----------------------------------------------------------------------------------


@pytest.fixture
def key_file(mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "app.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    monkeypatch.setenv("MCPGATE_APP_KEY_FILE", str(file))
    return file


def test_a_key_file(key_file: Path) -> None:
    with MCPServer() as there:
        env = {"MCPGATE_APP_KEY_FILE": str(key_file)}
        with Server(command=[*RUN, there.url], env=env) as here:
            assert "result" in here.ask(modern(1, "tools/list"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's own folders closed")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_file_that_is_open_to_others(mcpgate: Run, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    ran = mcpgate("run", "--url", "https://gate.example.com/mcp")
    assert (ran.code, ran.out) == (4, "")
    assert f"The app key file {key_file} is open to other users." in ran.err
    assert KEY not in ran.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "is no app key"),
        (b"\xff" * 50, "is no app key"),
        (b"k" * 9999, "4096"),
    ],
)
def test_a_key_file_that_holds_none(mcpgate: Run, key_file: Path, content: bytes | None, says: str) -> None:
    if content is None:
        key_file.unlink()
    else:
        key_file.write_bytes(content)
    ran = mcpgate("run", "--url", "https://gate.example.com/mcp")
    assert (ran.code, ran.out) == (4, "")
    assert says in ran.err
    assert "kkkk" not in ran.err


def test_two_keys(mcpgate: Run, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGATE_APP_KEY", KEY)
    ran = mcpgate("run", "--url", "https://gate.example.com/mcp")
    assert (ran.code, ran.out) == (2, "")
    assert "are both set" in ran.err
