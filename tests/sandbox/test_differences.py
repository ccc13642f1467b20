"""docs/sandbox.md is true: the same conversation with a stand-in that others wrote, and where they differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mcpgate.engine.encoding import form, pairs, query
from mcpgate.sandbox.server import FAULTS
from tests.sandbox.served import sandbox
from tests.scenarios import GOOD_KEY, REFUSED_KEY

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")


class Api:
    """One stand-in, spoken to as it would be over the network."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.replies: list[httpx2.Response] = []

    def __call__(self, method: str, path: str, key: str = GOOD_KEY, once: str = "", /, **sent: Any) -> Any:
        """Ask, and give what was answered as JSON."""
        written = [pair for name, value in sent.items() for pair in pairs(name, value, "indexed")]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"Idempotency-Key": once} if once else {}
        url = f"{self._origin}/v1{path}{f'?{query(written)}' if method == 'GET' and written else ''}"
        content = None if method == "GET" else form(written)
        reply = httpx2.request(method, url, content=content, headers=headers)
        self.replies.append(reply)
        return reply.json()

    def said(self, *words: Any, **sent: Any) -> str:
        """Ask, and give the status, and of an error its code or kind."""
        error = self(*words, **sent).get("error", {})
        return f"{self.replies[-1].status_code} {error.get('code') or error.get('type', '')}".strip()

    def customers(self, count: int, email: str) -> list[str]:
        """Create customers; their ids."""
        return [self("POST", "/customers", email=email)["id"] for _ in range(count)]

    def charge(self, **sent: Any) -> Any:
        """Make a charge of 20.00 dollars."""
        return self("POST", "/charges", **{"amount": 2000, "currency": "usd", "source": "tok_visa", **sent})


STEPS: dict[str, Callable[[Api], object]] = {}


def step(title: str) -> Callable[[Callable[[Api], object]], Callable[[Api], object]]:
    """Enter a function among the steps of the conversation."""

    def enter(play: Callable[[Api], object]) -> Callable[[Api], object]:
        STEPS[title] = play
        return play

    return enter


@step("a customer is created and read back")
def _(api: Api) -> object:
    made = api("POST", "/customers", email="a@b.example", description="x & y", metadata={"k": "v [1]"})
    assert api("GET", f"/customers/{made['id']}") == made
    return [made[name] for name in ("object", "email", "description", "metadata")]


@step("a customer's name")
def _(api: Api) -> object:
    return api("POST", "/customers", name="Ada")["name"]


@step("the phone of a customer who was given none")
def _(api: Api) -> object:
    return api("POST", "/customers", email="a@b.example")["phone"]


@step("when it was created")
def _(api: Api) -> object:
    created = api("POST", "/customers")["created"]
    now = parsedate_to_datetime(api.replies[-1].headers["date"]).timestamp()
    return "now" if abs(created - now) < 3600 else "as in the sample"


@step("members that other versions of the API have or lack")
def _(api: Api) -> object:
    return ", ".join(sorted({"discount", "tax_ids", "test_clock"} & set(api("POST", "/customers"))))


@step("a customer that is not there")
def _(api: Api) -> object:
    return api.said("GET", "/customers/cus_none")


@step("customers by e-mail")
def _(api: Api) -> object:
    api.customers(2, "two@b.example")
    return [
        len(api("GET", "/customers", email=email)["data"]) for email in ("two@b.example", "TWO@b.example")
    ]


@step("five customers, two by two")
def _(api: Api) -> object:
    made, found = api.customers(5, "five@b.example"), list[str]()
    after: dict[str, str] = {}
    for _ in range(3):
        page = api("GET", "/customers", email="five@b.example", limit=2, **after)
        found += [one["id"] for one in page["data"]]
        after = {"starting_after": found[-1]}
    return len(found), sorted(found) == sorted(made), page["has_more"]


@step("a list of twelve without a limit")
def _(api: Api) -> object:
    api.customers(12, "twelve@b.example")
    return len(api("GET", "/customers", email="twelve@b.example")["data"])


@step("what is newer than the last of three (ending_before)")
def _(api: Api) -> object:
    api.customers(3, "three@b.example")
    last = api("GET", "/customers", email="three@b.example")["data"][-1]["id"]
    return len(api("GET", "/customers", email="three@b.example", ending_before=last)["data"])


@step("a cursor that is not there")
def _(api: Api) -> object:
    return api.said("GET", "/customers", starting_after="cus_none")


@step("the url of a list")
def _(api: Api) -> object:
    return api("GET", "/customers")["url"]


@step("a customer is changed, for which the connector has no tool")
def _(api: Api) -> object:
    return api.said("POST", f"/customers/{api.customers(1, 'x@b.example')[0]}", name="Eve")


@step("the same request under the same idempotency key")
def _(api: Api) -> object:
    once = [api("POST", "/customers", GOOD_KEY, "once-1", email="o@b.example") for _ in range(2)]
    return once[0] == once[1]


@step("the header that says so")
def _(api: Api) -> object:
    for _ in range(2):
        api("POST", "/customers", GOOD_KEY, "once-2", email="o@b.example")
    return api.replies[-1].headers.get("Idempotent-Replayed", "–")


@step("another request under that key")
def _(api: Api) -> object:
    api("POST", "/customers", GOOD_KEY, "once-3", email="o@b.example")
    return api.said("POST", "/customers", GOOD_KEY, "once-3", email="p@b.example")


@step("Request-Id on a read")
def _(api: Api) -> object:
    api("GET", "/customers")
    return "yes" if "Request-Id" in api.replies[-1].headers else "no"


@step("no key at all")
def _(api: Api) -> object:
    return api.said("GET", "/customers", "")


@step("a key of a kind that it does not know")
def _(api: Api) -> object:
    return api.said("GET", "/customers", REFUSED_KEY)


@step("a charge, and the charge read back")
def _(api: Api) -> object:
    made = api.charge(description="Order #1 — 50 % off")
    assert api("GET", f"/charges/{made['id']}") == made
    return [made[name] for name in ("amount", "currency", "status", "description")]


@step("a charge without an amount")
def _(api: Api) -> object:
    return api.said("POST", "/charges", currency="usd", source="tok_visa")


@step("a charge of nobody")
def _(api: Api) -> object:
    return api.said("POST", "/charges", amount=2000, currency="usd")


@step("a charge of 0.10 dollars")
def _(api: Api) -> object:
    return api.said("POST", "/charges", amount=10, currency="usd", source="tok_visa")


@step("a charge of a customer who is not there")
def _(api: Api) -> object:
    return api.said("POST", "/charges", amount=2000, currency="usd", customer="cus_none")


@step("a charge of a card that is declined")
def _(api: Api) -> object:
    return api.said("POST", "/charges", amount=2000, currency="usd", source="tok_chargeDeclined")


@step("a charge that meets a rate limit (tok_429)")
def _(api: Api) -> object:
    return api.said("POST", "/charges", amount=2000, currency="usd", source="tok_429")


@step("a refund of 5.00 of it")
def _(api: Api) -> object:
    charge = api.charge()["id"]
    made = api("POST", "/refunds", charge=charge, amount=500, reason="duplicate")
    return [made["amount"], made["charge"] == charge, made["status"], made["reason"]]


@step("a refund without an amount, of a charge of 2000")
def _(api: Api) -> object:
    return api("POST", "/refunds", charge=api.charge()["id"])["amount"]


@step("the charge's amount_refunded after it")
def _(api: Api) -> object:
    charge = api.charge()["id"]
    api("POST", "/refunds", charge=charge)
    return api("GET", f"/charges/{charge}")["amount_refunded"]


@step("a second refund of the same charge")
def _(api: Api) -> object:
    charge = api.charge()["id"]
    return [api.said("POST", "/refunds", charge=charge) for _ in range(2)][1]


@step("a refund of a charge that is not there")
def _(api: Api) -> object:
    return api.said("POST", "/refunds", charge="ch_none")


@step("a refund of nothing")
def _(api: Api) -> object:
    return api.said("POST", "/refunds")


@step("a product")
def _(api: Api) -> object:
    made = api("POST", "/products", name="Gold & Silver", metadata={"size": "L"})
    return [made[name] for name in ("object", "name", "active", "metadata")]


@step("a product without a name")
def _(api: Api) -> object:
    return api.said("POST", "/products")


@step("a product in the list of active ones")
def _(api: Api) -> object:
    made = api("POST", "/products", name="Gold")["id"]
    return "yes" if made in [one["id"] for one in api("GET", "/products", active=True)["data"]] else "no"


@step("a subscription to a price that is not there")
def _(api: Api) -> object:
    customer = api.customers(1, "s@b.example")[0]
    return api.said("POST", "/subscriptions", customer=customer, items=[{"price": "price_none"}])


@step("a subscription that is not there, cancelled")
def _(api: Api) -> object:
    return api.said("DELETE", "/subscriptions/sub_none")


@step("the balance")
def _(api: Api) -> object:
    return api.said("GET", "/balance")


@step("the invoices")
def _(api: Api) -> object:
    return api.said("GET", "/invoices")


@step("an invoice draft")
def _(api: Api) -> object:
    return api.said("POST", "/invoices", customer=api.customers(1, "i@b.example")[0])


@step("an address that is not there")
def _(api: Api) -> object:
    return api.said("GET", "/nothing")


def shown(outcome: object) -> str:
    return "null" if outcome is None else str(outcome)


def rows() -> dict[str, list[str]]:
    """The table of the page: each step with both outcomes and why they differ."""
    table = PAGE.partition("| Step |")[2].splitlines()[2:]
    cells = [
        [cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in table if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture(scope="module")
def both(stateful_mock: str) -> Iterator[tuple[Api, Api]]:
    with sandbox("stripe") as served:
        yield Api(stateful_mock), Api(served.origin)


@pytest.mark.parametrize("title", STEPS)
def test_they_differ_where_the_page_says_so(both: tuple[Api, Api], title: str) -> None:
    theirs, ours = (shown(STEPS[title](api)) for api in both)
    row = rows().get(title)
    if theirs == ours:
        assert row is None, f"both answer {ours}"
    else:
        assert row is not None, f"| {title} | {theirs} | {ours} | |"
        assert row[:2] == [theirs, ours]
        assert row[2].endswith(".")


def test_the_page_names_no_step_that_is_not_played() -> None:
    assert not rows().keys() - STEPS.keys()
    assert 0 < len(rows()) < len(STEPS)


def test_the_page_names_every_fault() -> None:
    for fault in FAULTS:
        assert f"| `{fault}` |" in PAGE


def test_the_clients_lines_run_as_shown() -> None:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    with sandbox("stripe") as served:
        for lines in code:
            exec(lines.replace("http://127.0.0.1:4242", served.origin), {})
    assert code


def test_the_server_says_what_is_shown() -> None:
    said = PAGE.partition("$ mcpgate sandbox stripe --port 4242\n")[2].partition("```")[0]
    with sandbox("stripe") as served:
        assert served.said == said.replace("4242", str(served.port))
