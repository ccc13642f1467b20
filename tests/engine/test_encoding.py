"""Nested values as forms and queries write them. test_official_client has the official encoder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mcpgate.engine.encoding import form, pairs, query, scalar
from mcpgate.errors import ArgumentsError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-5, "-5"),
        (20.0, "20"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (1.5e15, "1500000000000000"),
        (2**53 - 1, "9007199254740991"),
        ("", ""),
        ("true", "true"),
        (" a ", " a "),
    ],
)
def test_a_scalar(value: Any, text: str) -> None:
    assert scalar(value) == text


LIST = ["a", "b c"]


@pytest.mark.parametrize(
    ("lists", "value", "expected"),
    [
        ("repeat", LIST, [("x", "a"), ("x", "b c")]),
        ("brackets", LIST, [("x[]", "a"), ("x[]", "b c")]),
        ("indexed", LIST, [("x[0]", "a"), ("x[1]", "b c")]),
        ("comma", LIST, [("x", "a,b c")]),
        ("comma", [1, True, None], [("x", "1,true")]),
        ("comma", [], []),
        *((lists, [{"p": 1}, {"p": [2]}], None) for lists in ("repeat", "brackets", "comma", "indexed")),
        ("repeat", {"gt": 1, "lte": None, "in": [3, 4]}, [("x[gt]", "1"), ("x[in]", "3"), ("x[in]", "4")]),
        ("indexed", None, []),
        ("indexed", [], []),
        ("indexed", {}, []),
        ("indexed", {"a": {}, "b": [], "c": None, "d": ""}, [("x[d]", "")]),
        ("indexed", [[1], ["a"]], [("x[0][0]", "1"), ("x[1][0]", "a")]),
    ],
)
def test_a_parameter_becomes_pairs(lists: str, value: Any, expected: list[tuple[str, str]] | None) -> None:
    nested = {"repeat": "x[1][p]", "brackets": "x[1][p][]", "comma": "x[1][p]", "indexed": "x[1][p][0]"}
    expected = [("x[0][p]", "1"), (nested[lists], "2")] if expected is None else expected
    assert list(pairs("x", value, lists)) == expected


def test_row_11_an_empty_key_is_refused() -> None:
    """`x[]=1` would be an entry of a list."""
    with pytest.raises(ArgumentsError, match="the key '' is empty"):
        list(pairs("x", {"": 1}, "repeat"))


@pytest.mark.parametrize("value", [{"a[b": 1}, {"a]": 1}, {"a": {"[]": 1}}, [{"x[y]": 1}]])
def test_row_11_a_key_with_brackets_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentsError, match="bracket"):
        list(pairs("x", value, "indexed"))


@pytest.mark.parametrize("value", [["a,b"], ["a", ","], {"k": ["1,2"]}])
def test_row_11_an_entry_with_a_comma_is_refused_where_commas_separate(value: Any) -> None:
    with pytest.raises(ArgumentsError, match="comma"):
        list(pairs("x", value, "comma"))


TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=12)
KEY = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1, max_size=6)
# a key that is a number reads as an index, and no decoder can tell
NAME = KEY.filter(lambda key: not key.isdigit())
LEAF = some.booleans() | some.integers(-(2**53), 2**53) | TEXT
TREE = some.dictionaries(
    NAME,
    some.recursive(
        LEAF,
        lambda inner: (
            some.lists(inner, min_size=1, max_size=3) | some.dictionaries(NAME, inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=3,
)


@settings(deadline=None)
@given(TREE)
def test_row_11_what_is_encoded_comes_back(tree: dict[str, Any]) -> None:
    encoded = [pair for name, value in tree.items() for pair in pairs(name, value, "indexed")]
    body = form(encoded)
    assert body.isascii()
    assert parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)) == encoded
    assert parse_qsl(query(encoded), keep_blank_values=True) == encoded
    assert decoded(body) == texts(tree)


@settings(deadline=None)
@given(some.lists(some.tuples(KEY, TEXT), min_size=1))
def test_row_11_a_text_stays_inside_its_pair(items: list[tuple[str, str]]) -> None:
    for encoded in (form(items).decode(), query(items)):
        assert encoded.count("&") == len(items) - 1
        assert encoded.count("=") == len(items)
        assert re.fullmatch(r"[A-Za-z0-9_.~%&=+\[\]-]*", encoded)
    assert " " not in query(items)
    assert "+" not in query(items)


def texts(value: Any) -> Any:
    """A tree as a form can tell it: every leaf a text."""
    if isinstance(value, dict):
        return {name: texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [texts(item) for item in value]
    return scalar(value)


def decoded(body: bytes) -> Any:
    """A form body read the way of a server, by hand: percents by byte, then brackets, then indexes."""
    tree: dict[str, Any] = {}
    for pair in filter(None, body.split(b"&")):
        name, value = (re.sub(rb"%(..)", by_hand, part.replace(b"+", b" ")).decode() for part in split(pair))
        head, *keys = name.replace("]", "").split("[")
        node = tree
        for key, following in zip([head, *keys], [*keys, None], strict=True):
            if following is None:
                node[key] = value
            else:
                node = node.setdefault(key, {})
    return listed(tree)


def split(pair: bytes) -> Iterable[bytes]:
    name, _, value = pair.partition(b"=")
    return name, value


def by_hand(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and list(node) == [str(index) for index in range(len(node))]:
        return [listed(item) for item in node.values()]
    return {name: listed(item) for name, item in node.items()}
