"""The clients people use, against a real process: the SDK's in Python and TypeScript, and the Inspector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.subscriptions import ToolsListChanged

from tests.server.example_server import LISTING
from tests.server.process import EXAMPLE, ROOT
from tests.standins.processes import NODE_TOOLS, node_missing

Mode = Literal["legacy", "auto", "2026-07-28"]
MODES: list[Mode] = ["legacy", "auto", "2026-07-28"]
VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
RUN = [str(Path(sys.executable).with_name("mcpgate")), "run", "stripe", "--preset", "transact", "--sandbox"]


def server(command: list[str] = EXAMPLE, **env: str) -> StdioServerParameters:
    return StdioServerParameters(command=command[0], args=command[1:], cwd=ROOT, env=env)


def text(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("mode", MODES)
def test_the_python_client(mode: Mode) -> None:
    async def talk() -> None:
        news: list[Any] = []

        async def heard(message: Any) -> None:
            news.append(message)

        async with Client(server(), mode=mode, message_handler=heard, read_timeout_seconds=10) as client:
            assert client.protocol_version == VERSIONS[mode]
            tools = (await client.list_tools()).tools
            assert [t.model_dump(by_alias=True, exclude_none=True) for t in tools] == LISTING["tools"]
            assert json.loads(text(await client.call_tool("shop_get_item", {"item": "é"})))["item"] == "é"
            if mode != "2026-07-28":  # a pinned client asks for nothing first
                assert client.server_info
                assert (client.server_info.name, client.server_info.version) == ("mcpgate", "1.2.3")
                assert client.instructions == LISTING["instructions"]
                assert client.server_capabilities.tools
                assert client.server_capabilities.tools.list_changed is True

            denied = await client.call_tool("shop_get_item", {"item": "7", "deny": "too much"})
            assert denied.is_error
            assert denied.structured_content == {"denied": "too much", "at": [1, None]}
            with pytest.raises(MCPError) as unknown:
                await client.call_tool("no_such", {})
            assert unknown.value.error.code == -32602

            found: list[str] = []

            async def call(number: int) -> None:
                found.append(text(await client.call_tool("shop_get_item", {"item": str(number)})))

            async with anyio.create_task_group() as group:
                for number in range(50):
                    group.start_soon(call, number)
            assert {json.loads(item)["item"] for item in found} == {str(number) for number in range(50)}

            with anyio.move_on_after(0.1):
                await client.call_tool("shop_get_item", {"item": "7", "sleep": 30})
            assert text(await client.call_tool("shop_get_item", {"item": "8"}))

            if mode == "legacy":
                with pytest.warns(MCPDeprecationWarning):
                    await client.send_ping()
                await client.call_tool("shop_get_item", {"item": "7", "rename": "Find item"})
                await anyio.sleep(0.05)
                assert "notifications/tools/list_changed" in [getattr(n, "method", None) for n in news]
            else:
                async with client.listen(tools_list_changed=True) as stream:
                    await client.call_tool("shop_get_item", {"item": "7", "rename": "Find item"})
                    with anyio.fail_after(5):
                        async for event in stream:
                            assert event == ToolsListChanged()
                            break
            tools = (await client.list_tools()).tools
            assert tools[0].title == "Find item"

    anyio.run(talk)


@pytest.mark.parametrize("mode", MODES)
def test_the_python_client_and_the_real_command(mode: Mode, tmp_path: Path) -> None:
    async def talk() -> None:
        for _ in range(2):  # the second time from the saved listing
            async with Client(server(RUN, MCPGATE_HOME=str(tmp_path)), mode=mode) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
                assert len(names) == 13
                assert "stripe_create_refund" not in names
                customer = await client.call_tool("stripe_get_customer", {"customer": "cus_QXg1o8vcGmoR32"})
                assert not customer.is_error
                assert json.loads(text(customer))["id"].startswith("cus_")
                refused = await client.call_tool("stripe_get_customer", {"customer": "../charges"})
                assert refused.is_error
        assert list((tmp_path / "cache").iterdir())

    anyio.run(talk)


# --- from npm --------------------------------------------------------------------------------------------


def node(package: str, *words: str, script: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Runs node where its packages are."""
    if reason := node_missing(package):
        pytest.skip(reason)
    return subprocess.run(
        ["node", *words],
        cwd=NODE_TOOLS,
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )


def typescript(kind: str, command: list[str], **env: str) -> dict[str, Any]:
    package = "@modelcontextprotocol/sdk" if kind == "v1" else "@modelcontextprotocol/client"
    script = Path(__file__).with_name("client.mjs").read_text()
    done = node(package, "--input-type=module", "-", kind, str(ROOT), *command, script=script, **env)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


@pytest.mark.parametrize(
    ("kind", "era"), [("v1", "legacy"), ("legacy", "legacy"), ("auto", "modern"), ("modern", "modern")]
)
def test_the_typescript_clients(kind: str, era: str) -> None:
    said = typescript(kind, EXAMPLE)
    assert said["errors"] == []
    assert said["era"] == era
    assert said["server"] == {"name": "mcpgate", "version": "1.2.3"}
    assert said["capabilities"] == {"tools": {"listChanged": True}}
    assert said["instructions"] == LISTING["instructions"]
    assert said["tools"] == LISTING["tools"]
    assert json.loads(said["item"]["content"][0]["text"])["item"] == "é"
    assert said["denied"]["isError"] is True
    assert said["denied"]["structuredContent"] == {"denied": "too much", "at": [1, None]}
    assert said["unknown"]["code"] == -32602
    assert said["together"] == [str(number) for number in range(50)]
    assert "enough" in said["cancelled"]
    assert json.loads(said["after"]["content"][0]["text"])["item"] == "8"
    assert said["closed"] < 1000
    assert said["alive"] is False


def inspector(command: list[str], *words: str, home: Path) -> tuple[int, Any]:
    launcher = NODE_TOOLS / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    options = ["--cli", *command, "--cwd", str(ROOT), "--format", "json", *words]
    done = node(
        "@modelcontextprotocol/inspector", str(launcher), *options, HOME=str(home), MCPGATE_HOME=str(home)
    )
    return done.returncode, json.loads(done.stdout or "null")


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector(era: str, tmp_path: Path) -> None:
    def inspect(*words: str) -> tuple[int, Any]:
        return inspector(EXAMPLE, "--protocol-era", era, *words, home=tmp_path)

    code, said = inspect("--method", "tools/list", "--strict")
    assert (code, said["result"]["tools"]) == (0, LISTING["tools"])
    call = ("--method", "tools/call", "--tool-name", "shop_get_item", "--tool-arg", "item=a7")
    code, said = inspect(*call)
    assert (code, json.loads(said["result"]["content"][0]["text"])["item"]) == (0, "a7")
    code, said = inspect(*call, "deny=no")
    assert (code, said["result"]["isError"]) == (5, True)


def test_the_inspector_and_the_real_command(tmp_path: Path) -> None:
    code, said = inspector(RUN, "--method", "tools/list", "--strict", home=tmp_path)
    assert (code, len(said["result"]["tools"])) == (0, 13)
    call = (
        "--method",
        "tools/call",
        "--tool-name",
        "stripe_get_customer",
        "--tool-arg",
        "customer=cus_QXg1o8vcGmoR32",
    )
    code, said = inspector(RUN, *call, home=tmp_path)
    assert code == 0
    assert json.loads(said["result"]["content"][0]["text"])["id"].startswith("cus_")
