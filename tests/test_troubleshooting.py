"""What an agent reads when something is wrong: over a real client, as the page of the connector quotes it.

The API is a server on loopback that answers as Stripe does; where nothing may be sent, it would see it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.scenarios import Answer
from tests.standins.connectors import pointed_at
from tests.standins.loopback import Loopback, Reply
from tests.standins.machine import NOWHERE, Machine

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "connectors" / "stripe.md").read_text("utf-8").partition("## Troubleshooting")[2]
QUOTED = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
# what Stripe answers, and what is made of it on the page: see scripts/generate.py
WRITTEN = runpy.run_path(str(ROOT / "scripts" / "generate.py"))
ERRORS: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = WRITTEN["REPLIES"]

KEY = "rk_test_" + "Canary4711"
LIVE = "rk_live_" + "Canary4711"
PUBLISHABLE = "pk_test_" + "Canary4711"
PASSPHRASE = "correct horse battery staple"
CHARGE = {"amount": 4200, "currency": "usd", "customer": "cus_1"}
FULL = ("--preset", "full-access")
BALANCE: tuple[str, dict[str, Any]] = ("stripe_get_balance", {})
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def api() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server
    assert not server.unexpected


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose vault has its master key in a file beside it."""
    machine = Machine(tmp_path_factory.mktemp("initialised"))
    machine.done("init", "--key-file", str(machine.folder / "master.key"))
    return machine.folder


@pytest.fixture
def machine(tmp_path: Path, api: Loopback) -> Machine:
    """A machine from which nothing gets out but to the server that would see it."""
    return Machine(tmp_path, proxy=api.url)


@pytest.fixture
def connected(initialised: Path, machine: Machine, api: Loopback) -> Machine:
    """The same with the connector pointed at the server, and connected."""
    shutil.copytree(initialised / "home", machine.home)
    pointed_at(api.url, machine.project)
    connect(machine, "./stripe.yaml")
    return machine


def connect(machine: Machine, *words: str, key: str = KEY) -> None:
    machine.done("connect", *words, "--no-probe", typed=f"{key}\n")


def told(machine: Machine, answer: Answer) -> str:
    """The text of an error, which holds no key, nor a part of one, in any of its parts."""
    assert answer.is_error
    whole = json.dumps([answer.text, answer.structured, answer.note])
    assert not re.search(r"Canary|4711", whole)
    assert PASSPHRASE not in whole
    return answer.text.replace(str(machine.folder), "…")


# --- before anything is sent -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """A key that is given in the environment, if any, the flags, and what is said."""

    error: str
    hint: str
    key: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.error} {self.hint}"


ANOTHER = (
    "A person has to set MCPGATE_STRIPE_KEY to another one where mcpgate is started, and start it again."
)
NOT_SENT = {
    "no key": Refused(
        "There is no credential for Stripe.",
        "A person has to set MCPGATE_STRIPE_KEY to it where mcpgate is started, and start it again; or run "
        "`mcpgate connect stripe`. It is found at https://dashboard.stripe.com/apikeys.",
    ),
    "no such account": Refused(
        "Stripe has no account 'shop-eu'.",
        "A person has to run `mcpgate connect stripe --account shop-eu`.",
        words=("--account", "shop-eu"),
    ),
    "a live key": Refused(
        "MCPGATE_STRIPE_KEY holds a live key, and live keys run only with --live.",
        "A person has to add --live where mcpgate is started, or use a test key.",
        LIVE,
    ),
    "a publishable key": Refused(
        "MCPGATE_STRIPE_KEY is refused: This is a publishable key. Use a secret or a restricted one.",
        ANOTHER,
        PUBLISHABLE,
    ),
    "no key at all": Refused(
        "MCPGATE_STRIPE_KEY does not look like what Stripe calls: Secret or restricted key.",
        ANOTHER,
        "MyCanary4711",
    ),
    "a key with something pasted along": Refused(
        "MCPGATE_STRIPE_KEY holds spaces, line ends or characters that no key has.", ANOTHER, f"{KEY} {KEY}"
    ),
}


@pytest.mark.parametrize("case", NOT_SENT.values(), ids=NOT_SENT)
def test_a_key_that_is_not_sent(case: Refused, machine: Machine, api: Loopback) -> None:
    if case.key:
        machine.environ["MCPGATE_STRIPE_KEY"] = case.key

    async def talk() -> Answer:
        async with machine.agent("stripe", *case.words) as agent:
            # a server without a key lists its tools all the same
            assert len(await agent.tools()) == 8
            return await agent.call("stripe_get_balance")

    answer = anyio.run(talk)
    assert told(machine, answer) == str(case)
    assert answer.structured == {"error": case.error, "hint": case.hint}
    assert api.requests == []


def test_a_live_key_that_is_sealed_runs_only_with_live(connected: Machine, api: Loopback) -> None:
    connect(connected, "stripe", "--account", "shop", key=LIVE)
    answer = connected.asked("stripe", "--account", "shop", tool="stripe_get_balance")
    assert told(connected, answer) == (
        "The account stripe/shop holds a live key, and live keys run only with --live. "
        "A person has to add --live where mcpgate is started, or use a test key."
    )
    # its way out leads here, and what comes is a tunnel that holds nothing of it
    api.then(*[Reply(status=502)] * 3)
    led = connected.asked("stripe", "--account", "shop", "--live", tool="stripe_get_balance")
    assert "No connection to https://api.stripe.com" in led.text
    assert {request.method for request in api.requests} == {"CONNECT"}
    assert "Canary" not in str(api.requests)


def test_once_it_is_connected_the_next_call_finds_it(connected: Machine, api: Loopback) -> None:
    connected.done("disconnect", "stripe")
    api.then(Reply.json({"object": "balance", "available": [], "pending": [], "livemode": False}))

    async def talk() -> None:
        async with connected.agent("./stripe.yaml") as agent:
            lacking = await agent.call("stripe_get_balance")
            assert "run `mcpgate connect stripe.yaml`" in lacking.text.replace("./", "")
            await anyio.to_thread.run_sync(lambda: connect(connected, "./stripe.yaml"))
            assert not (await agent.call("stripe_get_balance")).is_error

    anyio.run(talk)
    assert api.requests[0].headers["authorization"] == f"Bearer {KEY}"


# --- the vault stays closed ------------------------------------------------------------------------------

CLOSED = "The account stripe/default cannot be opened, and a person has to mend that. "


def test_a_vault_whose_key_file_is_gone_open_to_others_or_another(connected: Machine, api: Loopback) -> None:
    connected.environ.clear()
    home = connected.home
    # the file of this machine alone, for the others' stays as it is
    connected.done("vault", "rotate", "--key-file", str(connected.folder / "master.key"))
    file = connected.folder / "master.key"
    found = []
    for damage in ("gone", "open", "another"):
        kept = file.read_bytes()
        if damage == "gone":
            file.unlink()
        elif damage == "open":
            file.chmod(0o644)
        else:
            file.write_bytes(base64.b64encode(os.urandom(32)))
        found.append(told(connected, connected.asked("./stripe.yaml", tool="stripe_get_balance")))
        file.unlink(missing_ok=True)
        file.write_bytes(kept)
        file.chmod(0o600)
    assert found[0].startswith(
        f"{CLOSED}The key file …/master.key cannot be read: No such file or directory."
    )
    if os.name == "posix":
        assert found[1].startswith(f"{CLOSED}The key file …/master.key is open to other users.")
    assert found[2].startswith(f"{CLOSED}The key in the key file is not the vault's.")
    assert found[0] in QUOTED
    assert home.exists()
    assert api.requests == []


def test_a_vault_whose_passphrase_is_not_given_or_wrong(machine: Machine, api: Loopback) -> None:
    machine.environ["MCPGATE_PASSPHRASE"] = PASSPHRASE
    machine.done("init", "--passphrase")
    connect(machine, "stripe")
    machine.environ["MCPGATE_PASSPHRASE"] = f"{PASSPHRASE}s"
    wrong = told(machine, machine.asked("stripe", tool="stripe_get_balance"))
    assert wrong.startswith(f"{CLOSED}The passphrase is not the vault's.")
    del machine.environ["MCPGATE_PASSPHRASE"]
    locked = told(machine, machine.asked("stripe", tool="stripe_get_balance"))
    assert locked.startswith(f"{CLOSED}The vault is locked: its passphrase is not given.")
    assert "MCPGATE_PASSPHRASE" in locked
    assert locked in QUOTED
    assert api.requests == []


def test_a_call_beyond_the_ceiling(connected: Machine, api: Loopback) -> None:
    connect(connected, "./stripe.yaml", "--allow", "read-only")
    answer = connected.asked("./stripe.yaml", *FULL, tool="stripe_create_charge", **CHARGE)
    assert told(connected, answer) in QUOTED
    assert answer.structured == {
        "denied": True,
        "rule": "ceiling",
        "reason": answer.text.partition("(read). ")[2],
    }
    assert api.requests == []


# --- what the API says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("401", {"status": 401, "code": "invalid_request_error"}),
        (
            "402",
            {"status": 402, "code": "insufficient_funds", "message": "Your card has insufficient funds."},
        ),
        ("403", {"status": 403, "code": "invalid_request_error"}),
        ("404", {"status": 404, "code": "resource_missing"}),
        ("500", {"status": 500, "code": "api_error", "outcome": "unknown"}),
    ],
)
def test_an_error_of_the_api(status: str, facts: dict[str, Any], connected: Machine, api: Loopback) -> None:
    tool, arguments, error = ERRORS[status]
    body = {"error": {"type": "invalid_request_error", **error}}
    again = 3 if status == "500" else 1
    api.then(*[Reply.json(body, int(status), {"Request-Id": "req_Example"})] * again)
    answer = connected.asked("./stripe.yaml", *FULL, tool=tool, **arguments)
    assert told(connected, answer) == WRITTEN["outcome"](status).text
    assert answer.text in QUOTED
    key = answer.structured.pop("idempotency_key", "")
    assert bool(UUID.fullmatch(key)) == (tool.startswith("stripe_create_"))
    assert {request.headers.get("idempotency-key", "") for request in api.requests} == {key}
    assert answer.structured == {
        **facts,
        "error": f"the API answered {status}",
        "message": error["message"],
        "request_id": "req_Example",
        **({"hint": answer.structured["hint"]} if status != "500" else {}),
    }


def test_what_is_missing_is_named_with_the_place_to_add_it() -> None:
    refused, lacking = (WRITTEN["outcome"](status).text for status in ("401", "403"))
    assert "mcpgate connect stripe" in refused
    assert "rak_customer_write" in lacking
    assert "https://dashboard.stripe.com/apikeys" in lacking


def test_an_api_that_echoes_the_key_tells_the_agent_nothing(connected: Machine, api: Loopback) -> None:
    api.then(Reply.json({"error": {"message": f"Invalid API Key provided: {KEY}", "code": KEY}}, 401))
    answer = connected.asked("./stripe.yaml", tool="stripe_get_balance")
    assert "Invalid API Key provided: ***" in told(connected, answer)


# --- the network -----------------------------------------------------------------------------------------

SILENT = Reply(wait=30)


def elsewhere(machine: Machine, url: str) -> None:
    """Points the connector there, and has it give up after a second and a half."""
    file = pointed_at(url, machine.project)
    file.write_text(file.read_text().replace("encoding: form", "encoding: form\ntimeout: 1.5"))
    connect(machine, "./stripe.yaml")


@pytest.mark.parametrize(("tool", "arguments"), [BALANCE, ("stripe_create_charge", CHARGE)])
def test_no_network(tool: str, arguments: dict[str, Any], connected: Machine) -> None:
    elsewhere(connected, NOWHERE)
    answer = connected.asked("./stripe.yaml", *FULL, tool=tool, **arguments)
    text = told(connected, answer).replace(NOWHERE, "https://api.stripe.com")
    assert text in QUOTED
    assert answer.structured["hint"].startswith("Nothing was done. Try again later;")
    assert "outcome" not in answer.structured


def test_a_read_that_is_not_answered(connected: Machine, api: Loopback) -> None:
    elsewhere(connected, api.url)
    api.then(SILENT)
    answer = connected.asked("./stripe.yaml", tool="stripe_get_balance")
    assert told(connected, answer) == (
        "No complete reply within 1.5 s. "
        "Try again later; if that does not help, ask a person to look at the network."
    )


def test_a_write_that_is_not_answered_goes_on_under_its_key(connected: Machine, api: Loopback) -> None:
    elsewhere(connected, api.url)
    api.then(SILENT, Reply.json({"id": "ch_1", "object": "charge"}))

    async def talk() -> tuple[Answer, Answer]:
        async with connected.agent("./stripe.yaml", *FULL) as agent:
            return await agent.call("stripe_create_charge", **CHARGE), await agent.call(
                "stripe_create_charge", **CHARGE
            )

    first, second = anyio.run(talk)
    assert told(connected, first).replace("1.5 s", "30 s") in QUOTED
    key = first.structured["idempotency_key"]
    assert UUID.fullmatch(key)
    assert first.structured["outcome"] == "unknown"
    assert f"is sent under the same idempotency key ({key})" in first.note
    assert not second.is_error
    assert f"({key}): it cannot have acted twice." in second.note
    assert [request.headers["idempotency-key"] for request in api.requests] == [key, key]


# --- the page --------------------------------------------------------------------------------------------


def test_the_page_quotes_what_is_read() -> None:
    """Every quotation is one that the tests above have got, or the other half of a pair."""
    for name in ("no key", "a live key", "a publishable key", "no key at all"):
        assert str(NOT_SENT[name]) in QUOTED, name
    for status in ERRORS:
        assert WRITTEN["outcome"](status).text in QUOTED, status
