"""Preset and policy files: what they may say, and what is said of those that are wrong."""
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.policy import unite
from tests.spec.files import policy, policy_problems

BOT = """\
preset: billing-bot
description: >-
  Takes payments,
  gives nothing back.
extends: [transact, ./more.yaml]
allow: stripe_get_*
deny: [delete, effect:reversal]
guardrails:
  - for: [write, stripe_create_charge]
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd, no] }
    mode: observe
    reason: >-
      Over 500
      a person looks first.
    when_missing: allow
  - for: effect:money_in
    max_amount: { usd: 40000, jpy: 40000 }
x-notes: anything
"""


def test_a_preset_is_its_selectors_and_rules_with_their_places() -> None:
    found = policy(BOT)
    assert (found.name, found.kind, found.description) == (
        "billing-bot",
        "preset",
        "Takes payments, gives nothing back.",
    )
    assert found.extends == ("transact", "./more.yaml")
    assert [(each.text, each.origin) for each in found.allow or ()] == [("stripe_get_*", "rules.yaml:6")]
    assert [each.text for each in found.deny] == ["delete", "effect:reversal"]
    first, second, third = found.rules
    assert (first.template, first.config, first.origin) == (
        "max_value",
        {"field": "amount", "max": 50000},
        "rules.yaml:10",
    )
    assert [each.text for each in first.selectors] == ["write", "stripe_create_charge"]
    assert second.config == {"field": "currency", "values": ["usd", "no"]}
    for rule in (first, second):
        assert (rule.policy, rule.mode, rule.when_missing) == ("billing-bot", "observe", "allow")
        assert rule.reason == "Over 500 a person looks first."
    assert (third.template, third.mode, third.reason, third.when_missing) == (
        "max_amount",
        "enforce",
        "",
        "deny",
    )


def test_a_policy_file_need_not_allow() -> None:
    found = policy("policy: house\ndeny: erase_*\n")
    assert (found.kind, found.allow, found.rules) == ("policy", None, ())


MASKED = "a masked place is a dotted path into replies, such as customer.email"
SELECTOR = "is no category, effect:NAME, tool name or glob"


def rule(line: str) -> str:
    return f"preset: p\nallow: [read]\nguardrails:\n  - for: write\n    {line}\n"


REFUSED = [
    ("allow: [read]", "1:1: say what this file is: `preset: NAME` or `policy: NAME`, one of them"),
    ("preset: p\npolicy: q\nallow: [read]", "1:1: say what this file is: `preset: NAME` or `policy: NAME`, one of them"),
    ("preset: p", "1:1: a preset says what it allows (allow: [read]), or extends one that does"),
    ("preset: My Bot\nallow: [read]", "1:9: 'My Bot': a name has lower-case letters, digits and hyphens"),
    ("preset: p\nallow: [reed]", f"2:9: 'reed' {SELECTOR}; did you mean 'read'?"),
    ("preset: p\nallow: everything", f"2:8: 'everything' {SELECTOR}"),
    ("preset: p\nallow: '*'", None),
    ("preset: p\nallow: [read]\ndeny: [effect:reversals]", "3:8: 'reversals' is no effect; did you mean 'effect:reversal'?"),
    ("preset: p\nallow: [read]\ndeny: Stripe_*", f"3:7: 'Stripe_*' {SELECTOR}"),
    ("preset: p\nallow: []", "2:8: this must not be empty"),
    ("preset: p\nallow:", "2:7: expected a text or a list, found nothing"),
    ("preset: p\nallow: [read]\nguardrail: []", "3:1: unknown key 'guardrail'; did you mean 'guardrails'?"),
    ("preset: p\nallow: [read]\nmask: []", "3:7: this must not be empty"),
    ("preset: p\nallow: [read]\nmask: email", "3:7: expected a list, found 'email'; write [email]"),
    ("preset: p\nallow: [read]\nmask: [email, a..b]", f"3:15: {MASKED}"),
    ("preset: p\nallow: [read]\nmask: ['header:Link']", f"3:8: {MASKED}"),
    ("preset: p\nallow: [read]\nmask: [5]", f"3:8: {MASKED}"),
    ("preset: p\nallow: [read]\nmask: { email: true }", "3:7: expected a list, found a mapping"),
    ("preset: p\nextends: []", "2:10: this must not be empty"),
    ('preset: p\nextends: "a\\0b"', "2:10: a preset's name or path has printable characters only"),
    ("preset: p\nallow: [read]\nguardrails:\n  - max_value: { field: a, max: 1 }", "4:5: the key 'for' is missing"),
    ("preset: p\nallow: [read]\nguardrails:\n  - for: write", "4:5: this entry holds no guardrail, such as max_value: { field: …, max: … }"),
    ("preset: p\nallow: [read]\nguardrails:\n  - for: wriite\n    block_delete: {}", f"4:10: 'wriite' {SELECTOR}; did you mean 'write'?"),
    (rule("on: x"), "5:5: unknown key 'on'; known here: for, mode, reason, when_missing, "),
    (rule("max_valeu: { field: a, max: 1 }"), "5:5: unknown key 'max_valeu'; did you mean 'max_value'?"),
    (rule("max_value: 500"), "5:16: expected a mapping, found 500"),
    (rule("max_value: { field: a }"), "5:16: the key 'max' is missing"),
    (rule("max_value: { field: a, max: '5' }"), "5:33: expected a number, found '5'"),
    (rule("max_value: { field: a, max: 1e999 }"), "5:33: a number of this size is not read"),
    (rule("max_value: { field: a, max: .nan }"), "5:33: expected a number, found '.nan'"),
    (rule("max_value: { field: a..b, max: 1 }"), "5:25: 'a..b': a field is a dotted path such as items.quantity"),
    (rule("max_value: { field: a, max: 1, mode: observe }"), "5:36: unknown key 'mode'; known here: field, max"),
    (rule("allow_values: { field: a, values: usd }"), "5:39: expected a list, found 'usd'; write [usd]"),
    (rule("max_amount: { USD: 5 }"), "5:19: 'USD': a currency is three lower-case letters"),
    (rule("max_amount: { usd: -5 }"), "5:24: -5 is out of bounds: at least 0"),
    (rule("max_amount: { usd: 5.5 }"), "5:24: expected a whole number, found 5.5"),
    (rule("mode: watch"), "5:11: 'watch' is not one of enforce, observe, ask"),
    (rule("when_missing: pass"), "5:19: 'pass' is not one of deny, allow"),
    (rule("budget: { usd: 5 }"), "5:13: the key 'per' is missing"),
    (rule("budget: { per: day }"), "5:13: a budget says how much of which currency, such as usd: 200000"),
    (rule("budget: { usd: 5, per: daily }"), "5:28: 'daily' is not one of minute, hour, day, week"),
    (rule("budget: { USD: 5, per: day }"), "5:15: 'USD': a currency is three lower-case letters"),
    (rule("budget: { usd: -5, per: day }"), "5:20: -5 is out of bounds: at least 0"),
    (rule("budget: { usd: 5, zzz: 5, per: day }"), "5:13: 'zzz' is no currency of ISO 4217"),
    (rule("rate_limit: { max: 5 }"), "5:17: the key 'per' is missing"),
    (rule("rate_limit: { max: 5, per: 60 }"), "5:32: 60 is not one of minute, hour, day, week"),
    (rule("rate_limit: { max: 0.5, per: day }"), "5:24: expected a whole number, found 0.5"),
    (rule("daily_quota: { max: 5, per: day }"), "5:28: unknown key 'per'; known here: max"),
    (rule("repeat_block: { max: -1, per: hour }"), "5:26: -1 is out of bounds: at least 0"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "says"), REFUSED)
def test_a_wrong_rule_is_told_and_never_passed_over(file: str, says: str | None) -> None:  # row 18
    if says is None:
        assert policy(file).allow
        return
    (problem,) = policy_problems(file)
    assert problem.startswith(f"rules.yaml:{says}")


def test_every_fault_of_a_policy_is_told_at_once() -> None:
    told = policy_problems(
        "preset: P\nallow: [reed]\ndeny: 3\nguardrails:\n  - for: x\n  - for: write\n    max_value: {}\n"
        "  - for: eff:x\n    block_delete: {}\n"
    )
    assert [problem.removeprefix("rules.yaml:")[:4] for problem in told] == [
        "1:9:",
        "2:9:",
        "3:7:",
        "5:5:",
        "5:10",
        "7:16",
        "7:16",
        "8:10",
    ]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_takes_the_configurations_of_its_own_examples(name: str, tmp_path: Path) -> None:
    for config, _ in (TEMPLATES[name].allowed, TEMPLATES[name].denied):
        (found,) = policy(rule(f"{name}: {config}".replace("'", '"'))).rules
        assert (found.template, found.config) == (name, config)


def test_lists_are_united_and_every_rule_holds() -> None:
    first = policy(rule("block_delete: {}") + r"mask: [email, card.number, a\.b]" + "\n")
    second = policy(
        "preset: q\nallow: write\ndeny: erase_*\n"
        + rule("max_items: { field: a, max: 1 }").partition("[read]\n")[2]
    )
    united = unite(
        policy("preset: r\nextends: [p, q]\ndeny: delete\nmask: [phone, email]\n"), [first, second]
    )
    texts: Any = lambda selectors: [each.text for each in selectors or ()]  # noqa: E731
    assert united.name == "r"
    assert texts(united.allow) == ["read", "write"]
    assert texts(united.deny) == ["erase_*", "delete"]
    assert [each.template for each in united.rules] == ["block_delete", "max_items"]
    assert [place.keys for place in united.mask] == [("email",), ("card", "number"), ("a.b",), ("phone",)]
    assert policy("policy: r\nmask: [email]\n").mask == united.mask[:1]
    assert unite(policy("policy: r\ndeny: delete\n"), [policy("policy: s\ndeny: x_y\n")]).allow is None
