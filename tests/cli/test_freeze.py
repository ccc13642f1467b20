"""`mcpgate freeze` and `thaw`: what is frozen is not listed and not called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpgate.cli.vaults import config
from tests.cli.conftest import Ran, Run
from tests.policy.shop import SHOP

EVERY = {
    "shop_list_orders",
    "shop_create_order",
    "shop_create_payout",
    "shop_create_refund",
    "shop_send_note",
    "shop_delete_order",
}


@pytest.fixture(autouse=True)
def apps(mcpgate: Run, home: Path, tmp_path: Path) -> None:
    folder = home / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text(SHOP)
    (tmp_path / "desk.yaml").write_text(
        "connector: desk\nbase_url: https://desk.example\n"
        "tools:\n  desk_list_cases: { description: Cases., category: read, request: GET /cases }\n"
    )
    for name, connector in (("billing", "shop"), ("support", str(tmp_path / "desk.yaml"))):
        assert mcpgate("apps", "create", name, "-c", connector, "-p", "full-access").code == 0


def listed(mcpgate: Run, name: str = "billing") -> set[str]:
    facts = json.loads(mcpgate("apps", "show", name, "--json").out)
    return {row["tool"] for row in facts["tools"] if row["listed"]}


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out


@pytest.mark.parametrize(
    ("flags", "billing", "support", "what"),
    [
        ((), set(), set(), "everything"),
        (("--app", "billing"), set(), {"desk_list_cases"}, "app billing"),
        (("--connector", "shop"), set(), {"desk_list_cases"}, "connector shop"),
        (("--connector", "desk"), EVERY, set(), "connector desk"),
        (("--connector", "{desk}"), EVERY, set(), "connector desk"),
        (("--effect", "message"), EVERY - {"shop_send_note"}, {"desk_list_cases"}, "effect message"),
        (
            ("--app", "support", "--effect", "message"),
            EVERY,
            {"desk_list_cases"},
            "app support, effect message",
        ),
    ],
)
def test_what_is_named_is_frozen_until_it_is_thawed(
    mcpgate: Run, tmp_path: Path, flags: tuple[str, ...], billing: set[str], support: set[str], what: str
) -> None:
    words = [word.format(desk=tmp_path / "desk.yaml") for word in flags]
    out = ok(mcpgate("freeze", *words))
    (freeze,) = config().freezes()
    assert f"Frozen now: {what}, since {freeze.since}." in out
    assert (listed(mcpgate), listed(mcpgate, "support")) == (billing, support)
    assert "Frozen already" in ok(mcpgate("freeze", *words))
    assert "Nothing is frozen." in ok(mcpgate("thaw", *(words or ["--all"])))
    assert (listed(mcpgate), listed(mcpgate, "support")) == (EVERY, {"desk_list_cases"})


def test_an_app_says_that_it_is_frozen_and_why_its_tools_are_denied(mcpgate: Run) -> None:
    ok(mcpgate("freeze", "--app", "billing"))
    (since,) = [each.since for each in config().freezes()]
    states = {row["app"]: row["state"] for row in json.loads(mcpgate("apps", "list", "--json").out)}
    assert states == {"billing": "frozen (app billing)", "support": "active"}
    facts = json.loads(mcpgate("apps", "show", "billing", "--json").out)
    assert {row["switch"] for row in facts["tools"]} == {"on"}
    assert all(since in row["why"] for row in facts["tools"])


MISTAKES: list[tuple[tuple[str, ...], int, str]] = [
    (("freeze", "--app", "biling"), 3, "There is no app 'biling'; did you mean 'billing'?"),
    (("freeze", "--connector", "shopp"), 3, "There is no connector 'shopp'; did you mean 'shop'?"),
    (("freeze", "--connector", "./no.yaml"), 3, "cannot be read"),
    (("freeze", "--effect", "money"), 2, "'money' is no effect; did you mean 'money_in'?"),
    (("freeze", "--connector", "shop", "--effect", "message"), 2, "are not taken together"),
    (("thaw",), 2, "Frozen now: effect erase, since "),
    (("thaw", "--app", "billing"), 3, "Frozen now: effect erase, since "),
    (("thaw", "--all", "--app", "billing"), 2, "--all ends every freeze."),
]


def test_what_does_not_fit_is_told_and_changes_nothing(mcpgate: Run) -> None:
    ok(mcpgate("freeze", "--effect", "erase"))
    before = config().freezes()
    for words, code, says in MISTAKES:
        ran = mcpgate(*words)
        assert (ran.code, says in ran.err + ran.out) == (code, True), ran
        assert config().freezes() == before


def test_thawing_one_leaves_the_others(mcpgate: Run) -> None:
    for words in ((), ("--effect", "erase"), ("--app", "billing")):
        ok(mcpgate("freeze", *words))
    left = json.loads(ok(mcpgate("thaw", "--effect", "erase", "--json")))
    assert {each["what"] for each in left} == {"everything", "app billing"}
    assert listed(mcpgate) == set()
    assert "Nothing is frozen." in ok(mcpgate("thaw", "--all"))
    assert "Nothing is frozen." in ok(mcpgate("thaw", "--all"))


def test_a_run_by_flags_can_be_frozen_and_needs_no_app(mcpgate: Run) -> None:
    def tools() -> list[str]:
        rows = json.loads(ok(mcpgate("tools", "shop", "-p", "full-access", "--json")))
        return [row["tool"] for row in rows if row["verdict"] == "allowed"]

    assert len(tools()) == len(EVERY)
    ok(mcpgate("freeze", "--app", "run"))
    assert tools() == []
    assert listed(mcpgate) == EVERY


def test_freezing_everything_works_whatever_else_is_broken(mcpgate: Run, home: Path) -> None:
    (home / "connectors" / "shop.yaml").write_text("connector: [")
    (home / "presets").mkdir()
    (home / "presets" / "read-only.yaml").write_text("preset: read-only\nallow: [read]\n")
    ok(mcpgate("freeze"))
    ok(mcpgate("freeze", "--connector", "shop"))
    assert {each.what for each in config().freezes()} == {"everything", "connector shop"}
