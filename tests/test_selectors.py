"""Selectors: which tools a text takes in, and which texts are none."""

from __future__ import annotations

import pytest

from mcpgate.errors import SpecError
from mcpgate.selectors import fault, first_match, matches, names_tools
from mcpgate.values import Selector
from tests.policy.shop import connector, policy

TOOLS = connector().tools
WRITES = {"create_order", "create_payout", "create_refund", "send_note"}


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        ("read", {"list_orders"}),
        ("write", WRITES),
        ("delete", {"delete_order"}),
        ("effect:money_in", {"create_order"}),
        ("effect:money_out", {"create_payout", "create_refund"}),
        ("effect:erase", {"delete_order"}),
        ("effect:commitment", set()),
        ("shop_create_order", {"create_order"}),
        ("shop_create_*", {"create_order", "create_payout", "create_refund"}),
        ("*_order", {"create_order", "delete_order"}),
        ("shop_????_note", {"send_note"}),
        ("*", {*WRITES, "list_orders", "delete_order"}),
        ("shop_create", set()),
        ("other_create_order", set()),
    ],
)
def test_a_selector_takes_in_these_tools(text: str, tools: set[str]) -> None:
    taken = {name.removeprefix("shop_") for name, tool in TOOLS.items() if matches(Selector(text), tool)}
    assert taken == tools
    assert fault(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reed", "'reed' is no category, effect:NAME, tool name or glob; did you mean 'read'?"),
        ("effect:mony_in", "'mony_in' is no effect; did you mean 'effect:money_in'?"),
        ("effect:", "'' is no effect"),
        ("Read", "'Read' is no category"),
        ("shop_create_[a-z]", "is no category"),
        ("shop create", "is no category"),
        ("shop_order\n", "is no category"),
    ],
)
@pytest.mark.parametrize("place", ["allow", "deny"])
def test_what_is_no_selector_is_refused_when_the_file_is_read(text: str, message: str, place: str) -> None:
    quoted = text.replace("\n", "\\n")
    with pytest.raises(SpecError) as raised:
        policy(f'policy: rules\n{place}: ["{quoted}"]\n')
    assert message in raised.value.problems[0]
    assert raised.value.problems[0].startswith("rules.yaml:2:")


def test_only_names_and_globs_have_to_match_something() -> None:
    assert [text for text in ("read", "effect:erase", "shop_x", "*_x") if names_tools(Selector(text))] == [
        "shop_x",
        "*_x",
    ]


def test_the_first_match_is_the_one_that_is_told() -> None:
    selectors = [Selector("read"), Selector("shop_create_*"), Selector("write")]
    assert first_match(selectors, TOOLS["shop_create_order"]) == selectors[1]
    assert first_match(selectors, TOOLS["shop_delete_order"]) is None
