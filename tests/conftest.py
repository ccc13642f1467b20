"""Fixtures for every test: the servers that stand in for an API. See `tests/standins`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import stripe

from tests.standins import processes
from tests.standins.loopback import Answer, Loopback, Reply

# the official client would write an id of its own into the user's folder
stripe.enable_telemetry = False


@pytest.fixture
def capture() -> Iterator[Loopback]:
    """A server that keeps what it is sent and answers everything with an empty JSON object."""
    with Loopback(otherwise=Reply()) as server:
        yield server


@pytest.fixture
def scripted() -> Iterator[Callable[..., Loopback]]:
    """Starts a server that gives these answers in order; a request too many fails the test."""
    servers: list[Loopback] = []

    def start(*answers: Answer) -> Loopback:
        servers.append(Loopback(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
    unexpected = [request for server in servers for request in server.unexpected]
    assert not unexpected, "the script had no answer for these"


@pytest.fixture(scope="session")
def stateful_mock() -> Iterator[str]:
    """The origin of stripe-stateful-mock, one for the whole run: name what you create so that you find it."""
    if reason := processes.node_missing("stripe-stateful-mock"):
        pytest.skip(reason)
    with processes.stateful_mock() as origin:
        yield origin


@pytest.fixture(scope="session")
def localstripe() -> Iterator[str]:
    """The origin of localstripe, one for the whole run: name what you create so that you find it."""
    if reason := processes.localstripe_missing():
        pytest.skip(reason)
    with processes.localstripe() as origin:
        yield origin
