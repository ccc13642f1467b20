"""The ceiling: sealed word by word, and held against every request. Row 17."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.apps import App, Grant
from mcpgate.catalog import load_policy
from mcpgate.errors import CredentialError, UsageError
from mcpgate.policy.binding import Layer, bind
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.policy.templates import TEMPLATES
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy
from mcpgate.toolset import Toolset, build_toolset, lookup_of
from mcpgate.values import Policy, Request, Rule, Source
from mcpgate.vault.ceiling import beyond, ceiling_of, document, preset_of, unfit
from tests.vault.connected import KEY, SHOP, Rig, account, asking, shop

PING = """
connector: bare
base_url: https://bare.example
tools: { bare_ping: { description: Ping., category: read, request: GET / } }
"""
BARE = read_connector("bare.yaml", PING.encode(), Source("shipped", "bare.yaml", ""))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.database.close()


def preset(text: str) -> Policy:
    named = text if text.startswith("preset:") else f"preset: most\n{text}"
    return read_policy("most.yaml", named.encode())


def sealed(text: str) -> str:
    return document(preset(text), shop())


# --- the sealed text -------------------------------------------------------------------------------------

WORDS = some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NAMES = some.sampled_from(["write", "delete", "effect:money_in", "effect:erase", "shop_make_*", "desk_x"])
EXAMPLES = [(name, dict(template.denied[0])) for name, template in TEMPLATES.items()]
CONFIGS = some.one_of(
    some.sampled_from(EXAMPLES),
    some.tuples(
        some.just("keyword_block"),
        some.fixed_dictionaries({"keywords": some.lists(WORDS, min_size=1, unique=True)}),
    ),
    some.tuples(
        some.just("allow_values"),
        some.fixed_dictionaries(
            {
                "field": some.sampled_from(["note", "metadata.a\\.b", "items.*.x"]),
                "values": some.lists(
                    some.one_of(WORDS, some.booleans(), some.integers(), some.floats(-1e9, 1e9)), min_size=1
                ),
            }
        ),
    ),
    some.tuples(
        some.just("max_value"),
        some.fixed_dictionaries({"field": some.just("amount"), "max": some.floats(-1e15, 1e15)}),
    ),
)


OPTIONS: dict[str, some.SearchStrategy[Any]] = {
    "mode": some.sampled_from(["enforce", "observe", "ask"]),
    "when_missing": some.sampled_from(["deny", "allow"]),
    "reason": WORDS,
}


@some.composite
def entries(draw: some.DrawFn) -> dict[str, Any]:
    entry: dict[str, Any] = {"for": draw(some.lists(NAMES, min_size=1, max_size=3))}
    for template, config in draw(some.lists(CONFIGS, min_size=1, max_size=3, unique_by=lambda each: each[0])):
        entry[template] = config
    for key, values in OPTIONS.items():
        if draw(some.booleans()):
            entry[key] = draw(values)
    return entry


PARTS: dict[str, some.SearchStrategy[Any]] = {
    "deny": some.lists(NAMES, min_size=1, max_size=3),
    "guardrails": some.lists(entries(), min_size=1, max_size=3),
    "mask": some.lists(some.sampled_from(["email", "a.b", "a\\.b.c", "é"]), min_size=1, unique=True),
}


@some.composite
def presets(draw: some.DrawFn) -> Policy | None:
    value = {
        "preset": draw(some.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)),
        "allow": ["read", *draw(some.lists(NAMES, max_size=3))],
    }
    for key, values in PARTS.items():
        if draw(some.booleans()):
            value[key] = draw(values)
    try:
        return read_policy("p.yaml", yaml.safe_dump(value).encode())
    except Exception:
        return None


def said_by(rule: Rule) -> Rule:
    """A rule without where it was written."""
    selectors = tuple(dataclasses.replace(selector, origin="") for selector in rule.selectors)
    return dataclasses.replace(rule, selectors=selectors, policy="", origin="")


@given(presets())
def test_the_sealed_text_says_all_that_the_preset_says(made: Policy | None) -> None:
    if made is None:
        return
    text = document(made, BARE)
    again = preset_of(text)
    assert text.isascii()
    assert again.name == made.name
    assert [each.text for each in again.allow or ()] == [each.text for each in made.allow or ()]
    assert [each.text for each in again.deny] == [each.text for each in made.deny]
    assert [said_by(rule) for rule in again.rules] == [said_by(rule) for rule in made.rules]
    assert again.mask == made.mask
    assert document(again, BARE) == text


def test_what_the_preset_extends_is_in_it_and_files_that_change_later_are_not(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "preset: small\nextends: transact\nmask: [note]\n"
        "guardrails: [{ for: write, max_value: { field: amount, max: 5 }, when_missing: allow }]\n"
    )
    own = tmp_path / "own.yaml"
    own.write_text("preset: own\nextends: ./small.yaml\ndeny: [shop_list_orders]\n")
    text = document(load_policy(str(own), "preset"), shop())
    for path in tmp_path.iterdir():
        path.write_text(f"preset: {path.stem}\nallow: [read, write, delete]\n")
    load_policy(str(own), "preset")
    kept = preset_of(text)
    assert [each.text for each in kept.allow or ()] == ["read", "write"]
    assert [each.text for each in kept.deny] == ["delete", "effect:reversal", "shop_list_orders"]
    assert [rule.config for rule in kept.rules] == [{"field": "amount", "max": 5}]
    assert list(map(str, kept.mask)) == ["note"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deny: [delete]\nextends: read-only", "it allows no tool of The Shop"),
        ("allow: [desk_x]", "it allows no tool of The Shop"),
        ("allow: [read]\ndeny: [shop_*]", "it allows no tool of The Shop"),
        ("allow: [read, write]\ndeny: [shop_create_refnd]", "no tool is called 'shop_create_refnd'; did you"),
        (
            "allow: [read, write]\nguardrails: [{ for: write, max_value: { field: amuont, max: 1 } }]",
            "no tool that max_value reaches has a field 'amuont'; did you mean 'amount'?",
        ),
    ],
)
def test_what_is_no_ceiling_is_told_when_it_is_sealed(text: str, says: str, rig: Rig) -> None:
    with pytest.raises(UsageError) as caught:
        rig.keep(account(), most=preset(text))
    assert f"The preset most is no ceiling: {says}" in caught.value.message
    assert rig.sealed.all() == ()


def test_a_text_too_long_to_be_read_again_is_not_sealed() -> None:
    words = ", ".join(f"é{'ü' * 40}{number}" for number in range(2600))
    made = preset(f"allow: [read]\nguardrails: [{{ for: write, keyword_block: {{ keywords: [{words}] }} }}]")
    with pytest.raises(UsageError, match="more than 1,048,576 bytes"):
        document(made, shop())


def test_what_would_be_read_as_something_else_is_not_sealed() -> None:
    made = preset("allow: [read]\nguardrails: [{ for: write, block_delete: {} }]")
    changed = dataclasses.replace(made.rules[0], reason="two  spaces")
    with pytest.raises(UsageError, match="it cannot be sealed word by word"):
        document(dataclasses.replace(made, rules=(changed,)), shop())


def test_a_ceiling_that_this_mcpgate_cannot_read_opens_nothing() -> None:
    text = '{"preset": "p", "allow": ["write"], "guardrails": [{"for": ["write"], "of_a_later_one": {}}]}'
    for act in (preset_of, ceiling_of, lambda text: unfit(text, shop())):
        with pytest.raises(CredentialError, match=r"cannot be read by this mcpgate: .*'of_a_later_one'"):
            act(text)
    with pytest.raises(CredentialError):
        beyond(text, asking(account()), account())


# --- held against requests -------------------------------------------------------------------------------

CAP = "allow: [read, write]\nguardrails:\n  - "
AMOUNT = CAP + "{ for: shop_create_order, max_value: { field: amount, max: 5 } }"
HOURS = "for: write, time_window: { tz: UTC, days: [mon], from: '%s', to: '%s' }"
ORDER, REFUND = "shop_create_order", "shop_create_refund"
KNOWN = {"amount": 400, "currency": "usd"}
DAY = "{ for: effect:money_in, budget: { usd: 500, per: day } }"
LIMITS = "{ for: effect:money_out, max_amount: { usd: 500 } }"


@pytest.mark.parametrize(
    ("ceiling", "tool", "before", "arguments", "says"),
    [
        ("allow: [read]", "shop_ping", None, {}, ""),
        (
            "allow: [read]",
            ORDER,
            None,
            {},
            "shop_create_order is not among what the preset most allows (read)",
        ),
        ("allow: [shop_list_*]", "shop_ping", None, {}, "shop_ping is not among what"),
        ("preset: all\nallow: [read, write, delete]", "shop_delete_order", None, {"order": "1"}, ""),
        (
            "allow: [read, write]\ndeny: [effect:reversal]",
            REFUND,
            KNOWN,
            {"order": "1"},
            "(deny: effect:reversal)",
        ),
        (CAP + "{ for: write, block_delete: {} }", ORDER, None, {}, ""),
        # a figure, a list of values, and what nobody said
        (AMOUNT, ORDER, None, {"amount": 5}, ""),
        (
            CAP + "{ for: shop_create_order, max_value: { field: amount, max: 5 }, reason: Too much. }",
            ORDER,
            None,
            {"amount": 6},
            "amount 6 is over the limit of 5 (passes: amount ≤ 5). Too much",
        ),
        (AMOUNT, ORDER, None, {}, "missing"),
        (
            CAP + "{ for: shop_create_order, allow_values: { field: currency, values: [usd] } }",
            ORDER,
            None,
            {"currency": "USD"},
            'currency "USD" is not',
        ),
        # by the reply of a lookup; without one nothing is known
        (CAP + LIMITS, REFUND, KNOWN, {"order": "1"}, ""),
        (CAP + LIMITS, REFUND, KNOWN, {"order": "1", "amount": 501}, "over the limit of 500 usd"),
        (CAP + LIMITS, REFUND, {**KNOWN, "currency": "jpy"}, {"order": "1"}, "jpy"),
        (CAP + LIMITS, REFUND, None, {"order": "1"}, "is not known"),
        # a rule that counts, by this one call: what went before is not known here
        (CAP + DAY, ORDER, None, {"amount": 500, "currency": "usd"}, ""),
        (CAP + DAY, ORDER, None, {"amount": 501, "currency": "usd"}, "over the whole budget of 500 usd"),
        (CAP + DAY, ORDER, None, {"amount": 1, "currency": "eur"}, "no budget is set for"),
        (CAP + DAY, ORDER, None, {"amount": 1}, "is not known"),
        (CAP + "{ for: write, rate_limit: { max: 1, per: hour } }", ORDER, None, {}, ""),
        (CAP + "{ for: write, rate_limit: { max: 0, per: hour } }", ORDER, None, {}, "no calls are allowed"),
        # the moment that was decided on: a Monday, 10:00
        (CAP + "{ " + HOURS % ("09:00", "11:00") + " }", ORDER, None, {}, ""),
        (CAP + "{ " + HOURS % ("11:00", "12:00") + " }", ORDER, None, {}, "11:00"),
        # what only observes lets pass; what asks waits for approvals
        (
            CAP + "{ for: write, max_value: { field: amount, max: 5 }, mode: observe }",
            ORDER,
            None,
            {"amount": 6},
            "",
        ),
        (
            CAP + "{ for: shop_create_order, max_value: { field: amount, max: 5 }, mode: ask }",
            ORDER,
            None,
            {"amount": 6},
            "over the limit of 5",
        ),
    ],
)
def test_a_request_within_and_beyond(
    ceiling: str, tool: str, before: Any, arguments: dict[str, Any], says: str, rig: Rig
) -> None:
    kept = account()
    rig.keep(kept, most=preset(ceiling))
    request = asking(kept, tool, *([before] if before else []), **arguments)
    if not says:
        assert rig.opens(kept, request) == KEY
        return
    refused = rig.refuses(kept, request)
    assert refused.startswith("The account shop/default was connected for less: ")
    assert says in refused
    assert refused.endswith("a person connects the account again: mcpgate connect shop --allow PRESET")
    # the credential is there all the same, and so are others under no ceiling
    rig.vault.check(kept)
    rig.keep(account(name="work"))
    assert rig.opens(account(name="work"), request) == KEY


def looking_up(**change: Any) -> Request:
    """The lookup of a refund, as the gateway asks it, or with something changed."""
    owner = account()
    found = lookup_of(owner.connector.tools[REFUND])
    assert found is not None
    request = asking(owner, "shop_list_orders")
    made = dataclasses.replace(request, tool=found, arguments={"order": "1"}, purpose="lookup")
    return dataclasses.replace(made, **change)


TOOLS = shop().tools


@pytest.mark.parametrize(
    ("ceiling", "request_", "within"),
    [
        ("allow: [read, write]", looking_up(), True),
        # a read for the sake of a write that may be: the write decides
        ("allow: [write]", looking_up(), True),
        ("allow: [shop_create_refund]", looking_up(), True),
        (CAP + LIMITS, looking_up(), True),
        ("allow: [read]", looking_up(), False),
        ("allow: [read, write]\ndeny: [effect:reversal]", looking_up(), False),
        # to call a thing a lookup does not make it one
        ("allow: [read, write]", looking_up(method="POST"), False),
        ("allow: [read, write]", looking_up(tool=TOOLS[REFUND], method="POST"), False),
        ("allow: [read, write]", looking_up(tool=TOOLS["shop_ping"]), False),
        # and a call is what the connector says of its tool
        ("allow: [read, write]", looking_up(purpose="call"), False),
        ("allow: [read]", asking(account()), True),
        ("allow: [read]", dataclasses.replace(asking(account()), method="POST"), False),
        (
            "allow: [read]",
            dataclasses.replace(
                asking(account(), "shop_delete_order", order="1"),
                tool=dataclasses.replace(TOOLS["shop_delete_order"], category="read", effects=()),
            ),
            False,
        ),
        (
            "allow: [read]",
            dataclasses.replace(asking(account()), tool=dataclasses.replace(TOOLS["shop_ping"], name="x")),
            False,
        ),
    ],
)
def test_a_lookup_is_for_a_tool_within_it_and_nothing_passes_for_another(
    ceiling: str, request_: Request, within: bool, rig: Rig
) -> None:
    kept = account()
    rig.keep(kept, most=preset(ceiling))
    if within:
        assert rig.opens(kept, request_) == KEY
    else:
        assert "was connected for less" in rig.refuses(kept, request_)


def test_a_connector_that_has_other_names_by_now_gets_nothing(rig: Rig) -> None:
    """Under `deny: [shop_create_refund]`, a refund under a new name would be allowed."""
    rig.keep(account(), most=preset("allow: [read, write]\ndeny: [shop_create_refund]"))
    renamed = account(shop(text=SHOP.replace("shop_create_refund", "shop_refund_order")))
    assert rig.opens(account(), asking(account())) == KEY
    for _ in range(2):
        refused = rig.refuses(renamed, asking(renamed, "shop_refund_order", order="1"))
        assert "does not fit The Shop any more: no tool is called 'shop_create_refund'" in refused
        assert refused.endswith("mcpgate connect shop --allow PRESET")
    with pytest.raises(CredentialError, match="does not fit"):
        rig.vault.check(renamed)


def test_connecting_again_replaces_the_ceiling(rig: Rig) -> None:
    kept = account()
    order = asking(kept, ORDER, amount=1)
    rig.keep(kept, most=preset("allow: [read]"))
    rig.refuses(kept, order)
    rig.keep(kept, most=preset("allow: [read, write]"))
    assert rig.opens(kept, order) == KEY


# --- as a layer of its own -------------------------------------------------------------------------------


def toolset(ceiling: str, allowed: str = "full-access") -> Toolset:
    grant = Grant(account(), load_policy(allowed, "preset"), ceiling_of(sealed(ceiling)))
    return build_toolset(App("test", (grant,)))


def listed(tools: Toolset) -> list[str]:
    return [tool["name"] for tool in tools.listing()["tools"]]


def test_the_layer_lists_what_may_be_and_says_who_may_raise_it() -> None:
    tools = toolset("allow: [read]\nmask: [email]")
    assert listed(tools) == ["shop_ping", "shop_list_orders"]
    denied = tools.find(ORDER).denied
    assert denied is not None
    assert (denied.layer, denied.rule) == ("ceiling", "ceiling")
    assert denied.says == "shop_create_order is not among what the ceiling most allows (read)"
    assert denied.reason == (
        "The key was connected for no more; a person raises that by connecting it again, with --allow."
    )
    by_name = toolset("allow: [read, write]\ndeny: [shop_create_refund]").find(REFUND).denied
    assert by_name is not None
    assert by_name.reason == denied.reason
    assert [str(place) for place in tools.find("shop_ping").mask] == ["email"]


def test_its_limits_are_shown_and_its_lookup_is_asked() -> None:
    tools = toolset(f"{AMOUNT}\n  - {LIMITS}")
    (order,) = (tool for tool in tools.listing()["tools"] if tool["name"] == ORDER)
    assert order["inputSchema"]["properties"]["amount"]["maximum"] == 5
    assert order["inputSchema"]["required"] == ["amount"]
    entry = tools.find(REFUND)
    call = Call(entry.tool, {"order": "1"}, {**KNOWN, "amount": 501}, now=EXAMPLE_NOW)
    reason = decide(entry.bound, call).reason
    assert reason is not None
    assert (reason.layer, reason.rule) == ("ceiling", "max_amount")


ANY = Policy("any", "ceiling", "", None, (), ())


@pytest.mark.parametrize("kind", ["ceiling", "preset", "policy", "flags"])
def test_what_a_ceiling_allows_only_a_preset_can_grant(kind: Any) -> None:
    most = dataclasses.replace(ceiling_of(sealed("allow: [read, write, delete]")), kind=kind)
    for tool in TOOLS.values():
        for layers in ([Layer("ceiling", (most,))], [Layer("ceiling", (most,)), Layer("preset", ())]):
            assert decide(bind(tool, layers), Call(tool, {})).verdict == "deny"
    grant = Grant(account(), load_policy("read-only", "preset"), most)
    tools = build_toolset(App("test", (grant,)))
    assert listed(tools) == ["shop_ping", "shop_list_orders"]
    denied = tools.find("shop_delete_order").denied
    assert denied is not None
    assert denied.layer == "preset"


def test_a_ceiling_that_says_nothing_allows_nothing() -> None:
    grant = Grant(account(), load_policy("full-access", "preset"), ANY)
    assert listed(build_toolset(App("test", (grant,)))) == []
