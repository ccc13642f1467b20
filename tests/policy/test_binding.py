"""What is settled when policies meet tools: typos that would unguard, limits without a field, extends."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.catalog import load_policy
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.errors import SpecError, UnknownToolError, UsageError
from mcpgate.toolset import build_toolset
from mcpgate.values import Connector
from tests.policy.shop import EVERYTHING, SHOP, app, connector, guarded, judge, order, policy, reason


def listed(holder: App) -> list[str]:
    return [name for name, entry in build_toolset(holder).entries.items() if entry.denied is None]


# --- typos that would unguard ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "deny: [shop_delete_ordr]",
            "no tool is called 'shop_delete_ordr'; did you mean 'shop_delete_order'?",
        ),
        ("allow: [shop_lst_orders]", "no tool is called 'shop_lst_orders'; did you mean 'shop_list_orders'?"),
        ("deny: [shop_refnd_*]", "no tool is called 'shop_refnd_*'"),
        ("deny: ['shop*_refnd']", "no tool is called 'shop*_refnd'"),
        ("deny: ['shop?create_refnd']", "no tool is called 'shop?create_refnd'"),
        (
            "guardrails: [{ for: shop_create_ordr, max_value: { field: amount, max: 1 } }]",
            "no tool is called 'shop_create_ordr'; did you mean 'shop_create_order'?",
        ),
        (
            "guardrails: [{ for: shop_create_order, max_value: { field: amuont, max: 1 } }]",
            "no tool that max_value reaches has a field 'amuont'; did you mean 'amount'?",
        ),
        (
            "guardrails: [{ for: write, block_fields: { fields: [items.quantty] } }]",
            "no tool that block_fields reaches has a field 'items.quantty'; did you mean 'items.quantity'?",
        ),
        (
            "guardrails: [{ for: shop_send_note, block_values: { field: amount, values: [1] } }]",
            "no tool that block_values reaches has a field 'amount'",
        ),
        (
            "guardrails: [{ for: write, max_value: { field: amuont, max: 1 }, mode: observe }]",
            "no tool that max_value reaches has a field 'amuont'",
        ),
        (
            "deny: [shpo_delete_order]",
            "no tool is called 'shpo_delete_order'; did you mean 'shop_delete_order'?",
        ),
        ("deny: ['shopp_*']", "no tool is called 'shopp_*'"),
    ],
)
@pytest.mark.parametrize("layer", ["switches", "account", "preset", "rules"])
def test_a_typo_that_would_unguard_is_an_error(text: str, problem: str, layer: str) -> None:
    if layer == "preset":
        extra = "" if text.startswith("allow") else "allow: [read, write]\n"
        holder = app(preset=f"preset: p\n{extra}{text}\n")
    else:
        holder = app(text) if layer == "rules" else app(**{layer: f"policy: p\n{text}\n"})
    with pytest.raises(SpecError) as raised:
        build_toolset(holder)
    assert any(problem in found for found in raised.value.problems)
    assert all(found.startswith("rules.yaml:") for found in raised.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "deny: [effect:commitment]",
        "deny: [other_delete_thing, 'other_*']",
        "deny: ['*_vanish']",
        "guardrails: [{ for: effect:commitment, max_value: { field: whatever, max: 1 } }]",
        "guardrails: [{ for: other_create_thing, max_value: { field: whatever, max: 1 } }]",
        "guardrails: [{ for: write, block_values: { field: note, values: [x] } }]",
    ],
)
def test_what_may_match_nothing(text: str) -> None:
    assert listed(app(text))


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SpecError) as raised:
        build_toolset(app("deny: [shop_a_b, shop_c_d]", account="policy: p\ndeny: [shop_e_f]\n"))
    assert len(raised.value.problems) == 3


# --- a rule that reaches a tool without its field --------------------------------------------------------


def test_a_limit_denies_a_tool_without_its_field_and_does_not_list_it() -> None:
    holder = guarded("{ for: write, max_value: { field: amount, max: 50 } }")
    assert listed(holder) == [
        "shop_list_orders",
        "shop_create_order",
        "shop_create_refund",
        "shop_delete_order",
    ]
    found = reason(holder, "shop_send_note", {"text": "x"})
    assert found.says == "shop_send_note has no field amount, which max_value must guard"
    assert (found.rule, found.field) == ("max_value", "amount")


@pytest.mark.parametrize(
    "guardrail",
    [
        "max_value: { field: amount, max: 50 }, when_missing: allow",
        "block_values: { field: note, values: [x] }",
        "block_fields: { fields: [note] }",
    ],
)
def test_a_block_and_a_lenient_limit_pass_a_tool_without_their_field(guardrail: str) -> None:
    assert len(listed(guarded(f"{{ for: write, {guardrail} }}"))) == 6


def test_a_limit_on_money_denies_a_tool_that_binds_none() -> None:
    holder = guarded("{ for: [effect:money_in, shop_send_note], max_amount: { usd: 5 } }")
    assert "shop_send_note" not in listed(holder)
    assert "cannot be told from its arguments" in reason(holder, "shop_send_note").says


def test_a_tool_that_a_block_denies_whatever_it_is_given_is_not_listed() -> None:
    holder = guarded("{ for: [write, delete], block_delete: {} }")
    assert "shop_delete_order" not in listed(holder)
    assert len(listed(holder)) == 5


# --- several connectors ----------------------------------------------------------------------------------

BANK: Connector = connector(
    """
connector: bank
base_url: https://bank.example
tools:
  bank_list_accounts: { description: List., category: read, request: GET /accounts }
  bank_create_transfer:
    { description: Send., category: write, request: POST /transfers, effects: [money_out],
      params: { amount: { type: integer }, to: An account. } }
"""
)


def both(shop_preset: str, bank_preset: str, rules: str = "") -> App:
    shop, bank = (Grant(open_account(each, {}), policy(text)) for each, text in
                  ((connector(), shop_preset), (BANK, bank_preset)))  # fmt: skip
    return App("test", (shop, bank), account_rules=(policy(rules),) if rules else ())


def test_a_grants_preset_sees_that_grants_tools_only() -> None:
    read = "preset: r\nallow: [read]\n"
    assert listed(both(EVERYTHING, read))[-1] == "bank_list_accounts"
    assert len(listed(both(EVERYTHING, read))) == 7
    assert listed(both(read, EVERYTHING)) == [
        "shop_list_orders",
        "bank_list_accounts",
        "bank_create_transfer",
    ]


def test_a_preset_may_name_tools_that_run_under_another_one() -> None:
    preset = "preset: p\nallow: [read, write]\ndeny: [bank_create_transfer]\n"
    rule = "guardrails:\n  - { for: bank_create_transfer, max_value: { field: to_whom, max: 1 } }\n"
    assert "bank_create_transfer" in listed(both(preset + rule, EVERYTHING))
    with pytest.raises(SpecError, match="has a field 'to_whom'"):
        build_toolset(both(EVERYTHING, preset + rule))
    with pytest.raises(SpecError, match="did you mean 'bank_create_transfer'"):
        build_toolset(both("preset: p\nallow: [bank_create_transfr]\n", EVERYTHING))


def test_account_wide_rules_see_every_connector() -> None:
    both_tools = "[shop_create_order, bank_create_transfer]"
    rules = f"guardrails:\n  - {{ for: {both_tools}, max_value: {{ field: amount, max: 5 }} }}\n"
    holder = both(EVERYTHING, EVERYTHING, rules)
    assert reason(holder, *order(amount=6)).layer == "account"
    assert reason(holder, "bank_create_transfer", {"amount": 6}).layer == "account"
    assert judge(holder, "bank_create_transfer", {"amount": 5}).verdict == "allow"


def test_a_tool_that_was_not_granted_does_not_exist() -> None:
    with pytest.raises(UnknownToolError, match="Unknown tool: bank_create_transfer"):
        build_toolset(app()).find("bank_create_transfer")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the shop, the bank, and some presets."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "bank.yaml").write_text(
        "connector: bank\nbase_url: https://bank.example\ntools:\n"
        "  bank_get_it: { description: Get., category: read, request: GET /it }\n"
        "  bank_put_it: { description: Put., category: write, request: PUT /it, effects: [] }\n"
    )
    (tmp_path / "orders.yaml").write_text("preset: orders\nextends: read-only\nallow: [shop_create_order]\n")
    return tmp_path


@pytest.mark.parametrize(
    ("presets", "writes"),
    [
        ((), []),
        (("transact",), ["shop_create_order", "shop_create_payout", "shop_send_note", "bank_put_it"]),
        (("bank=transact",), ["bank_put_it"]),
        (("bank=transact", "{orders}"), ["shop_create_order", "bank_put_it"]),
        (("transact", "bank=read-only"), ["shop_create_order", "shop_create_payout", "shop_send_note"]),
    ],
)
def test_presets_by_connector(files: Path, presets: tuple[str, ...], writes: list[str]) -> None:
    chosen = tuple(text.format(orders=files / "orders.yaml") for text in presets)
    toolset = open_toolset(Options((str(files / "shop.yaml"), str(files / "bank.yaml")), presets=chosen))
    open_tools = [entry.tool for entry in toolset.entries.values() if entry.denied is None]
    assert [tool.name for tool in open_tools if tool.category != "read"] == writes


@pytest.mark.parametrize(
    "presets", [("transact", "read-only"), ("bnk=transact",), ("bank=transact", "bank=read-only")]
)
def test_presets_that_cannot_be_told_apart_are_refused(files: Path, presets: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        open_toolset(Options((str(files / "shop.yaml"), str(files / "bank.yaml")), presets=presets))


def test_only_and_without_stand_in_the_first_layer_and_a_policy_file_in_the_last(files: Path) -> None:
    (files / "more.yaml").write_text("policy: more\ndeny: [shop_create_payout]\n")
    options = Options(
        (str(files / "shop.yaml"),),
        presets=("full-access",),
        policies=(str(files / "more.yaml"),),
        only=("write", "delete"),
        without=("effect:message",),
    )
    entries = open_toolset(options).entries
    layers = {name: entry.denied.layer if entry.denied else None for name, entry in entries.items()}
    assert layers == {
        "shop_list_orders": "app",
        "shop_create_order": None,
        "shop_create_payout": "rules",
        "shop_create_refund": None,
        "shop_send_note": "app",
        "shop_delete_order": None,
    }


# --- extends ---------------------------------------------------------------------------------------------


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(f"preset: {name}\n{text}")


def under(path: Path) -> App:
    return App("test", (Grant(open_account(connector(), {}), load_policy(str(path), "preset")),))


def test_extends_unites_lists_and_keeps_every_guardrail(tmp_path: Path) -> None:
    cap = "guardrails:\n  - {{ for: shop_create_order, max_value: {{ field: amount, max: {} }} }}\n"
    write(
        tmp_path,
        loose="allow: [read]\n" + cap.format(90),
        tight="allow: [write]\ndeny: [effect:message]\n" + cap.format(50),
        child="extends: [./loose.yaml, ./tight.yaml]\ndeny: [shop_create_payout]\n" + cap.format(70),
    )
    holder = under(tmp_path / "child.yaml")
    assert listed(holder) == ["shop_list_orders", "shop_create_order", "shop_create_refund"]
    assert judge(holder, *order(amount=50)).verdict == "allow"
    assert reason(holder, *order(amount=60)).limit == 50
    assert len(judge(holder, *order(amount=60)).trace) == 4


def test_what_a_base_denies_its_extension_cannot_allow(tmp_path: Path) -> None:
    write(tmp_path, child="extends: transact\nallow: [shop_create_refund, delete]\n")
    assert {"shop_create_refund", "shop_delete_order"}.isdisjoint(listed(under(tmp_path / "child.yaml")))


def test_a_cycle_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, a="extends: ./b.yaml\n", b="extends: ./c.yaml\n", c="extends: [read-only, ./a.yaml]\n")
    with pytest.raises(SpecError, match="extends itself"):
        load_policy(str(tmp_path / "a.yaml"), "preset")


def test_two_bases_may_share_a_base(tmp_path: Path) -> None:
    write(tmp_path, a="extends: read-only\n", b="extends: read-only\n", c="extends: [./a.yaml, ./b.yaml]\n")
    assert listed(under(tmp_path / "c.yaml")) == ["shop_list_orders"]
