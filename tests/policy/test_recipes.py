"""The shipped presets and the recipes over the shipped connector, and tricks that are tried on them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.catalog import load_connector, load_policy
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.errors import ArgumentsError, DeniedError, RefusedError
from mcpgate.gateway import Gateway
from mcpgate.plan import Plan
from mcpgate.secrets import Scrubber
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Request
from tests.policy.shop import policy

READS = [
    "stripe_list_customers",
    "stripe_get_customer",
    "stripe_list_charges",
    "stripe_list_invoices",
    "stripe_get_invoice",
    "stripe_list_subscriptions",
    "stripe_list_products",
    "stripe_get_balance",
]
WRITES = [
    "stripe_create_customer",
    "stripe_create_charge",
    "stripe_create_invoice",
    "stripe_create_subscription",
    "stripe_create_product",
]

CAP_CHARGES = """
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd, eur, gbp] }
"""
MAX_AMOUNT = """
guardrails:
  - for: effect:money_in
    max_amount: { usd: 50000, eur: 50000, gbp: 50000 }
"""
BILLING_BOT = """
preset: billing-bot
extends: transact
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd, eur, gbp] }
  - for: stripe_create_charge
    max_amount: { usd: 40000, eur: 40000, gbp: 40000 }
    mode: observe
    reason: Over 400 a person should look first.
"""


@cache
def toolset(preset: str, *rules: str) -> Toolset:
    grant = Grant(open_account(load_connector("stripe"), {}), load_policy(preset, "preset"))
    return build_toolset(App("test", (grant,), rules=tuple(policy(text.strip() + "\n") for text in rules)))


def listed(tools: Toolset) -> list[str]:
    return [tool["name"] for tool in tools.listing()["tools"]]


def plan(tools: Toolset, name: str, arguments: Mapping[str, Any]) -> Plan:
    """Steps 1 to 5: what would be sent, or a refusal."""
    gateway = Gateway(tools, HTTPBackend(Client(lambda *_: None)), MemoryStore(), Scrubber())
    return gateway.plan(tools.find(name), dict(arguments))


# --- the three recipes -----------------------------------------------------------------------------------


def test_read_only_shows_8_tools() -> None:
    assert listed(toolset("read-only")) == READS
    with pytest.raises(DeniedError) as raised:
        plan(toolset("read-only"), "stripe_create_customer", {})
    assert raised.value.message == (
        "Denied by preset: stripe_create_customer is not among what the preset read-only allows (read)."
    )


def test_transact_shows_13_tools_and_takes_nothing_back() -> None:
    tools = toolset("transact")
    assert listed(tools) == READS + WRITES
    for name, selector in (
        ("stripe_create_refund", "effect:reversal"),
        ("stripe_cancel_subscription", "delete"),
    ):
        # refused before its arguments are looked at
        with pytest.raises(DeniedError) as raised:
            plan(tools, name, {"nonsense": float("nan")})
        assert (
            raised.value.message
            == f"Denied by preset: {name} is denied by the preset transact (deny: {selector})."
        )


def test_full_access_shows_all_15() -> None:
    assert len(listed(toolset("full-access"))) == 15


def test_capped_charges() -> None:
    tools = toolset("transact", CAP_CHARGES)
    charge = {"amount": 50000, "currency": "eur", "customer": "cus_1"}
    assert plan(tools, "stripe_create_charge", charge).decision.verdict == "allow"
    for arguments, rule in (({"amount": 50001}, "max_value"), ({"currency": "jpy"}, "allow_values")):
        with pytest.raises(DeniedError, match=f"^Denied by {rule}: "):
            plan(tools, "stripe_create_charge", {**charge, **arguments})
    shown = next(tool for tool in tools.listing()["tools"] if tool["name"] == "stripe_create_charge")
    properties = shown["inputSchema"]["properties"]
    assert properties["amount"]["maximum"] == 50000
    assert properties["currency"]["enum"] == ["usd", "eur", "gbp"]
    assert len(listed(tools)) == 13


def test_the_billing_bot_of_the_documentation_as_far_as_it_can_be_said(tmp_path: Any) -> None:
    path = tmp_path / "billing-bot.yaml"
    path.write_text(BILLING_BOT.lstrip())
    decision = plan(
        toolset(str(path)), "stripe_create_charge", {"amount": 45000, "currency": "usd", "source": "t"}
    )
    observed = [step for step in decision.decision.trace if step.verdict == "observe"]
    assert [step.reason for step in observed] == ["Over 400 a person should look first."]
    assert observed[0].says == "45000 usd (450.00 USD) is over the limit of 40000 usd (400.00 USD)"


def test_rules_bind_to_effects_and_not_to_names() -> None:  # row 6
    """A subscription brings money in as well; what it brings is not in its arguments, so it is denied."""
    tools = toolset("full-access", MAX_AMOUNT)
    assert "stripe_create_subscription" not in listed(tools)
    with pytest.raises(DeniedError, match="cannot be told from its arguments"):
        plan(tools, "stripe_create_subscription", {"customer": "cus_1", "items": [{"price": "price_1"}]})


# --- attacks, rows 1 to 9 --------------------------------------------------------------------------------

CHARGE = {"amount": 50000, "currency": "usd", "customer": "cus_1"}
TOO_MUCH = 90000

# (row, what is changed about a charge that passes, None for: it is refused, or the bytes that are sent)
TRICKS: list[tuple[int, dict[str, Any], dict[str, str] | None]] = [
    # 1: another type that some parser reads as an amount
    (1, {"amount": "100000"}, None),
    (1, {"amount": "500"}, None),
    (1, {"amount": 1e5}, None),
    (1, {"amount": 5e2}, {"amount": "500"}),
    (1, {"amount": 100000.5}, None),
    (1, {"amount": 500.5}, None),
    (1, {"amount": True}, None),
    (1, {"amount": [100000]}, None),
    (1, {"amount": [500]}, None),
    (1, {"amount": {"value": 500}}, None),
    (1, {"amount": "0x1F4"}, None),
    # 2: numbers at the edge
    (2, {"amount": -90000}, None),
    (2, {"amount": 0}, None),
    (2, {"amount": -0.0}, None),
    (2, {"amount": float("nan")}, None),
    (2, {"amount": float("inf")}, None),
    (2, {"amount": float("-inf")}, None),
    (2, {"amount": 2**53}, None),
    (2, {"amount": -(2**53)}, None),
    (2, {"amount": 2**64 + 500}, None),
    (2, {"amount": 10**5000}, None),
    (2, {"amount": 1e300}, None),
    # 3: another currency, or none
    (3, {"currency": "jpy"}, None),
    (3, {"currency": "kwd"}, None),
    (3, {"currency": "USD"}, None),
    (3, {"currency": "usd\n"}, None),
    (3, {"currency": "usd "}, None),
    (3, {"currency": ""}, None),
    (3, {"currency": ["usd"]}, None),
    (3, {"currency": None}, None),
    # 4: left out, null, empty
    (4, {"amount": None}, None),
    (4, {"amount": []}, None),
    (4, {"amount": ...}, None),
    (4, {"currency": ...}, None),
    # 6: the same effect by an argument that the tool does not have
    (6, {"transfer_data": {"destination": "acct_1", "amount": 5}}, None),
    (6, {"application_fee_amount": 500}, None),
    (6, {"on_behalf_of": "acct_1"}, None),
    (6, {"capture": False}, None),
    # 7: aliases, nesting, brackets
    (7, {"Amount": TOO_MUCH}, None),
    (7, {"amount ": TOO_MUCH}, None),
    (7, {"amount[]": TOO_MUCH}, None),
    (7, {"metadata[amount]": "1"}, None),
    (7, {"metadata": {"a]&amount": "1"}}, None),
    (7, {"metadata": {"a[b": "1"}}, None),
    (7, {"metadata": {"a": {"b": "1"}}}, None),
    (7, {"metadata": {f"k{number}": "v" for number in range(51)}}, None),
    (7, {"metadata": {"a": "v" * 501}}, None),
    (7, {"expand": ["customer"]}, None),
    (7, {"description": "x" * 300_000}, None),
    (7, {"metadata": {"a": [[[[[["deep"]]]]]]}}, None),
    # 8: what two readers could read in two ways
    (8, {"amount\0": TOO_MUCH}, None),
    (8, {"\ufeffamount": TOO_MUCH}, None),
    (8, {"description": "a\0b"}, None),
    (8, {"description": "\ud800"}, None),
    (8, {"\udfff": "x"}, None),
    (8, {"metadata": {"\udfff": "x"}}, None),
    # 9: letters that look alike
    (9, {"аmount": TOO_MUCH}, None),  # a Cyrillic а
    (9, {"currency": "usԁ"}, None),
    (9, {"currency": "ｕｓｄ"}, None),
    (9, {"currency": "u\u200bsd"}, None),
    (9, {"amount": "５００"}, None),
    # 11: text that would be more than one pair: it stays one value
    (11, {"description": "x&amount=90000"}, {"description": "x&amount=90000"}),
    (11, {"description": "x]=1&amount[0]=9"}, {"description": "x]=1&amount[0]=9"}),
    (11, {"customer": "cus_1&amount=90000#"}, {"customer": "cus_1&amount=90000#"}),
    (11, {"metadata": {"a&amount": "90000"}}, {"metadata[a&amount]": "90000"}),
    (11, {"metadata": "{'amount': 90000}"}, None),
]


def _changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**CHARGE, **changes}
    return {name: value for name, value in merged.items() if value is not ...}


@pytest.mark.parametrize("rules", [CAP_CHARGES, MAX_AMOUNT], ids=["cap-charges", "max-amount"])
@pytest.mark.parametrize(
    ("changes", "sent"),
    [trick[1:] for trick in TRICKS],
    ids=[f"row{trick[0]}-{number}" for number, trick in enumerate(TRICKS)],
)
def test_a_trick_is_refused_or_sent_exactly_as_it_was_checked(
    changes: dict[str, Any], sent: dict[str, str] | None, rules: str
) -> None:
    tools, arguments = toolset("transact", rules), _changed(changes)
    if sent is None:
        with pytest.raises(RefusedError) as raised:
            plan(tools, "stripe_create_charge", arguments)
        assert isinstance(raised.value, ArgumentsError | DeniedError)
        assert len(raised.value.message) < 700
        raised.value.message.encode()
    else:
        request = plan(tools, "stripe_create_charge", arguments).request
        expected = {"amount": "50000", "currency": "usd", "customer": "cus_1", **sent}
        assert pairs(request) == sorted(expected.items())


def pairs(request: Request) -> list[tuple[str, str]]:
    """The form that is sent, as a server reads it."""
    assert request.body is not None
    return sorted(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))


@pytest.mark.parametrize(
    "arguments",
    [
        {"charge": "ch_1"},
        {"charge": "ch_1", "amount": None},
        {"charge": "ch_1", "amount": 5},
        {"payment_intent": "pi_1", "amount": 5},
    ],
)
def test_a_refund_whose_sum_is_not_known_is_denied(arguments: dict[str, Any]) -> None:  # row 4
    """Without an amount all is refunded, and no currency is said: until it is looked up, it is unknown."""
    rules = "guardrails:\n  - { for: effect:money_out, max_amount: { usd: 50000 } }\n"
    with pytest.raises(
        DeniedError, match=r"^Denied by max_amount: the (amount|currency) of this call is not known"
    ):
        plan(toolset("full-access", rules), "stripe_create_refund", arguments)
