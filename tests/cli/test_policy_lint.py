"""`mcpgate policy lint`: which tools a file is held against, what is printed, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.policy.shop import SHOP

Run = Callable[..., Ran]

REFUNDS = """
policy: refunds
guardrails:
  - for: stripe_create_refund
    max_value: { field: amount, max: 5000 }
    allow_values: { field: reason, values: [duplicate, requested_by_customer] }
"""
CAP = """
preset: cap
extends: transact
deny: effect:commitment
guardrails:
  - for: effect:money_in
    max_amount: { usd: 50000 }
"""
# what lint itself says to do about transact
FOLLOWED = """
preset: followed
extends: transact
guardrails:
  - for: stripe_create_charge
    max_amount: { usd: 50000 }
  - for: stripe_create_subscription
    allow_values: { field: items.price, values: [price_1] }
    max_value: { field: items.quantity, max: 5 }
    max_items: { field: items, max: 1 }
"""
FILES = {"refunds.yaml": REFUNDS, "cap.yaml": CAP, "followed.yaml": FOLLOWED, "shop.yaml": SHOP}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, content in FILES.items():
        (folder / name).write_text(content.lstrip("\n"))
    return folder


def codes(ran: Ran) -> list[str]:
    """The code of each finding in the output for people, with its place."""
    lines = [line for line in ran.out.splitlines() if ": " in line and not line.startswith((" ", "\t"))]
    return [": ".join(line.split(": ")[:2]) for line in lines]


def test_the_shipped_presets(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("policy", "lint", "read-only")
    assert (ran.code, ran.out) == (0, "read-only: nothing to say (8 tools on stripe looked at)\n")
    ran = mcpgate("policy", "lint", "transact", "--format", "json")
    found = json.loads(ran.out)
    assert ran.code == 1
    assert [(each["file"], each["code"], each["tools"]) for each in found] == [
        ("transact", "uncovered", ["stripe_create_charge", "stripe_create_subscription"]),
        ("transact", "uncovered", ["stripe_create_subscription"]),
    ]
    assert found[0].keys() == {"file", "code", "place", "tools", "says", "remedy"}
    assert found[0]["place"].endswith("transact.yaml:4")
    assert mcpgate("policy", "lint", "full-access").code == 1


def test_who_does_as_it_says_hears_nothing_more(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("policy", "lint", "followed.yaml", "cap.yaml")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "followed.yaml: nothing to say (13 tools on stripe looked at)",
        "cap.yaml: nothing to say (12 tools on stripe looked at)",
    ]
    ran = mcpgate("policy", "lint", "cap.yaml", "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (0, [])


def test_a_policy_file_is_judged_with_everything_allowed_or_on_a_preset(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("policy", "lint", "refunds.yaml")
    assert ran.code == 1
    assert codes(ran) == [
        *["refunds.yaml: uncovered"] * 3,
        "refunds.yaml:4: no-currency",
        "refunds.yaml: deletes",
    ]
    assert ran.out.splitlines()[-1] == (
        "5 findings in 1 file. Policy files were judged with everything allowed;"
        " --preset NAME judges them on a preset."
    )
    ran = mcpgate("policy", "lint", "./refunds.yaml", "--preset", "stripe=./cap.yaml")
    assert codes(ran) == ["refunds.yaml:4: never-fires", "refunds.yaml:5: never-fires"]
    assert ran.out.splitlines()[-3:] == [
        "refunds.yaml:5: never-fires: allow_values can deny nothing: no tool it is for is allowed;"
        " stripe_create_refund is denied by the preset cap (deny: effect:reversal).",
        "    Take it out.",
        "2 findings in 1 file.",
    ]


def test_on_names_the_connectors(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("policy", "lint", "read-only", "--on", "./shop.yaml", "--on", "stripe")
    assert ran.out == "read-only: nothing to say (9 tools on shop, stripe looked at)\n"
    ran = mcpgate("policy", "lint", "cap.yaml", "--on", "./shop.yaml", "--format", "json")
    assert [(each["code"], each["tools"]) for each in json.loads(ran.out)] == [
        ("uncovered", ["shop_create_payout"]),
        ("uncovered", ["shop_send_note"]),
    ]


def test_without_on_it_is_the_connectors_it_names_else_those_it_fits(
    mcpgate: Run, folder: Path, home: Path
) -> None:
    (home / "connectors").mkdir(parents=True)
    (home / "connectors" / "shop.yaml").write_text(SHOP)
    policies = {
        "named.yaml": "preset: named\nallow: [shop_list_orders]\n",
        "fits.yaml": "preset: fits\nallow: [read]\n"
        "guardrails: [{ for: write, block_fields: { fields: [gift] } }]\n",
        "all.yaml": "preset: all\nallow: [read]\n",
    }
    for name, text in policies.items():
        Path(name).write_text(text)
    ran = mcpgate("policy", "lint", *policies)
    assert [line for line in ran.out.splitlines() if "nothing to say" in line] == [
        "named.yaml: nothing to say (1 tool on shop looked at)",
        "all.yaml: nothing to say (9 tools on stripe, shop looked at)",
    ]
    assert "no tool it is for is allowed; shop_create_order" in ran.out
    typo = "policy: typo\nguardrails: [{ for: write, block_fields: { fields: [gifd] } }]\n"
    Path("typo.yaml").write_text(typo)
    ran = mcpgate("policy", "lint", "typo.yaml")
    assert ran.code == 3
    assert "has a field 'gifd'" in ran.err
    assert "Name the connector that the file is for: --on CONNECTOR." in ran.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.yaml"], 3, "nowhere.yaml cannot be read"),
        (["reed-only"], 3, "There is no preset 'reed-only'; did you mean 'read-only'?"),
        (["refunds.yaml", "--on", "strip"], 3, "There is no connector 'strip'; did you mean 'stripe'?"),
        (["shop.yaml"], 3, "shop.yaml:1:1: unknown key 'connector'"),
        (["cap.yaml", "--preset", "transact"], 2, "a preset is looked at as it is"),
        (["refunds.yaml", "-p", "shop=transact"], 2, "the connector 'shop' is not run here"),
        (["refunds.yaml", "-p", "transact", "-p", "read-only"], 2, "Two presets for the same connectors"),
        (["refunds.yaml", "--format", "xml"], 2, "xml"),
    ],
)
def test_what_cannot_be_judged(mcpgate: Run, folder: Path, words: list[str], code: int, said: str) -> None:
    ran = mcpgate("policy", "lint", *words)
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_what_is_printed_has_no_control_characters(mcpgate: Run, folder: Path) -> None:
    Path("evil.yaml").write_text(
        "preset: evil\nallow: [write]\nguardrails:\n"
        '  - { for: shop_create_order, block_fields: { fields: ["metadata.\\e[2J\\u202e"] } }\n'
        '  - { for: shop_create_order, required_fields: { fields: ["metadata.\\e[2J\\u202e"] } }\n'
    )
    for form in ("text", "json"):
        ran = mcpgate("policy", "lint", "evil.yaml", "--on", "./shop.yaml", "--format", form)
        assert ran.code == 1
        assert "metadata." in ran.out
        assert not {"\x1b", "\u202e"} & set(ran.out + ran.err)


def test_what_is_misspelt(mcpgate: Run, folder: Path) -> None:
    Path("typos.yaml").write_text(
        "policy: typos\nmask: [phon]\ndeny: [my_create_refund]\nguardrails:\n"
        "  - for: stripe_create_refund\n    allow_values: { field: reason, values: [duplicat] }\n"
    )
    ran = mcpgate("policy", "lint", "typos.yaml", "--format", "json")
    found = {each["code"]: (each["place"], each["remedy"]) for each in json.loads(ran.out)}
    assert ran.code == 1
    assert found["matches-nothing"][0] == "typos.yaml:3"
    assert found["masks-nothing"] == ("", "Write phone, or take it out")
    assert found["never-passes"] == ("typos.yaml:6", "Write duplicate; or write deny: [stripe_create_refund]")
