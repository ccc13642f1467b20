"""HTTP itself: what is read in one way only, and in turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from mcpgate.server.web.door import Limits
from mcpgate.values import Outcome
from tests.server.http_apps import Apps, Running, call, key_of, running, until
from tests.server.process import request
from tests.standins.loopback import Loopback, Reply

LIST = json.dumps(request(7, "tools/list")).encode()
SLOW = json.dumps(call("shop_send_note", to="a", text="b")).encode()
QUICK = Limits(arrival=1.5, idle=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Loopback(otherwise=Reply(wait=0.2)) as api, running(Apps(api.url, "billing"), QUICK) as server:
        yield server


def head(server: Running, *lines: str, start: str = "POST /mcp HTTP/1.1") -> bytes:
    """The beginning of a request that would be taken, with more lines."""
    sent = [
        start,
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {key_of('billing')}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        *lines,
    ]
    return "\r\n".join([*sent, "", ""]).encode("latin-1")


def sized(server: Running, body: bytes = LIST, *lines: str, start: str = "POST /mcp HTTP/1.1") -> bytes:
    return head(server, *lines, f"Content-Length: {len(body)}", start=start) + body


def chunked(server: Running, *lines: str, trailer: bytes = b"") -> bytes:
    body = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n" % (9, LIST[:9], len(LIST) - 9, LIST[9:])
    return head(server, *lines, "Transfer-Encoding: chunked") + body + trailer + b"\r\n"


def talk(server: Running, *pieces: bytes, pause: float = 0.02) -> list[bytes]:
    """Everything that comes back until nothing more does: one entry for each answer."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        found = b""
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        with contextlib.suppress(OSError):
            while more := connection.recv(65536):
                found += more
                connection.settimeout(0.4)
    return [b"HTTP/1.1 " + answer for answer in found.split(b"HTTP/1.1 ")[1:]]


def statuses(answers: list[bytes]) -> list[int]:
    return [int(answer.split()[1]) for answer in answers]


# --- one reading -----------------------------------------------------------------------------------------

ODD_LINES = {
    "both lengths": ["Transfer-Encoding: chunked", f"Content-Length: {len(LIST)}"],
    "a length twice": [f"Content-Length: {len(LIST)}"] * 2,
    "a list of lengths": [f"Content-Length: {len(LIST)}, {len(LIST)}"],
    "a length with a sign": [f"Content-Length: +{len(LIST)}"],
    "a space before the colon": [f"Content-Length : {len(LIST)}"],
    "another encoding": ["Transfer-Encoding: gzip, chunked"],
    "no encoding": ["Transfer-Encoding: identity"],
    "an encoding twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "an encoding like it": ["Transfer-Encoding: xchunked"],
    "a tab of another kind": ["Transfer-Encoding: \x0bchunked"],
    "a folded line": ["X-A: a", " b", f"Content-Length: {len(LIST)}"],
    "a bare line feed": [f"X-A: a\nContent-Length: {len(LIST)}"],
    "a bare return": [f"X-A: a\rContent-Length: {len(LIST)}"],
    "a zero byte": ["X-A: a\0b", f"Content-Length: {len(LIST)}"],
    "no colon": ["X-A", f"Content-Length: {len(LIST)}"],
    "no name": [": a", f"Content-Length: {len(LIST)}"],
}
ODD_STARTS = [
    "POST http://127.0.0.1/mcp HTTP/1.1",
    "POST mcp HTTP/1.1",
    "POST /mcp#mgw_x HTTP/1.1",
    "POST /mcp HTTP/2.0",
    "POST /mcp HTTP/1.2",
    "POST /mcp HTTP/0.9",
    "POST /mcp",
    "post /mcp HTTP/1.1",
    "BREW /mcp HTTP/1.1",
    "CONNECT 127.0.0.1:80 HTTP/1.1",
    "CONNECT /mcp HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "PRI * HTTP/2.0",
    "POST /m\xe9 HTTP/1.1",
]


@pytest.mark.parametrize("case", ODD_LINES)
def test_a_body_whose_end_could_be_read_in_two_ways_is_refused(server: Running, case: str) -> None:
    sent = head(server, *ODD_LINES[case]) + LIST
    assert statuses(talk(server, sent)) == [400]


@pytest.mark.parametrize("start", ODD_STARTS)
def test_a_request_line_that_is_not_the_usual_is_refused(server: Running, start: str) -> None:
    assert statuses(talk(server, sized(server, start=start))) == [400]


def test_chunks_of_the_earlier_http_are_refused(server: Running) -> None:
    sent = chunked(server)
    assert statuses(talk(server, sent)) == [200]
    assert statuses(talk(server, sent.replace(b"HTTP/1.1", b"HTTP/1.0"))) == [400]


@pytest.mark.parametrize("chunk", [b"0x1", b"-1", b"+1", b"1 ", b"g", b"f" * 20, b"1\n", b"1;a\nb"])
def test_a_chunk_whose_size_is_none(server: Running, chunk: bytes) -> None:
    sent = head(server, "Transfer-Encoding: chunked") + chunk + b"\r\nx\r\n0\r\n\r\n"
    assert statuses(talk(server, sent))[0] == 400


def test_what_comes_after_the_body_is_no_header(server: Running) -> None:
    """Whoever decides by the headers has decided, and the next request begins with its own."""
    trailer = b"Authorization: Bearer none\r\nMcp-Protocol-Version: 1\r\nX-Last:\r\n"
    for parts in (
        [chunked(server, trailer=trailer)],
        [*chunked(server, trailer=trailer).partition(b"0\r\nA")],
    ):
        answers = talk(server, *parts, sized(server), pause=0.05)
        assert statuses(answers) == [200, 200]


def test_a_name_and_a_value_may_come_letter_by_letter(server: Running) -> None:
    sent = sized(server, LIST, "X-Empty:", "X-Spaces:   a b  \t", start="\r\nPOST /mcp HTTP/1.1")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        for letter in sent:
            connection.sendall(bytes([letter]))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_waits_for_leave_is_asked_for_when_its_key_is_known(server: Running) -> None:
    asked = sized(server, LIST, "Expect: 100-continue")
    place = len(asked) - len(LIST)
    assert statuses(talk(server, asked[:place], asked[place:])) == [100, 200]
    unknown = asked[:place].replace(b"Bearer mgw_b", b"Bearer mgw_c")
    assert unknown != asked[:place]
    assert statuses(talk(server, unknown))[:1] == [401]


# --- one at a time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "together"), [(LIST, True), (SLOW, True), (SLOW, False)])
@pytest.mark.parametrize("after", ["request", "part", "garbage", "much"])
def test_who_asks_again_before_the_answer_gets_one_answer(
    server: Running, body: bytes, together: bool, after: str
) -> None:
    """And it is the answer to the first: nothing that follows takes its place."""
    more = {
        "request": sized(server),
        "part": sized(server)[:40],
        "garbage": b"\0\0\0\r\n\r\n",
        "much": sized(server) * 500,
    }[after]
    sent = [sized(server, body) + more] if together else [sized(server, body), more]
    answers = talk(server, *sent)
    assert statuses(answers) == [200]
    assert b"connection: close" in answers[0]
    assert json.loads(answers[0].partition(b"\r\n\r\n")[2])["id"] == (7 if body is LIST else 1)


def test_one_after_the_other_is_fine(server: Running) -> None:
    answers = talk(server, sized(server), b"\r\n" + sized(server), chunked(server), sized(server), pause=0.05)
    assert statuses(answers) == [200] * 4


def test_garbage_after_an_answer_is_refused(server: Running) -> None:
    assert statuses(talk(server, sized(server), b"\0\0\r\n\r\n", pause=0.05)) == [200, 400]


def test_garbage_within_a_body_is_refused(server: Running) -> None:
    sent = head(server, "Transfer-Encoding: chunked") + b"1\r\nx"
    assert statuses(talk(server, sent, b"no end of a chunk")) == [400]


@pytest.mark.parametrize("together", [True, False])
def test_a_client_that_leaves_after_asking_too_much_is_noticed(server: Running, together: bool) -> None:
    async def wait(*_: object) -> Outcome:
        await asyncio.sleep(20)
        return Outcome("")

    with patch.object(type(server.apps.gates[key_of("billing")]), "call", wait):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            asked, more = sized(server, SLOW), sized(server) * 3
            for piece in (asked + more,) if together else (asked, more):
                connection.sendall(piece)
                until(lambda: bool(server.service.server_state.tasks))
        until(lambda: not server.service.server_state.tasks)


# --- another protocol ------------------------------------------------------------------------------------

UPGRADES = [
    ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
    ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"],
    ["Connection: upgrade", "Upgrade: \xe9"],
]


@pytest.mark.parametrize("lines", UPGRADES, ids=lambda lines: str(lines[1])[9:])
@pytest.mark.parametrize("cut", [0, 40, 250, -20])
def test_who_asks_for_another_protocol_is_answered_in_this_one(
    server: Running, lines: list[str], cut: int
) -> None:
    """Clients offer h2c with their first request: its body is its body, and no request of its own."""
    asked = sized(server, LIST + b" " * 10, *lines)
    parts = [asked[:cut], asked[cut:]] if cut else [asked]
    answers = talk(server, *parts, sized(server), pause=0.05)
    assert statuses(answers) == [200, 200]
    assert json.loads(answers[0].partition(b"\r\n\r\n")[2])["id"] == 7


@pytest.mark.parametrize("lines", UPGRADES, ids=lambda lines: str(lines[1])[9:])
def test_the_body_of_who_asks_for_another_protocol_is_no_request(server: Running, lines: list[str]) -> None:
    inner = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    smuggled = sized(server, inner, *lines)
    place = len(smuggled) - len(inner)
    assert statuses(talk(server, smuggled[:place], smuggled[place:])) == [400]
    assert statuses(talk(server, smuggled)) == [400]
    assert statuses(talk(server, sized(server, LIST, *lines) + inner)) == [200]


# --- how much --------------------------------------------------------------------------------------------


def flood(server: Running, start: bytes, more: bytes) -> list[int]:
    """What is answered to somebody who sends without an end, and how soon it is over."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        found, sent, began = b"", 0, time.monotonic()
        try:
            connection.sendall(start)
            while sent < 50_000_000 and time.monotonic() - began < 8:
                connection.sendall(more)
                sent += len(more)
        except OSError:
            pass
        assert sent < 20_000_000
        connection.settimeout(2)
        try:
            found = connection.recv(65536)
        except OSError:
            return []
    return statuses([found]) if found else []


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"G" * 5000),
        (b"GET /", b"a" * 5000),
        (b"GET / HTTP/1.1\r\nX-", b"a" * 5000),
        (b"GET / HTTP/1.1\r\nX-A: ", b"a" * 5000),
        (b"GET / HTTP/1.1\r\n", b"X-A: a\r\n" * 600),
    ],
)
def test_headers_without_an_end(server: Running, start: bytes, more: bytes) -> None:
    assert flood(server, start, more) in ([], [400], [431])


@pytest.mark.parametrize("start", [b"1;", b"1;a=", b"0\r\nX-A: ", b"0\r\nX-"])
def test_chunks_without_an_end(server: Running, start: bytes) -> None:
    assert flood(server, head(server, "Transfer-Encoding: chunked") + start, b"a" * 5000) in (
        [],
        [400],
        [431],
    )


@pytest.mark.parametrize("size", [15_000, 17_000, 70_000, 300_000])
@pytest.mark.parametrize("pieces", [1, 10])
def test_a_url_counts_as_a_header(server: Running, size: int, pieces: int) -> None:
    sent = sized(server, start=f"POST /mcp?{'a' * size} HTTP/1.1")
    step = len(sent) // pieces + 1
    answers = talk(server, *(sent[place : place + step] for place in range(0, len(sent), step)), pause=0.01)
    assert statuses(answers) in ([[200]] if size == 15_000 else [[431], [400], []])
