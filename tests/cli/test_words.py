"""The words of `run` read by a look give what the library for command lines gives, or are left to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.cli.commands import app
from mcpgate.cli.opening import Options
from mcpgate.cli.words import run_options
from mcpgate.errors import UsageError

READ: dict[str, dict[str, Any]] = {
    "shop": {"connectors": ["shop"]},
    "shop ./b.yaml": {"connectors": ["shop", "./b.yaml"]},
    "--sandbox shop --live": {"connectors": ["shop"], "sandbox": True, "live": True},
    "shop --preset a=b -p c": {"connectors": ["shop"], "presets": ["a=b", "c"]},
    "shop --preset=a=b": {"connectors": ["shop"], "presets": ["a=b"]},
    "shop --policy a.yaml --policy b.yaml": {"connectors": ["shop"], "policies": ["a.yaml", "b.yaml"]},
    "shop --only a --without b": {"connectors": ["shop"], "only": ["a"], "without": ["b"]},
    "shop --setting a=b --account c": {"connectors": ["shop"], "settings": ["a=b"], "accounts": ["c"]},
    "--app desk": {"app": "desk"},
}
LISTS = ("connectors", "presets", "policies", "only", "without", "settings", "accounts")
LEFT = (
    "shop --help",
    "shop --preset",
    "shop --preset -x",
    "shop --preset=-x",
    "shop -pa",
    "shop -p=a",
    "shop --pre a",
    "shop --live=yes",
    "shop -- b",
    "shop -",
    "shop --allow a",
    "--app a --app b",
    "--url http://127.0.0.1:1/mcp",
    "shop --url=http://127.0.0.1:1/mcp",
)
REFUSED = ["", "--sandbox", "shop --app desk", "--app desk --live", "--app desk --preset a", "--app="]
WORDS = "shop ./b.yaml - -- -p -pa -p=a --preset --preset= --preset=a --preset=-a --only --live --live=1 "
WORDS += "--sandbox --setting a=b --app --app=desk --url --account x -h --pre ="


def by_the_library(words: Sequence[str]) -> Options:
    found: list[Options] = []
    app(list(words), prog_name="mcpgate", standalone_mode=False, obj=found.append)
    return found[0]


@pytest.mark.parametrize("text", READ)
def test_what_is_read_by_a_look(text: str) -> None:
    words = ["run", *text.split()]
    expected = Options(**{**{name: [] for name in LISTS}, **READ[text]})
    assert run_options(words) == expected
    assert by_the_library(words) == expected


@pytest.mark.parametrize("words", [[], ["tools", "shop"], *(["run", *text.split()] for text in LEFT)])
def test_what_is_out_of_the_ordinary_is_left_to_the_library(words: list[str]) -> None:
    assert run_options(words) is None


@pytest.mark.parametrize("text", REFUSED)
def test_what_contradicts_itself_is_refused_as_by_the_library(text: str) -> None:
    words = ["run", *text.split()]
    with pytest.raises(UsageError) as by_a_look:
        run_options(words)
    with pytest.raises(UsageError) as refused:
        by_the_library(words)
    assert (by_a_look.value.message, by_a_look.value.hint) == (refused.value.message, refused.value.hint)


@given(some.lists(some.sampled_from([*WORDS.split(), ""]) | some.text(max_size=3), max_size=5))
def test_a_look_never_gives_anything_else(words: list[str]) -> None:
    words = ["run", *words]
    try:
        options = run_options(words)
    except UsageError as error:
        with pytest.raises(UsageError, match=error.message.split(":")[0]):
            by_the_library(words)
    else:
        assert options is None or options == by_the_library(words)
