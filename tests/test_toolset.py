"""The toolset: what is listed, what is found, and what it costs to ask."""

from __future__ import annotations

import json
import time

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.errors import UnknownToolError, UsageError
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.toolset import build_toolset
from tests.policy.shop import EVERYTHING, app, connector, guarded, order, policy

GROUPED = """
connector: grouped
base_url: https://grouped.example
instructions: Ask twice.
tools:
  grouped_do_it:
    description: Do it.
    category: write
    request: PUT /it
    params: { a: A., b: B., c: C. }
    exactly_one: [[a, b]]
    at_least_one: [[b, c]]
    effects: []
"""


def grants(*texts: str) -> tuple[Grant, ...]:
    everything = policy(EVERYTHING)
    return tuple(Grant(open_account(connector(text), {}), everything) for text in texts)


def test_the_listing_has_instructions_and_the_tools_that_are_not_denied() -> None:
    holder = App("test", (*grants(GROUPED), *app().grants), rules=(policy("deny: [write]\nallow: ['*']\n"),))
    listing = build_toolset(holder).listing()
    assert listing["instructions"] == "Ask twice."
    assert [tool["name"] for tool in listing["tools"]] == ["shop_list_orders", "shop_delete_order"]
    assert listing["tools"][1] == {
        "name": "shop_delete_order",
        "title": "Delete order",
        "description": "Delete an order.",
        "inputSchema": {
            "type": "object",
            "properties": {"order": {"type": "string"}},
            "additionalProperties": False,
            "required": ["order"],
        },
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": True,
            "idempotentHint": True,
            "openWorldHint": True,
        },
    }
    assert json.loads(json.dumps(listing, allow_nan=False)) == listing


def test_groups_are_told_in_the_description() -> None:
    listing = build_toolset(App("test", grants(GROUPED))).listing()
    assert listing["tools"][0]["description"] == "Do it. Give exactly one of a, b. Give at least one of b, c."


def test_a_denied_tool_is_found_with_its_reason_and_an_unknown_one_is_not() -> None:
    toolset = build_toolset(app("deny: [shop_send_note]\n"))
    denied = toolset.find("shop_send_note").denied
    assert denied is not None
    assert denied.says == "shop_send_note is denied by the policy rules (deny: shop_send_note)"
    with pytest.raises(
        UnknownToolError, match=r"^Unknown tool: shop_list_order; did you mean 'shop_list_orders'"
    ):
        toolset.find("shop_list_order")
    with pytest.raises(UnknownToolError) as raised:
        toolset.find("shop_sent_note")  # a tool that is denied is not offered as what was meant
    assert "shop_send_note" not in raised.value.message
    with pytest.raises(UnknownToolError) as raised:
        toolset.find("x" * 1_000_000)
    assert len(raised.value.message) < 120


def test_a_connector_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="shop was given twice"):
        build_toolset(App("test", (*app().grants, *app().grants)))


def test_a_validator_is_built_once_and_only_when_it_is_used() -> None:
    entry = build_toolset(app()).find("shop_create_order")
    assert entry._validator is None
    assert entry.validator is entry.validator


RULE = "{{ for: shop_create_order, max_value: {{ field: amount, max: {} }} }}"


@pytest.mark.parametrize("rules", [0, 5, 50])
def test_a_decision_costs_microseconds(rules: int) -> None:
    """Loose by a factor of fifty, so that only work that grows with something else fails it."""
    entry = build_toolset(guarded(*(RULE.format(9 + number) for number in range(rules))) if rules else app())
    found = entry.find("shop_create_order")
    call = Call(found.tool, order(amount=5)[1])
    started = time.perf_counter()
    for _ in range(100):
        assert decide(found.bound, call).verdict == "allow"
    assert (time.perf_counter() - started) / 100 < 0.0005 + 0.0005 * rules
