"""`mcpgate connectors`, `mcpgate presets`, and what the shell completes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def test_the_list_says_where_each_one_sends_to(mcpgate: Run, home: Path) -> None:
    own = home / "connectors" / "shop.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "connector: shop\ndescription: A shop.\nbase_url: https://{site}.shop.example/v1\n"
        "settings: { site: { type: string, pattern: '[a-z]+', description: Its name. } }\n"
        "tools:\n  shop_list_orders: { description: Orders., category: read, request: GET /orders }\n"
    )
    ran = mcpgate("connectors")
    assert ran.code == 0
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines() if line.strip()}
    assert rows["shop"][1:4] == ["1", "https://{site}.shop.example", "own"]
    assert rows["stripe"][1:4] == ["15", "https://api.stripe.com", "shipped"]


def test_one_in_full_says_where_its_credential_goes(mcpgate: Run) -> None:
    ran = mcpgate("connectors", "stripe")
    assert "sent as bearer to https://api.stripe.com and nowhere else" in ran.out
    assert "https://dashboard.stripe.com/apikeys" in ran.out
    assert len([line for line in ran.out.splitlines() if line.strip().startswith("stripe_")]) == 15
    facts = json.loads(mcpgate("connectors", "stripe", "--json").out)
    assert facts["tools"][12] == {
        "tool": "stripe_create_refund",
        "category": "write",
        "effects": ["reversal", "money_out"],
        "tokens": facts["tools"][12]["tokens"],
    }


def test_a_file_that_does_not_load_does_not_hide_the_others(mcpgate: Run, home: Path) -> None:
    own = home / "connectors" / "broken.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("connector: broken\n")
    ran = mcpgate("connectors")
    assert ran.code == 3
    assert "stripe" in ran.out
    assert "broken.yaml:1:1: the key 'base_url' is missing" in ran.err


def test_presets_and_what_each_allows_on_a_connector(mcpgate: Run) -> None:
    rows = json.loads(mcpgate("presets", "--on", "stripe", "--json").out)
    assert {row["preset"]: (len(row["tools"]), len(row["denied"])) for row in rows} == {
        "read-only": (8, 7),
        "transact": (13, 2),
        "full-access": (15, 0),
    }
    assert "13 of 15 tools" in mcpgate("presets", "--on", "stripe").out
    assert "effect:reversal" in mcpgate("presets", "transact").out
    assert "13 of 15 tools listed" in mcpgate("presets", "transact", "--on", "stripe").out
    assert "did you mean 'transact'" in mcpgate("presets", "transac").err


@pytest.mark.parametrize(
    ("typed", "completes"),
    [
        ("run str", "stripe"),
        ("run stripe --preset tr", "transact"),
        ("call stripe_create_r", "stripe_create_refund"),
        ("presets f", "full-access"),
    ],
)
def test_the_shell_completes_names(
    mcpgate: Run, monkeypatch: pytest.MonkeyPatch, typed: str, completes: str
) -> None:
    monkeypatch.setenv("_MCPGATE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"mcpgate {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    assert mcpgate().out.split() == [completes]
