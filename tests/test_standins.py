"""The real server over stdio, before APIs that nobody here wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios import GOOD_KEY, LOCALSTRIPE, SCENARIOS, STATEFUL_MOCK, Scenario, Stage
from tests.standins.connectors import pointed_at
from tests.standins.loopback import Loopback, through
from tests.standins.processes import NODE_TOOLS
from tests.standins.stdio import StdioServer

FIXTURES = {STATEFUL_MOCK: "stateful_mock", LOCALSTRIPE: "localstripe"}
LIVE = [
    pytest.param(source, scenario, id=f"{source}-{scenario.name}")
    for source in FIXTURES
    for scenario in SCENARIOS.values()
    if source in scenario.can
]

Start = Callable[[str, str], StdioServer]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts `mcpgate run` before an origin with a key, or gives the one that is already running."""
    running: dict[tuple[str, str], StdioServer] = {}

    def server(origin: str, key: str) -> StdioServer:
        if (origin, key) not in running:
            home = tmp_path_factory.mktemp("home")
            connector = pointed_at(origin, home)
            running[origin, key] = StdioServer(str(connector), "--preset", "full-access", home=home, key=key)
        return running[origin, key]

    yield server
    for process in running.values():
        process.close()


@pytest.mark.parametrize(("source", "scenario"), LIVE)
def test_a_scenario_over_stdio(
    source: str, scenario: Scenario, start: Start, request: pytest.FixtureRequest
) -> None:
    origin = request.getfixturevalue(FIXTURES[source])
    scenario.play(Stage(source, start(origin, scenario.key), origin, scenario.key))


def charges(server: StdioServer, description: str) -> list[str]:
    listed = server.call("stripe_list_charges", limit=100).value
    return [item["id"] for item in listed["items"] if item.get("description") == description]


@pytest.mark.parametrize("lost", [1, 2])
def test_a_charge_whose_answer_is_lost_is_made_once(stateful_mock: str, start: Start, lost: int) -> None:
    with Loopback(otherwise=through(stateful_mock)) as relay:
        server = start(relay.url, GOOD_KEY)
        relay.then(*[through(stateful_mock, lose=True)] * lost)
        order = f"lost {lost} times"
        charge = server.call(
            "stripe_create_charge", amount=700, currency="usd", source="tok_visa", description=order
        ).value
        assert len(relay.requests) == lost + 1
        assert len({request.headers["idempotency-key"] for request in relay.requests}) == 1
        assert charges(server, order) == [charge["id"]]


def test_a_charge_whose_outcome_is_unknown_can_be_repeated_without_harm(
    stateful_mock: str, start: Start
) -> None:
    with Loopback(otherwise=through(stateful_mock)) as relay:
        server = start(relay.url, GOOD_KEY)
        relay.then(*[through(stateful_mock, lose=True)] * 3)
        order = "unknown, then repeated"
        arguments = {"amount": 700, "currency": "usd", "source": "tok_visa", "description": order}
        unknown = server.call("stripe_create_charge", **arguments)
        assert unknown.is_error
        assert unknown.structured["outcome"] == "unknown"
        key = unknown.structured["idempotency_key"]
        assert [request.headers["idempotency-key"] for request in relay.requests] == [key] * 3

        again = server.call("stripe_create_charge", **arguments)
        assert key in again.note
        assert relay.requests[-1].headers["idempotency-key"] == key
        assert charges(server, order) == [again.value["id"]]

        third = server.call("stripe_create_charge", **arguments)
        assert not third.note
        assert relay.requests[-1].headers["idempotency-key"] != key
        assert sorted(charges(server, order)) == sorted([again.value["id"], third.value["id"]])


def test_a_declined_charge_is_sent_once(stateful_mock: str, start: Start) -> None:
    with Loopback(otherwise=through(stateful_mock)) as relay:
        server = start(relay.url, GOOD_KEY)
        declined = server.call(
            "stripe_create_charge", amount=700, currency="usd", source="tok_chargeDeclined"
        )
        assert declined.is_error
        assert len(relay.requests) == 1


def test_without_a_key_the_tools_are_listed_and_a_call_says_what_to_do(
    stateful_mock: str, tmp_path: Path
) -> None:
    connector = pointed_at(stateful_mock, tmp_path)
    with StdioServer(str(connector), "--preset", "transact", home=tmp_path) as server:
        assert len(server.tools()) == 13
        answer = server.call("stripe_list_customers")
    assert answer.is_error
    assert "MCPGATE_STRIPE_KEY" in answer.text


def test_the_tools_of_node_are_locked_without_naming_a_registry() -> None:
    lock = json.loads((NODE_TOOLS / "package-lock.json").read_text(encoding="utf-8"))
    package = json.loads((NODE_TOOLS / "package.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry, name
        assert not name or "integrity" in entry, name
