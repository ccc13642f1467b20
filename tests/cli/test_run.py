"""`mcpgate run`: what is imported before the first answers, and the saved toolset behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from mcpgate import saved

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
RUN = ["run", "stripe", "--preset", "transact", "--sandbox"]


SPY = """
import os, sys
write = os.write
def spy(descriptor, data):
    if b'"tools":[' in data:
        write(2, "\\n".join(sys.modules).encode())
    return write(descriptor, data)
os.write = spy
from mcpgate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""

# what is there once calls can be made, and before there was one
LOADED = """
import os, sys
from mcpgate.cli import execution
load = execution.gateway_of
def spy(words):
    gateway = load(words)
    os.write(2, "\\n".join(sys.modules).encode())
    return gateway
execution.gateway_of = spy
from mcpgate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def converse(
    words: list[str], *messages: dict[str, Any], home: Path, start: tuple[str, ...] = ("-m", "mcpgate")
) -> Any:
    """Everything a server says to a file of messages."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "MCPGATE_HOME": str(home / "mcpgate")}
    with tempfile.TemporaryFile("w+") as file:
        file.writelines(json.dumps(message) + "\n" for message in messages)
        file.seek(0)
        return subprocess.run(
            [sys.executable, *start, *words],
            stdin=file,
            capture_output=True,
            text=True,
            env=environment,
            timeout=30,
            check=False,
        )


def answers(done: Any) -> dict[int, dict[str, Any]]:
    return {message["id"]: message for message in map(json.loads, done.stdout.splitlines())}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 3,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }


def test_thirteen_tools_and_a_customer(tmp_path: Path) -> None:
    done = converse(
        RUN, INITIALIZE, LIST, call("stripe_get_customer", customer="cus_QXg1o8vcGmoR32"), home=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = answers(done)
    assert len(found[2]["result"]["tools"]) == 13
    assert json.loads(found[3]["result"]["content"][0]["text"])["id"].startswith("cus_")
    assert "structuredContent" not in found[3]["result"]


def test_nothing_heavy_is_imported_before_the_tools_are_listed(tmp_path: Path) -> None:
    assert converse(RUN, INITIALIZE, LIST, home=tmp_path).returncode == 0
    # the second start finds the saved toolset
    done = converse(RUN, INITIALIZE, LIST, home=tmp_path, start=("-c", SPY))
    assert len(answers(done)[2]["result"]["tools"]) == 13
    imported = set(done.stderr.split())
    own = {name for name in imported if name.split(".")[0] == "mcpgate"}
    assert own <= {
        "mcpgate",
        "mcpgate.__main__",
        "mcpgate.saved",
        "mcpgate.paths",
        "mcpgate.server",
        "mcpgate.server.stdio",
        "mcpgate.server.lines",
        "mcpgate.server.messages",
    }
    heavy = {
        "asyncio",
        "dataclasses",
        "httpx2",
        "jsonschema",
        "mcp",
        "pathlib",
        "re2",
        "rich",
        "typer",
        "typing",
        "yaml",
    }
    assert not heavy & imported


def test_what_a_gateway_is_loaded_with_needs_no_library_that_it_does_not_use(tmp_path: Path) -> None:
    """Each of these takes megabytes, and every client keeps a gateway of its own."""
    words = ["run", "stripe", "--preset", "transact"]
    for _ in range(2):
        # the tables are made in the first start
        done = converse(words, INITIALIZE, LIST, call("stripe_get_balance"), home=tmp_path)
    done = converse(words, INITIALIZE, LIST, call("stripe_get_balance"), home=tmp_path, start=("-c", LOADED))
    assert "MCPGATE_STRIPE_KEY" in answers(done)[3]["result"]["content"][0]["text"]
    loaded = set(done.stderr.split())
    assert {"mcpgate.gateway", "mcpgate.cli.serving", "jsonschema", "yaml"} <= loaded
    assert not loaded & {
        *("anyio", "httpcore2", "httpx2", "jinja2", "keyring", "mcp", "prometheus_client", "pydantic"),
        *("rich", "sqlalchemy", "starlette", "typer", "uvicorn"),
        "mcpgate.cli.commands",
    }


def test_a_poisoned_cache_lifts_no_rule(tmp_path: Path) -> None:
    converse(RUN, INITIALIZE, LIST, home=tmp_path)
    (file,) = (tmp_path / "mcpgate" / "cache").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    content = json.loads(file.read_text())
    content["listing"]["tools"] = [{"name": "stripe_create_refund", "inputSchema": {"type": "object"}}]
    file.write_text(json.dumps(content))
    done = converse(RUN, INITIALIZE, LIST, call("stripe_create_refund", charge="ch_1"), home=tmp_path)
    found = answers(done)
    assert [tool["name"] for tool in found[2]["result"]["tools"]] == ["stripe_create_refund"]
    assert found[3]["result"]["isError"] is True
    assert "Denied by preset" in found[3]["result"]["content"][0]["text"]


def test_the_saved_toolset_holds_only_as_long_as_its_files_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_HOME", str(tmp_path / "home"))
    file = tmp_path / "a.yaml"
    file.write_text("x")
    words = ["run", "a"]
    assert saved.find(words) is None
    saved.save(words, [str(file)], {"tools": []})
    assert saved.find(words) == {"tools": []}
    assert saved.find(["run", "b"]) is None
    file.write_text("y")
    assert saved.find(words) is None
    saved.save(words, [str(file)], {"tools": []})
    (tmp_path / "home" / "presets").mkdir()
    (tmp_path / "home" / "presets" / "read-only.yaml").write_text("preset: read-only\nallow: [write]\n")
    assert saved.find(words) is None


def test_an_own_file_with_a_shipped_name_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "mcpgate" / "presets"
    folder.mkdir(parents=True)
    (folder / "read-only.yaml").write_text("preset: read-only\nallow: [write]\n")
    done = converse(RUN, INITIALIZE, LIST, home=tmp_path)
    assert done.returncode == 3
    assert "'read-only' is the name of one of the shipped presets" in done.stderr
    assert done.stdout == ""


def test_without_a_credential_it_lists_and_a_call_says_what_to_do(tmp_path: Path) -> None:
    done = converse(["run", "stripe"], INITIALIZE, LIST, call("stripe_get_balance"), home=tmp_path)
    found = answers(done)
    assert len(found[2]["result"]["tools"]) == 8
    assert found[3]["result"]["isError"] is True
    assert "A person has to set MCPGATE_STRIPE_KEY" in found[3]["result"]["content"][0]["text"]


def test_several_connectors_each_under_its_preset(tmp_path: Path) -> None:
    shop = tmp_path / "shop.yaml"
    shop.write_text(
        "connector: shop\nbase_url: https://shop.example\ntools:\n"
        "  shop_list_orders: { description: Orders., category: read, request: GET /orders }\n"
        "  shop_create_order: { description: Order., category: write, request: POST /orders, effects: [] }\n"
    )
    words = ["run", "stripe", str(shop), "--preset", "shop=transact", "--sandbox"]
    names = [
        tool["name"]
        for tool in answers(converse(words, INITIALIZE, LIST, home=tmp_path))[2]["result"]["tools"]
    ]
    assert "shop_create_order" in names
    assert "stripe_create_charge" not in names
    assert len(names) == 10


def test_an_app_is_listed_whole_at_once_and_from_what_was_saved(tmp_path: Path) -> None:
    made = ["apps", "create", "desk", "--connector", "stripe", "--preset", "read-only", "--sandbox"]
    assert converse([*made, "--discovery"], home=tmp_path).returncode == 0
    ask = call("mcpgate_tool_metadata", tool="stripe_get_balance")
    for _ in range(2):
        found = answers(converse(["run", "--app", "desk"], INITIALIZE, LIST, ask, home=tmp_path))
        names = [tool["name"] for tool in found[2]["result"]["tools"]]
        assert len(names) == 10
        assert names[-2:] == ["mcpgate_list_connectors", "mcpgate_tool_metadata"]
        assert '"risk":"low"' in found[3]["result"]["content"][0]["text"]
