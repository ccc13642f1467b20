"""The protocol's own conformance suites, of both eras, against the server as it is.

What they ask of prompts, resources and the like is listed, with the reason, in
`conformance/not_applying-*.yaml`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.server.http import application
from mcpgate.server.web.changes import Changes
from mcpgate.server.web.door import Limits
from mcpgate.server.web.guard import Names
from mcpgate.server.web.listening import Service, bind
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import LiveToolset
from mcpgate.values import Outcome
from tests.policy.shop import EVERYTHING, connector, policy
from tests.server.http_apps import key_of
from tests.standins.loopback import Captured, Loopback, Reply
from tests.standins.processes import NODE_TOOLS, node_missing

HERE = Path(__file__).with_name("conformance")
NODE = NODE_TOOLS / "node_modules/node/bin/node"


class Everyone:
    """A door that stands open: one app, whoever comes."""

    name = "conformance"

    def __init__(self, origin: str) -> None:
        self.changes = 0
        texts = [HERE.joinpath(f"{name}.yaml").read_text() for name in ("test", "json")]
        accounts = [
            open_account(connector(text.replace("https://conformance.example", origin)), {}) for text in texts
        ]
        grants = tuple(Grant(account, policy(EVERYTHING)) for account in accounts)

        def build() -> App:
            switches = (policy("deny: [test_that_comes_and_goes]\n"),) if self.changes % 2 else ()
            return App(self.name, grants, switches=switches)

        toolset = LiveToolset(lambda: self.changes, build, lambda: True)
        client = Client(lambda *_: Secret("conformance"))
        self._gateway = Gateway(toolset, HTTPBackend(client), MemoryStore(), Scrubber())

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        outcome = await self._gateway.call(name, arguments)
        self.changes += name == "test_trigger_tool_change"
        return outcome

    def enter(self, key: str) -> Any:
        return self if key == key_of(self.name) else None

    def listing(self) -> Any:
        return self._gateway.listing()

    def ready(self) -> str:
        return ""

    async def close(self) -> None:
        await self._gateway.close()


def answer(asked: Captured) -> Reply:
    if asked.path.endswith("/error"):
        return Reply.json({"message": "This tool intentionally returns an error for testing"}, 400)
    return Reply.json("This is a simple text response for testing.")


@contextmanager
def serving() -> Iterator[str]:
    """The URL of a server that adds the key itself: the suites have none."""
    with Loopback(otherwise=answer) as api:
        listener = bind("127.0.0.1", 0)
        port, changes, limits = listener.getsockname()[1], Changes(), Limits()
        app = application(Everyone(api.url), Names(port), version="1.2.3", changes=changes, limits=limits)

        async def opened(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                key = (b"authorization", f"Bearer {key_of(Everyone.name)}".encode())
                scope["headers"] = [*scope["headers"], key]
            await app(scope, receive, send)

        service = Service(opened, limits, changes.close)
        thread = threading.Thread(target=lambda: asyncio.run(service.serve(sockets=[listener])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            service.should_exit = True
            thread.join(30)


@pytest.mark.parametrize(
    ("suite", "flags", "passing"),
    [
        ("2025-11-25", ["--suite", "active"], {"server-initialize", "ping"}),
        ("2026-07-28", ["--requirements", "2026-07-28"], {"http-header-validation"}),
    ],
)
def test_every_scenario_that_applies_passes(
    suite: str, flags: list[str], passing: set[str], tmp_path: Path
) -> None:
    if reason := node_missing(f"conformance-{suite}"):
        pytest.skip(reason)
    if not NODE.exists():
        pytest.skip("the suites need a newer node: run `npm ci` in tests/node")
    program = NODE_TOOLS / f"node_modules/conformance-{suite}/dist/index.js"
    with serving() as url:
        done = subprocess.run(
            [NODE, program, "server", "--url", url, *flags, "--output-dir", tmp_path],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )
    found = checks(tmp_path)
    assert found, done.stderr
    failing = {name: {check["id"] for check in each if failed(check)} for name, each in found.items()}
    expected = yaml.safe_load(HERE.joinpath(f"not_applying-{suite}.yaml").read_text())
    scenarios = {name for group in expected for name in group.get("scenarios", ())}
    single = {name for group in expected for name in group.get("checks", ())}
    faults = {name: ids - single for name, ids in failing.items() if name not in scenarios}
    assert {name: ids for name, ids in faults.items() if ids} == {}
    stale = scenarios - {name for name, ids in failing.items() if ids}
    assert stale | (single - set().union(*failing.values())) == set(), "it is listed, and passes"
    whole = {name for name, ids in failing.items() if not ids}
    assert whole >= passing | {
        "tools-list",
        "tools-call-simple-text",
        "tools-call-error",
        "dns-rebinding-protection",
    }


def failed(check: dict[str, Any]) -> bool:
    return check["status"] in ("FAILURE", "WARNING")


def checks(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What was checked, by scenario: each has a folder called `server-SCENARIO-MOMENT`."""
    found = {}
    for file in folder.glob("server-*/checks.json"):
        name = re.sub(r"-\d{4}-\d\d-\d\dT.*", "", file.parent.name).removeprefix("server-")
        found[name] = json.loads(file.read_text())
    return found
