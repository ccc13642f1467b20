"""Every text in a call's arguments, with the field it stands at; and the copies that are compared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.policy.folding import apart, bare, outline, seen
from mcpgate.policy.texts import texts

SCHEMA = {
    "properties": {
        "note": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "rows": {"type": "array", "items": {"properties": {"code": {}}}},
        "free": {"additionalProperties": True},
        "either": {"anyOf": [{"type": "string"}, {"properties": {"name": {}}, "additionalProperties": {}}]},
        "shaped": {"patternProperties": {"^x": {}}, "additionalProperties": True},
    }
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"note": "a"}, [("note", "a")]),
        ({"note": ""}, [("note", "")]),
        ({"tags": ["a", "b"]}, [("tags", "a"), ("tags", "b")]),
        ({"rows": [{"code": "a"}, {"code": ["b"]}]}, [("rows.code", "a"), ("rows.code", "b")]),
        # keys that no schema names are the agent's own words
        ({"free": {"k": "v"}}, [("free.k", "k"), ("free.k", "v")]),
        ({"free": {"a.b": 1}}, [("free.a\\.b", "a.b")]),
        ({"free": {"a": [{"b": {}}]}}, [("free.a", "a"), ("free.a.b", "b")]),
        ({"free": {"note": 1}}, [("free.note", "note")]),  # the name of another field
        ({"either": {"name": "a", "k": "v"}}, [("either.name", "a"), ("either.k", "k"), ("either.k", "v")]),
        ({"shaped": {"x1": 1}}, [("shaped.x1", "x1")]),
        # a long number can be a card's; a short one, true and null say nothing
        ({"note": 4111111111111111}, [("note", "4111111111111111")]),
        ({"note": -4111111111111111}, [("note", "-4111111111111111")]),
        ({"note": 4111111111111111.0}, [("note", "4111111111111111")]),
        ({"note": 123456789.5}, [("note", "123456789.5")]),
        ({"note": 99999999, "tags": [True, None, 1.5]}, []),
    ],
)
def test_the_texts_of_a_value(value: Any, expected: list[tuple[str, str]]) -> None:
    assert list(texts(value, [SCHEMA])) == expected


def test_without_a_schema_every_key_is_a_text() -> None:
    assert list(texts({"a": {"b": "c"}}, [])) == [("a", "a"), ("a.b", "b"), ("a.b", "c")]


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("Ab 1-2", "Ab 1-2"),
        ("Ａb\u200b１", "Ab1"),
        ("ВЕСТ Ω", "BECT Ω"),
        ("é\u0336ø", "eo"),
        ("a\nb", "a\nb"),
        ("\u2800\uffa0a\u2065\ufff2\U000e0002\U000e0041", "a"),
    ],
)
def test_a_text_as_it_looks(text: str, look: str) -> None:
    assert bare(text) == look


def test_an_invisible_character_is_nothing_or_ends_a_word() -> None:
    assert apart("a\u200bb") == "a b"
    assert seen("a\u200bb") == {"ab", "a b"}
    assert seen("ab") == {"ab"}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("ab 12", "ab 12"),
        ("(4)–5/6\n7", "-4--5-6 7"),
        ("٤۵❻", "456"),
        ("+1: don’t", "+1: don't"),
        ("a_b", "a-b"),
    ],
)
def test_the_outline_of_a_text(text: str, lines: str) -> None:
    assert outline(text) == lines


@given(some.text())
def test_an_outline_keeps_its_places(text: str) -> None:
    assert len(outline(text)) == len(text)
