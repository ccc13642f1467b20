"""The templates: every example in the table executed, and what each does with what it does not expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.apps import App, Grant, open_account
from mcpgate.json_schema import build_validator
from mcpgate.policy.folding import fold
from mcpgate.policy.reading import named_fields
from mcpgate.policy.templates import TEMPLATES
from tests.policy.shop import EVERYTHING, connector, guarded, judge, order, policy

EXAMPLES = [(name, verdict) for name in TEMPLATES for verdict in ("allow", "deny")]


def example_app(name: str, config: Mapping[str, Any], arguments: Mapping[str, Any]) -> App:
    """An app whose one tool takes these arguments, under this one guardrail."""
    fields = [field.partition(".")[0] for field in named_fields(name, config)]
    shapes = {
        int: {"type": "integer"},
        str: {"type": "string"},
        list: {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        dict: {"type": "object", "additionalProperties": {"type": "string"}},
    }
    params = {key: shapes[type(value)] for key, value in arguments.items()}
    params |= {field: {"type": "string"} for field in fields if field not in params}
    deletes = name == "block_delete"
    tool: dict[str, Any] = {
        "description": "Does it.",
        "category": "delete" if deletes else "write",
        "request": f"{'DELETE' if deletes else 'POST'} /it",
        "params": params,
        "effects": [],
    }
    if TEMPLATES[name].looks_at == "money":
        tool["money"] = {"amount": "amount", "currency": "currency"}
    text = json.dumps({"connector": "shop", "base_url": "https://a.example", "tools": {"shop_do": tool}})
    rule = json.dumps({"for": "shop_do", name: config})
    grant = Grant(open_account(connector(text), {}), policy(EVERYTHING))
    return App("test", (grant,), rules=(policy(f"guardrails:\n  - {rule}\n"),))


@pytest.mark.parametrize(("name", "verdict"), EXAMPLES)
def test_the_examples_of_a_template_do_what_the_table_says(name: str, verdict: str) -> None:
    config, arguments = TEMPLATES[name].allowed if verdict == "allow" else TEMPLATES[name].denied
    assert not list(build_validator(TEMPLATES[name].config).iter_errors(dict(config)))
    if name == "block_delete" and verdict == "allow":
        assert judge(guarded("{ for: shop_create_order, block_delete: {} }"), *order()).verdict == "allow"
        return
    decision = judge(example_app(name, config, arguments), "shop_do", arguments)
    assert decision.verdict == verdict
    if decision.reason:
        assert decision.reason.rule == name


def test_the_table_has_every_template_of_the_language() -> None:
    every = """keyword_block content_length require_prefix block_pattern allow_pattern block_urls secret_block
    allow_domains block_domains allow_addresses block_addresses max_recipients block_external allow_values
    block_values max_value min_value value_range max_items required_fields block_fields allow_prefix
    protect_branches allow_repos block_mass_mentions deny_past_dates time_window max_duration block_delete
    rate_limit daily_quota repeat_block max_amount budget pii_block"""
    assert set(TEMPLATES) == set(every.split())
    blocks = {name for name, template in TEMPLATES.items() if template.block}
    assert blocks == {
        name
        for name in TEMPLATES
        if name.startswith("block_")
        or name in ("keyword_block", "secret_block", "pii_block", "protect_branches")
    }


@pytest.mark.parametrize(
    ("guardrail", "arguments", "passes"),
    [
        # numbers: a bound is part of what is allowed, and what is no number cannot be decided
        ("max_value: { field: ratio, max: 1.5 }", {"ratio": 1.5}, True),
        ("max_value: { field: ratio, max: 1.5 }", {"ratio": 1.5000001}, False),
        ("max_value: { field: note, max: 5 }", {"note": "3"}, False),
        ("max_value: { field: gift, max: 5 }", {"gift": True}, False),
        ("min_value: { field: gift, min: 0 }", {"gift": True}, False),
        ("value_range: { field: amount, min: -1, max: 1 }", {"amount": -1}, True),
        ("value_range: { field: amount, min: -1, max: 1 }", {"amount": -2}, False),
        ("value_range: { field: amount, min: 2, max: 1 }", {"amount": 1}, False),
        # allowed is exact: case, width and type
        ("allow_values: { field: currency, values: [usd] }", {"currency": "usd"}, True),
        ("allow_values: { field: currency, values: [usd] }", {"currency": "USD"}, False),
        ("allow_values: { field: currency, values: [usd] }", {"currency": "usd\u200b"}, False),
        ("allow_values: { field: currency, values: [usd] }", {"currency": "ｕｓｄ"}, False),
        ("allow_values: { field: gift, values: [1] }", {"gift": True}, False),
        ("allow_values: { field: gift, values: [true] }", {"gift": True}, True),
        ("allow_values: { field: amount, values: [1, 2.0] }", {"amount": 2}, True),
        ("allow_values: { field: amount, values: ['2'] }", {"amount": 2}, False),
        ("allow_values: { field: tags, values: [a, b] }", {"tags": ["a", "b"]}, True),
        ("allow_values: { field: tags, values: [a, b] }", {"tags": ["a", "c"]}, False),
        ("allow_values: { field: address, values: [a] }", {"address": {"country": "a"}}, False),
        ("allow_values: { field: metadata.*, values: [a] }", {"metadata": {"x": "a", "y": "b"}}, False),
        # blocked is folded, and looks into lists and maps
        ("block_values: { field: note, values: [refund] }", {"note": "invoice"}, True),
        ("block_values: { field: note, values: [refund] }", {}, True),
        ("block_values: { field: note, values: [refund] }", {"note": " REFUND\n"}, False),
        ("block_values: { field: amount, values: ['5'] }", {"amount": 5}, False),
        ("block_values: { field: tags, values: [vip] }", {"tags": []}, True),
        ("block_values: { field: tags, values: [vip] }", {"tags": ["x", "ViP"]}, False),
        ("block_values: { field: items.codes, values: [vip] }", {"items": [{}, {"codes": ["vip"]}]}, False),
        ("block_values: { field: metadata.*, values: [vip] }", {"metadata": {"x": "vip"}}, False),
        ("block_values: { field: metadata.tier, values: [vip] }", {"metadata": {"x": "vip"}}, True),
        ("block_values: { field: metadata, values: [vip] }", {"metadata": {"x": "vip"}}, False),
        ("block_values: { field: extra.a.b, values: [vip] }", {"extra": {"a": [{"b": "VIP"}]}}, False),
        ("allow_values: { field: extra.a.b, values: [vip] }", {"extra": {"a": {"b": "vip"}}}, True),
        ("allow_values: { field: extra.a.b, values: [vip] }", {"extra": {"a": "vip"}}, False),
        # fields there or not
        ("required_fields: { fields: [note, tags] }", {"note": "", "tags": ["a"]}, True),
        ("required_fields: { fields: [note, tags] }", {"note": "", "tags": []}, False),
        ("required_fields: { fields: [note, tags] }", {"tags": ["a"]}, False),
        ("required_fields: { fields: [items.price] }", {"items": [{"price": "p"}, {}]}, False),
        ("block_fields: { fields: [note, tags] }", {"amount": 1}, True),
        ("block_fields: { fields: [note, tags] }", {"note": ""}, False),
        ("block_fields: { fields: [items.price] }", {"items": [{}, {"price": "p"}]}, False),
        ("block_fields: { fields: [note] }", {"note": None}, True),  # left out, so it is not sent
        ("block_fields: { fields: [labels] }", {"labels": None}, False),  # null and [] are sent here
        ("block_fields: { fields: [labels] }", {"labels": []}, False),
        # lists are counted as they stand
        ("max_items: { field: tags, max: 2 }", {"tags": ["a", "b"]}, True),
        ("max_items: { field: tags, max: 2 }", {"tags": ["a", "b", "c"]}, False),
        ("max_items: { field: items.codes, max: 1 }", {"items": [{"codes": ["a"]}, {"codes": ["b"]}]}, True),
        ("max_items: { field: items.codes, max: 1 }", {"items": [{"codes": ["a", "b"]}]}, False),
        ("max_items: { field: metadata, max: 1 }", {"metadata": {"a": "1", "b": "2"}}, False),
        ("max_items: { field: note, max: 9 }", {"note": "abc"}, False),
    ],
)
def test_a_template_on_what_it_may_meet(guardrail: str, arguments: dict[str, Any], passes: bool) -> None:
    app = guarded(f"{{ for: shop_create_order, {guardrail} }}")
    assert (judge(app, *order(**arguments)).verdict == "allow") is passes


def test_block_delete_is_settled_before_any_call() -> None:
    app = guarded("{ for: [write, delete], block_delete: {} }")
    assert judge(app, "shop_delete_order", {"order": "o"}).verdict == "deny"
    assert judge(app, *order()).verdict == "allow"


# --- folding, row 9 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "disguised",
    [
        "REFUND",
        "ｒｅｆｕｎｄ",
        "re\u200bfund",
        "re\u00adfund",
        "\u202erefund\u202c",
        "re\u2066fund\u2069",
        "\ufeffrefund",
        "ref\u034fund",
        "ref\u3164und",
        "re\x08fund",
        "ref\ufe0fund",
        "\u00a0refund\u2003",
        "𝐫𝐞𝐟𝐮𝐧𝐝",
    ],
)
def test_a_blocked_word_is_known_in_disguise(disguised: str) -> None:
    assert fold(disguised) == "refund"


@pytest.mark.parametrize(
    ("left", "right"),
    [("café", "cafe\u0301"), ("café", "CAFE\u200d\u0301"), ("straße", "STRASSE"), ("ﬁne", "FINE"), ("５", 5)],
)
def test_two_ways_to_write_the_same_fold_alike(left: Any, right: Any) -> None:
    assert fold(left) == fold(right)


@pytest.mark.parametrize(("left", "right"), [("café", "cafe"), ("re fund", "refund"), ("a-b", "ab")])
def test_what_reads_otherwise_stays_apart(left: str, right: str) -> None:
    assert fold(left) != fold(right)


@given(some.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
