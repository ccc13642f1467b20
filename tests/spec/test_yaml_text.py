"""Where faults stand, in which order they are told, and what of a file is shown."""

from __future__ import annotations

import pytest

from mcpgate.spec.yaml_text import did_you_mean, load
from tests.spec.files import problems

SHOP = """\
connector: shop
base_url: http://shop.example
timeout: 30s
x-shelf: &param { type: strin }
tools:
  shop_get:
    description: Things.
    category: reed
    request: GET /things
    params: { a: *param, b: *param }
  shop_add:
    description: Add.
    category: write
    request: POST /things
  shop_find:
    description: Find.
    category: read
    request: GET /things/{id}
    pagniate: true
  shop_find:
    description: Find.
    category: read
    request: GET /things/{id}
"""


def test_every_fault_of_a_file_is_told_at_once_in_the_order_of_the_file() -> None:
    assert problems(SHOP) == [
        "shop.yaml:2:11: a base_url is https (plain http only on loopback): 'http://shop.example'",
        "shop.yaml:3:10: expected a number, found '30s'",
        "shop.yaml:4:25: 'strin' is not one of string, integer, number, boolean, object, array, null; "
        "did you mean 'string'?",
        "shop.yaml:8:15: 'reed' is not one of read, write, delete; did you mean 'read'?",
        "shop.yaml:11:3: a write states its effects; [] says that it has none",
        "shop.yaml:20:3: the key 'shop_find' stands here twice",
        "shop.yaml:23:14: {id} is not a parameter here",
    ]


def test_a_fault_in_one_part_hides_none_in_another() -> None:
    """A part of the wrong shape is not read further; what depends on it is left alone, the rest is read."""
    told = problems("""\
connector: My Shop
base_url:
settings: { site: 3 }
auth: { type: barer }
headers: { Host: a }
pagination: { nxt: url }
errors: { mesage: a }
tools:
  shop_list: { description: a, category: read, request: 'GET /a/{site}', paginate: true }
  shop_get: { description: a, category: read, request: 'GET /a/{id}' }
""")
    assert [problem.split(": ", 1)[0] for problem in told] == [
        "shop.yaml:1:12",
        "shop.yaml:2:10",
        "shop.yaml:3:19",
        "shop.yaml:4:15",
        "shop.yaml:5:12",
        "shop.yaml:6:15",
        "shop.yaml:7:11",
        "shop.yaml:10:56",
    ]


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ("connector: shop\ntools: []\n", ["1:1", "2:8"]),
        ("tools: {}\n", ["1:1", "1:1", "1:8"]),
        ("connector: shop\nbase_url: https://a.example\ntools:\n  shop_get:\n", ["4:12"]),
        ("connector: [shop\n]\nbase_url: https://a.example\ntools: { shop_get: [] }\n", ["1:12", "4:20"]),
    ],
)
def test_a_fault_stands_at_its_key_or_value(given: str, places: list[str]) -> None:
    assert [problem.removeprefix("shop.yaml:").split(": ")[0] for problem in problems(given)] == places


def test_what_a_file_says_reaches_no_terminal_as_it_is() -> None:
    told = problems('connector: "\\e[2J\\n\\u202e\\u200b"\nbase_url: https://a.example\ntools: {}\n')[0]
    assert "'\\u001b[2J\\u000a\\u202e\\u200b': a connector's name" in told
    assert told.isprintable()


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("pagniate", ["paginate", "params"], "paginate"),
        ("desc", ["category", "description"], "description"),
        ("READ", ["read", "write"], "read"),
        ("to", ["To", "From"], "To"),
        ("url", ["request"], ""),
        ("x", [], ""),
    ],
)
def test_the_nearest_word_is_offered(word: str, known: list[str], near: str) -> None:
    assert did_you_mean(word, known) == (f"; did you mean '{near}'?" if near else "")


def test_a_place_is_a_file_and_a_line() -> None:
    document = load("f.yaml", b"a:\n  b:\n  - c\n  - d: e\n")
    assert document.place(("a", "b", 1, "d")) == "f.yaml:4"
    assert document.place(("a", "nowhere", "deeper")) == "f.yaml:2"
