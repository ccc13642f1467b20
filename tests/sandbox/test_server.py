"""The sandbox as a server: the API's own client, faults on purpose, and how it ends."""

from __future__ import annotations

import functools
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe

from mcpgate.engine.hygiene import visible
from mcpgate.engine.projection import project
from mcpgate.errors import UsageError
from mcpgate.sandbox.server import FAULTS, parse_faults
from tests.engine.official_calls import CALLS, OPERATIONS, Call
from tests.sandbox.served import Served, sandbox
from tests.scenarios import GOOD_KEY
from tests.standins.connectors import pointed_at
from tests.standins.gateway import InProcess
from tests.standins.stdio import StdioServer


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with sandbox("stripe") as running:
        yield running


def client_of(origin: str, **options: Any) -> Any:
    """The official client; what it offers is typed for the real API."""
    return stripe.StripeClient(GOOD_KEY, base_addresses={"api": origin}, **options).v1


@pytest.fixture
def client(served: Served, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    return client_of(served.origin)


# --- the official client ---------------------------------------------------------------------------------


def test_a_customer_is_created_and_read_back(client: Any) -> None:
    address = {"line1": "Straße 1/2", "city": "東京"}
    made = client.customers.create(
        {"name": "Zoë & Söhne", "email": "z+1@example.com", "address": address, "metadata": {"a b": "c&d"}}
    )
    assert made.id.startswith("cus_")
    assert (made.name, made.email) == ("Zoë & Söhne", "z+1@example.com")
    assert (made.address.line1, made.address.city, made.metadata.to_dict()) == (
        "Straße 1/2",
        "東京",
        {"a b": "c&d"},
    )
    assert client.customers.retrieve(made.id) == made
    assert client.customers.list({"limit": 1}).data == [made]


def test_customers_are_listed_newest_first_filtered_and_paged_through(client: Any) -> None:
    made = [client.customers.create({"email": "many@example.com", "name": f"{n}"}).id for n in range(5)]
    page = client.customers.list({"email": "many@example.com", "limit": 2})
    assert ([one.id for one in page.data], page.has_more) == (made[:2:-1], True)
    assert [one.id for one in page.auto_paging_iter()] == made[::-1]
    assert client.customers.list({"email": "MANY@example.com"}).data == []
    every = [one.id for one in client.customers.list({"limit": 3}).auto_paging_iter()]
    assert len(every) == len(set(every))
    assert set(made) < set(every)


def refused(call: Any) -> tuple[int | None, str | None, str]:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    return caught.value.http_status, caught.value.code, str(caught.value.user_message)


def test_what_cannot_be_done_is_refused_in_the_apis_own_way(client: Any) -> None:
    made = client.customers.create({"name": "Ada"})
    missing = "There is no such object: cus_none"
    assert refused(lambda: client.customers.retrieve("cus_none")) == (404, "resource_missing", missing)
    assert refused(lambda: client.charges.create({"currency": "usd", "source": "tok_visa"})) == (
        400,
        "parameter_missing",
        "amount is missing.",
    )
    either = "customer or source is missing."
    assert refused(lambda: client.charges.create({"amount": 5, "currency": "usd"}))[2] == either
    assert refused(lambda: client.customers.list({"starting_after": "cus_none"}))[:2] == (
        400,
        "resource_missing",
    )
    # what the connector has no tool for is not there, and changes nothing
    status, code, says = refused(lambda: client.customers.update(made.id, {"name": "Eve"}))
    assert (status, code) == (404, "not_found")
    assert says == f"The sandbox knows no such request: POST /v1/customers/{made.id}"
    assert client.customers.retrieve(made.id) == made


def test_a_key_used_twice_replays(client: Any) -> None:
    once = {"idempotency_key": "till-1"}
    charge = {"amount": 700, "currency": "eur", "source": "tok_visa"}
    made = client.charges.create(charge, once)
    assert (made.amount, made.currency) == (700, "eur")
    assert client.charges.create(charge, once) == made
    assert client.charges.create(charge).id != made.id
    again = refused(lambda: client.charges.create(charge | {"amount": 800}, once))
    assert again[:2] == (400, "idempotency_error")


def test_a_subscription_is_made_and_cancelled(client: Any) -> None:
    customer = client.customers.create({"name": "Subscriber"}).id
    items = [{"price": "price_gold", "quantity": 3}]
    made = client.subscriptions.create({"customer": customer, "items": items, "metadata": {"k": "v"}})
    (item,) = made["items"].data
    assert (item.price.id, item.quantity, made.status) == ("price_gold", 3, "active")
    gone = client.subscriptions.cancel(made.id)
    assert (gone.id, gone.status, gone.customer) == (made.id, "canceled", customer)
    assert gone.metadata.to_dict() == {"k": "v"}
    assert client.subscriptions.list({"customer": customer, "status": "canceled"}).data == [gone]
    assert client.subscriptions.list({"customer": customer, "status": "active"}).data == []


@pytest.mark.parametrize("call", CALLS, ids=[f"{call.tool}: {call.name}" for call in CALLS])
def test_both_clients_are_answered_alike(served: Served, client: Any, tmp_path: Path, call: Call) -> None:
    """Whatever the official client can ask, it gets what mcpgate gets for the same call."""
    params = dict(call.arguments if call.official is None else call.official)
    service, method, positional = OPERATIONS[call.tool]
    path = [params.pop(name) for name in positional]
    with InProcess(pointed_at(served.origin, tmp_path), GOOD_KEY) as gateway:
        fields = gateway.connector.tools[call.tool].fields or ()
        ours = gateway.call(call.tool, **call.arguments)
    ask = functools.partial(getattr(getattr(client, service), method), *path, params)
    if ours.is_error:
        facts = ours.structured
        assert refused(ask) == (facts["status"], facts["code"], facts["message"])
        return
    theirs, read = ask().to_dict(), ours.value
    if "_create_" in call.tool:
        assert theirs.pop("id") != read.pop("id")
    whole, shown = (theirs["data"], read["items"]) if "_list_" in call.tool else (theirs, read)
    # what does not show is no part of what the agent reads
    assert shown == visible(project(fields, whole))


def test_two_clients_at_once_share_one_account(served: Served) -> None:
    def create(number: int) -> str:
        one = client_of(served.origin)
        return str(one.customers.create({"email": "crowd@example.com", "name": f"{number}"}).id)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(40)))
    listed = client_of(served.origin).customers.list({"email": "crowd@example.com", "limit": 7})
    assert sorted(one.id for one in listed.auto_paging_iter()) == sorted(set(made))
    assert len(set(made)) == 40


# --- over `mcpgate run --sandbox` ------------------------------------------------------------------------


def test_an_agent_finds_what_it_created(tmp_path: Path) -> None:
    with StdioServer("stripe", "--preset", "transact", "--sandbox", home=tmp_path) as server:
        made = [
            server.call("stripe_create_customer", name=f"{n}", email="a@example.com").value for n in range(3)
        ]
        assert server.call("stripe_get_customer", customer=made[1]["id"]).value == made[1]
        first = server.call("stripe_list_customers", email="a@example.com", limit=2).value
        assert first == {"items": made[:0:-1], "next": {"starting_after": made[1]["id"]}}
        assert server.call("stripe_list_customers", email="a@example.com", **first["next"]).value == {
            "items": made[:1]
        }
        missing = server.call("stripe_get_customer", customer="cus_none")
        assert (missing.structured["status"], missing.structured["code"]) == (404, "resource_missing")
        assert "Check the id with a list tool" in missing.text
    with StdioServer("stripe", "--sandbox", home=tmp_path) as server:
        assert len(server.call("stripe_list_customers").value["items"]) == 1, "another run begins anew"


# --- faults ----------------------------------------------------------------------------------------------


def gateway_to(origin: str, folder: Path, seconds: float) -> InProcess:
    """The engine before a sandbox, with so much time for a call."""
    file = pointed_at(origin, folder)
    text = file.read_text("utf-8").replace("encoding: form", f"encoding: form\ntimeout: {seconds}", 1)
    file.write_text(text, "utf-8")
    return InProcess(file, GOOD_KEY)


BAD = {
    "429": (
        "failed",
        429,
        "The API answered 429; it asks to wait 1 s (sandbox_429): The sandbox was",
    ),
    "402": (
        "failed",
        402,
        "The API answered 402 (sandbox_402): The sandbox was told to answer 402.",
    ),
    "500": ("unknown", 500, "The API answered 500 (sandbox_500): The sandbox was told to answer 500."),
    "503": ("unknown", 503, "The API answered 503; it asks to wait 1 s (sandbox_503): The sandbox was told"),
    "timeout": ("unknown", None, "No complete reply within 1 s."),
    "drip": ("unknown", 200, "No complete reply within 1 s."),
    "html": ("unknown", 200, "The API answered 200, but with a web page: Maintenance."),
    "cut": ("unknown", 200, "The API answered 200, but it was cut off"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_fault_comes_out_as_what_it_is(fault: str, tmp_path: Path) -> None:
    """Row 27 and 28: nothing that is no answer is a success, and a write says that its outcome is unknown."""
    fate, status, says = BAD[fault]
    with sandbox("stripe", "--fault", fault) as served, gateway_to(served.origin, tmp_path, 1) as gateway:
        for tool, arguments in (("stripe_get_balance", {}), ("stripe_create_customer", {"name": "Ada"})):
            began = time.monotonic()
            answer = gateway.call(tool, **arguments)
            assert time.monotonic() - began < 4
            assert answer.is_error
            assert answer.text.startswith(says)
            facts, row = answer.structured, gateway.store.rows[-1]
            assert (row.outcome, facts.get("status")) == (fate, status)
            written = tool == "stripe_create_customer"
            assert facts.get("outcome") == ("unknown" if written and fate == "unknown" else None)
            assert bool(facts.get("idempotency_key")) == written
            assert ("It is not known whether this was carried out" in answer.text) == (
                facts.get("outcome") is not None
            )


@pytest.mark.parametrize("faults", ["429,ok", "500,503,ok", "cut,ok", "html,ok", "ok"])
def test_a_fault_that_passes_is_over_when_it_is_tried_again(faults: str, tmp_path: Path) -> None:
    """Row 20 and 30: what was carried out and never heard of is not carried out twice."""
    with sandbox("stripe", "--fault", faults) as served, gateway_to(served.origin, tmp_path, 20) as gateway:
        answers = [gateway.call("stripe_create_customer", name="Ada") for _ in range(1 + ("html" in faults))]
        assert not answers[-1].is_error, answers[-1].text
        made = answers[-1].value["id"]
        while (listed := gateway.call("stripe_list_customers")).is_error:
            pass
        assert [item["id"] for item in listed.value["items"]].index(made) == 0
        assert len(listed.value["items"]) == 2


def test_faults_come_in_turn_and_over_again() -> None:
    with sandbox("stripe", "--fault", "ok,429,html,402") as served:
        assert "Requests meet in turn: ok, 429, html, 402.\n" in served.said
        replies = [httpx2.get(f"{served.address}/balance") for _ in range(8)]
    assert [reply.status_code for reply in replies] == [200, 429, 200, 402] * 2
    assert [reply.headers.get("retry-after") for reply in replies[:4]] == [None, "1", None, None]
    assert replies[2].text.startswith("<!doctype html>")
    assert replies[1].json()["error"]["message"] == "The sandbox was told to answer 429."


def test_the_official_client_meets_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with sandbox("stripe", "--fault", "429,500,cut,500,ok") as served:
        once = client_of(served.origin, max_network_retries=0)
        with pytest.raises(stripe.RateLimitError, match="told to answer 429"):
            once.balance.retrieve()
        with pytest.raises(stripe.APIError, match="told to answer 500"):
            once.balance.retrieve()
        with pytest.raises(stripe.APIConnectionError):
            once.balance.retrieve()
        assert client_of(served.origin, max_network_retries=2).balance.retrieve().object == "balance"


@pytest.mark.parametrize("word", ["oops", "200", "99", "600", "timeout,200", "4290", "drip drip"])
def test_a_fault_that_is_none_is_told(word: str) -> None:
    with pytest.raises(UsageError, match="there is no such fault") as told:
        parse_faults(word)
    assert all(known in told.value.hint for known in FAULTS)
    assert parse_faults(" 429, ok ,,html") == ["429", "ok", "html"]


# --- how it lives and ends -------------------------------------------------------------------------------


def test_it_listens_on_loopback_only(served: Served) -> None:
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f"{served.port:04X}"
    assert {row[1] for row in listening if row[1].endswith(f":{port}") and row[3] == "0A"} == {
        f"0100007F:{port}"
    }
    with pytest.raises(OSError, match=r"refused|unreachable|assign"):
        socket.create_connection(("::1", served.port), timeout=1)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("hanging", [False, True])
def test_it_ends_at_once(how: int, hanging: bool) -> None:
    """Also with a request under way that is never answered, and without a word."""
    with sandbox("stripe", *(("--fault", "timeout") if hanging else ())) as served:
        caller = socket.create_connection(("127.0.0.1", served.port))
        caller.sendall(b"GET /v1/balance HTTP/1.1\r\nHost: x\r\n\r\n")
        if not hanging:
            assert caller.recv(15) == b"HTTP/1.1 200 OK"
        time.sleep(0.2)
        began = time.monotonic()
        code, out, err = served.stop(how)
        assert time.monotonic() - began < 2
        assert (code, out, err) == (130 if how == signal.SIGINT else -signal.SIGTERM, "", "")
        caller.close()


def test_a_client_that_gives_up_leaves_nothing_behind() -> None:
    with sandbox("stripe", "--fault", "timeout,drip,cut,ok") as served:
        for _ in range(3):
            with pytest.raises(httpx2.TransportError):
                httpx2.get(f"{served.address}/balance", timeout=0.3)
        assert httpx2.get(f"{served.address}/balance").status_code == 200
        assert served.stop(signal.SIGINT)[1:] == ("", "")


def test_a_port_in_use_is_told_in_a_line(served: Served) -> None:
    with sandbox("stripe", port=served.port) as second:
        second.process.wait(30)
        assert second.process.stderr is not None
        said = second.process.stderr.read()
    assert said == f"Port {served.port} cannot be used: Address already in use.\nChoose another --port.\n"
    assert second.process.returncode == 2


def test_a_request_it_cannot_cope_with_ends_nothing(served: Served) -> None:
    deep = "[a]" * 20_000
    reply = httpx2.post(f"{served.address}/customers", content=f"metadata{deep}=1".encode())
    assert (reply.status_code, reply.text) == (500, "The sandbox itself failed: RecursionError.")
    assert httpx2.get(f"{served.address}/balance").status_code == 200
