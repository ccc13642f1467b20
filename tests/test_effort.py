"""How much is done per call, counted and not clocked: what is done per load is not done again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import mcpgate
from mcpgate import catalog, json_schema
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.gateway import Gateway
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.secrets import Scrubber
from mcpgate.store.database import Database
from mcpgate.store.sql import SQLStore
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Connector, Policy
from tests.spec.files import connector, policy
from tests.standins.library import Library

PACKAGE = Path(mcpgate.__file__).parent
RULE = "  - { for: [read, write], max_value: { field: amount, max: 900 }, when_missing: allow }\n"
ORDER = {"amount": 5, "currency": "usd"}
PRESET = "preset: p\nallow: [read, write]\n"

SHOP = """\
connector: shop
base_url: https://api.example.com
tools:
"""
TOOL = """\
  shop_make_{n}:
    description: Makes one.
    category: write
    effects: [money_in]
    request: POST /orders/{n}
    params:
      amount: {{ type: integer, minimum: 1 }}
      currency: {{ type: string, enum: [usd, eur] }}
    required: [amount, currency]
    money: {{ amount: amount, currency: currency }}
    sample: {{ id: o_1 }}
"""


def shop(tools: int) -> Connector:
    return connector(SHOP + "".join(TOOL.format(n=n) for n in range(tools)))


def toolset(tools: int = 1, rules: int = 0) -> Toolset:
    own: tuple[Policy, ...] = (policy(f"policy: own\nguardrails:\n{RULE * rules}"),) if rules else ()
    grant = Grant(open_account(shop(tools), {}), policy(PRESET))
    return build_toolset(App("effort", (grant,), rules=own))


def answer(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={"id": "o_1"})


class Effort:
    """A gateway over one answer and a database, and what one call of it takes."""

    def __init__(self, folder: Path, found: Toolset) -> None:
        self.store = SQLStore(Database(str(folder / "mcpgate.db")))
        client = Client(lambda *_: None, Library(httpx2.MockTransport(answer)), at_once=lambda *_: None)
        self.gateway = Gateway(found, HTTPBackend(client), self.store, Scrubber())

    def call(self) -> None:
        outcome = asyncio.run(self.gateway.call("shop_make_0", dict(ORDER)))
        assert not outcome.is_error, outcome.text


def calls_in(step: Any) -> int:
    """How many Python functions of mcpgate a step calls."""
    count = 0

    def seen(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and PACKAGE in Path(frame.f_code.co_filename).parents

    sys.setprofile(seen)
    try:
        step()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture
def effort(tmp_path: Path) -> Iterator[Effort]:
    made = Effort(tmp_path, toolset(rules=10))
    made.call()
    yield made
    made.store.close()


def test_no_validator_is_built_per_call(effort: Effort, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[object] = []
    real = json_schema.build_validator

    def build(schema: Any) -> Any:
        built.append(schema)
        return real(schema)

    monkeypatch.setattr(json_schema, "build_validator", build)
    for _ in range(3):
        effort.call()
    assert built == []


def test_a_call_costs_the_same_among_a_thousand_tools(tmp_path: Path) -> None:
    costs = []
    for tools in (15, 1000):
        made = Effort(tmp_path / str(tools), toolset(tools))
        made.call()
        costs.append(calls_in(made.call))
        made.store.close()
    assert costs[0] == costs[1]
    # 260 when this was written
    assert costs[0] <= 280


def test_a_decision_takes_a_few_calls_for_each_rule() -> None:
    costs = []
    for rules in (0, 50):
        entry = toolset(rules=rules).find("shop_make_0")
        call = Call(entry.tool, ORDER, now=0.0)
        costs.append(calls_in(lambda entry=entry, call=call: decide(entry.bound, call)))
    assert costs[0] <= 8
    # 4 for each when this was written
    assert costs[1] - costs[0] <= 50 * 5


def test_a_write_asks_the_database_so_often_and_no_more(effort: Effort) -> None:
    said: list[str] = []
    with effort.store.transaction() as transaction:
        connection = transaction.connection
    connection.set_trace_callback(said.append)
    effort.call()
    connection.set_trace_callback(None)
    asked = [text for text in said if not text.startswith(("PRAGMA", "BEGIN", "COMMIT", "--"))]
    # version, entry; head and row; settle; head and row
    assert len(asked) <= 7, asked


def test_the_listing_is_put_together_once(effort: Effort) -> None:
    assert effort.gateway.listing() is effort.gateway.listing()


def test_a_connector_is_not_read_per_call(effort: Effort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "read_file", lambda *_: pytest.fail("a file was read"))
    effort.call()
