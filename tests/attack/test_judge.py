"""The judge reads what arrives as a lenient server or a person would, and shares nothing with the rules."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from mcpgate.attack.account import Arrived, overdrawn
from mcpgate.attack.attempt import Attempt, Shot
from mcpgate.attack.lenient import compact, letters, looks, numbers, readings
from mcpgate.attack.spelling import text_for
from mcpgate.attack.wire import Wire, read_wire
from mcpgate.cli.policy.attack_bench import Bench, Sent, with_accounts
from mcpgate.json_schema import compile_pattern
from mcpgate.places import MISSING
from mcpgate.spec.connector import read_connector
from mcpgate.values import Connector, Fate, Source
from tests.attack.attacked import form_shop, rules, toolset
from tests.policy.shop import connector

ROOT = Path(__file__).parents[2]
# what decides; the judge may look at none of it
DECIDES = {
    "addresses",
    "binding",
    "call",
    "decide",
    "domains",
    "folding",
    "keywords",
    "links",
    "reading",
    "rule",
    "texts",
}


def test_the_judge_shares_nothing_with_what_decides() -> None:
    for path in (ROOT / "mcpgate" / "attack").rglob("*.py"):
        names = [
            node.module
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
        ]
        policy = {name.split(".")[2] for name in names if name.startswith("mcpgate.policy.")}
        assert policy <= {"fields", "templates"}, path.name
        assert not policy & DECIDES
        checks = {name.split(".")[3] for name in names if name.startswith("mcpgate.policy.templates.")}
        assert checks <= {"template"}, path.name


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (90000, 90000),
        ("90000", 90000),
        (" 90000 ", 90000),
        ("9e4", 90000),
        ("90000.0", 90000),
        ("+90000", 90000),
        ("0x15f90", 90000),
        ("90,000", 90000),
        ("90_000", 90000),
        ("$90000", 90000),
        ("９００００", 90000),
        ("٩٠٠٠٠", 90000),
        ("9\u200b0000", 90000),
        ("90000abc", 90000),
        ("90000\0x", 90000),
        ([[90000]], 90000),
        ({"value": "90000"}, 90000),
        (True, 1),
        (2**64 + 90000, 90000),
        (90000 - 2**64, 90000),
        ("1e400", float("inf")),
    ],
)
def test_a_number_is_read_wherever_somebody_may(value: Any, number: float) -> None:
    assert number in numbers(value)


@pytest.mark.parametrize(
    ("value", "read"), [("50000", {50000}), (0.5, {0.5}), ("0.5", {0.5}), ("abc", set())]
)
def test_a_plain_number_is_itself(value: Any, read: set[float]) -> None:
    assert numbers(value) == read


@pytest.mark.parametrize(
    "text",
    [
        "EVIL",
        " evil\n",
        "ｅｖｉｌ",
        "e\u200bvil",
        "\u202eevil\u202c",
        "e\u00advil",
        "𝐞𝐯𝐢𝐥",
        "ⓔⓥⓘⓛ",
        "evil\0x",
        "evil\ufeff",
    ],
)
def test_a_text_is_read_through_a_disguise(text: str) -> None:
    assert "evil" in readings(text)


@pytest.mark.parametrize(
    "text",
    [
        "rеfund",
        "r\u0336e\u0336f\u0336u\u0336n\u0336d\u0336",
        "REFUND",
        "refυnd",
        "ʀᴇꜰᴜɴᴅ",
        "🆁🅴🅵🆄🅽🅳",
        "🅡🅔🅕🅤🅝🅓",
        "🇷🇪🇫🇺🇳🇩",
    ],
)
def test_a_word_is_seen_by_its_looks(text: str) -> None:
    assert looks(text) == "refund"


@pytest.mark.parametrize(("left", "right"), [("evil", "devil"), ("café", "cafe"), ("e-vil", "evil")])
def test_what_reads_otherwise_stays_apart(left: str, right: str) -> None:
    assert letters(left) != letters(right)


def test_digits_are_read_together() -> None:
    assert compact("4111-1111 １１１１.1111", digits=True) == "4" + "1" * 15


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]{3}$",
        r"\d{3}-\d{4}",
        "(usd|eur)",
        r"^app\w+$",
        "(?i)invoice #[0-9]{4}",
        "a.b?c*d+",
        r"[^a-z]x",
        "^$|^x$",
    ],
)
def test_a_text_is_found_for_a_pattern(pattern: str) -> None:
    found = list(text_for(pattern))
    assert found
    assert all(compile_pattern(pattern).search(text) for text in found)


# --- the wire --------------------------------------------------------------------------------------------


def wire(shop: Connector, tool: str, arguments: dict[str, Any]) -> Wire:
    """What a server reads of a call."""
    bench = Bench(with_accounts(toolset(rules([]), shop)))
    entry = bench.gateway.toolset.find(tool)
    made = bench.fire(Attempt(0, "", Shot(entry.tool, arguments)))
    assert isinstance(made, Sent), made
    return read_wire(made.request, entry.grant.account, MISSING, 0)


def other(name: str) -> Connector:
    path = ROOT / "tests" / "connectors" / f"{name}.yaml"
    return read_connector(name, path.read_bytes(), Source("file", str(path), ""))


ORDER = "shop_create_order"


@pytest.mark.parametrize("shop", [connector(), form_shop()], ids=["json", "form"])
@pytest.mark.parametrize(
    ("arguments", "field", "found"),
    [
        ({"amount": 5}, "amount", ["5"]),
        ({}, "amount", [MISSING]),
        ({"tags": ["a", "b"]}, "tags", ["a", "b"]),
        ({"items": [{"quantity": 1}, {"price": "p"}]}, "items.quantity", ["1", MISSING]),
        ({"items": [{"codes": ["x", "y"]}]}, "items.codes", ["x", "y"]),
        ({"address": {"geo": {"lat": 1.5}}}, "address.geo.lat", ["1.5"]),
        ({"metadata": {"order": "7"}}, "metadata.order", ["7"]),
        ({"metadata": {"Order": "7"}}, "metadata.order", [MISSING]),
        ({"created": {"gt": 5}}, "created.gt", ["5"]),
    ],
)
def test_what_arrives_is_found_by_the_tools_own_names(
    shop: Connector, arguments: dict[str, Any], field: str, found: list[Any]
) -> None:
    values = wire(shop, ORDER, arguments).at(tuple(field.split(".")))
    assert [value if value is MISSING else str(value) for value in values] == found


@pytest.mark.parametrize(
    ("name", "tool", "arguments", "field", "found"),
    [
        ("wiki", "wiki_create_page", {"title": "t", "parent": "p1"}, "parent", "p1"),
        ("wiki", "wiki_search", {"words": "a b&c"}, "words", "a b&c"),
        ("wiki", "wiki_list_pages", {"labels": ["a", "b"]}, "labels", "a"),
        ("wiki", "wiki_get_page", {"page": "p1"}, "page", "p1"),
        ("wiki", "wiki_read_file", {"path": "a/b.md"}, "path", "a/b.md"),
        ("wiki", "wiki_update_page", {"page": "p", "text": "x", "version": "v7"}, "version", "v7"),
        ("wiki", "wiki_set_labels", {"page": "p", "labels": ["x"]}, "labels", "x"),
        ("board", "board_create_issue", {"input": {"title": "t"}}, "input.title", "t"),
    ],
)
def test_what_arrives_is_found_wherever_it_goes(
    name: str, tool: str, arguments: dict[str, Any], field: str, found: str
) -> None:
    assert wire(other(name), tool, arguments).at(tuple(field.split(".")))[0] == found


def test_names_are_found_in_other_spellings_where_the_schema_names_them() -> None:
    shot = wire(connector(), ORDER, {"amount": 5})
    body = json.dumps({"Amount": 90000, "amount": 5, "metadata": {"Order": "x"}}).encode()
    request = shot.request
    forged = type(request)(**{field: getattr(request, field) for field in request.__slots__} | {"body": body})
    account = Bench(with_accounts(toolset(rules([])))).gateway.toolset.find(ORDER).grant.account
    read = read_wire(forged, account, MISSING, 0)
    assert sorted(read.at(("amount",))) == [5, 90000]
    assert read.at(("metadata", "order")) == [MISSING]


# --- the judge's own account, row 5 ----------------------------------------------------------------------

BUDGET = {"for": ORDER, "budget": {"usd": 100, "eur": 50, "per": "hour"}}
RATE = {"for": "write", "rate_limit": {"max": 2, "per": "minute"}}
REPEAT = {"for": "write", "repeat_block": {"max": 1, "per": "minute"}}
USD: dict[str, Any] = {"amount": 50, "currency": "usd"}
Went = tuple[float, dict[str, Any], str, Fate]


def sent(at: float, key: str = "", fate: Fate = "succeeded", **given: Any) -> Went:
    return at, {**USD, **given}, key, fate


@pytest.mark.parametrize(
    ("guardrail", "went", "says"),
    [
        (BUDGET, [sent(0), sent(1)], ""),
        (BUDGET, [sent(0), sent(1), sent(2, amount=1)], "move 101 usd, over 100, within 3,600 seconds"),
        (BUDGET, [sent(2, amount=1), sent(1), sent(0)], "3 calls move 101 usd"),
        # windows slide, and their beginning is no part of them
        (BUDGET, [sent(0, amount=100), sent(3600, amount=100)], ""),
        (BUDGET, [sent(0, amount=100), sent(3599.999, amount=1)], "2 calls move 101 usd"),
        (BUDGET, [sent(0), sent(1800), sent(3600), sent(5399)], "3 calls move 150 usd"),
        # each currency by itself, as a server reads it, and no sign
        (BUDGET, [sent(0, amount=100), sent(0, currency="eur")], ""),
        (BUDGET, [sent(0, amount=100), sent(1, currency="USD", amount=1)], "2 calls move 101 usd"),
        (BUDGET, [sent(0, amount=-100), sent(1, amount=-1)], "2 calls move 101 usd"),
        (BUDGET, [sent(0, currency="jpy")], "the currency 'jpy' has no limit"),
        # what failed did not act; what is unknown may have, and under one key once
        (BUDGET, [sent(0, fate="failed", amount=100), sent(1, amount=100)], ""),
        (BUDGET, [sent(0, fate="unknown", amount=100), sent(1, amount=1)], "2 calls move 101 usd"),
        (BUDGET, [sent(0, "k", "unknown", amount=100), sent(1, "k", amount=100)], ""),
        (BUDGET, [sent(0, "k", "unknown", amount=100), sent(1, "k", "failed"), sent(2)], "2 calls move 150"),
        (BUDGET, [sent(0, "k", "failed", amount=100), sent(1, "k", "failed"), sent(2)], ""),
        (RATE, [sent(0), sent(1), sent(60)], ""),
        (RATE, [sent(0), sent(1), sent(59.9)], "3 calls, over 2, within 60 seconds"),
        (REPEAT, [sent(0), sent(1, amount=51), sent(60)], ""),
        (REPEAT, [sent(0), sent(1, amount=51), sent(59.9)], "2 calls alike, over 1, within 60 seconds"),
    ],
)  # fmt: skip
def test_the_judge_adds_up_what_went_out(guardrail: dict[str, Any], went: list[Went], says: str) -> None:
    (rule,) = rules([guardrail]).rules
    arrived = [Arrived(at, wire(connector(), ORDER, given), key, fate) for at, given, key, fate in went]
    found = overdrawn(rule, arrived)
    assert (found is None) is not bool(says)
    assert found is None or says in found[0]


def test_the_judge_adds_up_the_tools_that_a_rule_is_for() -> None:
    (rule,) = rules([RATE]).rules
    calls: list[tuple[str, dict[str, Any]]]
    calls = [(ORDER, {}), ("shop_send_note", {"text": "a"}), ("shop_list_orders", {}), (ORDER, {"amount": 1})]
    arrived = [Arrived(0, wire(connector(), tool, given)) for tool, given in calls]
    assert overdrawn(rule, arrived[:3]) is None
    assert overdrawn(rule, arrived) is not None
