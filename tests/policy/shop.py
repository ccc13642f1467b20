"""A made-up API with every shape that a rule may meet, and how a call to it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mcpgate.apps import App, Grant, open_account
from mcpgate.arguments import check_arguments
from mcpgate.places import MISSING
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Connector, Decision, Finding, Policy, Source

SHOP = """
connector: shop
title: Shop
base_url: https://api.shop.example/v1
idempotency: Idempotency-Key
request_id: Request-Id
auth: { type: bearer, secret: { label: Key } }
errors: { message: error }
tools:
  shop_list_orders:
    description: List orders.
    category: read
    request: GET /orders
    params: { status: The status. }
    fields: [id]
  shop_create_order:
    description: Order things.
    category: write
    request: POST /orders
    params:
      amount: { type: integer }
      currency: { type: string }
      ratio: { type: number, exclusiveMaximum: 100 }
      gift: { type: boolean }
      note: Free text.
      tags: { type: array, items: { type: string }, maxItems: 9 }
      labels: { type: [array, 'null'], items: { type: string } }
      size: { type: string, enum: [s, m, l] }
      items:
        type: array
        items:
          type: object
          properties:
            price: Its id.
            quantity: { type: integer, minimum: 1 }
            codes: { type: array, items: { type: string } }
      metadata: { type: object, additionalProperties: { type: string } }
      extra: { type: object, additionalProperties: true }
      address:
        properties: { country: Code., geo: { properties: { lat: { type: number } } } }
      created: { anyOf: [{ type: integer }, { type: object, properties: { gt: { type: integer } } }] }
      urgent: { type: string, default: 'no' }
    effects: [money_in]
    money: { amount: amount, currency: currency }
  shop_create_payout:
    description: Pay many out.
    category: write
    request: POST /payouts
    params:
      currency: { type: string }
      parts:
        type: array
        items: { properties: { amount: { type: integer }, currency: { type: string } } }
    effects: [money_out]
    money: { amount: parts.amount, currency: [currency, parts.currency] }
  shop_create_refund:
    description: Refund an order.
    category: write
    request: POST /refunds
    params: { order: { type: string }, amount: { type: integer } }
    required: [order]
    effects: [reversal, money_out]
    lookup: GET /orders/{order}
    money: { amount: [amount, before.amount], currency: before.currency }
  shop_send_note:
    description: Write to someone.
    category: write
    request: POST /notes
    params: { to: { type: string }, text: { type: string } }
    effects: [message]
  shop_delete_order:
    description: Delete an order.
    category: delete
    request: DELETE /orders/{order}
    params: { order: { type: string } }
    effects: [erase]
"""

EVERYTHING = "preset: everything\nallow: [read, write, delete]\n"


@cache
def connector(text: str = SHOP, origin: str = "") -> Connector:
    """A connector from its text, with another origin if one is given."""
    if origin:
        text = text.replace("https://api.shop.example", origin)
    return read_connector("shop.yaml", text.encode(), Source("file", "shop.yaml", ""))


@cache
def policy(text: str) -> Policy:
    """A preset or policy from its text; one that is only guardrails is given a name."""
    named = text if text.startswith(("preset:", "policy:")) else f"policy: rules\n{text}"
    return read_policy("rules.yaml", named.encode())


def app(*rules: str, preset: str = EVERYTHING, account: str = "", switches: str = "") -> App:
    """An app with the shop, under these policies by layer."""
    return App(
        "test",
        (Grant(open_account(connector(), {}), policy(preset)),),
        switches=(policy(switches),) if switches else (),
        account_rules=(policy(account),) if account else (),
        rules=tuple(policy(text) for text in rules),
    )


def guarded(*guardrails: str) -> App:
    """The shop with everything allowed and these guardrails, each on one line of flow YAML."""
    return app("guardrails:\n" + "".join(f"  - {line}\n" for line in guardrails))


def judge(
    holder: App | Toolset,
    tool: str,
    arguments: Mapping[str, Any] | None = None,
    before: Any = MISSING,
    now: float | None = EXAMPLE_NOW,
    settings: Mapping[str, str] | None = None,
) -> Decision:
    """The decision on a call, its arguments checked and made canonical first."""
    toolset = holder if isinstance(holder, Toolset) else build_toolset(holder)
    entry = toolset.find(tool)
    canonical = check_arguments(entry.tool, entry.validator, arguments or {})
    call = Call(entry.tool, canonical, before, now=now, settings=settings or {})
    return decide(entry.bound, call)


def reason(
    holder: App | Toolset, tool: str, arguments: Mapping[str, Any] | None = None, **rest: Any
) -> Finding:
    """Why a call is denied."""
    decision = judge(holder, tool, arguments, **rest)
    assert decision.verdict != "allow", decision
    assert decision.reason is not None
    return decision.reason


def order(**arguments: Any) -> tuple[str, dict[str, Any]]:
    """A call that orders things."""
    return "shop_create_order", arguments
