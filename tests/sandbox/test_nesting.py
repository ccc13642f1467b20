"""Trees read from forms, laid over samples, and written at places."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgate.engine.encoding import form, pairs
from mcpgate.places import parse_place
from mcpgate.sandbox.nesting import like, listed, nest, overlay, put


def read(text: str) -> Any:
    return nest(parse_qsl(text, keep_blank_values=True))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1&b=x+y%26", {"a": "1", "b": "x y&"}),
        ("a=", {"a": ""}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[0][x]=1&a[1][x]=2", {"a": {"0": {"x": "1"}, "1": {"x": "2"}}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a=1&a=2&a=3", {"a": {"0": "1", "1": "2", "2": "3"}}),
        ("a[][x]=1&a[][x]=2", {"a": {"0": {"x": "1"}, "1": {"x": "2"}}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b=1", {"a": "1"}),
        ("", {}),
    ],
)
def test_a_form_is_read_as_the_tree_it_was_written_from(text: str, tree: Any) -> None:
    assert read(text) == tree


KEYS = st.text("abcde_", min_size=1, max_size=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        TEXTS,
        lambda inner: (
            st.dictionaries(KEYS, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(tree=TREES)
def test_whatever_the_engine_writes_as_a_form_is_read_back(tree: dict[str, Any]) -> None:
    written = form(pair for name, value in tree.items() for pair in pairs(name, value, "indexed"))
    assert listed(read(written.decode())) == tree


@pytest.mark.parametrize(
    ("sample", "sent", "result"),
    [
        ("old", "new", "new"),
        (None, "new", "new"),
        (1, "7", 7),
        (1, 7, 7),
        (1, "x", "x"),
        (1, "", None),
        (0.5, "2", 2.0),
        (0.5, "nan", "nan"),
        (True, "false", False),
        (True, False, False),
        ("old", None, None),
        ({"a": 1}, None, None),
        # members are laid over members
        ({"a": 1, "b": {"c": True}}, {"a": "2", "b": {"c": "false"}}, {"a": 2, "b": {"c": False}}),
        ({}, {"k": "v", "1": "a"}, {"k": "v", "1": "a"}),
        # lists: a form's, one that is a single text, and each item in the sample's type
        (["a"], {"0": "x", "1": "y"}, ["x", "y"]),
        (["a"], "x,y", ["x,y"]),
        ([1], ["2"], [2]),
        ([], {"0": {"x": "1"}}, [{"x": "1"}]),
        ([{"id": "l", "n": 1}], {"0": {"n": "4"}}, [{"id": "l", "n": 4}]),
        (None, {"0": {"x": "1"}}, [{"x": "1"}]),
        # the short form that is sent for the long one that is shown
        ({"id": "c1", "name": "Ann"}, "c2", {"id": "c2", "name": "Ann"}),
        ({"id": 1}, "2", {"id": 2}),
        (
            {"object": "list", "data": [{"price": {"id": "p1"}, "n": 1}]},
            {"0": {"price": "p2", "n": "3"}},
            {"object": "list", "data": [{"price": {"id": "p2"}, "n": 3}]},
        ),
        # of another shape it changes nothing
        ("old", {"a": "b"}, "old"),
        (1, ["x"], 1),
        (["a"], {"x": "y"}, ["a"]),
        (["a"], 7, ["a"]),
        ({"a": 1}, "x", {"a": 1}),
        ({"id": "c1"}, "", {"id": "c1"}),
        ({"a": [1], "b": [2]}, ["x"], {"a": [1], "b": [2]}),
    ],
)
def test_what_is_sent_takes_the_type_of_the_sample(sample: Any, sent: Any, result: Any) -> None:
    before = json.dumps([sample, sent])
    assert like(sample, sent) == result
    assert json.dumps([sample, sent]) == before


def test_only_the_names_that_the_sample_has_are_overlaid() -> None:
    assert overlay({"a": 1, "b": 2}, {"b": "3", "c": "4"}) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("root", "place", "result"),
    [
        ({}, "data", 7),
        (None, "error.message", 7),
        ({"error": {"code": "x"}}, "error.message", 7),
        ({"error": "text"}, "error.message", 7),
        (None, "errors.0.message", 7),
        ({"errors": [{"code": "x"}]}, "errors.0.message", 7),
        ({"records": [{"id": 1}, {"id": 2}]}, "records.-1", 7),
        ({"records": []}, "records.0", 7),
        ({"0": {}}, "0.x", 7),
        ({"rows": [{"a": 1}, {"a": 2}]}, "rows.a", 7),
        ({"rows": []}, "rows.*.a", 7),
        ({"errors": {}}, "errors.*", 7),
        ({"a.b": 1}, r"a\.b", 7),
    ],
)
def test_what_is_put_at_a_place_is_found_there(root: Any, place: str, result: Any) -> None:
    before = json.dumps(root)
    found = parse_place(place)
    written = put(root, found.keys, result)
    assert found.first(written) == result
    assert json.dumps(root) == before


def test_put_leaves_the_rest_as_it_was() -> None:
    assert put({"a": [{"b": 1, "c": 2}], "d": 3}, ("a", "0", "b"), 7) == {"a": [{"b": 7, "c": 2}], "d": 3}
    assert put({"a": 1}, (), 7) == 7
