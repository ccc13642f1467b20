"""`mcpgate policy attack`: what is printed, how it ends, and that what it says can be done again."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path

import pytest

from mcpgate.__main__ import main

TILL = """policy: till
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd, eur, gbp] }
"""
OPEN = """policy: open
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
  - for: stripe_create_refund
    max_value: { field: amount, max: 5000 }
    when_missing: allow
"""
LARGE = """policy: large
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd, eur] }
    block_values: { field: source, values: [tok_amex] }
    required_fields: { fields: [metadata.order] }
  - for: stripe_create_subscription
    max_items: { field: items, max: 2 }
    value_range: { field: items.quantity, min: 1, max: 5 }
  - for: stripe_create_refund
    allow_values: { field: reason, values: [duplicate] }
    min_value: { field: amount, min: 100 }
  - for: [write, delete]
    block_fields: { fields: [metadata.vip] }
  - for: stripe_list_*
    max_value: { field: limit, max: 50 }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def attack(file: str, text: str, *flags: str) -> int:
    Path(file).write_text(text)
    return main(["policy", "attack", file, *flags])


def test_a_policy_that_holds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attack("till.yaml", TILL) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(r"[\d,]{3,} attempts on 2 rules: none got through\.", out.splitlines()[-1])
    assert "till.yaml on stripe" in out
    assert "many small calls: not tried" in out
    rows = [line.split()[0] for line in out.splitlines() if re.match(r"\s*([–1-9]) ", line)]
    assert rows == ["–", "1", "2", "3", "4", "5", "6", "7", "8", "9"]


def test_a_policy_that_does_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attack("open.yaml", OPEN) == 1
    out = capsys.readouterr().out
    assert re.search(r"attempts on 2 rules: \d+ got through\.$", out.strip())
    assert "Got through: row 3, another currency with the same figure. max_value (open.yaml:4)" in out
    assert "Got through: row 4, left out. max_value (open.yaml:6) on stripe_create_refund" in out
    assert "request: POST https://api.stripe.com/v1/refunds charge=" in out


def test_what_matters_is_seen_on_a_narrow_terminal(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    attack("open.yaml", OPEN)
    lines = capsys.readouterr().out.splitlines()
    heads = next(line for line in lines if line.startswith(" Row"))
    assert heads.split() == [
        *("Row", "Attempts", "through", "What", "is", "tried", "rule", "arguments", "Harmless", "Tricks")
    ]
    row = next(line for line in lines if line.startswith(" 3 "))
    attempts, through = row.split()[1:3]
    assert int(attempts) > int(through) > 0
    assert max(map(len, lines[: lines.index(row)])) <= 80


def test_what_got_through_can_be_done_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attack("open.yaml", OPEN)
    lines = re.findall(r"again: mcpgate (.*)", capsys.readouterr().out)
    assert len(lines) >= 10
    for line in lines:
        assert main(shlex.split(line)) == 0
        assert "this is what would be sent" in capsys.readouterr().out


def test_the_same_for_machines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attack("open.yaml", OPEN, "--format", "json") == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["rules"] == 2
    assert report["attempts"] == sum(row["attempts"] for row in report["rows"])
    assert report["attempts"] == sum(report["by_rule"].values())
    assert len(report["through"]) == sum(row["through"] for row in report["rows"])
    assert [row["row"] for row in report["rows"] if not row["tried"]] == [5]
    assert report["through"][0].keys() >= {"rule", "place", "tool", "row", "arguments", "request", "again"}


COUNTED = """policy: counted
guardrails:
  - for: effect:money_in
    budget: { usd: 2000, per: day }
"""


def test_a_policy_that_counts_is_attacked_by_calls_in_numbers(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attack("counted.yaml", COUNTED) == 0
    out = capsys.readouterr().out
    (row,) = (line.split() for line in out.splitlines() if line.startswith(" 5 "))
    assert int(row[1]) > 100
    assert row[2] == "0"
    assert not [line for line in out.splitlines() if line.startswith("Not tried")]
    monkeypatch.setattr("mcpgate.store.memory._counts", lambda *_: False)
    assert attack("counted.yaml", COUNTED, "--format", "json") == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert {each["row"] for each in report["through"]} == {5}
    assert [row["through"] for row in report["rows"] if row["row"] == 5] == [len(report["through"])]
    assert "5 calls move 2500 usd, over 2000, within 86,400 seconds" in report["through"][0]["arrives"]
    assert attack("counted.yaml", COUNTED) == 1
    assert "the last of them: mcpgate call stripe_create_charge" in capsys.readouterr().out


def test_a_preset_by_its_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "attack", "read-only", "--on", "stripe"]) == 0
    assert "attempts on 1 rule: none got through." in capsys.readouterr().out
    assert main(["policy", "attack", "full-access", "--on", "stripe"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Nothing was tried")


@pytest.mark.parametrize("text", ["policy: x\nguardrails: 5\n", "neither: this\n"])
def test_a_faulty_file(here: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert attack("faulty.yaml", text) == 3
    assert "faulty.yaml:" in capsys.readouterr().err


def test_nothing_is_sent_and_no_credential_opened(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **rest: object) -> None:
        raise AssertionError("not in an attack")

    monkeypatch.setattr("mcpgate.engine.client.Client.send", refuse)
    monkeypatch.setattr("mcpgate.vault.chosen.ChosenVault.open", refuse)
    assert attack("till.yaml", TILL) == 0


def test_ten_rules_on_fifteen_tools_take_seconds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    assert attack("large.yaml", LARGE, "--preset", "full-access") == 0
    took = time.perf_counter() - began
    count = int(capsys.readouterr().out.splitlines()[-1].split()[0].replace(",", ""))
    assert count > 2000
    assert took < 20, f"{count} attempts in {took:.1f} s"
