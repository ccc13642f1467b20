"""Calls for both clients: mcpgate's engine and the API's own Python package.

A row is the tool, its arguments, and what the official client is given when that is not the same: it knows
neither `null` that is left out nor numbers such as 20.0 that JSON does not tell from 20.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# Where the official client has each tool, and the arguments that it takes by position.
OPERATIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "stripe_list_customers": ("customers", "list", ()),
    "stripe_get_customer": ("customers", "retrieve", ("customer",)),
    "stripe_list_charges": ("charges", "list", ()),
    "stripe_list_invoices": ("invoices", "list", ()),
    "stripe_get_invoice": ("invoices", "retrieve", ("invoice",)),
    "stripe_list_subscriptions": ("subscriptions", "list", ()),
    "stripe_list_products": ("products", "list", ()),
    "stripe_get_balance": ("balance", "retrieve", ()),
    "stripe_create_customer": ("customers", "create", ()),
    "stripe_create_charge": ("charges", "create", ()),
    "stripe_create_invoice": ("invoices", "create", ()),
    "stripe_create_subscription": ("subscriptions", "create", ()),
    "stripe_create_refund": ("refunds", "create", ()),
    "stripe_create_product": ("products", "create", ()),
    "stripe_cancel_subscription": ("subscriptions", "cancel", ("subscription",)),
}

HARD = "a&b=c+d %20[x]/?#;:,@\"'<>\\~!*()-_."
ADDRESS = {
    "line1": "Straße 1/2",
    "line2": "",
    "city": "東京",
    "postal_code": "00-950",
    "state": "Île-de-France",
    "country": "FR",
}


class Call(NamedTuple):
    """One row of the table."""

    name: str
    tool: str
    arguments: dict[str, Any]
    official: dict[str, Any] | None = None


CALLS = (
    Call("nothing at all", "stripe_list_customers", {}),
    Call("an address with plus and at", "stripe_list_customers", {"email": "a+b@example.com", "limit": 3}),
    Call("a cursor", "stripe_list_customers", {"starting_after": "cus_9s6XKzkNRiz8i3", "limit": 100}),
    Call("the cursor backwards", "stripe_list_customers", {"ending_before": "cus_9s6XKzkNRiz8i3"}),
    Call("a range", "stripe_list_customers", {"created": {"gte": 1735689600, "lt": 1767225600}}),
    Call("a whole float", "stripe_list_customers", {"limit": 20.0}, {"limit": 20}),
    Call("a null", "stripe_list_customers", {"email": None, "limit": 2}, {"limit": 2}),
    Call("one customer", "stripe_get_customer", {"customer": "cus_9s6XKzkNRiz8i3"}),
    Call("charges of a customer", "stripe_list_charges", {"customer": "cus_9s6XKzkNRiz8i3", "limit": 1}),
    Call(
        "four bounds", "stripe_list_charges", {"created": {"gt": 0, "gte": 1, "lt": 2**31, "lte": 4102444800}}
    ),
    Call("a range of nothing", "stripe_list_charges", {"created": {}, "limit": 5}),
    Call("a negative bound", "stripe_list_charges", {"created": {"gt": -1}, "payment_intent": "pi_3Ab"}),
    Call("invoices by state", "stripe_list_invoices", {"status": "open", "customer": "cus_9s6"}),
    Call(
        "by subscription", "stripe_list_invoices", {"subscription": "sub_1Ab", "created": {"lte": 1767225600}}
    ),
    Call("one invoice", "stripe_get_invoice", {"invoice": "in_1MtHbELkdIwHu7ixl4OzzPMv"}),
    Call("one invoice, expanded", "stripe_get_invoice", {"invoice": "in_1Mt", "expand": ["payments"]}),
    Call("nothing to expand", "stripe_get_invoice", {"invoice": "in_1Mt", "expand": []}),
    Call("the cancelled ones too", "stripe_list_subscriptions", {"status": "all", "price": "price_1Ab"}),
    Call(
        "expand into a list",
        "stripe_list_subscriptions",
        {"customer": "cus_9s6", "expand": ["data.customer"], "starting_after": "sub_1Ab"},
    ),
    Call("true in a query", "stripe_list_products", {"active": True}),
    Call("false in a query", "stripe_list_products", {"active": False, "limit": 10}),
    Call("a list in a query", "stripe_list_products", {"ids": ["prod_A", "prod_B", "prod_C"]}),
    Call("an empty list in a query", "stripe_list_products", {"ids": [], "active": True}),
    Call("every special character in a query", "stripe_list_products", {"ids": [HARD, "ü 🚀", ""]}),
    Call("the balance", "stripe_get_balance", {}),
    Call("a post without anything", "stripe_create_customer", {}),
    Call("plain", "stripe_create_customer", {"name": "Jenny Rosen", "email": "jenny@example.com"}),
    Call("every special character", "stripe_create_customer", {"name": HARD, "description": HARD}),
    Call(
        "emoji and accents",
        "stripe_create_customer",
        {"name": "Zoë 👩🏽‍🚀 Łukasz ﷺ e\u0301", "phone": "+33 1"},
    ),
    Call("an address, partly empty", "stripe_create_customer", {"address": ADDRESS}),
    Call("texts that are unset", "stripe_create_customer", {"description": "", "phone": ""}),
    Call("lines and tabs", "stripe_create_customer", {"description": "a\nb\r\n\tc end "}),
    Call(
        "metadata",
        "stripe_create_customer",
        {
            "metadata": {
                "a b": "c d",
                "ключ": "значение",
                "x.y": "1=2&3",
                "a&b=c": "[%5D]",
                "empty": "",
                "🔑": "🔒",
            }
        },
    ),
    Call("metadata without entries", "stripe_create_customer", {"name": "A", "metadata": {}}),
    Call("an address of nothing", "stripe_create_customer", {"address": {}, "source": "tok_visa"}),
    Call(
        "a charge",
        "stripe_create_charge",
        {"amount": 2000, "currency": "usd", "source": "tok_visa", "description": "Order #6735 — 50 % off"},
    ),
    Call(
        "a large charge",
        "stripe_create_charge",
        {
            "amount": 99999999,
            "currency": "jpy",
            "customer": "cus_9s6",
            "statement_descriptor_suffix": "A*B 1",
        },
    ),
    Call(
        "a charge whose amount is a float",
        "stripe_create_charge",
        {"amount": 50.0, "currency": "eur", "source": "tok_visa|x", "metadata": {"order": "[6735]"}},
        {"amount": 50, "currency": "eur", "source": "tok_visa|x", "metadata": {"order": "[6735]"}},
    ),
    Call("a draft", "stripe_create_invoice", {"customer": "cus_9s6"}),
    Call(
        "a draft to be sent",
        "stripe_create_invoice",
        {
            "customer": "cus_9s6",
            "collection_method": "send_invoice",
            "days_until_due": 0,
            "pending_invoice_items_behavior": "include",
            "description": "März & April\n2 × 3 = 6",
            "metadata": {"po": "00042"},
        },
    ),
    Call("an item", "stripe_create_subscription", {"customer": "cus_9s6", "items": [{"price": "price_1Ab"}]}),
    Call(
        "a dozen items",
        "stripe_create_subscription",
        {
            "customer": "cus_9s6",
            "items": [{"price": f"price_{number}", "quantity": number} for number in range(1, 13)],
        },
    ),
    Call(
        "objects with different members, and true",
        "stripe_create_subscription",
        {
            "customer": "cus_9s6",
            "items": [{"price": "price_1Ab", "quantity": 2}, {"price": "price_2Cd"}],
            "cancel_at_period_end": True,
            "trial_period_days": 30,
            "metadata": {"seat": "é [1]"},
        },
    ),
    Call(
        "false in a body",
        "stripe_create_subscription",
        {
            "customer": "cus_9s6",
            "items": [{"price": "price_1Ab"}],
            "cancel_at_period_end": False,
            "payment_behavior": "error_if_incomplete",
        },
    ),
    Call("a refund in whole", "stripe_create_refund", {"charge": "ch_3Ab"}),
    Call(
        "a refund in part",
        "stripe_create_refund",
        {
            "payment_intent": "pi_3Ab",
            "amount": 1,
            "reason": "requested_by_customer",
            "metadata": {"by": "+49 30/1"},
        },
    ),
    Call("a product", "stripe_create_product", {"name": "Gold & Silver Plan", "active": False}),
    Call(
        "two levels down",
        "stripe_create_product",
        {
            "name": "Plan",
            "url": "https://example.com/ü?x=1&y=2#z",
            "default_price_data": {
                "currency": "usd",
                "unit_amount": 0,
                "recurring": {"interval": "month", "interval_count": 3},
            },
        },
    ),
    Call(
        "a float two levels down",
        "stripe_create_product",
        {"name": "P", "default_price_data": {"currency": "kwd", "unit_amount": 1500.0}, "active": True},
        {"name": "P", "default_price_data": {"currency": "kwd", "unit_amount": 1500}, "active": True},
    ),
    Call("cancel", "stripe_cancel_subscription", {"subscription": "sub_1MlPf9LkdIwHu7ixB6VIYRyX"}),
    Call(
        "cancel with reasons",
        "stripe_cancel_subscription",
        {
            "subscription": "sub_1Ab",
            "cancellation_details": {"comment": "too much & too late + ü [1/2]"},
        },
    ),
    Call(
        "cancel with an empty reason",
        "stripe_cancel_subscription",
        {"subscription": "sub_1Ab", "cancellation_details": {"comment": ""}},
    ),
)
