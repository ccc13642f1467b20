"""JSON line by line: hostile text is refused, and its sender learns it under the id it is waiting for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgate.server.lines import (
    INVALID_REQUEST,
    LONGEST_LINE,
    PARSE_ERROR,
    Lines,
    WireError,
    error_line,
    is_id,
    line_of,
    read,
    result_line,
)

DEEP = 100_000


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        pytest.param(b"", PARSE_ERROR, None, id="nothing"),
        pytest.param(b"hello", PARSE_ERROR, None, id="no JSON"),
        pytest.param(b'{"id":1', PARSE_ERROR, None, id="cut off"),
        pytest.param(b'{"id":1} {"id":2}', PARSE_ERROR, None, id="two on one line"),
        pytest.param(b'{"id":1,}', PARSE_ERROR, None, id="trailing comma"),
        pytest.param(b"{'id':1}", PARSE_ERROR, None, id="single quotes"),
        pytest.param(b'{"id":1,"a":"\x00"}', PARSE_ERROR, None, id="raw NUL"),
        pytest.param(b'{"id":1,"a":"\xff"}', PARSE_ERROR, None, id="no UTF-8"),
        pytest.param(b'{"id":1,"a":"\xed\xa0\x80"}', PARSE_ERROR, None, id="a surrogate as bytes"),
        pytest.param('{"id":1}'.encode("utf-16"), PARSE_ERROR, None, id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"id":1}', PARSE_ERROR, None, id="byte order mark"),
        pytest.param(b"[" * DEEP, PARSE_ERROR, None, id="depth bomb"),
        pytest.param(b"[" * DEEP + b"]" * DEEP, PARSE_ERROR, None, id="closed depth bomb"),
        pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, PARSE_ERROR, None, id="deep objects"),
        pytest.param(b'{"id":1,"a":NaN}', PARSE_ERROR, 1, id="NaN"),
        pytest.param(b'{"id":"x","a":[-Infinity]}', PARSE_ERROR, "x", id="infinity"),
        pytest.param(b'{"id":1,"a":"\\ud800"}', PARSE_ERROR, 1, id="half a pair"),
        pytest.param(b'{"id":1,"a":{"\\uDEAD":1}}', PARSE_ERROR, 1, id="half a pair in a key"),
        pytest.param(b'{"id":"\\ud800"}', PARSE_ERROR, None, id="half a pair in the id"),
        pytest.param(b'{"id":1,"a":1e999}', INVALID_REQUEST, 1, id="overflow"),
        pytest.param(b'{"id":1,"a":-1e999}', INVALID_REQUEST, 1, id="negative overflow"),
        pytest.param(b'{"id":1,"a":' + b"9" * 5000 + b"}", INVALID_REQUEST, 1, id="5,000 digits"),
        pytest.param(b'{"id":' + b"9" * 5000 + b"}", INVALID_REQUEST, None, id="5,000 digits of id"),
        pytest.param(b'{"id":1,"a":1,"a":1}', INVALID_REQUEST, 1, id="a key twice"),
        pytest.param(b'{"id":1,"params":{"x":[{"a":1,"b":2,"a":3}]}}', INVALID_REQUEST, 1, id="deep down"),
        pytest.param(b'{"id":1,"a":1,"\\u0061":2}', INVALID_REQUEST, 1, id="spelt differently"),
        pytest.param(b'{"id":1,"id":1}', INVALID_REQUEST, None, id="the id twice"),
        pytest.param(b'{"id":1,"\\u0069d":2}', INVALID_REQUEST, None, id="the id twice, spelt differently"),
        pytest.param(b'{"a":1,"a":2}', INVALID_REQUEST, None, id="no id"),
        pytest.param(b'{"id":1.0,"a":1,"a":2}', INVALID_REQUEST, None, id="no proper id"),
        pytest.param(b'[{"id":1,"a":1,"a":2}]', INVALID_REQUEST, None, id="the id of another object"),
        pytest.param(b'{"x":{"id":1},"a":1,"a":2}', INVALID_REQUEST, None, id="the id of an inner object"),
    ],
)
def test_hostile_text_is_refused(line: bytes, code: int, request_id: int | str | None) -> None:
    with pytest.raises(WireError) as caught:
        read(line)
    assert caught.value.code == code
    assert caught.value.request_id == request_id
    answer = json.loads(error_line(caught.value))
    assert answer["id"] == request_id
    assert answer["error"]["code"] == code


def test_the_key_that_stands_twice_is_named() -> None:
    with pytest.raises(WireError, match="the key 'amount' stands twice in one object"):
        read(b'{"id":1,"params":{"amount":1,"amount":100000}}')


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b' {"a" : 1}\r', {"a": 1}),
        (b'{"a":"\\ud83d\\ude00 \\u0000 \\\\ud800"}', {"a": "😀 \0 \\ud800"}),
        (b'{"A":1,"a":2}', {"A": 1, "a": 2}),
        (b"[1e308,-0,0.1,12345678901234567890]", [1e308, 0, 0.1, 12345678901234567890]),
    ],
)
def test_odd_but_sound_json_is_read(line: bytes, value: object) -> None:
    assert read(line) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, st.booleans())
def test_whatever_is_written_is_read_again(value: Any, ascii_only: bool) -> None:
    assert read(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    assert read(line_of({"value": value})) == {"value": value}


@given(st.binary())
def test_any_bytes_are_json_or_refused(line: bytes) -> None:
    try:
        value = read(line)
    except WireError:
        return
    assert value == json.loads(line.decode())


@pytest.mark.parametrize("value", [0, -1, 10**400, "", "a"])
def test_an_id(value: object) -> None:
    assert is_id(value)


@pytest.mark.parametrize("value", [None, True, False, 1.0, [], {}])
def test_no_id(value: object) -> None:
    assert not is_id(value)


def test_what_cannot_be_written_is_replaced() -> None:
    assert json.loads(line_of({"text": "a\ud800b"})) == {"text": "a?b"}
    assert json.loads(result_line(7, '"text":"a\ud800b"'))["result"] == {"text": "a?b"}


@given(st.lists(st.binary()), st.lists(st.integers(min_value=1, max_value=9)))
def test_lines_come_out_whatever_the_chunks(parts: list[bytes], sizes: list[int]) -> None:
    text = b"\n".join(parts) + b"\n"
    lines, found, rest = Lines(), [], text
    for size in [*sizes, len(text)]:
        found += lines.feed(rest[:size])
        rest = rest[size:]
    assert found == text.split(b"\n")[:-1]


def test_a_long_line_is_dropped_and_the_next_one_read() -> None:
    lines = Lines()
    chunk = b"x" * 1024 * 1024
    for _ in range(10):
        assert lines.feed(chunk) == []
        assert len(lines._start) <= LONGEST_LINE
    assert not lines._start
    assert lines.feed(b"end\nnext\nla") == [None, b"next"]
    assert lines.feed(b"st\n") == [b"last"]


def test_the_longest_line_is_read_whole() -> None:
    lines = Lines()
    assert lines.feed(b"x" * LONGEST_LINE + b"\n" + b"x" * (LONGEST_LINE + 1) + b"\n") == [
        b"x" * LONGEST_LINE,
        None,
    ]
