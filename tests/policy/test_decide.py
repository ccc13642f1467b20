"""The decision: four layers, deny wins, only the preset allows, all of it in the trace, and what is said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.apps import App
from mcpgate.policy.binding import Layer, bind
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide, explain, structure
from mcpgate.policy.rule import BoundRule
from mcpgate.toolset import build_toolset
from mcpgate.values import Finding, Policy, Selector
from tests.policy.shop import app, connector, guarded, judge, order, policy, reason

CAP = "guardrails:\n  - for: shop_create_order\n    max_value: { field: amount, max: 50 }\n"


# --- layers ----------------------------------------------------------------------------------------------

ONLY_ORDERS = "policy: only-orders\nallow: [shop_create_order]\n"
NO_MONEY_IN = "policy: no-money\ndeny: [effect:money_in]\n"


@pytest.mark.parametrize(
    ("layers", "denied_by"),
    [
        ({}, None),
        ({"preset": "preset: p\nallow: [read]\n"}, "preset"),
        ({"preset": "preset: p\nallow: [read, write]\ndeny: [shop_create_*]\n"}, "preset"),
        ({"preset": "preset: p\ndeny: [write]\nallow: [read, write]\n"}, "preset"),
        ({"switches": NO_MONEY_IN}, "app"),
        ({"account": NO_MONEY_IN}, "account"),
        ({"rules": NO_MONEY_IN}, "rules"),
        ({"account": CAP.replace("50", "5")}, "account"),
        ({"switches": NO_MONEY_IN, "account": NO_MONEY_IN, "preset": "preset: p\nallow: [read]\n"}, "app"),
        ({"account": NO_MONEY_IN, "rules": NO_MONEY_IN}, "account"),
        # an allow outside the preset narrows, and never overrides a deny
        ({"rules": ONLY_ORDERS}, None),
        ({"rules": "policy: p\nallow: [read]\n"}, "rules"),
        ({"account": "policy: p\nallow: [effect:erase]\n"}, "account"),
        ({"account": NO_MONEY_IN, "rules": ONLY_ORDERS}, "account"),
        ({"preset": "preset: p\nallow: [read]\n", "rules": ONLY_ORDERS, "switches": ONLY_ORDERS}, "preset"),
    ],
)
def test_the_first_layer_that_denies_is_the_reason(layers: dict[str, str], denied_by: str | None) -> None:
    layers = dict(layers)
    rules = [layers.pop("rules")] if "rules" in layers else []
    decision = judge(app(*rules, **layers), *order(amount=50))
    assert (decision.reason.layer if decision.reason else None) == denied_by
    assert decision.verdict == ("deny" if denied_by else "allow")


def test_without_a_preset_nothing_is_allowed() -> None:
    tool = connector().tools["shop_list_orders"]
    harmless = policy("policy: harmless\nallow: [read]\n")
    for bound in ((), bind(tool, [Layer("account", (harmless,)), Layer("rules", (harmless,))])):
        decision = decide(bound, Call(tool, {}))
        assert decision.verdict == "deny"
        assert decision.reason is not None
        assert "no preset allows" in decision.reason.says


def test_a_preset_that_says_nothing_allows_nothing() -> None:
    silent = Policy("p", "preset", "", None, (), ())
    bound = bind(connector().tools["shop_list_orders"], [Layer("preset", (silent,))])
    assert decide(bound, Call(connector().tools["shop_list_orders"], {})).verdict == "deny"


def test_the_trace_keeps_every_rule_after_the_first_deny() -> None:
    holder = app(CAP, NO_MONEY_IN, account=CAP.replace("50", "60"))
    decision = judge(holder, *order(amount=70))
    assert [(step.layer, step.rule, step.verdict) for step in decision.trace] == [
        ("account", "policy", "allow"),
        ("account", "max_value", "deny"),
        ("preset", "preset", "allow"),
        ("rules", "policy", "allow"),
        ("rules", "max_value", "deny"),
        ("rules", "policy", "deny"),
    ]
    assert decision.reason == decision.trace[1]
    assert decision.reason.source == "rules (rules.yaml:4)"


def test_the_tightest_of_several_guardrails_wins() -> None:
    holder = guarded(
        "{ for: write, max_value: { field: amount, max: 90 }, when_missing: allow }",
        "{ for: shop_create_order, max_value: { field: amount, max: 50 } }",
        "{ for: effect:money_in, max_value: { field: amount, max: 70 } }",
    )
    assert judge(holder, *order(amount=50)).verdict == "allow"
    assert reason(holder, *order(amount=60)).limit == 50


def test_one_entry_may_hold_several_templates() -> None:
    holder = app(CAP + "    allow_values: { field: currency, values: [usd] }\n    reason: Ask first.\n")
    assert judge(holder, *order(amount=50, currency="usd")).verdict == "allow"
    for arguments in ({"amount": 51, "currency": "usd"}, {"amount": 50, "currency": "eur"}):
        assert reason(holder, *order(**arguments)).reason == "Ask first."


# --- modes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "verdict", "in_trace"),
    [("enforce", "deny", "deny"), ("observe", "allow", "observe"), ("ask", "ask", "ask")],
)
def test_modes(mode: str, verdict: str, in_trace: str) -> None:
    decision = judge(app(CAP + f"    mode: {mode}\n"), *order(amount=70))
    assert decision.verdict == verdict
    assert decision.trace[-1].verdict == in_trace
    assert decision.trace[-1].says == "amount 70 is over the limit of 50"


def test_a_deny_wins_over_an_ask_before_it() -> None:
    decision = judge(app(CAP + "    mode: ask\n", CAP.replace("50", "60")), *order(amount=70))
    assert decision.verdict == "deny"
    assert decision.reason is not None
    assert decision.reason.limit == 60


def test_an_observed_rule_that_cannot_be_kept_denies_nothing() -> None:
    holder = guarded(
        "{ for: shop_create_order, max_value: { field: note, max: 5 }, mode: observe }",
        "{ for: write, max_amount: { usd: 5 }, mode: observe }",
        "{ for: [write, delete], block_delete: {}, mode: observe }",
        "{ for: write, required_fields: { fields: [metadata.x] }, mode: observe }",
    )
    for tool, arguments in (("shop_send_note", {}), ("shop_delete_order", {"order": "o"}), order(note="x")):
        decision = judge(holder, tool, arguments)
        assert decision.verdict == "allow"
        assert "observe" in {step.verdict for step in decision.trace}


# --- closed, row 18 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["enforce", "ask"])
def test_a_rule_that_breaks_denies(mode: str) -> None:
    tool = connector().tools["shop_create_order"]
    bound = bind(tool, app(CAP + f"    mode: {mode}\n").layers(app().grants[0]))

    def broken(*_: Any) -> None:
        raise RuntimeError("sk_test_never_shown")

    breaking = tuple(
        dataclasses.replace(step, template=dataclasses.replace(step.template, check=broken))
        if isinstance(step, BoundRule)
        else step
        for step in bound
    )
    decision = decide(breaking, Call(tool, {"amount": 1}))
    assert decision.verdict != "allow"
    assert decision.reason is not None
    said = explain(decision.reason)
    assert "the rule failed (RuntimeError), and what cannot be decided is denied" in said
    assert "never_shown" not in said


# --- saying so -------------------------------------------------------------------------------------------


def test_a_denial_in_words_and_in_structure() -> None:
    """The example of the policy language, to the letter."""
    holder = guarded("{ for: shop_create_order, max_value: { field: amount, max: 50000 } }")
    found = reason(holder, *order(amount=90000))
    assert explain(found) == (
        "Denied by max_value: amount 90000 is over the limit of 50000. Passes: amount ≤ 50000."
    )
    assert structure(found) == {
        "denied": True,
        "rule": "max_value",
        "field": "amount",
        "limit": 50000,
        "value": 90000,
        "passes": "amount ≤ 50000",
    }


@pytest.mark.parametrize(
    ("guardrail", "arguments", "says", "passes"),
    [
        (
            "min_value: { field: amount, min: 5 }",
            {"amount": 4},
            "amount 4 is under the limit of 5",
            "5 ≤ amount",
        ),
        (
            "value_range: { field: amount, min: 5, max: 7 }",
            {"amount": 8},
            "amount 8 is over the limit of 7",
            "5 ≤ amount ≤ 7",
        ),
        (
            "allow_values: { field: currency, values: [usd, eur] }",
            {"currency": "jpy"},
            'currency "jpy" is not allowed',
            "currency: usd, eur",
        ),
        (
            "block_values: { field: note, values: [x] }",
            {"note": "X"},
            'note "X" is blocked',
            "note other than x",
        ),
        (
            "required_fields: { fields: [note] }",
            {},
            "note is missing, and required_fields guards it",
            "give note",
        ),
        ("block_fields: { fields: [note] }", {"note": "a"}, "note may not be given", "leave out note"),
        (
            "max_items: { field: tags, max: 1 }",
            {"tags": ["a", "b"]},
            "tags has 2 items, over the limit of 1",
            "at most 1 items in tags",
        ),
        (
            "max_amount: { usd: 40000, jpy: 500 }",
            {"amount": 40001, "currency": "usd"},
            "40001 usd (400.01 USD) is over the limit of 40000 usd (400.00 USD)",
            "amount ≤ 40000 usd",
        ),
        (
            "max_amount: { usd: 40000, jpy: 500 }",
            {"amount": 5, "currency": "kwd"},
            'no limit is set for "kwd"',
            "at most 40000 usd, 500 jpy",
        ),
    ],
)
def test_a_denial_says_what_and_what_would_pass(
    guardrail: str, arguments: dict[str, Any], says: str, passes: str
) -> None:
    found = reason(guarded(f"{{ for: shop_create_order, {guardrail}, reason: Why. }}"), *order(**arguments))
    assert explain(found) == f"Denied by {guardrail.split(':')[0]}: {says}. Passes: {passes}. Why."
    assert found.field in guardrail or found.field in ("amount", "currency")


def test_a_denial_that_asks_says_that_it_would_ask() -> None:
    found = reason(app(CAP + "    mode: ask\n"), *order(amount=70))
    assert explain(found).startswith(
        "Denied by max_value, which asks a person first (approvals are not built yet)"
    )


def test_what_the_agent_sent_does_not_come_back_at_length() -> None:
    holder = guarded("{ for: shop_create_order, allow_values: { field: note, values: [a] } }")
    found = reason(holder, *order(note="x" * 100_000))
    assert len(explain(found)) < 300
    assert len(str(structure(found))) < 800


# --- monotone: adding a rule, a deny or a policy never turns a deny into an allow ------------------------

SELECTORS = some.sampled_from(
    ["read", "write", "delete", "effect:money_in", "effect:erase", "shop_create_order", "shop_*", "'*_order'"]
)
GUARDRAILS = some.sampled_from(
    [
        "max_value: { field: amount, max: 5 }",
        "min_value: { field: amount, min: 3 }",
        "allow_values: { field: currency, values: [usd] }",
        "block_values: { field: note, values: [bad] }",
        "required_fields: { fields: [items.price] }",
        "block_fields: { fields: [note] }",
        "max_items: { field: tags, max: 1 }",
        "max_amount: { usd: 4 }",
        "block_delete: {}",
    ]
)
MODES = some.sampled_from(["enforce", "observe", "ask"])
ENTRIES = some.builds(
    lambda selector, guardrail, mode: f"  - {{ for: {selector}, {guardrail}, mode: {mode} }}\n",
    SELECTORS,
    GUARDRAILS,
    MODES,
)
POLICIES = some.builds(
    lambda allow, deny, entries: (
        (f"allow: [{', '.join(allow)}]\n" if allow else "")
        + (f"deny: [{', '.join(deny)}]\n" if deny else "")
        + ("guardrails:\n" + "".join(entries) if entries else "")
        + "description: One of many.\n"
    ),
    some.lists(SELECTORS, max_size=3),
    some.lists(SELECTORS, max_size=2),
    some.lists(ENTRIES, max_size=3),
)
CALLS = some.one_of(
    some.builds(
        order,
        amount=some.integers(0, 9),
        currency=some.sampled_from(["usd", "eur"]),
        note=some.sampled_from(["bad", "good"]),
        items=some.lists(some.fixed_dictionaries({}, optional={"price": some.just("p")}), max_size=2),
        tags=some.lists(some.just("t"), max_size=3),
    ),
    some.just(("shop_delete_order", {"order": "o"})),
    some.just(("shop_list_orders", {})),
)


def verdict(holder: App, tool: str, arguments: dict[str, Any]) -> str:
    """The decision without the check of the rules: here some reach no field of theirs."""
    found = connector().tools[tool]
    return decide(bind(found, holder.layers(holder.grants[0])), Call(found, arguments)).verdict


@given(some.lists(POLICIES, max_size=2), POLICIES, some.sampled_from(["switches", "account", "rules"]), CALLS)
def test_more_policy_never_allows_more(
    present: list[str], added: str, layer: str, call: tuple[str, dict[str, Any]]
) -> None:
    before = verdict(app(*present), *call)
    more = app(*present, added) if layer == "rules" else app(*present, **{layer: f"policy: a\n{added}"})
    after = verdict(more, *call)
    assert before != "deny" or after == "deny"
    assert before != "ask" or after != "allow"


@given(some.lists(ENTRIES, max_size=4), some.randoms(), CALLS)
def test_the_order_of_rules_never_matters(
    entries: list[str], chance: Any, call: tuple[str, dict[str, Any]]
) -> None:
    shuffled = list(entries)
    chance.shuffle(shuffled)
    first, second = (app("guardrails:\n" + "".join(each)) if each else app() for each in (entries, shuffled))
    assert verdict(first, *call) == verdict(second, *call)


def test_a_decision_takes_no_notice_of_what_came_before() -> None:
    """The same call, decided twice by one toolset, is decided alike: rules keep nothing."""
    toolset = build_toolset(app(CAP))
    decisions = [judge(toolset, *order(amount=amount)) for amount in (70, 50, 70, 50)]
    assert [decision.verdict for decision in decisions] == ["deny", "allow", "deny", "allow"]
    assert decisions[0] == decisions[2]


def test_the_texts_of_a_call_are_looked_for_once_and_are_those_of_its_own_arguments() -> None:
    word = "  - { for: shop_create_order, keyword_block: { keywords: [wire] } }\n"
    entry = build_toolset(app("guardrails:\n" + word * 3)).find("shop_create_order")
    call = Call(entry.tool, {"note": "hello", "metadata": {"k": "v"}})
    assert decide(entry.bound, call).verdict == "allow"
    assert call.texts is call.texts
    assert call.texts == [("note", "hello"), ("metadata.k", "k"), ("metadata.k", "v")]
    changed = dataclasses.replace(call, arguments={"note": "a wire transfer"})
    assert decide(entry.bound, changed).verdict == "deny"


def test_flags_speak_of_themselves() -> None:
    only = Policy("--only and --without", "flags", "", (Selector("read", "--only"),), (), ())
    switched = App("test", app().grants, switches=(only,))
    found = reason(switched, *order())
    assert isinstance(found, Finding)
    assert found.says == "shop_create_order is not among what the --only and --without allows (read)"


def test_what_would_pass_passes_every_rule_that_denies() -> None:
    tools = build_toolset(
        guarded(
            "{ for: shop_create_order, max_amount: { usd: 5000 }, reason: Ask first. }",
            "{ for: shop_create_order, max_amount: { usd: 1000 } }",
        )
    )
    decision = judge(tools, *order(amount=6000, currency="usd"))
    assert decision.reason is not None
    both = "amount ≤ 5000 usd and amount ≤ 1000 usd"
    assert explain(decision.reason, decision.trace).endswith(f"Passes: {both}. Ask first.")
    assert structure(decision.reason, decision.trace)["passes"] == both


def test_the_reason_of_a_limit_is_not_given_for_what_could_not_be_decided() -> None:
    app = guarded("{ for: shop_create_refund, max_amount: { usd: 100 }, reason: Too large for you. }")
    found = reason(app, "shop_create_refund", {"order": "o_1"})
    assert "is not known" in found.says
    assert found.reason == ""
    before = {"amount": 500, "currency": "usd"}
    assert reason(app, "shop_create_refund", {"order": "o_1"}, before=before).reason == "Too large for you."
