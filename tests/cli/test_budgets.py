"""`mcpgate budgets`: what counting rules have left, and calls that a person decides on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpgate.cli.vaults import config, sql_store
from mcpgate.ledger import Entry, State
from mcpgate.store.config import StoredApp, StoredGrant, StoredPolicy
from tests.cli.conftest import Run

HOUR = 3600.0
MONEY = "money: { amount: amount, currency: currency }"
PARAMS = "params: { amount: integer, currency: string }"
WRITES = f"category: write, effects: [money_out], {PARAMS}, {MONEY}"
CONNECTOR = f"""
connector: shop
base_url: https://api.shop.example
auth: {{ type: bearer }}
tools:
  shop_list_refunds: {{ description: Refunds., category: read, request: GET /refunds }}
  shop_create_refund:
    {{ description: A refund., request: POST /refunds, {WRITES} }}
  shop_create_payout:
    {{ description: A payout., request: POST /payouts, {WRITES} }}
"""
RULES = """
policy: till
guardrails:
  - for: [shop_create_refund, shop_create_payout]
    budget: { usd: 100000, jpy: 5000, per: day }
  - for: [read, write]
    rate_limit: { max: 10, per: hour }
  - for: write
    repeat_block: { max: 1, per: week }
  - for: shop_create_refund
    max_amount: { usd: 50000, jpy: 5000 }
"""
EVERYWHERE = """
policy: everywhere
guardrails:
  - for: effect:money_out
    budget: { usd: 150000, per: week }
  - for: write
    mode: observe
    daily_quota: { max: 3 }
"""
IDS = [letter * 8 + "-0000-4000-8000-000000000000" for letter in "abcdef"]
Entries = Callable[..., None]


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(CONNECTOR)
    return str(path)


@pytest.fixture
def apps(shop: str, home: Path) -> None:
    """Two apps on the same connector, of which one has rules of its own; and rules for every app."""
    home.mkdir(exist_ok=True)
    (home / "policy.yaml").write_text(EVERYWHERE)
    grants = (StoredGrant(shop, "default", "full-access"),)
    config().create(StoredApp("till", rules=(StoredPolicy("till", RULES),), grants=grants, sandbox=True))
    config().create(StoredApp("desk", grants=grants, sandbox=True))


def enter(*entries: tuple[str, float, str, str, int, State], tool: str = "shop_create_refund") -> None:
    """Calls, each so many seconds ago."""
    for call, ago, app, currency, amount, state in entries:
        entry = Entry(
            time.time() - ago,
            app,
            "shop",
            tool,
            "write",
            ("money_out",),
            call,
            "abc",
            currency,
            amount,
            f"key-{call[0]}",
            sandbox=app != "run",
        )
        with sql_store().transaction() as transaction:
            transaction.reserve(entry)
            if state != "reserved":
                transaction.settle(call, state)


def shown(mcpgate: Run, *words: str) -> dict[str, Any]:
    ran = mcpgate("budgets", "--json", *words)
    assert ran.code == 0, ran.err
    told: dict[str, Any] = json.loads(ran.out)
    return told


def counters(
    told: dict[str, Any],
) -> dict[tuple[str | None, str, str | None], tuple[int, int | None, int | None]]:
    rows = told["counters"]
    assert len({(row["app"], row["rule"], row["currency"]) for row in rows}) == len(rows)
    return {
        (row["app"], row["rule"], row["currency"]): (row["limit"], row["spent"], row["left"]) for row in rows
    }


def test_there_is_one_counter_for_each_rule_and_currency(apps: None, mcpgate: Run) -> None:
    enter(
        (IDS[0], 60, "till", "usd", 40000, "settled"),
        (IDS[1], 2 * HOUR, "till", "usd", 10000, "unknown"),
        (IDS[2], 10, "till", "usd", 1000, "reserved"),
        (IDS[3], 10, "till", "usd", 7, "released"),
        (IDS[4], 25 * HOUR, "till", "usd", 20000, "settled"),
        (IDS[5], 10, "desk", "usd", 2000, "settled"),
    )
    enter(("e2", 20, "till", "jpy", 4500, "settled"), tool="shop_create_payout")
    told = shown(mcpgate)
    assert counters(told) == {
        (None, "budget", "usd"): (150000, 73000, 77000),
        (None, "daily_quota", None): (3, 5, 0),
        ("till", "budget", "usd"): (100000, 51000, 49000),
        ("till", "budget", "jpy"): (5000, 4500, 500),
        ("till", "rate_limit", None): (10, 3, 7),
        ("till", "repeat_block", None): (1, None, None),
    }
    assert {row["mode"] for row in told["counters"] if row["rule"] == "daily_quota"} == {"observe"}
    assert set(counters(shown(mcpgate, "--app", "desk"))) == {
        (None, "budget", "usd"),
        (None, "daily_quota", None),
    }
    lines = [line.split() for line in mcpgate("budgets").out.splitlines()]
    texts = [" ".join(line) for line in lines]
    for begins in (
        "every app (sandbox) budget effect:money_out last week 1,500.00 USD 730.00 USD 770.00 USD",
        "every app (sandbox) daily_quota (observe) write last day 3 5 0",
        "till (sandbox) budget shop_create_refund, shop_create_payout last day 1,000.00 USD 510.00 USD",
        "till (sandbox) budget shop_create_refund, shop_create_payout last day 5,000 JPY 4,500 JPY 500 JPY",
        "till (sandbox) repeat_block write last week 1 by call by call",
    ):
        assert [text for text in texts if text.startswith(begins)], mcpgate("budgets").out


def test_a_presets_rule_counts_under_its_grant(shop: str, home: Path, mcpgate: Run, tmp_path: Path) -> None:
    other, preset = tmp_path / "mart.yaml", tmp_path / "careful.yaml"
    other.write_text(CONNECTOR.replace("shop", "mart"))
    preset.write_text(
        "preset: careful\nallow: [read, write]\nguardrails:\n  - for: write\n    daily_quota: { max: 5 }\n"
    )
    grants = tuple(StoredGrant(path, "default", str(preset)) for path in (shop, str(other)))
    config().create(StoredApp("till", grants=grants, sandbox=True))
    enter((IDS[0], 60, "till", "usd", 1, "settled"))
    rows = shown(mcpgate)["counters"]
    assert [(row["connector"], row["spent"], row["left"]) for row in rows] == [("mart", 0, 5), ("shop", 1, 4)]


def test_the_rules_of_run_are_those_of_its_flags(shop: str, home: Path, mcpgate: Run, tmp_path: Path) -> None:
    policy = tmp_path / "till.yaml"
    policy.write_text(RULES)
    enter((IDS[0], 60, "run", "usd", 40000, "settled"), (IDS[1], 60, "till", "usd", 1, "settled"))
    without = mcpgate("budgets")
    assert (without.code, without.out.startswith("What mcpgate run is given by flags is kept nowhere")) == (
        0,
        True,
    )
    words = ("--connector", shop, "--preset", "full-access", "--policy", str(policy))
    assert counters(shown(mcpgate, *words))["run", "budget", "usd"] == (100000, 40000, 60000)
    assert "kept nowhere" not in mcpgate("budgets", *words).out


def test_without_a_database_nothing_is_spent_and_none_is_made(
    shop: str, home: Path, mcpgate: Run, tmp_path: Path
) -> None:
    policy = tmp_path / "till.yaml"
    policy.write_text(RULES)
    told = shown(mcpgate, "--connector", shop, "--preset", "full-access", "--policy", str(policy))
    assert counters(told)["run", "budget", "usd"] == (100000, 0, 100000)
    assert mcpgate("budgets", "settle", IDS[0]).code == 3
    assert not (home / "mcpgate.db").exists()


def test_an_app_that_cannot_be_opened_is_told_and_the_others_are_shown(
    apps: None, mcpgate: Run, tmp_path: Path
) -> None:
    gone = StoredGrant(str(tmp_path / "gone.yaml"), "default", "full-access")
    config().create(StoredApp("lost", grants=(gone,), sandbox=True))
    told = shown(mcpgate)
    assert "gone.yaml cannot be read" in told["faults"]["lost"]
    assert ("till", "rate_limit", None) in counters(told)
    assert "The app lost cannot be opened, so its rules are not shown" in mcpgate("budgets").out


def test_an_app_that_is_gone_shows_the_calls_that_are_still_spent(apps: None, mcpgate: Run) -> None:
    enter((IDS[0], 90, "gone", "usd", 40000, "unknown"), (IDS[1], 90, "till", "usd", 1, "unknown"))
    enter((IDS[2], 90, "quiet", "usd", 1, "settled"))
    ran = mcpgate("budgets", "--app", "gone")
    assert (ran.code, ran.out.startswith("There is no app gone any more")) == (0, True)
    assert (IDS[0] in ran.out, IDS[1] in ran.out, "No rule counts" in ran.out) == (True, False, False)
    told = shown(mcpgate, "--app", "gone")
    assert ([each["call"] for each in told["open"]], told["counters"]) == ([IDS[0]], [])
    assert mcpgate("budgets", "--app", "quiet").code == 3
    assert mcpgate("budgets", "release", IDS[0]).code == 0
    assert mcpgate("budgets", "--app", "gone").code == 3


def test_calls_whose_outcome_is_not_known_are_settled_and_released(apps: None, mcpgate: Run) -> None:
    enter(
        (IDS[0], 2 * HOUR, "till", "usd", 40000, "unknown"),
        (IDS[1], 90, "till", "jpy", 500, "reserved"),
        (IDS[2], 10, "till", "usd", 1000, "reserved"),
        (IDS[3], 10, "till", "usd", 1000, "settled"),
    )
    assert [(each["call"], each["state"]) for each in shown(mcpgate)["open"]] == [
        (IDS[0], "unknown"),
        (IDS[1], "reserved"),
    ]
    out = mcpgate("budgets").out
    for says in (IDS[0], "400.00 USD", "key-a", IDS[1], "500 JPY", "mcpgate budgets settle CALL"):
        assert says in out
    assert IDS[2] not in out
    assert counters(shown(mcpgate))["till", "budget", "usd"] == (100000, 42000, 58000)
    released = mcpgate("budgets", "release", IDS[0])
    assert (released.code, released.out) == (
        0,
        "Released: 400.00 USD of shop_create_refund, by the app till, is given back.\n",
    )
    assert counters(shown(mcpgate))["till", "budget", "usd"] == (100000, 2000, 98000)
    settled = mcpgate("budgets", "settle", "bbbb")
    assert (settled.code, settled.out.startswith("Settled: 500 JPY")) == (0, True)
    told = shown(mcpgate)
    assert counters(told)["till", "budget", "jpy"] == (5000, 500, 4500)
    assert told["open"] == []
    changed = [each.row.says for each in sql_store().rows() if each.row.kind == "changed" and each.row.call]
    assert changed == [f"budgets release {IDS[0]}", f"budgets settle {IDS[1]}"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("settle", IDS[0]), 3, "There is no call"),
        (("settle", "a"), 3, "There is no call"),
        (("release", ""), 3, "There is no call"),
        (("release", "cccc"), 2, "still under way"),
        (("release", "dddd"), 2, "More than one call begins with dddd."),
        (("--app", "tilll"), 3, "did you mean 'till'?"),
        (("--app", "till", "settle", IDS[0]), 2, "These flags do not count there."),
        (("--preset", "full-access"), 2, "Give --connector CONNECTOR with them."),
        (("--connector", "x", "--app", "till"), 2, "Leave out --app till."),
    ],
)
def test_what_cannot_be_done_is_said(
    words: tuple[str, ...], code: int, says: str, apps: None, mcpgate: Run
) -> None:
    enter((IDS[0], 90, "till", "usd", 1, "settled"), (IDS[2], 10, "till", "usd", 1, "reserved"))
    enter(("dddd1", 90, "till", "usd", 1, "unknown"), ("dddd2", 90, "till", "usd", 1, "unknown"))
    ran = mcpgate("budgets", *words)
    assert ran.code == code
    assert says in ran.err


def test_hostile_texts_of_the_ledger_are_only_shown(apps: None, mcpgate: Run) -> None:
    enter(("aaaa\x1b[2J\u202e", 90, "till", "u\x1b[", 1, "unknown"), tool="shop_\x1b[2J\u200b[red]")
    out = mcpgate("budgets").out + mcpgate("budgets", "--json").out + mcpgate("budgets", "settle", "aaaa").out
    assert "[red]" in out
    assert set(out) & set("\x1b\u202e\u200b") == set()
