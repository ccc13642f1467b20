"""JSON with comments: what is not touched stays as it was, letter by letter."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgate.clients import TextError
from mcpgate.clients.json_text import drop, put, read, write

PLACE = ("servers", "new")
ENTRY: dict[str, Any] = {"command": "/m", "args": ["run", "x"], "env": {"A": "b"}}


def entry(indent: str, unit: str = "  ") -> str:
    """The entry as it is written at an indentation."""
    return f'"new": {write(ENTRY, unit, indent)}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "servers": {\n    ' + entry("    ") + "\n  }\n}\n"),
        ("// mine\n", '// mine\n{\n  "servers": {\n    ' + entry("    ") + "\n  }\n}\n"),
        ("{}", '{\n  "servers": {\n    ' + entry("    ") + "\n  }\n}"),
        ('{"a":1}', '{"a":1,\n  "servers": {\n    ' + entry("    ") + "\n  }\n}"),
        (
            '{\n\t"a": 1.0, // one\n\t"b": 2 // two\n}\n',
            '{\n\t"a": 1.0, // one\n\t"b": 2, // two\n\t"servers": {\n\t\t'
            + entry("\t\t", "\t")
            + "\n\t}\n}\n",
        ),
        ('{\n  "servers": {}\n}', '{\n  "servers": {\n    ' + entry("    ") + "\n  }\n}"),
        (
            '{\n    "servers": {\n        // none yet\n    },\n    "z": "}"\n}',
            '{\n    "servers": {\n        // none yet\n        '
            + entry("        ", "    ")
            + '\n    },\n    "z": "}"\n}',
        ),
        (
            '{ "servers": { "old": {} /* c */, }, }',
            '{ "servers": { "old": {} /* c */,\n  ' + entry("  ") + "\n}, }",
        ),
        (
            '{\n  "servers": {\n    "new": { "url": "//x", /* c */ },\n    "o": 1e5\n  }\n}',
            '{\n  "servers": {\n    ' + entry("    ") + ',\n    "o": 1e5\n  }\n}',
        ),
    ],
)
def test_put(before: str, after: str) -> None:
    assert put(before, PLACE, ENTRY) == after
    assert read(after, comments=True)["servers"]["new"] == ENTRY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"servers": {"new": 1}}', '{"servers": {}}'),
        ('{"servers": {"new": 1, "o": 2}}', '{"servers": {"o": 2}}'),
        ('{"servers": {"o": 2, "new": 1}}', '{"servers": {"o": 2 }}'),
        (
            '{\n  "servers": {\n    "o": 1, // o\n    "new": {} // new\n  }\n}',
            '{\n  "servers": {\n    "o": 1 // o\n    // new\n  }\n}',
        ),
        (
            '{\n  "servers": {\n    // above\n    "new": {},\n    "o": 1\n  }\n}',
            '{\n  "servers": {\n    // above\n    "o": 1\n  }\n}',
        ),
        ('{\n  "servers": {\n    "new": {},\n  }\n}', '{\n  "servers": {\n  }\n}'),
    ],
)
def test_drop(before: str, after: str) -> None:
    assert drop(before, PLACE) == after


@pytest.mark.parametrize(
    ("text", "comments", "line", "column"),
    [
        ('{\n  "a": 1,\n}', False, 3, 1),
        ("{\n  // c\n}", False, 2, 3),
        ('{\n  "a": 1 /* \n}', True, 2, 10),
        ('{\n  "a" 1\n}', True, 2, 7),
        ("[]", True, 1, 1),
        ('{"a": NaN}', True, 1, 1),
        ("[" * 100_000, True, 1, 1),
    ],
)
def test_where_a_text_is_wrong(text: str, comments: bool, line: int, column: int) -> None:
    with pytest.raises(TextError) as caught:
        read(text, comments=comments)
    assert (caught.value.line, caught.value.column) == (line, column)


SPACES = st.sampled_from(["", " ", "\n", "\n  ", "\r\n\t"])
COMMENTS = st.sampled_from(["", "", '// c, "q" {\n', "/* } ] , */", "//\r\n"])
KEYS = st.sampled_from(["servers", "new", "a", 'q"\\', "}", "//", "/*", "ü\u2028", "x y"])
SCALARS = st.sampled_from(
    ["1", "-0.0", "1e400", "12345678901234567890", "true", "null", '"\\ud800"', '"/*,]"', '""']
)


@st.composite
def gaps(draw: st.DrawFn) -> str:
    """White space and comments, as they may stand between any two tokens."""
    return draw(SPACES) + draw(COMMENTS) + draw(SPACES)


@st.composite
def members(draw: st.DrawFn, depth: int, keys: st.SearchStrategy[str]) -> str:
    """An object in any layout."""
    names = draw(st.lists(keys, unique=True, max_size=4))
    texts = [
        draw(gaps())
        + json.dumps(name)
        + draw(gaps())
        + ":"
        + draw(gaps())
        + draw(values(depth, name))
        + draw(gaps())
        for name in names
    ]
    comma = draw(st.sampled_from(["", ","])) if texts else ""
    return "{" + ",".join(texts) + comma + draw(gaps()) + "}"


@st.composite
def values(draw: st.DrawFn, depth: int, name: str) -> str:
    """A value in any layout; under `servers` at the root it is an object."""
    if depth == 1 and name == "servers":
        return draw(members(depth + 1, KEYS))
    kind = draw(st.sampled_from(["scalar", "object", "list"])) if depth < 4 else "scalar"
    if kind == "object":
        return draw(members(depth + 1, KEYS))
    if kind == "list":
        return "[" + draw(gaps()) + ",".join(draw(st.lists(SCALARS, max_size=3))) + draw(gaps()) + "]"
    return draw(SCALARS)


TEXTS = st.builds(lambda a, text, b: a + text + b, gaps(), members(1, KEYS), gaps())


def without_space(text: str) -> str:
    return re.sub(r"\s", "", text)


def contains_in_order(longer: str, shorter: str) -> bool:
    rest = iter(longer)
    return all(letter in rest for letter in shorter)


@given(TEXTS)
def test_an_entry_comes_and_goes_and_the_rest_stays(text: str) -> None:
    said = read(text, comments=True)
    servers = said.get("servers", {})
    longer = put(text, PLACE, ENTRY)
    assert read(longer, comments=True) == {**said, "servers": {**servers, "new": ENTRY}}
    if "new" not in servers:
        assert contains_in_order(without_space(longer), without_space(text))
    rest = {key: value for key, value in servers.items() if key != "new"}
    shorter = drop(longer, PLACE)
    assert read(shorter, comments=True) == {**said, "servers": rest}
    assert contains_in_order(without_space(longer), without_space(shorter))
    for comment in ('//c,"q"{', "/*}],*/"):
        assert without_space(shorter).count(comment) >= without_space(text).count(comment) * (
            "new" not in servers
        )
