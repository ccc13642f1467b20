"""`mcpgate tools`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def test_the_table_says_why_a_tool_is_denied(mcpgate: Run) -> None:
    ran = mcpgate("tools", "stripe", "--preset", "transact")
    assert ran.code == 0
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line.strip().startswith("stripe_")}
    assert len(lines) == 15
    assert "denied by the preset transact (deny: effect:reversal)" in lines["stripe_create_refund"]
    assert "denied by the preset transact (deny: delete)" in lines["stripe_cancel_subscription"]
    assert "allowed" in lines["stripe_create_charge"]
    assert "13 of 15 tools listed" in ran.out


def test_without_a_preset_it_is_read_only(mcpgate: Run) -> None:
    assert "8 of 15 tools listed" in mcpgate("tools", "stripe").out


def test_flags_switch_tools_off(mcpgate: Run) -> None:
    ran = mcpgate(
        "tools", "stripe", "-p", "full-access", "--only", "stripe_*_customer*", "--without", "write", "--json"
    )
    rows = {row["tool"]: row for row in json.loads(ran.out)}
    assert [name for name, row in rows.items() if row["verdict"] == "allowed"] == [
        "stripe_list_customers",
        "stripe_get_customer",
    ]
    assert "--only" in rows["stripe_get_balance"]["why"]
    assert "deny: write" in rows["stripe_create_customer"]["why"]
