"""Places: the one path syntax."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgate.json_schema import build_validator
from mcpgate.places import MISSING, parse_place
from mcpgate.spec.check import shipped_schema

REPLY = {
    "id": "r1",
    "data": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}, {"name": None}],
    "by": {"x": {"n": 1}, "y": {"n": 2}},
    "a.b": {"c.d": 5},
    "0": "zero",
    "*": "star",
    "nested": [[{"k": 1}], [{"k": 2}]],
    "none": None,
    "empty": "",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id", ["r1"]),
        ("nowhere", []),
        ("id.deeper", []),
        ("data.0.id", [1]),
        ("data.-1.name", [None]),
        ("data.-2.id", [2]),
        ("data.3.id", []),
        ("data.-4.id", []),
        ("data.id", [1, 2]),
        ("data.tags", [["a", "b"], []]),
        ("data.tags.0", ["a"]),
        ("data.*", REPLY["data"]),
        ("data.*.id", [1, 2]),
        ("by.*.n", [1, 2]),
        ("by.*", [{"n": 1}, {"n": 2}]),
        (r"a\.b.c\.d", [5]),
        ("a.b", []),
        ("0", ["zero"]),
        ("nested.k", [1, 2]),
        ("nested.1.0.k", [2]),
        ("none", [None]),
        ("none.deeper", []),
        ("empty", [""]),
        ("data.00.id", [1]),
        ("data.1x.id", []),
    ],
)
def test_a_place_finds_what_lies_there(text: str, found: list[Any]) -> None:
    place = parse_place(text)
    assert place.all(REPLY) == found
    assert place.first(REPLY) == (found[0] if found else MISSING)
    assert str(place) == text


@pytest.mark.parametrize(
    ("text", "found"), [("header:Link", ["<a>"]), ("header:LINK", ["<a>"]), ("header:X", [])]
)
def test_a_header_is_found_in_whatever_case(text: str, found: list[str]) -> None:
    assert parse_place(text).all({"Link": "body"}, {"link": "<a>"}) == found
    assert parse_place(text).all({"Link": "body"}) == []


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_place_never_fails_whatever_a_reply_is(value: Any) -> None:
    for text in ("a", "a.b", "*", "*.0", "0.-1", "-1.*.a"):
        parse_place(text).all(value, {})


@given(st.lists(st.text(st.characters(exclude_characters="\\", codec="utf-8"), min_size=1), min_size=1))
def test_any_key_can_be_said(keys: list[str]) -> None:
    text = ".".join(key.replace(".", "\\.") for key in keys)
    assert list(parse_place(text).keys) == keys or text.startswith("header:")


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "header:", "header:a b", "a\\", "header:Größe"]
)
def test_what_is_no_place_is_refused_by_the_schema(text: str) -> None:
    schema = {"$ref": "#/$defs/place", "$defs": shipped_schema("connector")["$defs"]}
    assert not build_validator(schema).is_valid(text)
    assert build_validator(schema).is_valid("data.-1.id")


def test_a_header_that_is_never_read_cannot_be_named() -> None:
    schema = {"$ref": "#/$defs/place", "$defs": shipped_schema("connector")["$defs"]}
    for text in ("header:Set-Cookie", "header:set-cookie"):
        assert not build_validator(schema).is_valid(text)
