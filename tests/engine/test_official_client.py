"""The bytes that leave mcpgate are those that the API's own client sends for the same call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as some
from stripe._encode import _api_encode

from mcpgate.engine.encoding import form, pairs
from tests.engine.official_calls import CALLS, OPERATIONS, Call
from tests.scenarios import GOOD_KEY
from tests.standins.connectors import pointed_at
from tests.standins.gateway import InProcess
from tests.standins.loopback import Captured, Loopback, Reply


class Clients:
    """Both clients before one server that keeps what they send."""

    def __init__(self, server: Loopback, gateway: InProcess) -> None:
        self._server = server
        self._gateway = gateway
        self._official = stripe.StripeClient(
            GOOD_KEY, base_addresses={"api": server.url}, max_network_retries=0
        )

    def mcpgate(self, tool: str, arguments: dict[str, Any]) -> Captured:
        """What mcpgate sends."""
        answer = self._gateway.call(tool, **arguments)
        assert not answer.is_error, answer.text
        return self._server.requests.pop()

    def official(self, tool: str, arguments: dict[str, Any]) -> Captured:
        """What the official client sends; parameters in the connector's order, which is mcpgate's."""
        service, method, positional = OPERATIONS[tool]
        order = self._gateway.connector.tools[tool].schema["properties"]
        params = {name: arguments[name] for name in order if name in arguments}
        path = [params.pop(name) for name in positional]
        getattr(getattr(self._official.v1, service), method)(*path, params)
        return self._server.requests.pop()


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with Loopback(otherwise=Reply()) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe, "enable_telemetry", False)
        connector = pointed_at(server.url, tmp_path_factory.mktemp("official"))
        with InProcess(connector, GOOD_KEY) as gateway:
            yield Clients(server, gateway)


@pytest.mark.parametrize("call", CALLS, ids=[f"{call.tool}: {call.name}" for call in CALLS])
def test_the_same_request(clients: Clients, call: Call) -> None:
    ours = clients.mcpgate(call.tool, call.arguments)
    theirs = clients.official(call.tool, call.arguments if call.official is None else call.official)
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert ours.query == theirs.query
    assert ours.body == theirs.body
    for name in ("authorization", "content-type", "stripe-version"):
        assert ours.headers.get(name) == theirs.headers.get(name), name
    assert ("idempotency-key" in ours.headers) == ("idempotency-key" in theirs.headers)


def test_every_tool_is_compared_and_often_enough(clients: Clients) -> None:
    assert {call.tool for call in CALLS} == set(OPERATIONS)
    assert len({repr(call.arguments) for call in CALLS if call.arguments}) >= 30
    assert clients.official("stripe_create_refund", {"charge": "ch_1"}) != clients.mcpgate(
        "stripe_create_refund", {"charge": "ch_2"}
    )


def test_two_equal_calls_have_two_keys(clients: Clients) -> None:
    charge = {"amount": 2000, "currency": "usd", "source": "tok_visa"}
    keys = [clients.mcpgate("stripe_create_charge", charge).headers["idempotency-key"] for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(0 < len(key) <= 255 for key in keys)


TEXT = some.text(some.characters(exclude_categories=["Cs"]))
NAMES = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1)
# The official encoder writes a true in a list as "True" and a null there as "None", which no API means.
LISTED = some.integers() | TEXT
TREES = some.recursive(
    some.none() | some.booleans() | LISTED,
    lambda inner: (
        some.lists(LISTED | some.dictionaries(NAMES, inner, max_size=3), max_size=4)
        | some.dictionaries(NAMES, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(some.dictionaries(NAMES, TREES, max_size=4))
def test_any_tree_is_encoded_alike(tree: dict[str, Any]) -> None:
    theirs = urlencode(list(_api_encode(tree))).replace("%5B", "[").replace("%5D", "]")
    ours = form(pair for name, value in tree.items() for pair in pairs(name, value, "indexed"))
    assert ours == theirs.encode()
