"""`mcpgate policy import`: foreign rules become a policy file that `mcpgate check` accepts."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcpgate.cli.console import plain
from mcpgate.cli.policy.import_rules import import_file
from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.policy import read_policy
from mcpgate.values import Policy
from tests.cli.conftest import Ran

Run = Callable[..., Ran]

RULES = {
    "rules": [
        {
            "template": "max_value",
            "config": {"field": "amount", "max": 50000},
            "tools": ["stripe_create_charge", "stripe_create_refund"],
            "name": "Cap",
            "description": "500 at the till.",
            "reason": "Ask a person: always.",
        },
        {
            "template": "block_values",
            "config": {"field": "source", "values": ["tok_amex", "no", "1e5", "a, b", "x: y", "z "]},
            "tool": "stripe_create_*",
            "mode": "observe",
        },
        {"template": "allow_values", "config": {"field": "currency", "values": ["usd"]}, "enabled": False},
        {"template": "max_amount", "config": {"usd": 40000, "eur": 40000}, "for": "effect:money_in"},
    ]
}
POLICY = """\
policy: imported
guardrails:
  # Cap: 500 at the till.
  - for: [stripe_create_charge, stripe_create_refund]
    max_value: { field: amount, max: 50000 }
    reason: "Ask a person: always."
  - for: stripe_create_*
    block_values: { field: source, values: [tok_amex, "no", "1e5", "a, b", "x: y", "z "] }
    mode: observe
  - for: effect:money_in
    max_amount: { usd: 40000, eur: 40000 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def imported(mcpgate: Run, rules: Any, *words: str) -> tuple[Policy, str]:
    """The policy that rules come to, having passed `mcpgate check`, and what was said beside it."""
    Path("rules.json").write_text(json.dumps(rules))
    ran = mcpgate("policy", "import", "rules.json", *words)
    assert ran.code == 0, ran.err
    Path("imported.yaml").write_text(ran.out)
    checked = mcpgate("check", "imported.yaml")
    assert (checked.code, checked.err) == (0, "")
    return read_policy("imported.yaml", ran.out.encode()), ran.err


def test_rules_become_a_policy_file_as_a_person_would_write_it(mcpgate: Run, folder: Path) -> None:
    Path("rules.json").write_text(json.dumps(RULES))
    ran = mcpgate("policy", "import", "rules.json")
    assert (ran.code, ran.out) == (0, POLICY)
    assert ran.err == "Left out, as it is switched off (enabled: false): rules[2].\n"
    policy, _ = imported(mcpgate, RULES)
    assert [(rule.mode, rule.reason) for rule in policy.rules] == [
        ("enforce", "Ask a person: always."),
        ("observe", ""),
        ("enforce", ""),
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_comes_through_unchanged(mcpgate: Run, folder: Path, name: str) -> None:
    configs = [config for config, _ in (TEMPLATES[name].allowed, TEMPLATES[name].denied)]
    rules = [{"template": name, "config": config, "tool": "write"} for config in configs]
    policy, said = imported(mcpgate, rules)
    assert [(rule.template, rule.config) for rule in policy.rules] == [(name, config) for config in configs]
    assert said == ""


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.from_regex(
        r"[ a-zA-Z0-9.,:#'\"\[\]{}&*!|>%@`?=+~-]{1,12}", fullmatch=True
    )


@settings(max_examples=300, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        texts() | st.integers(-(2**53 - 1), 2**53 - 1) | st.floats(-1e15, 1e15) | st.booleans(), min_size=1
    ),
    texts(),
)
def test_every_text_and_number_comes_through_unchanged(
    folder: Path, capsys: pytest.CaptureFixture[str], values: list[Any], told: str
) -> None:
    rule = {"template": "block_values", "config": {"field": "a", "values": values}, "tool": "write"}
    Path("rules.json").write_text(json.dumps({**rule, "reason": told, "description": told}))
    capsys.readouterr()
    assert import_file("rules.json", "imported", []) == 0
    out = capsys.readouterr().out
    (read,) = read_policy("imported.yaml", out.encode()).rules
    assert read.config["values"] == values
    assert [type(value) for value in read.config["values"]] == [type(value) for value in values]
    assert read.reason == " ".join(told.split())
    assert plain(out) == out


def test_a_long_list_is_written_line_by_line(mcpgate: Run, folder: Path) -> None:
    values = [f"a_long_value_{number}" for number in range(40)]
    rule = {"template": "block_values", "config": {"field": "a", "values": values}, "tool": "write"}
    policy, _ = imported(mcpgate, rule)
    assert policy.rules[0].config["values"] == values
    assert max(map(len, Path("imported.yaml").read_text().splitlines())) < 110


LIMIT: Mapping[str, Any] = {"template": "max_value", "config": {"field": "amount", "max": 1}}
BLOCK: Mapping[str, Any] = {"template": "block_values", "config": {"field": "a", "values": ["b"]}}


@pytest.mark.parametrize(
    ("rule", "words", "selectors", "says"),
    [
        (
            LIMIT,
            (),
            ["write", "delete"],
            "[0]: for [write, delete], and a tool that has no such field is denied.",
        ),
        (BLOCK, (), ["read", "write", "delete"], "[0]: for [read, write, delete].\n"),
        (LIMIT, ("--for", "shop_pay", "--for", "effect:money_in"), ["shop_pay", "effect:money_in"], ""),
        ({**LIMIT, "tool": "read"}, ("--for", "shop_pay"), ["read"], ""),
    ],
)
def test_a_rule_without_tools_is_closed_and_said(
    mcpgate: Run, folder: Path, rule: Any, words: tuple[str, ...], selectors: list[str], says: str
) -> None:
    policy, said = imported(mcpgate, [rule], *words)
    assert [selector.text for selector in policy.rules[0].selectors] == selectors
    assert says in said
    assert ("with --for TOOL" in said) is bool(says)


def test_nothing_is_printed_when_something_is_wrong(mcpgate: Run, folder: Path) -> None:
    Path("rules.json").write_text(json.dumps([LIMIT, {"template": "max_\x1b[31m"}, {"template": 7}]))
    ran = mcpgate("policy", "import", "rules.json")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines() == [
        "rules.json: [1].template: there is no template 'max_\\u001b[31m'",
        "rules.json: [2].template: a rule says its template, such as max_value",
    ]


def test_rules_are_read_from_stdin(mcpgate: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\xef\xbb\xbf" + json.dumps(RULES).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    ran = mcpgate("policy", "import", "-", "--name", "till")
    assert (ran.code, ran.out) == (0, POLICY.replace("policy: imported", "policy: till"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[7]")))
    assert mcpgate("policy", "import", "-").err == "stdin: [0]: expected a rule, found 7\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ("rules.json", "--name", "My rules"),
            2,
            "--name My rules: a name has lower-case letters, digits and",
        ),
        (
            ("rules.json", "--for", "wrte"),
            2,
            "--for wrte: 'wrte' is no category, effect:NAME, tool name or glob",
        ),
        (("nowhere.json",), 3, "nowhere.json cannot be read: No such file or directory"),
    ],
)
def test_flags_that_cannot_be_used(
    mcpgate: Run, folder: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    Path("rules.json").write_text(json.dumps(RULES))
    ran = mcpgate("policy", "import", *words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(says)


def test_where_every_rule_is_switched_off_nothing_is_left(mcpgate: Run, folder: Path) -> None:
    Path("rules.json").write_text(json.dumps([{**LIMIT, "enabled": False}]))
    ran = mcpgate("policy", "import", "rules.json")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        "rules.json: every rule is switched off (enabled: false), so there is nothing left to import\n"
    )


def test_a_tool_that_nobody_has_is_said(mcpgate: Run, folder: Path, home: Path) -> None:
    (home / "connectors").mkdir(parents=True)
    (home / "connectors" / "broken.yaml").write_text("x: y\n")
    rules = [LIMIT, {**LIMIT, "tools": ["stripe_create_chrge", "write"]}]
    _, said = imported(mcpgate, rules, "--for", "zzz_*", "--for", "effect:erase", "--for", "stripe_*")
    assert said.splitlines() == [
        "No connector here has a tool called 'zzz_*'.",
        "No connector here has a tool called 'stripe_create_chrge'; did you mean 'stripe_create_charge'?",
    ]
