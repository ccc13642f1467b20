"""`mcpgate policy test`: cases are decided, and nothing of this machine's own has a say."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from mcpgate.engine.client import Client
from mcpgate.vault.chosen import ChosenVault
from tests.cli.conftest import Ran
from tests.policy.shop import SHOP

Run = Callable[..., Ran]

TILL = """\
policy: till
guardrails:
  - for: shop_create_order
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd, eur] }
    reason: Larger orders are placed by a person.
  - for: shop_create_refund
    max_amount: { usd: 1000 }
"""
HEAD = """\
test: What the till may do
run: [./shop.yaml, --preset, full-access, --without, shop_delete_order]
policy: till.yaml
cases:
"""
GOOD = """\
  - say: Two shirts.
    call: { tool: shop_create_order, arguments: { amount: 4200, currency: usd } }
    expect: allow
  - call: { tool: shop_create_order, arguments: { amount: 90000, currency: usd } }
    expect: deny
    rule: max_value
  - call: { tool: shop_create_order, arguments: { amount: 4200, currency: jpy } }
    expect: deny
    rule: allow_values
  - call: { tool: shop_create_order, arguments: { amount: '4200' } }
    expect: deny
    rule: arguments
  - call: { tool: shop_delete_order, arguments: { order: o1 } }
    expect: deny
    rule: flags
  - say: A refund without an amount gives everything back, and what that is nobody has said.
    call: { tool: shop_create_refund, arguments: { order: o1 } }
    expect: deny
    rule: max_amount
  - call: { tool: shop_create_refund, arguments: { order: o1 } }
    before: { amount: 900, currency: usd }
    expect: allow
  - call: { tool: shop_create_refund, arguments: { order: o1 } }
    before: { amount: 1001, currency: usd }
    expect: deny
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, text in {"shop.yaml": SHOP, "till.yaml": TILL, "till.test.yaml": HEAD + GOOD}.items():
        (folder / name).write_text(text)
    return folder


def refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("nothing is sent")


def test_cases_are_decided_and_nothing_is_sent(
    mcpgate: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(Client, "send", refuse)
    monkeypatch.setattr(ChosenVault, "open", refuse)
    ran = mcpgate("policy", "test", "till.test.yaml")
    assert (ran.code, ran.out, ran.err) == (0, "till.test.yaml: 8 calls, all as expected\n", "")


@pytest.mark.parametrize(
    "files", [("till.yaml",), ("./till.test.yaml",), ("till.yaml", "till.test.yaml", "./till.yaml")]
)
def test_the_tests_of_a_policy_lie_beside_it_and_run_once(
    mcpgate: Run, folder: Path, files: tuple[str, ...]
) -> None:
    ran = mcpgate("policy", "test", *files)
    assert (ran.code, ran.out) == (0, "till.test.yaml: 8 calls, all as expected\n")


def test_paths_count_from_the_file(mcpgate: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.yaml").write_text("preset: mine\nextends: full-access\n")
    words = "./shop.yaml, -p, shop=./mine.yaml, --policy=till.yaml, --without, shop_delete_order"
    head = f"test: x\nrun: [{words}]\npolicy: {{ policy: more, extends: ./mine.yaml }}\ncases:\n"
    (folder / "all.test.yaml").write_text(head + GOOD)
    monkeypatch.chdir(folder.parent)
    ran = mcpgate("policy", "test", "work/till.yaml", "work/all.test.yaml")
    assert ran.err == ""
    assert ran.out.splitlines() == [
        "work/till.test.yaml: 8 calls, all as expected",
        "work/all.test.yaml: 8 calls, all as expected",
    ]


def test_a_preset_file_is_the_preset(mcpgate: Run, folder: Path) -> None:
    Path("mine.yaml").write_text("preset: mine\nallow: [read]\n")
    Path("mine.test.yaml").write_text(
        "test: x\nrun: [./shop.yaml]\npolicy: mine.yaml\n"
        "cases:\n  - { call: { tool: shop_list_orders }, expect: allow }\n"
        "  - { call: { tool: shop_create_order }, expect: deny, rule: preset }\n"
    )
    ran = mcpgate("policy", "test", "mine.yaml")
    assert (ran.code, ran.out, ran.err) == (0, "mine.test.yaml: 2 calls, all as expected\n", "")


BAD = """\
  - say: Somebody wants a lot.
    call: { tool: shop_create_order, arguments: { amount: 90000, currency: usd } }
    expect: allow
  - call: { tool: shop_create_order, arguments: { amount: 42, currency: usd } }
    expect: deny
    rule: max_value
  - call: { tool: shop_create_order, arguments: { amount: 42, currency: jpy } }
    expect: deny
    rule: max_value
  - call: { tool: shop_send_note, arguments: { to: a, text: b } }
    expect: deny
    rule: max_value
  - call: { tool: shop_create_order, arguments: { amount: 4.5, currency: usd } }
    expect: allow
"""


def test_what_did_not_come_is_told_with_its_place_and_why(mcpgate: Run, folder: Path) -> None:
    Path("till.test.yaml").write_text(HEAD + BAD)
    ran = mcpgate("policy", "test", "till.test.yaml")
    assert (ran.code, ran.err) == (1, "")
    first, second, third, fourth, fifth = ran.out.split("till.test.yaml:")[1:-1]
    assert first.splitlines() == [
        "5: case 1 did not come as expected: Somebody wants a lot.",
        "  shop_create_order(amount=90000, currency=usd)",
        "  expected: allow",
        "  came: deny by max_value. Denied by max_value: amount 90000 is over the limit of 50000. "
        "Passes: amount ≤ 50000. Larger orders are placed by a person.",
        "  trace: rules: max_value: deny: amount 90000 is over the limit of 50000 [till (till.yaml:4)]",
    ]
    assert second.splitlines()[2:4] == ["  expected: deny by max_value", "  came: allow"]
    assert "  trace: rules: max_value: allow: amount passes [till (till.yaml:4)]" in second
    assert "  came: deny by allow_values. Denied by allow_values" in third
    assert "max_value: allow: amount passes" in third
    assert "preset full-access" in fourth
    assert "  trace: no max_value reaches shop_send_note" in fourth
    assert "  came: deny by arguments. shop_create_order: amount: 4.5 is not of type integer." in fifth
    assert ran.out.splitlines()[-2:] == [
        "till.test.yaml: 5 of 5 calls did not come as expected",
        "  not tried: max_amount (till.yaml:8)",
    ]


def test_a_lookup_that_nobody_answered_says_what_to_give(mcpgate: Run, folder: Path) -> None:
    refund = "  - { call: { tool: shop_create_refund, arguments: { order: o1 } }, expect: allow }\n"
    Path("till.test.yaml").write_text(HEAD + refund)
    ran = mcpgate("policy", "test", "till.test.yaml")
    assert ran.code == 1
    assert "nothing is looked up in a test, and this case says no `before`" in ran.out


def test_guardrails_that_denied_no_case_are_named(mcpgate: Run, folder: Path) -> None:
    Path("till.yaml").write_text(TILL.replace("    reason:", "    mode: observe\n    reason:"))
    call = "call: { tool: shop_create_order, arguments: { amount: 90000, currency: usd } }"
    Path("till.test.yaml").write_text(f"{HEAD}  - {{ {call}, expect: allow }}\n")
    ran = mcpgate("policy", "test", "till.test.yaml")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "till.test.yaml: 1 call, all as expected",
        "  not tried: allow_values (till.yaml:5)",
        "  not tried: max_amount (till.yaml:9)",
    ]


def test_for_machines(mcpgate: Run, folder: Path) -> None:
    Path("bad.test.yaml").write_text(HEAD + BAD)
    ran = mcpgate("policy", "test", "till.yaml", "bad.test.yaml", "--format", "json")
    assert ran.code == 1
    good, bad = json.loads(ran.out)
    assert (good["file"], good["not_tried"]) == ("till.test.yaml", [])
    assert good["cases"][0] == {
        "number": 1,
        "line": 5,
        "say": "Two shirts.",
        "tool": "shop_create_order",
        "expect": "allow",
        "expect_rule": "",
        "came": "allow",
        "rule": "",
        "says": "",
        "passed": True,
    }
    assert [(case["line"], case["came"], case["rule"]) for case in bad["cases"]] == [
        (5, "deny", "max_value"),
        (8, "allow", ""),
        (11, "deny", "allow_values"),
        (14, "allow", ""),
        (17, "deny", "arguments"),
    ]
    assert not any(case["passed"] for case in bad["cases"])
    assert bad["not_tried"] == [{"rule": "max_amount", "origin": "till.yaml:8"}]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "tool: shop_create_order",
            "tool: shop_create_ordr",
            "till.test.yaml:5: Unknown tool: shop_create_ordr; did",
        ),
        (
            "expect: allow",
            "before: {}\n    expect: allow",
            "till.test.yaml:5: before: shop_create_order looks nothing",
        ),
        ("--preset", "--presett", "till.test.yaml:2: run: No such option: --presett"),
        ("./shop.yaml,", "--help,", "till.test.yaml:2: run: these words run nothing"),
        (
            "full-access",
            "shop=a, -p, shop=b",
            "till.test.yaml:2: --preset shop=b: shop has a preset already (a).",
        ),
        (
            "till.yaml",
            "tell.yaml",
            "till.test.yaml:3: tell.yaml cannot be read: No such file or directory\nCheck the path.",
        ),
        ("./shop.yaml", "./shp.yaml", "till.test.yaml:2: shp.yaml cannot be read: No such file"),
        (
            "full-access",
            "full-acces",
            "till.test.yaml:2: There is no preset 'full-acces'; did you mean 'full-access'?\nKnown are: ",
        ),
        ("full-access", "./mine.yaml", "till.test.yaml:2: mine.yaml cannot be read: No such file"),
        ("--without, ", "--policy, ", "till.test.yaml:2: shop_delete_order cannot be read: No such file"),
        (
            "policy: till.yaml",
            "policy:\n  policy: more\n  extends: red-only",
            "till.test.yaml:5: There is no preset 'red-only'; did you mean 'read-only'?",
        ),
        ("policy: till.yaml\n", "", "till.test.yaml:2: what runs here is without till.yaml"),
        ("test: What", "tests: What", "till.yaml has"),
        ("expect: allow", "expect: allowed", "till.test.yaml:7:13: 'allowed' is not one of allow, deny"),
    ],
)
def test_a_faulty_test_file(mcpgate: Run, folder: Path, old: str, new: str, says: str) -> None:
    text = HEAD + GOOD
    assert old in text
    if says == "till.yaml has":
        Path("till.test.yaml").unlink()
        says = "till.yaml has no tests: there is no till.test.yaml.\nWrite them as: test: TITLE, run: "
    else:
        Path("till.test.yaml").write_text(text.replace(old, new, 1))
    ran = mcpgate("policy", "test", "till.yaml")
    assert ran.code == 3
    assert says in ran.err
    assert "as expected" not in ran.out


def test_a_faulty_file_keeps_no_other_from_being_run(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("policy", "test", "shop.yaml", "nowhere.yaml", "till.yaml")
    assert ran.code == 3
    assert ran.out == "till.test.yaml: 8 calls, all as expected\n"
    assert "shop.yaml:1:1: these are no tests\n" in ran.err
    assert "nowhere.yaml cannot be read" in ran.err


def test_a_folder_is_no_file_of_tests(mcpgate: Run, folder: Path) -> None:
    Path("tests").mkdir()
    ran = mcpgate("policy", "test", "tests")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines() == [
        "tests is a folder, and not a file of tests.",
        f"Name the files in it, such as {Path('tests') / 'till.test.yaml'}.",
    ]


def test_nothing_of_this_machine_has_a_say(
    mcpgate: Run, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(mode=0o700)
    (home / "policy.yaml").write_text("policy: house\ndeny: [write]\n")
    monkeypatch.setenv("MCPGATE_SHOP_KEY", "not a key at all")
    assert mcpgate("policy", "test", "till.test.yaml").code == 0


def test_the_time_is_that_of_the_case(mcpgate: Run, folder: Path) -> None:
    Path("till.yaml").write_text(
        "policy: till\nguardrails:\n  - for: write\n"
        "    time_window: { tz: Europe/Berlin, days: [mon], from: '09:00', to: '17:00' }\n"
    )
    call = "call: { tool: shop_send_note, arguments: { to: a, text: b } }"
    cases = [
        f"  - {{ {call}, expect: {expect}{when} }}\n"
        for expect, when in (
            ("allow", ", at: 2026-11-23T08:00:00Z"),
            ("deny", ", at: 2026-11-23T07:59:59Z"),
            ("deny", ", at: 2026-11-24T10:00:00Z"),
            ("deny", ""),
        )
    ]
    Path("till.test.yaml").write_text(HEAD + "".join(cases))
    ran = mcpgate("policy", "test", "till.yaml")
    assert (ran.code, ran.out) == (0, "till.test.yaml: 4 calls, all as expected\n")


COUNTED = """\
policy: till
guardrails:
  - for: effect:money_in
    budget: { usd: 1000, per: day }
  - for: [read, shop_send_note]
    rate_limit: { max: 2, per: minute }
    repeat_block: { max: 1, per: hour }
  - for: effect:money_out
    budget: { usd: 500, per: week }
    mode: observe
"""


def test_rules_that_count_are_told_by_calls_one_after_the_other(mcpgate: Run, folder: Path) -> None:
    """Windows slide, a failed call gives back, an unknown one keeps and its repeat counts once."""
    order = "tool: shop_create_order, arguments: { currency: usd, amount: %d }"
    note = "tool: shop_send_note, arguments: { to: a, text: %s }"
    refund = "tool: shop_create_refund, arguments: { order: o1 }"
    cases = [
        (order % 600, "2026-11-23T23:59:00Z", "allow", ""),
        (order % 500, "2026-11-24T00:01:00Z", "deny", "budget"),
        (order % 400, "", "allow", "failed"),
        (order % 399, "", "allow", "unknown"),
        (order % 399, "", "allow", "failed"),
        (order % 2, "", "deny", "budget"),
        (order % 1, "2026-11-24T23:58:59Z", "allow", ""),
        (order % 601, "2026-11-24T23:59:00Z", "deny", "budget"),
        (order % 600, "", "allow", ""),
        (note % "x", "2026-11-25T10:00:00Z", "allow", ""),
        (note % "x", "2026-11-25T10:59:59Z", "deny", "repeat_block"),
        (note % "x", "2026-11-25T11:00:00Z", "allow", ""),
        ("tool: shop_list_orders", "2026-11-25T11:00:59Z", "allow", ""),
        (note % "y", "", "deny", "rate_limit"),
        (note % "y", "2026-11-25T11:01:00Z", "allow", ""),
        (f"{refund}}}, before: {{ amount: 501, currency: usd", "", "allow", ""),
    ]
    Path("till.yaml").write_text(COUNTED)
    lines = [
        f"  - {{ call: {{ {call} }}, expect: {expect}"
        + (f", at: {at}" if at else "")
        + (f", {'rule' if expect == 'deny' else 'outcome'}: {more}" if more else "")
        + " }\n"
        for call, at, expect, more in cases
    ]
    Path("till.test.yaml").write_text(HEAD + "".join(lines))
    ran = mcpgate("policy", "test", "till.yaml")
    assert (ran.code, ran.out, ran.err) == (0, f"till.test.yaml: {len(cases)} calls, all as expected\n", "")
    # and each file begins with nothing spent
    again = mcpgate("policy", "test", "till.test.yaml", "./till.test.yaml")
    assert again.code == 0


def test_what_a_file_says_is_shown_without_control_characters(mcpgate: Run, folder: Path) -> None:  # row 33
    case = (
        'say: "a\\e[2J\\u202eb", call: { tool: shop_send_note, arguments: { to: "\\e[31m" } }, expect: deny'
    )
    Path("till.test.yaml").write_text(f"{HEAD}  - {{ {case} }}\n")
    ran = mcpgate("policy", "test", "till.yaml")
    assert ran.code == 1
    assert "a\\u001b[2J\\u202eb" in ran.out
    assert all(char.isprintable() or char == "\n" for char in ran.out + ran.err)


def test_check_knows_test_files(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("check", "till.test.yaml")
    assert (ran.code, ran.out) == (0, "till.test.yaml: test, 8 cases\n")


# --- one language for both -------------------------------------------------------------------------------

REFUSED = """\
  - call: { tool: shop_create_order, arguments: { amount: '4200' } }
    expect: deny
    rule: arguments
    show: request
"""


def test_a_demo_is_a_test_as_well(
    mcpgate: Run, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(mode=0o700)
    (home / "policy.yaml").write_text("policy: house\ndeny: [write]\n")
    first = GOOD.split("  - call:")[0]
    second = "  - call:" + GOOD.split("  - call:")[1]
    Path("till.demo.yaml").write_text(HEAD.replace("test:", "demo:") + first + second + REFUSED)
    monkeypatch.chdir(folder.parent)
    ran = mcpgate("demo", "work/till.demo.yaml")
    assert ran.code == 0, ran.out + ran.err
    assert "All 3 calls came as the story says." in ran.out
    assert "Denied by max_value: amount 90000 is over the limit of 50000" in ran.out
    assert "There is no request behind it." in ran.out
    lines = ran.out.splitlines()
    assert "1. Two shirts." in lines
    assert "   shop_create_order(amount=4200, currency=usd)" in lines
    assert "2. shop_create_order(amount=90000, currency=usd)" in lines
    assert mcpgate("policy", "test", "work/till.demo.yaml").out.startswith(
        "work/till.demo.yaml: 3 calls, all as expected\n"
    )


def test_a_test_is_no_demo(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("demo", "till.test.yaml")
    assert ran.code == 2
    assert "mcpgate policy test till.test.yaml" in ran.err
