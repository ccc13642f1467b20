"""What is played against every API that can answer: live over stdio, into a cassette, and from it again.

A scenario talks to a `Stage` and checks what comes back. `can` names the sources that can answer it:
stripe-stateful-mock, localstripe, and the real API with a test key. A source's quirk stands where it matters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

STATEFUL_MOCK = "stateful-mock"
LOCALSTRIPE = "localstripe"
REAL = "real"

GOOD_KEY = "sk_test_abcdefgh12345678"
REFUSED_KEY = "rk_test_abcdefgh12345678"  # a good kind of key, which neither stand-in knows

CARD = {STATEFUL_MOCK: "tok_visa", LOCALSTRIPE: "pm_card_visa", REAL: "tok_visa"}


@dataclass(frozen=True)
class Answer:
    """What an agent gets from one call of a tool."""

    text: str
    is_error: bool
    structured: dict[str, Any]
    note: str = ""

    @property
    def value(self) -> Any:
        """The result as JSON; an error has none."""
        assert not self.is_error, self.text
        return json.loads(self.text)


class Caller(Protocol):
    """Something that calls tools as an agent does."""

    def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        ...


@dataclass(frozen=True)
class Stage:
    """Where a scenario is played: a caller of tools, and the API behind it, for what no tool makes."""

    source: str
    caller: Caller
    origin: str
    key: str

    def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        return self.caller.call(tool, **arguments)

    def api(self, path: str, **form: Any) -> Any:
        """Post a form to the API itself."""
        headers = {"Authorization": f"Bearer {self.key}"}
        reply = httpx2.post(f"{self.origin}/v1{path}", data=form, headers=headers)
        assert reply.is_success, reply.text
        return reply.json()


@dataclass(frozen=True)
class Scenario:
    """One story, the sources that can answer it, and the key it is played with."""

    name: str
    can: tuple[str, ...]
    play: Callable[[Stage], None]
    key: str = GOOD_KEY


SCENARIOS: dict[str, Scenario] = {}


def scenario(*can: str, key: str = GOOD_KEY) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Enter a function among the scenarios, under its own name."""

    def enter(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        name = play.__name__
        SCENARIOS[name] = Scenario(name, can, play, key)
        return play

    return enter


@scenario(STATEFUL_MOCK, LOCALSTRIPE, REAL)
def customer_with_every_character(stage: Stage) -> None:
    metadata = {"note": "a&b=c+d %20 [x] é 🚀", "empty key? no": "0"}
    made = stage.call(
        "stripe_create_customer",
        email="jenny+1@example.com",
        description="Zoë & Söhne = 100 %\nline",
        address={"line1": "Straße 1/2", "city": "東京", "country": "JP"},
        metadata=metadata,
    ).value
    found = stage.call("stripe_get_customer", customer=made["id"]).value
    assert found["id"] == made["id"]
    assert found["email"] == "jenny+1@example.com"
    assert found["description"] == "Zoë & Söhne = 100 %\nline"
    assert found["metadata"] == metadata
    assert found["address"]["line1"] == "Straße 1/2"


@scenario(STATEFUL_MOCK, LOCALSTRIPE, REAL)
def customers_page_by_page(stage: Stage) -> None:
    for number in range(3):
        stage.call("stripe_create_customer", email=f"page-{number}@example.com").value  # noqa: B018
    first = stage.call("stripe_list_customers", limit=2).value
    assert len(first["items"]) == 2
    assert first["next"] == {"starting_after": first["items"][1]["id"]}
    second = stage.call("stripe_list_customers", limit=2, **first["next"]).value
    assert second["items"]
    assert not {item["id"] for item in first["items"]} & {item["id"] for item in second["items"]}


@scenario(STATEFUL_MOCK, LOCALSTRIPE, REAL)
def no_such_customer(stage: Stage) -> None:
    answer = stage.call("stripe_get_customer", customer="cus_doesnotexist")
    assert answer.is_error
    assert answer.structured["status"] == 404


@scenario(STATEFUL_MOCK, REAL)
def cursor_that_is_not_there(stage: Stage) -> None:
    answer = stage.call("stripe_list_customers", starting_after="cus_doesnotexist")
    assert answer.is_error
    assert answer.structured["code"] == "resource_missing"
    assert "cus_doesnotexist" in answer.text


@scenario(STATEFUL_MOCK, LOCALSTRIPE, key=REFUSED_KEY)
def key_that_is_refused(stage: Stage) -> None:
    answer = stage.call("stripe_list_products")
    assert answer.is_error
    assert answer.structured["status"] == 401
    assert "Ask a person" in answer.text
    assert REFUSED_KEY not in answer.text


@scenario(STATEFUL_MOCK, LOCALSTRIPE, REAL)
def charge_and_refund(stage: Stage) -> None:
    charge = stage.call(
        "stripe_create_charge",
        amount=2000,
        currency="usd",
        source=CARD[stage.source],
        description="Order #1 — 50 % off",
    ).value
    assert (charge["amount"], charge["currency"], charge["status"]) == (2000, "usd", "succeeded")
    assert charge["description"] == "Order #1 — 50 % off"
    listed = stage.call("stripe_list_charges", limit=100).value
    assert charge["id"] in [item["id"] for item in listed["items"]]
    refund = stage.call("stripe_create_refund", charge=charge["id"], amount=500).value
    assert (refund["amount"], refund["charge"], refund["status"]) == (500, charge["id"], "succeeded")


@scenario(STATEFUL_MOCK, REAL)
def refund_twice(stage: Stage) -> None:
    charge = stage.call("stripe_create_charge", amount=700, currency="eur", source=CARD[stage.source]).value
    refund = stage.call("stripe_create_refund", charge=charge["id"], reason="duplicate").value
    assert (refund["amount"], refund["reason"]) == (700, "duplicate")
    again = stage.call("stripe_create_refund", charge=charge["id"])
    assert again.is_error
    assert again.structured["code"] == "charge_already_refunded"
    assert "Nothing is left to refund" in again.text


@scenario(STATEFUL_MOCK, REAL)
def charge_that_is_too_small(stage: Stage) -> None:
    answer = stage.call("stripe_create_charge", amount=10, currency="usd", source=CARD[stage.source])
    assert answer.is_error
    assert (answer.structured["status"], answer.structured["code"]) == (400, "amount_too_small")


@scenario(STATEFUL_MOCK, REAL)
def card_that_is_declined(stage: Stage) -> None:
    answer = stage.call("stripe_create_charge", amount=2000, currency="usd", source="tok_chargeDeclined")
    assert answer.is_error
    assert answer.structured["status"] == 402
    assert answer.structured["code"] in ("generic_decline", "card_declined")
    assert "Your card was declined" in answer.text


@scenario(STATEFUL_MOCK, REAL)
def card_without_funds(stage: Stage) -> None:
    answer = stage.call(
        "stripe_create_charge", amount=2000, currency="usd", source="tok_chargeDeclinedInsufficientFunds"
    )
    assert answer.is_error
    assert (answer.structured["status"], answer.structured["code"]) == (402, "insufficient_funds")


@scenario(LOCALSTRIPE)
def customer_whose_card_is_declined(stage: Stage) -> None:
    card = {"number": "4000000000000341", "exp_month": 12, "exp_year": 2040, "cvc": 123}
    token = stage.api("/tokens", **{f"card[{name}]": value for name, value in card.items()})
    customer = stage.call("stripe_create_customer", name="Declined", source=token["id"]).value
    answer = stage.call("stripe_create_charge", amount=900, currency="usd", customer=customer["id"])
    assert answer.is_error
    assert (answer.structured["status"], answer.structured["code"]) == (402, "card_declined")


@scenario(STATEFUL_MOCK)
def rate_limit_that_passes(stage: Stage) -> None:
    charge = stage.call(
        "stripe_create_charge", amount=800, currency="usd", source="tok_429|tok_visa|passes"
    ).value
    assert (charge["amount"], charge["status"]) == (800, "succeeded")


@scenario(STATEFUL_MOCK)
def rate_limit_that_stays(stage: Stage) -> None:
    answer = stage.call("stripe_create_charge", amount=800, currency="usd", source="tok_429")
    assert answer.is_error
    assert (answer.structured["status"], answer.structured["code"]) == (429, "rate_limit")


@scenario(STATEFUL_MOCK)
def server_error_under_one_key(stage: Stage) -> None:
    # The chain would succeed at its second use. The stand-in, like the API, keeps a 500 under its key and
    # replays it, so every retry, and the same call again, must get the 500 of the first try.
    charge = {"amount": 810, "currency": "usd", "source": "tok_500|tok_visa|one"}
    first = stage.call("stripe_create_charge", **charge)
    assert first.is_error
    assert first.structured["status"] == 500
    assert first.structured["idempotency_key"]
    again = stage.call("stripe_create_charge", **charge)
    assert again.is_error
    assert again.structured["idempotency_key"] == first.structured["idempotency_key"]
    assert again.structured["status"] == 500


@scenario(STATEFUL_MOCK, LOCALSTRIPE, REAL)
def products(stage: Stage) -> None:
    made = stage.call(
        "stripe_create_product", name="Gold & Silver", active=True, metadata={"size": "L [1]"}
    ).value
    assert (made["name"], made["metadata"]) == ("Gold & Silver", {"size": "L [1]"})
    listed = stage.call("stripe_list_products", limit=100).value
    assert made["id"] in [item["id"] for item in listed["items"]]


@scenario(LOCALSTRIPE, REAL)
def balance(stage: Stage) -> None:
    assert set(stage.call("stripe_get_balance").value) >= {"available", "pending", "livemode"}


@scenario(STATEFUL_MOCK)
def path_that_is_not_there(stage: Stage) -> None:
    answer = stage.call("stripe_get_balance")
    assert answer.is_error
    assert answer.structured["status"] == 404
    assert "No matching path" in answer.text


@scenario(STATEFUL_MOCK)
def subscribe(stage: Stage) -> None:
    product = stage.call("stripe_create_product", name="Plan").value
    price = stage.api(
        "/prices",
        **{"product": product["id"], "currency": "usd", "unit_amount": 500, "recurring[interval]": "month"},
    )
    # It looks up an item's plan even where a price is given, under the name that JavaScript gives to nothing.
    stage.api("/plans", id="undefined", product=product["id"], currency="usd", interval="month", amount=1)
    customer = stage.call("stripe_create_customer", email="sub@example.com", source="tok_visa").value
    items = [{"price": price["id"], "quantity": 3}]
    made = stage.call("stripe_create_subscription", customer=customer["id"], items=items).value
    assert (made["status"], made["customer"]) == ("active", customer["id"])
    assert made["items"]["data"][0]["price"]["id"] == price["id"]
    assert made["items"]["data"][0]["quantity"] == 3
    listed = stage.call("stripe_list_subscriptions", customer=customer["id"]).value
    assert [item["id"] for item in listed["items"]] == [made["id"]]


@scenario(LOCALSTRIPE)
def cancel_subscription_and_draft_invoice(stage: Stage) -> None:
    # It knows plans and no prices, so the subscription is made past the tool.
    token = stage.api(
        "/tokens",
        **{
            "card[number]": "4242424242424242",
            "card[exp_month]": 12,
            "card[exp_year]": 2040,
            "card[cvc]": 123,
        },
    )
    customer = stage.call("stripe_create_customer", name="Subscriber", source=token["id"]).value["id"]
    product = stage.call("stripe_create_product", name="Plan").value["id"]
    plan = stage.api("/plans", product=product, amount=500, currency="usd", interval="month")["id"]
    made = stage.api("/subscriptions", **{"customer": customer, "items[0][plan]": plan})["id"]
    invoices = stage.call("stripe_list_invoices", customer=customer, limit=5).value["items"]
    assert [invoice["status"] for invoice in invoices] == ["paid"]
    assert stage.call("stripe_get_invoice", invoice=invoices[0]["id"]).value["amount_paid"] == 500
    stage.api("/invoiceitems", customer=customer, amount=300, currency="usd")
    draft = stage.call(
        "stripe_create_invoice",
        customer=customer,
        pending_invoice_items_behavior="include",
        description="Extra",
    ).value
    assert (draft["customer"], draft["description"]) == (customer, "Extra")
    listed = stage.call("stripe_list_subscriptions", customer=customer, status="all").value["items"]
    assert [item["id"] for item in listed] == [made]
    gone = stage.call("stripe_cancel_subscription", subscription=made).value
    assert (gone["id"], gone["status"]) == (made, "canceled")


@scenario(LOCALSTRIPE)
def parameter_that_is_not_known(stage: Stage) -> None:
    charge = stage.call("stripe_create_charge", amount=700, currency="eur", source="pm_card_visa").value
    answer = stage.call("stripe_create_refund", charge=charge["id"], reason="duplicate")
    assert answer.is_error
    assert answer.structured["status"] == 400
    assert "Unexpected reason" in answer.text


@scenario(REAL)
def subscription_from_price_to_end(stage: Stage) -> None:
    product = stage.call(
        "stripe_create_product",
        name="Plan",
        default_price_data={"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}},
    ).value
    customer = stage.call("stripe_create_customer", name="Subscriber").value["id"]
    made = stage.call(
        "stripe_create_subscription",
        customer=customer,
        items=[{"price": product["default_price"]}],
        trial_period_days=7,
    ).value
    assert made["status"] == "trialing"
    gone = stage.call("stripe_cancel_subscription", subscription=made["id"]).value
    assert gone["status"] == "canceled"


@scenario(REAL)
def draft_invoice(stage: Stage) -> None:
    customer = stage.call("stripe_create_customer", name="Invoiced").value["id"]
    draft = stage.call("stripe_create_invoice", customer=customer, description="März & April").value
    assert (draft["status"], draft["customer"]) == ("draft", customer)
    assert stage.call("stripe_get_invoice", invoice=draft["id"]).value["id"] == draft["id"]
    listed = stage.call("stripe_list_invoices", customer=customer).value
    assert [item["id"] for item in listed["items"]] == [draft["id"]]
