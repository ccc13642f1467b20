"""TOML: what is not touched stays as it was, line by line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcpgate.clients import TextError
from mcpgate.clients.toml_text import drop, put, read

PLACE = ("servers", "new")
ENTRY: dict[str, Any] = {"command": "/m", "args": ["run", 'a"b'], "env": {"A b": "c"}}
WRITTEN = '[servers.new]\ncommand = "/m"\nargs = ["run", "a\\"b"]\nenv = { "A b" = "c" }\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", WRITTEN),
        ("a = 1 # one", "a = 1 # one\n\n" + WRITTEN),
        ("[servers.old]\nx = 1\n\n", "[servers.old]\nx = 1\n\n" + WRITTEN),
        (
            "[servers.new] # mine\ncommand = '''\n[servers.new]\n''' # why\n[servers.new.env]\nK = 1\n"
            "# of the next\n[z]\na = [\n  ['b'],\n]\n",
            WRITTEN + "# of the next\n[z]\na = [\n  ['b'],\n]\n",
        ),
        ("[servers.new.env]\nK = 1\n[z]\n[servers.new]\nx = 1\n", WRITTEN + "[z]\n"),
        ('["servers"."new"]\nx = 1\n', WRITTEN),
    ],
)
def test_put(before: str, after: str) -> None:
    assert put(before, PLACE, ENTRY) == after
    assert read(after)["servers"]["new"] == ENTRY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = 1\n\n[servers.new]\nx = 1\n", "a = 1\n"),
        ("[servers.new]\nx = 1\n\n# z\n[z]\n", "\n# z\n[z]\n"),
        ("[servers.new]\nx = 1\n[servers.new.env]\nx = 1\n[servers.newer]\n", "[servers.newer]\n"),
        ("[[servers.new]]\nx = 1\n[[servers.newer]]\n", "[[servers.newer]]\n"),
    ],
)
def test_drop(before: str, after: str) -> None:
    assert drop(before, PLACE) == after


@pytest.mark.parametrize(
    ("text", "line", "column"), [("a = 1\nb = [1\nc = 2\n", 3, 1), ("a", 1, 1), ("a = 1\na = 2\n", 2, 6)]
)
def test_where_a_text_is_wrong(text: str, line: int, column: int) -> None:
    with pytest.raises(TextError) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (line, column)


BLOCKS = st.sampled_from(
    [
        "# a comment with a [servers.new] in it\n",
        "\n",
        "\n\n",
        "[servers]\n# none\n",
        "[servers.old]\ncommand = 'x'  # why\nargs = [\n  'a', # a\n  ['[servers.new]'],\n]\n",
        "[servers.old.env]\r\nK = 'v'\r\n",
        "[servers.new]\ncommand = 'x'\n# inside\nurl = 'y'\n",
        "[servers.new.tools.a]\nmode = 'z'\n",
        "[ 'servers' . newer ]\nx = 1979-05-27T07:32:00Z\n",
        '[text]\nlong = """\n[servers.new]\ncommand = 1\n"""\n',
        "[[list]]\na = 1\n[[list]]\na.b = 2\n",
        "[z]\ninline = { a = { b = [1, 2] } }\n",
        "[numbers]\ntop = inf\n",
        "# of\u2028 one line\n",
    ]
)


def lines_of(text: str) -> list[str]:
    """The lines that are not blank, however they end."""
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


@given(st.lists(BLOCKS, max_size=8), st.booleans())
def test_an_entry_comes_and_goes_and_the_rest_stays(blocks: list[str], ended: bool) -> None:
    text = "".join(blocks)
    text = text if ended else text.rstrip("\r\n")
    try:
        said = read(text)
    except TextError:
        assume(False)
    servers = said.get("servers", {})
    longer = put(text, PLACE, ENTRY)
    assert read(longer) == {**said, "servers": {**servers, "new": ENTRY}}
    rest = {key: value for key, value in servers.items() if key != "new"}
    shorter = drop(longer, PLACE)
    without = {key: value for key, value in said.items() if key != "servers"}
    left = read(shorter)
    assert left.pop("servers", {}) == rest
    assert left == without
    own = [block for block in blocks if block.startswith(("[servers.new]", "[servers.new."))]
    others = lines_of("".join(block for block in blocks if block not in own))
    rest_of_longer = iter(lines_of(longer))
    assert all(line in rest_of_longer for line in others), "a line of the rest is not there any more"
    assert lines_of(shorter) == others
