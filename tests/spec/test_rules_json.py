"""Foreign rules in JSON: what is read, and every fault with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpgate.errors import SpecError
from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.rules_json import ForeignRule, read_rules

CAP: dict[str, Any] = {"template": "max_value", "config": {"field": "amount", "max": 50000}}


def read(value: Any) -> tuple[ForeignRule, ...]:
    return read_rules("rules.json", json.dumps(value).encode()).rules


def faults(data: bytes) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_rules("rules.json", data)
    assert all(problem.startswith("rules.json:") for problem in caught.value.problems)
    return [problem.removeprefix("rules.json:").strip() for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("value", "places"),
    [
        (CAP, [""]),
        ([CAP, CAP], ["[0]", "[1]"]),
        ({"rules": [CAP]}, ["rules[0]"]),
        ({"guardrails": [CAP, CAP]}, ["guardrails[0]", "guardrails[1]"]),
    ],
)
def test_one_rule_a_list_or_an_object_with_a_list(value: Any, places: list[str]) -> None:
    found = read(value)
    assert [rule.place for rule in found] == places
    assert {(rule.template, rule.config["max"], rule.mode) for rule in found} == {
        ("max_value", 50000, "enforce")
    }


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"tools": ["a_*", "write"]}, {"tools": ("a_*", "write")}),
        ({"tool": "shop_pay"}, {"tools": ("shop_pay",)}),
        ({"for": "effect:money_in"}, {"tools": ("effect:money_in",)}),
        ({"mode": "observe"}, {"mode": "observe"}),
        ({"reason": " Ask \n first. "}, {"reason": "Ask first."}),
        ({"name": "Cap", "description": "Small\nsums."}, {"told": "Cap: Small sums."}),
        ({"enabled": True}, {}),
        ({"reason": None}, {}),
    ],
)
def test_what_a_rule_says_besides_is_taken_over(more: dict[str, Any], kept: dict[str, Any]) -> None:
    plain = ForeignRule("", "max_value", CAP["config"], mode="enforce")
    fields = {name: getattr(plain, name) for name in ForeignRule.__slots__}
    assert read({**CAP, **more}) == (ForeignRule(**{**fields, **kept}),)


def test_a_rule_that_is_switched_off_is_skipped_whatever_it_is() -> None:
    off = {"template": "of_another_house", "enabled": False}
    found = read_rules("rules.json", json.dumps({"rules": [off, CAP]}).encode())
    assert ([rule.place for rule in found.rules], found.skipped) == (["rules[1]"], ("rules[0]",))


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_rules("rules.json", b"\xef\xbb\xbf" + json.dumps(CAP).encode()).rules


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_read_with_its_configuration(name: str) -> None:
    for config, _ in (TEMPLATES[name].allowed, TEMPLATES[name].denied):
        assert read({"template": name, "config": config})[0].config == config


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"template": "max_valeu"},
            "rules[1].template: there is no template 'max_valeu'; did you mean 'max_v",
        ),
        ({"template": None}, "rules[1].template: a rule says its template"),
        ({"template": ["max_value"]}, "rules[1].template: a rule says its template"),
        (
            {"template": "budget", "config": {"usd": 500}},
            "rules[1].config: the key 'per' is missing",
        ),
        (
            {"template": "budget", "config": {"xau": 500, "per": "day"}},
            "rules[1].config: 'xau' is no currency of ISO 4217",
        ),
        (
            {"template": "rate_limit", "config": {"max": 5, "per": "year"}},
            "rules[1].config.per: 'year' is not one of minute, hour, day, week",
        ),
        (
            {"config": {"field": "a", "maxx": 1}},
            "rules[1].config.maxx: unknown key 'maxx'; did you mean 'max'?",
        ),
        ({"config": {"field": "a"}}, "rules[1].config: the key 'max' is missing"),
        ({"config": {"field": "a", "max": "9"}}, "rules[1].config.max: expected a number, found '9'"),
        ({"config": {"field": "a..b", "max": 9}}, "rules[1].config.field: 'a..b': a field is a dotted path"),
        ({"config": 7}, "rules[1].config: expected a mapping, found 7"),
        (
            {
                "template": "time_window",
                "config": {"tz": "UTC", "days": ["mon"], "from": "09:00", "to": "09:00"},
            },
            "rules[1].config: from and to are the same",
        ),
        ({"tools": []}, "rules[1].tools: this must not be empty"),
        ({"tools": ["write", "a b"]}, "rules[1].tools[1]: 'a b' is no category"),
        ({"tools": [7]}, "rules[1].tools[0]: expected a tool, found 7"),
        (
            {"tool": "wrte"},
            "rules[1].tool: 'wrte' is no category, effect:NAME, tool name or glob; did you mean",
        ),
        ({"tool": "write", "for": "read"}, "rules[1].for: tool says already which tools the rule is for"),
        ({"mode": "warn"}, "rules[1].mode: 'warn' is not one of enforce, observe, ask"),
        ({"mode": ["x"]}, "rules[1].mode: a list is not one of enforce, observe, ask"),
        ({"reason": 7}, "rules[1].reason: expected a text, found 7"),
        ({"name": {}}, "rules[1].name: expected a text, found a mapping"),
        ({"enabled": "no"}, "rules[1].enabled: expected true or false, found 'no'"),
        ({"id": 1}, "rules[1].id: unknown key 'id'; known here: template, config,"),
    ],
)
def test_a_faulty_rule_is_told_with_its_place(change: dict[str, Any], says: str) -> None:
    told = faults(json.dumps({"rules": [CAP, {**CAP, **change}]}).encode())
    assert any(fault.startswith(says) for fault in told), told
    assert len(told) <= 2


def test_every_fault_is_told_at_once() -> None:
    rules = [
        {"template": "max_value", "config": {"fields": 1}, "mode": "x"},
        7,
        {"template": "nothing_like_it"},
    ]
    places = [fault.split(": ")[0] for fault in faults(json.dumps(rules).encode())]
    assert sorted(places) == [
        "[0].config",
        "[0].config",
        "[0].config.fields",
        "[0].mode",
        "[1]",
        "[2].template",
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "1:1: this is no JSON"),
        (b"[1,\n 2,]", "2:4: this is no JSON"),
        (b"\xff\xfe[]", "this is not UTF-8 text"),
        (b"[]", "there is no rule here"),
        (b"7", "expected a list of rules, found 7"),
        (b"{}", 'these are no rules: write {"template": …, "config": …}, or a list of them under "rules"'),
        (b'{"rules": [], "guardrails": []}', "these are no rules"),
        (b'{"rules": {}}', "rules: expected a list of rules, found a mapping"),
        (b'{"rules": [], "tools": "x"}', "tools: unknown key 'tools'"),
        (b'{"template": "max_value", "template": "min_value"}', "the key 'template' stands here twice"),
        (b'[{"config": {"max": 1, "max": 2}}]', "[0].config: the key 'max' stands here twice"),
        (b'[{"config": {"max": NaN}}]', "NaN is no JSON"),
        (b'[{"config": {"max": 1e999}}]', "[0].config.max: this number is too large"),
        (b'[{"config": {"max": 9007199254740992}}]', "[0].config.max: this number is beyond"),
        (b'[{"config": {"max": 1' + b"0" * 5000 + b"}}]", "Exceeds the limit"),
        (b'[{"name": "\\ud83d"}]', "[0].name: this text holds half of a surrogate pair"),
        (b"[" * 70 + b"]" * 70, "[0]" * 64 + ": nested more than 64 deep"),
        (b"[" * 200_000, "nested more than 64 deep"),
        (b" " * (1024 * 1024 + 1), "this has more than 1,048,576 bytes"),
        (
            b'[{"template": "\\u001b[31m\\n\\u202e"}]',
            "[0].template: there is no template '\\u001b[31m\\u000a\\u202e'",
        ),
    ],
    ids=range(20),
)
def test_hostile_and_broken_texts(data: bytes, says: str) -> None:
    told = faults(data)
    assert any(fault.startswith(says) for fault in told), told
    assert all(fault.isprintable() for fault in told)


def test_no_more_faults_are_told_than_anyone_reads() -> None:
    told = faults(json.dumps([7] * 500).encode())
    assert len(told) == 101
    assert told[-1] == "and 400 more"
