"""Lint: what it says of small policies, and that it calls no rule needless that denies a call."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from functools import partial
from itertools import permutations, product
from typing import Any

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.ledger import Entry
from mcpgate.policy.binding import Layer, bind
from mcpgate.policy.call import Call
from mcpgate.policy.lint import LINTS, Remark, lint
from mcpgate.policy.lint.redundancy import idle, needless, taken_away
from mcpgate.policy.rule import BoundRule, LayerName, evaluate
from mcpgate.spec.policy import unite
from mcpgate.store.memory import MemoryStore, MemoryTransaction
from mcpgate.toolset import build_toolset
from mcpgate.values import Connector, Tally, Tool
from tests.policy.shop import EVERYTHING, SHOP, connector, policy

MORE = """
  shop_create_plan:
    description: Someone pays from now on.
    category: write
    request: POST /plans
    params:
      customer: { type: string }
      items:
        type: array
        items:
          type: object
          properties: { price: { type: string }, quantity: { type: integer } }
          required: [price]
      days: { type: integer, maximum: 30 }
      labels: { type: array, items: { type: string } }
    effects: [commitment, money_in]
  shop_top_up:
    description: Add a little.
    category: write
    request: POST /top-ups
    params:
      amount: { type: integer, minimum: 1, maximum: 1000 }
      currency: { type: string, enum: [usd] }
      speed: { type: string, enum: [slow, fast] }
      gift: { type: boolean }
      codes: { type: array, items: { type: string }, maxItems: 5 }
      note: { type: string, maxLength: 100 }
      parts: { type: array, items: { type: string } }
      kinds: { type: array, items: { type: string }, minItems: 1 }
    required: [amount, parts, kinds]
    effects: [money_in]
    money: { amount: amount, currency: currency }
"""
BIG_SHOP = connector(SHOP.rstrip("\n") + MORE)

# guardrails that the tables are made of
CAP = "max_value: { field: amount, max: 500 }"
USD = "allow_values: { field: currency, values: [usd] }"
SUM = "max_amount: { usd: 500 }"
DAY = "budget: { usd: 900, per: day }"
ORDER = "shop_create_order"


def remarks(text: str, preset: str = "", shop: Connector = BIG_SHOP) -> list[Remark]:
    """What lint says of a preset, or of a policy on top of a preset."""
    judged = policy(text)
    rules = () if judged.kind == "preset" else (judged,)
    under = policy(preset or EVERYTHING) if rules else judged
    toolset = build_toolset(App("test", (Grant(open_account(shop, {}), under),), rules=rules))
    return lint(judged, [(entry.tool, entry.bound) for entry in toolset.entries.values()])


def preset(allow: str, *guardrails: str) -> str:
    """A preset that allows these tools; a guardrail that says not what it is for is for them."""
    lines = [line if line.startswith("for:") else f"for: [{allow}], {line}" for line in guardrails]
    entries = "".join(f"  - {{ {line} }}\n" for line in lines)
    return f"preset: mine\nallow: [{allow}]\n" + (f"guardrails:\n{entries}" if entries else "")


CASES: list[tuple[str, tuple[str, ...], list[str]]] = [
    # routes to money
    ("read", (), []),
    (ORDER, (), ["uncovered"]),
    (ORDER, (SUM,), []),
    (ORDER, (CAP, USD), []),
    (ORDER, ("value_range: { field: amount, min: 1, max: 500 }", USD), []),
    (ORDER, ("allow_values: { field: amount, values: [100, 200] }",), []),
    (ORDER, (f"{CAP}, mode: ask", USD), []),
    (ORDER, (USD,), ["uncovered"]),
    (ORDER, ("min_value: { field: amount, min: 1 }",), ["uncovered"]),
    (ORDER, ("max_value: { field: items.quantity, max: 5 }",), ["uncovered"]),
    ("shop_create_refund", (), ["uncovered", "uncovered"]),
    ("shop_create_refund", (SUM,), []),
    ("shop_create_refund", ("allow_values: { field: order, values: [a] }",), ["uncovered"]),
    ("shop_create_payout", ("max_value: { field: parts.amount, max: 5 }", USD), ["uncovered"]),
    (
        "shop_create_payout",
        ("max_value: { field: parts.amount, max: 5 }", USD, "max_items: { field: parts, max: 2 }"),
        [],
    ),
    # routes to money whose tool does not say what it moves
    ("shop_create_plan", (), ["uncovered", "uncovered"]),
    ("shop_create_plan", ("allow_values: { field: items.price, values: [p1] }",), ["uncovered", "uncovered"]),
    (
        "shop_create_plan",
        (
            "allow_values: { field: items.price, values: [p1] }",
            "max_value: { field: items.quantity, max: 2 }",
            "max_items: { field: items, max: 1 }",
            "allow_values: { field: labels, values: [new] }",
        ),
        [],
    ),
    (
        "shop_create_plan",
        (
            "allow_values: { field: items.price, values: [p1] }",
            "block_fields: { fields: [items.quantity] }",
            "max_items: { field: items, max: 1 }",
        ),
        [],
    ),
    ("shop_create_plan", (f"{SUM}, mode: ask",), []),
    # a budget bounds the sum, with nothing said of single calls; to count calls alone bounds nothing
    (ORDER, (DAY,), []),
    (ORDER, ("rate_limit: { max: 5, per: day }",), ["uncovered"]),
    (ORDER, ("budget: { usd: 500, per: day }, mode: observe",), ["observed-only"]),
    (ORDER, ("budget: { usd: 500, per: day }, mode: observe", SUM), []),
    ("shop_create_refund", (DAY,), []),
    (f"{ORDER}, shop_create_plan", (DAY,), ["takes-away"]),
    ("shop_send_note", ("rate_limit: { max: 5, per: day }",), []),
    # another way to the same effect, which the budget does not count
    (f"{ORDER}, shop_top_up", (DAY,), []),
    (f"{ORDER}, shop_top_up", (f"for: {ORDER}, {DAY}",), ["uncovered"]),
    (f"{ORDER}, shop_top_up", (f"for: {ORDER}, {DAY}", f"for: shop_top_up, {SUM}"), ["around-budget"]),
    (f"{ORDER}, shop_top_up", (f"for: {ORDER}, {DAY}", f"for: shop_top_up, {DAY}"), []),
    (
        f"{ORDER}, shop_top_up",
        (f"for: {ORDER}, {DAY}", f"for: shop_top_up, {SUM}, daily_quota: {{ max: 5 }}"),
        [],
    ),
    (
        f"{ORDER}, shop_top_up",
        (f"for: {ORDER}, {DAY}", f"for: shop_top_up, {SUM}, repeat_block: {{ max: 1, per: day }}"),
        ["around-budget"],
    ),
    (
        f"{ORDER}, shop_top_up",
        (f"for: {ORDER}, {DAY}, mode: observe", f"for: [{ORDER}, shop_top_up], {SUM}"),
        [],
    ),
    (f"{ORDER}, shop_create_payout", (f"for: {ORDER}, {DAY}", f"for: shop_create_payout, {SUM}"), []),
    # what is reached before the first call
    (ORDER, (SUM, "rate_limit: { max: 0, per: day }"), ["never-passes"]),
    (ORDER, (SUM, "daily_quota: { max: 0 }, mode: observe"), []),
    (ORDER, ("budget: { usd: 0, eur: 0, per: day }",), ["never-passes"]),
    (ORDER, ("budget: { usd: 0, eur: 1, per: day }",), []),
    # routes to other effects
    ("shop_send_note", (), ["uncovered"]),
    ("shop_send_note", ("allow_values: { field: to, values: [a@b.example] }",), []),
    ("shop_send_note", ("block_fields: { fields: [text] }",), []),
    ("shop_delete_order", (), ["uncovered", "deletes"]),
    ("shop_delete_order", ("allow_values: { field: order, values: [a] }",), ["deletes"]),
    ("shop_delete_order", ("block_delete: {}",), []),
    ("shop_delete_order", ("block_delete: {}, mode: ask",), []),
    ("shop_delete_order", ("block_delete: {}, mode: observe",), ["uncovered", "deletes"]),
    # a rule that can deny nothing covers nothing
    (f"shop_send_note, {ORDER}", (f"for: {ORDER}, {SUM}", "block_fields: { fields: [gift] }"), ["uncovered"]),
    ("shop_top_up", ("max_value: { field: amount, max: 1000 }",), ["uncovered", "never-fires"]),
    (
        "shop_top_up",
        (SUM, *["max_value: { field: amount, max: 1000 }"] * 2),
        ["never-fires", "never-fires"],
    ),
    # amounts without their currency
    (ORDER, (CAP,), ["no-currency"]),
    (ORDER, (f"{CAP}, when_missing: allow", USD), ["open-when-missing"]),
    (ORDER, ("value_range: { field: amount, min: 1, max: 500 }",), ["no-currency"]),
    (ORDER, (CAP, f"{USD}, mode: observe"), ["no-currency"]),
    (ORDER, (CAP, SUM), []),
    (ORDER, (SUM, "max_value: { field: ratio, max: 5 }"), []),
    ("shop_create_refund", (CAP,), ["no-currency"]),
    ("shop_create_refund", (CAP, "allow_values: { field: before.currency, values: [usd] }"), []),
    ("shop_top_up", (CAP,), []),
    # limits that a call passes by leaving the amount out
    ("shop_create_refund", (f"{CAP}, when_missing: allow", SUM), ["open-when-missing"]),
    ("shop_top_up", (f"{CAP}, when_missing: allow",), []),
    (ORDER, (SUM, "max_value: { field: ratio, max: 5 }, when_missing: allow"), []),
    # limits that only look on
    (ORDER, (f"{SUM}, mode: observe",), ["observed-only"]),
    (ORDER, (f"{CAP}, mode: observe", f"{SUM}, mode: observe"), ["observed-only"]),
    (ORDER, (SUM, "max_value: { field: amount, max: 100 }, mode: observe"), []),
    (ORDER, ("min_value: { field: amount, min: 100 }, mode: observe",), ["uncovered"]),
    ("shop_create_plan", (f"{SUM}, mode: observe",), ["observed-only"]),
    (
        "shop_send_note",
        ("allow_values: { field: to, values: [a] }, mode: observe",),
        ["uncovered"],
    ),
    # limits that take tools away
    (f"{ORDER}, shop_create_plan", (SUM,), ["takes-away"]),
    (f"{ORDER}, shop_send_note", (CAP, f"for: {ORDER}, {USD}"), ["takes-away"]),
    ("shop_create_plan", (SUM,), ["takes-away"]),
    ("shop_create_plan", (SUM, "max_items: { field: items, max: 1 }"), ["takes-away", "never-fires"]),
    # rules that are for nothing
    # names that no tool bears, each remarked upon once
    (ORDER, (SUM, "for: other_*, block_delete: {}, required_fields: { fields: [a] }"), ["matches-nothing"]),
    (ORDER, (SUM, f"for: [{ORDER}, other_x], block_fields: {{ fields: [gift] }}"), ["matches-nothing"]),
    (ORDER, (SUM, "for: other_x, max_value: { field: a, max: 1 }, mode: observe"), ["matches-nothing"]),
    (
        ORDER,
        (SUM, "for: [other_*, effect:erase], block_fields: { fields: [order] }"),
        ["never-fires", "matches-nothing"],
    ),
    (f"{ORDER}, otter_x", (f"for: {ORDER}, {SUM}",), ["matches-nothing"]),
    # limits that let nothing pass
    (ORDER, (SUM, "allow_values: { field: size, values: [xl, S] }"), ["never-passes"]),
    (ORDER, (SUM, "allow_values: { field: size, values: [xl, s] }"), []),
    (ORDER, (SUM, "allow_values: { field: size, values: [xl] }, when_missing: allow"), ["never-passes"]),
    (ORDER, (SUM, "allow_values: { field: size, values: [xl] }, mode: observe"), []),
    (ORDER, (SUM, "allow_values: { field: gift, values: ['yes'] }"), ["never-passes"]),
    (ORDER, (SUM, "allow_values: { field: note, values: [xl] }"), []),
    (ORDER, (SUM, "allow_prefix: { field: size, prefix: x }"), ["never-passes"]),
    (ORDER, (SUM, "block_values: { field: size, values: [s, m, l] }"), []),
    # rules that are for nothing
    (ORDER, (SUM, "for: shop_send_note, required_fields: { fields: [to] }"), ["never-fires"]),
    (ORDER, (SUM, "for: delete, block_delete: {}"), ["never-fires"]),
    (ORDER, (SUM, "block_delete: {}"), ["never-fires"]),
    (ORDER, (SUM, "block_delete: {}, mode: observe"), []),
    (f"{ORDER}, shop_delete_order", (f"for: {ORDER}, {SUM}", "block_delete: {}"), []),
    (ORDER, (SUM, "for: write, block_fields: { fields: [to] }"), ["never-fires"]),
]


@pytest.mark.parametrize(("allow", "guardrails", "expected"), CASES)
def test_what_is_said(allow: str, guardrails: tuple[str, ...], expected: list[str]) -> None:
    assert [remark.code for remark in remarks(preset(allow, *guardrails))] == expected


def test_every_lint_is_in_the_tables_and_has_a_line() -> None:
    told = {code for _, _, codes in CASES for code in codes} | {"shadowed", "masks-nothing"}
    assert told == set(LINTS)
    assert all(each.line[0].isupper() and each.line.endswith(".") for each in LINTS.values())


def test_a_misspelt_name_is_told_with_its_place_and_the_nearest_one() -> None:
    text = "preset: mine\nallow: [read]\ndeny:\n  - erase_*\n  - my_create_refund\n"
    found = [(each.code, each.place, each.says, each.remedy) for each in remarks(text)]
    assert found == [
        (
            "matches-nothing",
            "rules.yaml:4",
            "no tool here is called 'erase_*'",
            "Write the name of a tool, or take it out",
        ),
        (
            "matches-nothing",
            "rules.yaml:5",
            "no tool here is called 'my_create_refund'",
            "Write shop_create_refund, or take it out",
        ),
    ]
    text = preset("shop_top_up", SUM, "allow_values: { field: speed, values: [fats] }")
    (remark,) = remarks(text)
    assert remark.says.endswith("pass: speed takes slow and fast, and none of them passes")
    assert remark.remedy == "Write fast; or write deny: [shop_top_up]"


REPLIES = """
connector: desk
base_url: https://desk.example
tools:
  desk_read:
    description: Read.
    category: read
    request: GET /people
    fields: [id, phone, address.city, tags.*]
  desk_list:
    description: List.
    category: read
    request: GET /lists
    sample: { data: [{ owner: { email: a@b.example }, notes: [] }] }
  desk_look:
    description: Look.
    category: write
    request: GET /looks
    effects: []
    sample: { secret: x }
"""


@pytest.mark.parametrize(
    ("mask", "near"),
    [
        ("phone", None),
        ("address.city", None),
        ("city", None),
        ("owner", None),
        ("owner.email", None),
        ("data.0.owner", None),
        ("data.*.email", None),
        ("'*'", None),
        ("tags.phon", None),
        ("phon", "phone"),
        ("address.emial", "email"),
        ("owner.city", "city"),
        ("phone.city", "city"),
        ("zzz", "a name that a reply has"),
        ("secret", "a name that a reply has"),
    ],
)
def test_a_mask_that_no_reply_has(mask: str, near: str | None) -> None:
    desk = connector(REPLIES)
    found = remarks(f"preset: mine\nallow: [read]\nmask: [{mask}]\n", shop=desk)
    assert [each.code for each in found] == ([] if near is None else ["masks-nothing"])
    assert [each.remedy for each in found] == ([] if near is None else [f"Write {near}, or take it out"])
    # with a reply that nobody describes, nobody knows
    untold = connector(REPLIES.replace("    sample: { secret: x }\n", ""))
    text = f"preset: mine\nallow: [read, write]\nmask: [{mask}]\n"
    assert not remarks(text, shop=untold)


# --- one tool that limits much by itself -----------------------------------------------------------------

TOP_UP = "shop_top_up"


@pytest.mark.parametrize(
    ("guardrail", "idles"),
    [
        ("max_value: { field: amount, max: 1000 }", True),
        ("max_value: { field: amount, max: 999 }", False),
        ("min_value: { field: amount, min: 1 }", True),
        ("min_value: { field: amount, min: 2 }", False),
        ("value_range: { field: amount, min: 0, max: 2000 }", True),
        ("value_range: { field: amount, min: 0, max: 999 }", False),
        ("allow_values: { field: speed, values: [fast, slow, other] }", True),
        ("allow_values: { field: speed, values: [fast] }", False),
        ("allow_values: { field: gift, values: [true, false] }", True),
        ("allow_values: { field: gift, values: [false] }", False),
        ("allow_values: { field: amount, values: [1, 2] }", False),
        ("block_values: { field: speed, values: [Express] }", True),
        ("block_values: { field: speed, values: [FAST] }", False),
        ("block_values: { field: note, values: [x] }", False),
        ("max_items: { field: codes, max: 5 }", True),
        ("max_items: { field: codes, max: 4 }", False),
        ("block_fields: { fields: [note] }", False),
        ("content_length: { field: note, max_length: 100 }", True),
        ("content_length: { field: note, max_length: 99 }", False),
        ("content_length: { field: kinds, max_length: 100 }", False),
        ("content_length: { max_length: 100 }", False),
        ("required_fields: { fields: [amount] }", True),
        ("required_fields: { fields: [amount, note] }", False),
        ("required_fields: { fields: [kinds] }", True),
        ("required_fields: { fields: [parts] }", False),
        ("required_fields: { fields: [note] }, when_missing: allow", True),
    ],
)
def test_a_rule_that_the_tool_itself_makes_needless(guardrail: str, idles: bool) -> None:
    said = [each.code for each in remarks(preset(TOP_UP, "max_amount: { usd: 5 }", guardrail))]
    assert said == (["never-fires"] if idles else [])


# --- one rule beside another -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "lines"),
    [
        ("max_value: { field: ratio, max: 5 }", "max_value: { field: ratio, max: 9 }", [6]),
        ("max_value: { field: ratio, max: 9 }", "max_value: { field: ratio, max: 5 }", [5]),
        ("max_value: { field: ratio, max: 5 }", "max_value: { field: ratio, max: 5 }", [6]),
        ("max_value: { field: ratio, max: 5 }", "max_value: { field: amount, max: 5 }", []),
        ("max_value: { field: ratio, max: 5 }", "min_value: { field: ratio, min: 1 }", []),
        ("value_range: { field: ratio, min: 1, max: 5 }", "min_value: { field: ratio, min: 0 }", [6]),
        ("max_value: { field: ratio, max: 5 }", "value_range: { field: ratio, min: 0, max: 9 }", []),
        ("allow_values: { field: note, values: [a] }", "allow_values: { field: note, values: [a, b] }", [6]),
        (
            "allow_values: { field: note, values: [a, c] }",
            "allow_values: { field: note, values: [a, b] }",
            [],
        ),
        ("allow_values: { field: note, values: [a] }", "block_values: { field: note, values: [b] }", [6]),
        ("allow_values: { field: note, values: [a] }", "block_values: { field: note, values: [A] }", []),
        ("allow_values: { field: ratio, values: [2] }", "max_value: { field: ratio, max: 5 }", [6]),
        ("allow_values: { field: ratio, values: [2, 7] }", "max_value: { field: ratio, max: 5 }", []),
        ("block_values: { field: note, values: [A, b] }", "block_values: { field: note, values: [a] }", [6]),
        ("max_items: { field: tags, max: 2 }", "max_items: { field: tags, max: 3 }", [6]),
        ("required_fields: { fields: [note, tags] }", "required_fields: { fields: [tags] }", [6]),
        ("required_fields: { fields: [tags] }", "required_fields: { fields: [note, tags] }", [5]),
        ("block_fields: { fields: [note, tags] }", "block_fields: { fields: [tags] }", [6]),
        ("max_amount: { usd: 400 }", "max_amount: { usd: 500, eur: 500 }", [4, 6]),
        ("max_amount: { usd: 600, eur: 1 }", "block_fields: { fields: [gift] }", [5]),
        # to look on or to ask is less than to deny, and so is to let a field be left out
        ("max_value: { field: ratio, max: 5 }, mode: observe", "max_value: { field: ratio, max: 9 }", []),
        ("max_value: { field: ratio, max: 5 }, mode: ask", "max_value: { field: ratio, max: 9 }", []),
        ("max_value: { field: ratio, max: 5 }", "max_value: { field: ratio, max: 9 }, mode: ask", [6]),
        (
            "max_value: { field: ratio, max: 5 }, when_missing: allow",
            "max_value: { field: ratio, max: 9 }",
            [],
        ),
        (
            "max_value: { field: ratio, max: 5 }",
            "max_value: { field: ratio, max: 9 }, when_missing: allow",
            [6],
        ),
        # templates of other families
        (
            "allow_repos: { field: note, repos: [a/b] }",
            "allow_repos: { field: note, repos: [a/b, a/c] }",
            [6],
        ),
        ("allow_repos: { field: note, repos: [a/b] }", "allow_repos: { field: note, repos: [A/b] }", []),
        ("content_length: { max_length: 9 }", "content_length: { max_length: 10 }", [6]),
        ("content_length: { field: note, max_length: 9 }", "content_length: { max_length: 10 }", []),
        ("keyword_block: { keywords: [a, B] }", "keyword_block: { keywords: [b] }", [6]),
        ("block_urls: { allow_domains: [a.example] }", "block_urls: { allow_domains: [b.example] }", []),
        ("block_urls: { block_domains: [a.example] }", "block_urls: { block_domains: [b.example] }", []),
        # what is blocked needs no limit
        ("block_fields: { fields: [note] }", "block_fields: { fields: [note] }", [6]),
        ("block_fields: { fields: [note] }, mode: ask", "block_values: { field: note, values: [a] }", []),
        ("block_fields: { fields: [note] }", "block_values: { field: note, values: [a] }", [6]),
        ("block_fields: { fields: [items] }", "max_value: { field: items.quantity, max: 5 }", [6]),
        ("block_fields: { fields: [items.codes] }", "max_value: { field: items.quantity, max: 5 }", []),
        # what counts: as many calls, as far back, and over the same calls at least
        ("rate_limit: { max: 5, per: hour }", "rate_limit: { max: 9, per: hour }", [6]),
        ("rate_limit: { max: 9, per: hour }", "rate_limit: { max: 5, per: hour }", [5]),
        ("rate_limit: { max: 5, per: hour }", "rate_limit: { max: 5, per: hour }", [6]),
        ("rate_limit: { max: 5, per: hour }", "rate_limit: { max: 9, per: day }", []),
        ("daily_quota: { max: 5 }", "rate_limit: { max: 5, per: hour }", [6]),
        ("daily_quota: { max: 6 }", "rate_limit: { max: 5, per: hour }", []),
        ("rate_limit: { max: 5, per: week }", "daily_quota: { max: 5 }", [6]),
        ("for: write, rate_limit: { max: 5, per: hour }", "rate_limit: { max: 9, per: hour }", [6]),
        ("rate_limit: { max: 5, per: hour }", "for: write, rate_limit: { max: 9, per: hour }", []),
        ("rate_limit: { max: 5, per: hour }", "rate_limit: { max: 9, per: hour }, mode: ask", [6]),
        ("rate_limit: { max: 5, per: hour }, mode: ask", "rate_limit: { max: 9, per: hour }", []),
        ("rate_limit: { max: 5, per: hour }", "repeat_block: { max: 5, per: hour }", [6]),
        ("rate_limit: { max: 5, per: hour }", "repeat_block: { max: 4, per: hour }", []),
        ("repeat_block: { max: 1, per: hour }", "rate_limit: { max: 5, per: hour }", []),
        ("repeat_block: { max: 1, per: day }", "repeat_block: { max: 1, per: hour }", [6]),
        # the sum of one call is within every budget
        ("budget: { usd: 500, per: minute }", "block_fields: { fields: [gift] }", [4]),
        ("budget: { usd: 501, per: week }", "block_fields: { fields: [gift] }", []),
        ("budget: { usd: 900, per: week }", "budget: { usd: 900, per: day }", [6]),
        ("budget: { usd: 900, per: day }", "budget: { usd: 900, per: week }", [5]),
        ("budget: { usd: 900, per: day }", "budget: { usd: 901, eur: 9, per: day }", [6]),
        ("budget: { usd: 900, eur: 9, per: day }", "budget: { usd: 901, per: day }", []),
        ("budget: { usd: 900, per: day }", "daily_quota: { max: 900 }", []),
        # on other tools as well
        ("max_value: { field: ratio, max: 5 }", "for: write, block_values: { field: note, values: [x] }", []),
    ],
)
def test_a_rule_that_another_makes_needless(first: str, second: str, lines: list[int]) -> None:
    found = remarks(preset(ORDER, SUM, first, second))
    assert [(each.code, each.place) for each in found] == [
        ("shadowed", f"rules.yaml:{line}") for line in lines
    ]


def test_a_rule_is_needless_only_where_it_is_at_every_tool() -> None:
    """The cap on orders leaves the one on both its work at the other tool."""
    both = f"{ORDER}, shop_top_up"
    wide, narrow = (
        "max_value: { field: amount, max: 400 }",
        f"for: {ORDER}, max_value: {{ field: amount, max: 5 }}",
    )
    assert remarks(preset(both, SUM, wide, narrow)) == []
    assert [each.place for each in remarks(preset(both, SUM, wide.replace("400", "5"), narrow))] == [
        "rules.yaml:6"
    ]


def test_no_call_passes_a_limit_on_a_field_that_is_blocked() -> None:
    (found,) = remarks(
        preset(ORDER, SUM, "block_fields: { fields: [note] }", "allow_values: { field: note, values: [a] }")
    )
    assert found.says == (
        "allow_values asks for note, and block_fields (rules.yaml:5) blocks it,"
        " so that no call of shop_create_order passes"
    )


# --- whose rules, and where ------------------------------------------------------------------------------

ONLY_ORDERS = "preset: orders\nallow: [shop_create_order]\n"


def test_rules_of_the_preset_cover_and_are_not_remarked_upon() -> None:
    under = (
        ONLY_ORDERS + f"guardrails:\n  - {{ for: write, {SUM} }}\n  - {{ for: delete, block_delete: {{}} }}\n"
    )
    assert remarks("policy: house\ndeny: [delete]\n", preset=under) == []
    tighter = f"policy: house\nguardrails: [{{ for: {ORDER}, max_amount: {{ usd: 900 }} }}]\n"
    assert [(each.code, each.place) for each in remarks(tighter, preset=under)] == [
        ("shadowed", "rules.yaml:2")
    ]


def test_rules_of_what_a_preset_extends_cover_and_are_not_remarked_upon() -> None:
    extended = policy(
        ONLY_ORDERS + f"guardrails:\n  - {{ for: write, {SUM} }}\n  - {{ for: read, block_delete: {{}} }}\n"
    )
    mine = unite(policy("preset: mine\nextends: orders\n"), [extended])
    toolset = build_toolset(App("test", (Grant(open_account(BIG_SHOP, {}), mine),)))
    found = lint(mine, [(entry.tool, entry.bound) for entry in toolset.entries.values()])
    assert found == []


def test_a_place_is_where_it_is_allowed_or_written() -> None:
    listed = "preset: mine\nallow:\n  - read\n  - delete\n" + (
        "guardrails:\n  - for: delete\n    block_fields: { fields: [order] }\n"
    )
    assert [(each.code, each.place, each.tools) for each in remarks(listed)] == [
        ("deletes", "rules.yaml:4", ("shop_delete_order",))
    ]
    assert {each.place for each in remarks("policy: house\n")} == {""}


def test_what_is_said_in_full() -> None:
    """Sentences that a stranger understands, with what to do."""
    found = {each.code: each for each in remarks(preset(f"{ORDER}, shop_create_plan"))}
    assert (found["uncovered"].says, found["uncovered"].remedy) == (
        "shop_create_plan can bind someone to pay later (commitment), and no rule limits how much",
        "Limit shop_create_plan, whose arguments do not say what it moves, with allow_values on the ids it"
        " takes, max_value on items.quantity, max_items on items and max_items on labels;"
        " or write deny: [shop_create_plan]",
    )
    (found_one,) = remarks(preset("shop_create_refund", CAP))
    assert (found_one.says, found_one.remedy) == (
        "shop_create_refund may move up to 500 in any currency, and 500 is 5.00 USD, but 500 JPY",
        "Add allow_values: { field: before.currency, values: [usd] }, or write max_amount: { usd: 500 },"
        " which has a limit for each currency",
    )
    (found_one,) = remarks(preset("shop_create_refund", f"{CAP}, when_missing: allow", SUM))
    assert found_one.says == (
        "max_value lets shop_create_refund pass without amount, which can mean all that is left"
    )


# --- never wrong about needless --------------------------------------------------------------------------

POOL = [
    *(f"max_value: {{ field: ratio, max: {number} }}" for number in (-1, 5, 100)),
    *(f"min_value: {{ field: ratio, min: {number} }}" for number in (-1, 5)),
    "value_range: { field: ratio, min: -1, max: 5 }",
    "allow_values: { field: ratio, values: [5, -1] }",
    "block_values: { field: ratio, values: [5] }",
    *(f"allow_values: {{ field: size, values: [{listed}] }}" for listed in ("s", "s, m", "s, m, l", "S")),
    *(f"block_values: {{ field: size, values: [{listed}] }}" for listed in ("S", "m, s", "xl")),
    *(f"max_items: {{ field: tags, max: {number} }}" for number in (0, 1, 9)),
    *(f"required_fields: {{ fields: [{listed}] }}" for listed in ("size", "tags, size", "ratio")),
    *(f"block_fields: {{ fields: [{listed}] }}" for listed in ("size", "tags, size", "ratio")),
    *(f"max_amount: {{ {listed} }}" for listed in ("usd: 5", "usd: 5, eur: 5", "usd: 9, eur: 1")),
]
CALLS: list[dict[str, Any]] = [
    {
        name: value
        for name, value in zip(("ratio", "size", "tags", "amount", "currency"), values, strict=True)
        if value is not ...
    }
    for values in product(
        (..., None, -1, 5, 6), (..., "s", "l"), (..., [], ["a", "b"]), (..., 5, 9), (..., "usd", "eur")
    )
]


def bound_pool(tool: Tool) -> Iterator[BoundRule]:
    """Every rule of the pool as it is at a tool, with its field asked for and not."""
    for line, missing in product(POOL, ("", ", when_missing: allow")):
        rules = policy(f"guardrails:\n  - {{ for: {tool.name}, {line}{missing} }}\n")
        _, step = bind(tool, (Layer("rules", (rules,)),))
        assert isinstance(step, BoundRule)
        yield step


def test_what_is_called_needless_denies_nothing_that_the_other_lets_pass() -> None:
    tool = BIG_SHOP.tools[ORDER]
    pool = list(bound_pool(tool))
    calls = set(range(len(CALLS)))
    denied = [
        {number for number in calls if evaluate(step, Call(tool, CALLS[number])).verdict == "deny"}
        for step in pool
    ]
    told = 0
    for one, other in permutations(range(len(pool)), 2):
        if taken_away(pool[one], pool[other]):
            clash = pool[one].closed
            assert denied[one] | denied[other] == calls if clash else denied[one] <= denied[other]
        elif needless(pool[one], pool[other], tool):
            told += 1
            assert denied[one] <= denied[other], (pool[one].rule, pool[other].rule)
    assert told > 100
    for step, found in zip(pool, denied, strict=True):
        why = idle(step, tool)
        assert not why or not found or "all it does is ask that it be given" in why, (step.rule, why)


COUNTING = [
    *(f"rate_limit: {{ max: {most}, per: {per} }}" for most in (1, 3) for per in ("hour", "day")),
    "daily_quota: { max: 2 }",
    *(f"repeat_block: {{ max: {most}, per: hour }}" for most in (1, 2)),
    *(f"budget: {{ usd: 9, per: {per} }}" for per in ("hour", "day")),
    *(f"budget: {{ usd: 5, eur: 5, per: {per} }}" for per in ("hour", "day")),
    "max_amount: { usd: 5 }",
    "max_amount: { usd: 9, eur: 9 }",
]  # fmt: skip
REACHED = [ORDER, "write", f"{ORDER}, shop_top_up", "effect:money_in"]
LAYERS: list[LayerName] = ["account", "preset", "rules"]


def test_what_counts_is_called_needless_only_where_the_other_counts_no_less() -> None:
    """Over ledgers made up at random: nothing that is needless denies what the other lets pass."""
    tool, chance = BIG_SHOP.tools[ORDER], random.Random(7)
    pool: list[BoundRule] = []
    for line, reached, layer in product(COUNTING, REACHED, LAYERS):
        rules = policy(f"guardrails:\n  - {{ for: [{reached}], {line} }}\n")
        _, step = bind(tool, (Layer(layer, (rules,)),))
        assert isinstance(step, BoundRule)
        pool.append(step)
    pairs = [pair for pair in permutations(pool, 2) if needless(*pair, tool)]
    fired = set()
    for _ in range(300):
        made = [_spent(tool, chance) for _ in range(chance.randrange(1, 7))]
        call = dataclasses.replace(made[0], at=0, app="one", grant="shop", tool=tool.name)
        others = made[1:]
        store = MemoryStore()
        store.entries = {each.call: each for each in others}
        asked = {"amount": call.amount, "currency": call.currency}
        with store.transaction() as ledger:
            ask = partial(_asked, ledger, call)
            found = {id(step): evaluate(step, Call(tool, asked), ask).verdict for step in pool}
        for one, other in pairs:
            if found[id(one)] == "deny":
                fired.add((one.rule.template, other.rule.template))
                assert found[id(other)] == "deny", (one.layer, one.rule, other.layer, other.rule, made)
    assert len(pairs) > 500
    assert {("rate_limit", "daily_quota"), ("budget", "budget"), ("max_amount", "budget")} <= fired


def _asked(ledger: MemoryTransaction, call: Entry, tally: Tally) -> int:
    return ledger.spent(tally, call)


def _spent(tool: Tool, chance: random.Random) -> Entry:
    """A call of this tool or of another one, by this app or another one, at some moment of a day."""
    other = chance.choice([tool, tool, BIG_SHOP.tools["shop_top_up"], BIG_SHOP.tools["shop_send_note"]])
    return Entry(
        at=-chance.choice([0, 1, 3599, 3600, 80000]),
        app=chance.choice(["one", "one", "two"]),
        grant=chance.choice(["shop", "shop", "shop two"]),
        tool=other.name,
        category=other.category,
        effects=other.effects,
        call=str(chance.random()),
        args_hash=chance.choice("ab"),
        currency=chance.choice(["usd", "usd", "eur"]),
        amount=chance.choice([1, 3, 5, 6, 10]),
    )
