"""YAML 1.2 scalars, hostile YAML (rows 19, 21), and what is said where a text is no YAML."""
# ruff: noqa: E501

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mcpgate.errors import SpecError
from mcpgate.spec.yaml_loader import MAX_DEPTH, MAX_NODES
from mcpgate.spec.yaml_text import MAX_BYTES, load
from tests.spec.files import connector, problems, text


def value(given: str) -> Any:
    return load("f.yaml", f"a: {given}\n".encode()).value["a"]


def refusal(data: str | bytes) -> str:
    with pytest.raises(SpecError) as caught:
        load("f.yaml", data.encode() if isinstance(data, str) else data)
    (problem,) = caught.value.problems
    return problem.removeprefix("f.yaml:")


@pytest.mark.parametrize(
    "given", ["no", "yes", "on", "off", "y", "N", "2022-11-28", "12:30", "1:2:3", "0b1", "1_000"]
)
def test_what_yaml_1_1_would_turn_into_something_else_stays_text(given: str) -> None:
    assert value(given) == given


@pytest.mark.parametrize(
    "given", ["0x", "0o8", "1e", ".", "+", ".inf", "-.INF", ".nan", "=", "None", "TRue", "~x"]
)
def test_what_is_no_number_and_no_word_of_yaml_is_text(given: str) -> None:
    assert value(given) == given


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("+12", 12),
        ("-0", 0),
        ("18446744073709551615", 2**64 - 1),
        ("1e3", 1000.0),
        ("-1.5E-1", -0.15),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("Null", None),
        ("'no'", "no"),
        ('"010"', "010"),
        ("'null'", "null"),
    ],
)
def test_core_scalars(given: str, expected: Any) -> None:
    found = value(given)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("key", ["401", "no", "null", "true", "2022-11-28", "1.0", "'401'", "0x10"])
def test_keys_are_the_texts_that_were_written(key: str) -> None:
    assert load("f.yaml", f"{key}: x\n".encode()).value == {key.strip("'"): "x"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 x\n" + "".join(f"a{i}: &a{i} {'[' * 30}*a{i - 1}{']' * 30}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param("a: " + "[" * 200_000, "nested more than 64 deep", id="brackets"),
        pytest.param("a: " + "{a: " * 200_000, "nested more than 64 deep", id="braces"),
        pytest.param("\n".join(" " * i + "a:" for i in range(500)), "nested more than 64 deep", id="indentation"),
        pytest.param(BOMB, "more than 100,000 values, aliases expanded", id="alias bomb"),
        pytest.param(CHAIN, "nested more than 64 deep", id="depth through aliases"),
        pytest.param("a: &a [*a]", "no anchor &a is closed before this", id="recursive alias"),
        pytest.param("a: &a {b: *a}", "no anchor &a is closed before this", id="recursive alias in a mapping"),
        pytest.param("a: *b", "no anchor &b is closed before this", id="undefined alias"),
        pytest.param("a: &x 1\nb: &x [*x]", "the anchor &x is given a second time", id="anchor twice"),
        pytest.param("a: &x [&x 1]", "the anchor &x is given a second time", id="anchor in itself"),
        pytest.param("a: !!python/object/apply:os.system [ls]", "tags (!) are not read", id="python tag"),
        pytest.param("!!python/name:os.system x: 1", "tags (!) are not read", id="python tag on a key"),
        pytest.param("a: !own x", "tags (!) are not read", id="own tag"),
        pytest.param("a: !!binary aGk=", "tags (!) are not read", id="binary"),
        pytest.param("a: !!timestamp 2020-01-01", "tags (!) are not read", id="timestamp"),
        pytest.param("a: !!set {b}", "tags (!) are not read", id="set"),
        pytest.param("a: !!int b", "tags (!) are not read", id="int that is none"),
        pytest.param("a: ! b", "tags (!) are not read", id="the bare tag"),
        pytest.param("a: 1\n---\na: 2", "a file holds one document; there is a second one here", id="second"),
        pytest.param("? [a]\n: b", "a key must be a text", id="list as key"),
        pytest.param("{a: 1}: b", "a key must be a text", id="mapping as key"),
        pytest.param("a: 0x" + "f" * 5000, "a number of this size is not read", id="huge hexadecimal"),
        pytest.param("a: " + "9" * 5000, "a number of this size is not read", id="huge integer"),
        pytest.param("a: 18446744073709551616", "a number of this size is not read", id="beyond 64 bits"),
        pytest.param("a: 1e999", "a number of this size is not read", id="infinite"),
        pytest.param("a: " + "x" * MAX_BYTES, "the file has more than 1,048,576 bytes", id="1 MiB"),
        pytest.param(b"a: 1\nb: \xff\xfe", "2:1: this is not UTF-8 text", id="invalid UTF-8"),
        pytest.param("a: 1".encode("utf-16"), "this is not UTF-8 text", id="UTF-16"),
        pytest.param("a: é\nb: x\0", "2:5: the character U+0000 cannot stand in YAML", id="NUL"),
        pytest.param('a: "\x1b[2J"', "1:5: the character U+001B cannot stand in YAML", id="control character"),
        pytest.param('a: "\\ud800"', "invalid Unicode character escape code", id="lone surrogate"),
        pytest.param("", "the file must be a mapping", id="empty"),
        pytest.param("# nothing", "the file must be a mapping", id="only a comment"),
        pytest.param("- a", "the file must be a mapping", id="list"),
        pytest.param("hello", "the file must be a mapping", id="text"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_with_its_place(given: str | bytes, says: str) -> None:  # row 21
    assert says in refusal(given)


def test_the_bounds_are_not_tighter_than_they_say() -> None:
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert load("f.yaml", f"a: {deep}".encode()).value
    assert "nested" in refusal(f"a: [{deep}]")
    wide = ",".join("x" * (MAX_NODES - 3))
    assert len(load("f.yaml", f"a: [{wide}]".encode()).value["a"]) == MAX_NODES - 3
    assert "more than" in refusal(f"a: [{wide},x]")
    full = b"a: " + b"x" * (MAX_BYTES - 3)
    assert load("f.yaml", full).value


@pytest.mark.parametrize(
    "nest", ["{type: array, items: %s}", "{anyOf: [%s]}", "{type: object, properties: {a: %s}}"]
)
def test_what_is_as_deep_as_allowed_is_checked_without_a_crash(nest: str) -> None:
    schema = "{type: string}"
    while (nest % schema).count("{") + (nest % schema).count("[") <= MAX_DEPTH - 5:
        schema = nest % schema
    assert connector(text(tool=f"params: {{ id: {schema} }}")).tools
    wrong = schema.replace("{type: string}", "{type: strin}")
    assert "did you mean 'string'?" in problems(text(tool=f"params: {{ id: {wrong} }}"))[0]


def test_the_crash_of_the_c_loader_is_real_and_kept_out() -> None:
    """Without the bound the process dies, so the bound is tried in a process of its own."""
    code = (
        "from mcpgate.spec.yaml_text import load\n"
        "from mcpgate.errors import SpecError\n"
        "try: load('f.yaml', b'a: ' + b'[' * 200000)\n"
        "except SpecError: print('refused')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (0, "refused\n")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("\n".join(f"key{i}: 1" for i in range(45_000)), id="45,000 unknown keys"),
        pytest.param("connector: a\nheaders:\n" + "\n".join(f" k{i}: 1" for i in range(45_000)), id="45,000 wrong values"),
        pytest.param("\n".join("a: 1" for _ in range(45_000)), id="one key 45,000 times"),
        pytest.param("private: [" + "1," * 90_000 + "]", id="90,000 wrong items"),
        pytest.param(f"{'k' * 900}: 1\nconnector: {'c' * 900_000}", id="900,000 characters"),
    ],
)  # fmt: skip
def test_a_file_full_of_faults_is_told_at_once_and_in_short(given: str) -> None:
    told = problems(given)
    assert len(told) <= 101
    assert max(map(len, told)) < 500


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("a: b: c", "1:5: a colon stands where no key can be; if it belongs to a text, quote it"),
        ("a: {b: c: d}", "1:9: a comma, bracket or colon broke an unquoted text (quote it), or a bracket is not closed"),
        ("a: [b, c\nd: e", "2:2: a comma, bracket or colon broke an unquoted text (quote it), or a bracket is not closed"),
        ("a: {b: c [d] e}", "1:10: a comma, bracket or colon broke an unquoted text (quote it), or a bracket is not closed"),
        ("a: 'it's'", "1:8: this fits nothing above it: mend the indentation, or if it belongs to a text, quote it"),
        ("a:\n   b: 1\n  c: 2", "3:3: this fits nothing above it: mend the indentation, or if it belongs to a text, quote it"),
        ("a:\n - b\n c: 1", "3:2: this line is no item of the list above it: mend the indentation, or begin it with -"),
        ("a: |\n x\nq", "4:1: a key has no ':' after it; if this belongs to a text, quote it"),
        ("a: ]", "1:4: a bracket or comma stands where a value has to be; if it is a text, quote it"),
        ("a: *", "1:5: a text cannot start with * or &; quote it"),
        ("a: @b", "1:4: a text cannot start with @; quote it"),
        ("é: 1\na: `b`", "2:4: a text cannot start with `; quote it"),
        ("a: %b", "1:4: a text cannot start with %; quote it"),
        ("a:\n\tb: 1", "2:1: YAML is indented with spaces, not tabs"),
        ('a: "\\w+"', "1:5: in double quotes a backslash is doubled; in single quotes it is itself"),
        ('a: 1\nb: "c\nd: e', "2:4: the quote that opens here is not closed"),
        ("a: - b", "1:4: a list item stands where none can be; begin it on a line of its own"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_told_in_plain_words(given: str, says: str) -> None:
    assert refusal(given) == says


@pytest.mark.parametrize(
    "change", [lambda s: "\ufeff" + s, lambda s: s.replace("\n", "\r\n"), lambda s: s + "...\n"]
)
def test_a_bom_windows_line_ends_and_an_end_mark_change_nothing(change: Any) -> None:
    file = text("timeout: 10")
    assert connector(change(file)).tools == connector(file).tools
    assert problems(change(text("timeout: x"))) == problems(text("timeout: x"))
