"""`mcpgate policy apply` and `show`: the policy that the database keeps for every app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpgate.cli.vaults import config
from tests.cli.conftest import Ran, Run
from tests.policy.shop import SHOP

SMALL = "policy: small # é\ndeny: [shop_send_note]\n"


@pytest.fixture(autouse=True)
def app(mcpgate: Run, home: Path) -> None:
    folder = home / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text(SHOP)
    assert mcpgate("apps", "create", "billing", "-c", "shop", "-p", "full-access").code == 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "small.yaml"
    made.write_text(SMALL)
    return made


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out


def denied(mcpgate: Run) -> set[str]:
    """What is denied to the app, and to a run by flags."""
    facts = json.loads(mcpgate("apps", "show", "billing", "--json").out)
    rows = json.loads(ok(mcpgate("tools", "shop", "-p", "full-access", "--json")))
    found = [{row["tool"] for row in each if row["verdict"] == "denied"} for each in (facts["tools"], rows)]
    assert found[0] == found[1]
    return found[0]


def test_it_is_shown_before_it_acts_and_then_holds_for_every_app(mcpgate: Run, file: Path) -> None:
    ran = mcpgate("policy", "apply", str(file))
    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert "+deny: [shop_send_note]" in ran.out
    assert "- shop_send_note: listed → not listed, denied by the policy small" in ran.out
    assert "~ app billing: 6 → 5 tools" in ran.out
    assert (config().account_policy(), denied(mcpgate)) == ("", set())
    ok(mcpgate("policy", "apply", str(file), "--yes"))
    file.unlink()
    assert denied(mcpgate) == {"shop_send_note"}
    assert ok(mcpgate("policy", "show")) == SMALL
    assert json.loads(ok(mcpgate("policy", "show", "--json"))) == {"policy": "small", "text": SMALL}


def test_another_one_takes_its_place_and_none_takes_it_away(mcpgate: Run, file: Path) -> None:
    ok(mcpgate("policy", "apply", str(file), "--yes"))
    assert ok(mcpgate("policy", "apply", str(file))) == "Nothing to do.\n"
    file.write_text("policy: other\ndeny: [delete]\n")
    out = ok(mcpgate("policy", "apply", str(file), "--yes"))
    assert "+ shop_send_note: not listed → listed" in out
    assert "- shop_delete_order: listed → not listed" in out
    assert denied(mcpgate) == {"shop_delete_order"}
    ok(mcpgate("policy", "apply", "--remove", "--yes"))
    assert (config().account_policy(), denied(mcpgate)) == ("", set())
    assert "keeps no policy" in ok(mcpgate("policy", "show"))


def test_that_of_the_home_folder_goes_on_holding_as_well(mcpgate: Run, file: Path, home: Path) -> None:
    (home / "policy.yaml").write_text("policy: home\ndeny: [delete]\n")
    ok(mcpgate("policy", "apply", str(file), "--yes"))
    assert denied(mcpgate) == {"shop_send_note", "shop_delete_order"}
    assert "home in the folder of mcpgate holds as well" in ok(mcpgate("policy", "show"))
    # what that denies already is no change
    file.write_text("policy: other\ndeny: [delete]\n")
    assert "shop_delete_order" not in ok(mcpgate("policy", "apply", str(file), "--yes"))


def test_it_can_extend_a_preset_by_its_name(mcpgate: Run, file: Path) -> None:
    file.write_text("policy: small\nextends: transact\n")
    ok(mcpgate("policy", "apply", str(file), "--yes"))
    assert denied(mcpgate) == {"shop_create_refund", "shop_delete_order"}


UNSOUND: list[tuple[str, str, str]] = [
    ("policy: x\nextends: ./base.yaml\n", "extends: ./base.yaml is a path", "by its name"),
    ("policy: x\nextends: transactt\n", "did you mean 'transact'?", ""),
    ("preset: x\nallow: [read]\n", "this is a preset; a policy is wanted here", ""),
    ("policy: x\nden: []\n", "small.yaml:2:1: unknown key 'den'; did you mean 'deny'?", ""),
    ("policy: x\ndeny: [shop_send_not]\n", "app billing: ", "Nothing was done."),
    ("policy: x\nguardrails: [{ for: write, block_fields: { fields: [x] } }]\n", "app billing: ", ""),
    ("policy: é", "this is not UTF-8 text", ""),
]


def test_one_that_is_not_sound_is_refused(mcpgate: Run, file: Path) -> None:
    for text, says, hint in UNSOUND:
        file.write_text(text, "latin-1")
        ran = mcpgate("policy", "apply", str(file), "--yes")
        assert ran.code == 3
        assert says in ran.err
        assert hint in ran.err
        assert config().account_policy() == ""


def test_an_app_that_was_broken_before_does_not_keep_anyone_from_it(
    mcpgate: Run, file: Path, home: Path
) -> None:
    (home / "connectors" / "shop.yaml").write_text("connector: [")
    out = ok(mcpgate("policy", "apply", str(file), "--yes"))
    assert "! shop will not run: " in out


def test_a_file_or_none_is_wanted(mcpgate: Run, file: Path) -> None:
    for words in ((), (str(file), "--remove")):
        ran = mcpgate("policy", "apply", *words)
        assert (ran.code, "Give a policy file, or --remove." in ran.err) == (2, True)
