"""The policy that holds for every app: `policy.yaml` in the person's own folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpgate.cli.opening import account_policy
from mcpgate.errors import UsageError
from tests.cli.conftest import Ran
from tests.policy.shop import SHOP

Run = Callable[..., Ran]

SMALL = """
policy: small
deny: [stripe_create_product]
guardrails:
  - for: effect:money_in
    max_amount: { usd: 1000 }
    reason: Nothing over 10 here.
"""
CHARGE = ("call", "stripe_create_charge", "currency=usd", "customer=cus_1", "--sandbox", "-p")


def write(home: Path, text: str, name: str = "policy.yaml") -> Path:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / name).write_text(text)
    return home / name


def allowed(ran: Ran) -> list[str]:
    return [row["tool"] for row in json.loads(ran.out) if row["verdict"] == "allowed"]


def test_it_holds_whatever_preset_and_flags_are_given(mcpgate: Run, home: Path) -> None:
    assert mcpgate(*CHARGE, "full-access", "amount=1001").code == 0
    write(home, SMALL)
    for preset in ("transact", "full-access"):
        ran = mcpgate(*CHARGE, preset, "amount=1001")
        assert ran.code == 5
        assert (
            "Denied by max_amount: 1001 usd (10.01 USD) is over the limit of 1000 usd (10.00 USD)." in ran.out
        )
        assert "Nothing over 10 here." in ran.out
    assert mcpgate(*CHARGE, "transact", "amount=1000").code == 0


def test_it_is_the_second_layer(mcpgate: Run, home: Path, tmp_path: Path) -> None:
    write(home, SMALL)
    own = tmp_path / "own.yaml"
    own.write_text("policy: own\nguardrails: [{ for: write, max_amount: { usd: 500 } }]\n")
    ran = mcpgate(*CHARGE, "transact", "amount=2000", "--policy", str(own), "--dry-run", "--json")
    trace = json.loads(ran.out)["trace"]
    assert [step["layer"] for step in trace] == ["account", "account", "preset", "rules", "rules"]
    assert "small" in trace[1]["source"]
    assert "Nothing over 10 here." in json.loads(ran.out)["says"]


def test_it_allows_nothing_by_itself(mcpgate: Run, home: Path) -> None:
    write(home, "policy: wide\nallow: [read, write, delete]\n")
    assert len(allowed(mcpgate("tools", "stripe", "--json"))) == 8


def test_it_takes_tools_off_the_list(mcpgate: Run, home: Path) -> None:
    write(home, SMALL)
    listed = allowed(mcpgate("tools", "stripe", "-p", "transact", "--json"))
    assert "stripe_create_product" not in listed
    assert "stripe_create_charge" in listed


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "policy.yaml",
            "policy: x\nguardrails: [{ for: write, max_valu: {} }]\n",
            "did you mean 'max_value'?",
        ),
        ("policy.yaml", "preset: x\nallow: [read]\n", "this is a preset; a policy is wanted here"),
        ("policy.yml", SMALL, "is not read: the rules for every app stand in policy.yaml."),
        ("Policy.yaml", SMALL, "Policy.yaml is not read: the rules for every app stand in policy.yaml."),
        ("POLICY.YML", SMALL, "POLICY.YML is not read: the rules for every app stand in policy.yaml."),
        (
            "policy.yaml",
            "policy: x\nguardrails: [{ for: stripe_create_charg, max_value: { field: amount, max: 1 } }]\n",
            "policy.yaml:2: no tool is called 'stripe_create_charg'; did you mean 'stripe_create_charge'?",
        ),
        ("policy.yaml", "policy: x\ndeny: [stripe_delet_*]\n", "policy.yaml:2: no tool is called"),
    ],
)
def test_one_that_cannot_be_read_stops_everything(
    mcpgate: Run, home: Path, name: str, text: str, says: str
) -> None:
    write(home, text, name)
    for words in ((*CHARGE, "transact", "amount=1"), ("tools", "stripe"), ("run", "stripe")):
        ran = mcpgate(*words)
        assert ran.code in (2, 3)
        assert says in ran.err
    ran = mcpgate("doctor", "--offline")
    assert ran.code == 1
    assert "✗ policy" in ran.out
    assert says in ran.out


def test_a_name_in_another_case_stands_beside_the_right_one_in_vain(mcpgate: Run, home: Path) -> None:
    write(home, SMALL)
    (home / "policy.yaml").rename(home / "Policy.YAML")
    assert mcpgate("tools", "stripe").code == 2
    (home / "Policy.YAML").rename(home / "policy.yaml")
    (home / "policy.yaml.old").touch()
    assert mcpgate("tools", "stripe").code == 0


def test_a_home_that_cannot_be_listed_is_not_one_without_a_policy(home: Path) -> None:
    home.write_text("no folder")
    with pytest.raises(UsageError, match=f"{home} cannot be read: Not a directory"):
        account_policy()


def test_doctor_holds_it_against_every_connector_without_its_settings(mcpgate: Run, home: Path) -> None:
    write(home, "policy: x\nguardrails:\n  - { for: write, block_fields: { fields: [gift] } }\n")
    (home / "connectors").mkdir()
    shop = SHOP.replace("https://api.shop", "https://{site}.shop")
    settings = "settings: { site: { type: string, description: Which., pattern: '[a-z]+' } }\n"
    (home / "connectors" / "shop.yaml").write_text(shop.lstrip() + settings)
    assert mcpgate("tools", "shop").code == 2
    ran = mcpgate("doctor", "--offline", "--json")
    (finding,) = [each for each in json.loads(ran.out) if each["about"] == "policy"]
    assert ran.code == 1
    assert finding["says"].endswith("policy.yaml:3: no tool that block_fields reaches has a field 'gift'")
    assert finding["mend"] == "Correct it: until then stripe does not run."


def test_one_that_leads_nowhere_is_not_the_same_as_none(mcpgate: Run, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "policy.yaml").symlink_to(home / "gone.yaml")
    assert mcpgate("tools", "stripe").code == 3


def test_doctor_names_it(mcpgate: Run, home: Path) -> None:
    write(home, SMALL)
    assert "small holds for every app, 1 guardrail" in mcpgate("doctor", "--offline").out
