"""The scripted server does what its replies say: a test that leans on it must be able to fail."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import httpx2
import pytest

from tests.standins.loopback import LOST, Loopback, Reply, through


def test_a_request_is_kept_as_it_was_sent(capture: Loopback) -> None:
    httpx2.post(capture.url + "/v1/a%2Fb?x=1&y=&z=%26", content=b"k=v&empty=", headers={"X-Name": "a b"})
    request = capture.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/v1/a%2Fb", b"k=v&empty=")
    assert request.query == [("x", "1"), ("y", ""), ("z", "&")]
    assert request.form == [("k", "v"), ("empty", "")]
    assert request.headers["x-name"] == "a b"


def test_dot_parts_arrive_when_the_client_sends_them(capture: Loopback) -> None:
    with socket.create_connection(("127.0.0.1", capture.port)) as connection:
        connection.sendall(b"GET //a/../b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while connection.recv(4096):
            pass
    assert capture.requests[0].target == "//a/../b"


def test_answers_come_in_order_with_their_status(scripted: Callable[..., Loopback]) -> None:
    server = scripted(Reply.json({"n": 1}, 503, {"Retry-After": "1"}), Reply(204), Reply.json([2]))
    first, second, third = (httpx2.get(server.url) for _ in range(3))
    assert (first.status_code, first.headers["retry-after"], first.json()) == (503, "1", {"n": 1})
    assert (second.status_code, second.content) == (204, b"")
    assert third.json() == [2]


def test_a_request_too_many_is_noticed() -> None:
    with Loopback(Reply()) as server:
        httpx2.get(server.url)
        assert not server.unexpected
        assert httpx2.get(server.url).status_code == 418
        assert len(server.unexpected) == 1


@pytest.mark.parametrize("reply", [LOST, Reply(body=b'{"a": 1}', cut=0), Reply(body=b'{"a": 1}', cut=4)])
def test_an_answer_can_be_lost_or_cut_off(scripted: Callable[..., Loopback], reply: Reply) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(scripted(reply).url)


def test_an_answer_can_be_late(scripted: Callable[..., Loopback]) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(scripted(Reply(wait=60)).url, timeout=0.1)


def test_a_body_can_drip(scripted: Callable[..., Loopback]) -> None:
    started = time.monotonic()
    assert httpx2.get(scripted(Reply(body=b"[1, 2, 3]", drip=0.02)).url).json() == [1, 2, 3]
    assert time.monotonic() - started >= 0.18


def test_a_small_body_can_unpack_to_a_large_one(scripted: Callable[..., Loopback]) -> None:
    reply = httpx2.get(scripted(Reply.bomb(2_000_000)).url)
    assert len(reply.content) == 2_000_000
    assert int(reply.headers["content-length"]) < 4_000
    assert set(reply.json()["x"]) == {"0"}


def test_an_answer_can_be_lost_after_the_server_behind_has_acted(capture: Loopback) -> None:
    with Loopback(through(capture.url, lose=True), through(capture.url)) as server:
        with pytest.raises(httpx2.RemoteProtocolError):
            httpx2.post(server.url + "/v1/x", content=b"a=1")
        assert httpx2.post(server.url + "/v1/x", content=b"a=1").json() == {}
    assert [request.body for request in capture.requests] == [b"a=1", b"a=1"]


def test_closing_does_not_wait_for_a_slow_answer() -> None:
    started = time.monotonic()
    with (
        Loopback(Reply(body=b"x" * 1000, drip=1)) as server,
        socket.create_connection(("127.0.0.1", server.port)) as caller,
    ):
        caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        caller.recv(1)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", ["stateful_mock", "localstripe"])
def test_a_stand_in_listens_on_loopback_only(name: str, request: pytest.FixtureRequest) -> None:
    origin = httpx2.URL(request.getfixturevalue(name))
    assert origin.host == "127.0.0.1"
    assert origin.port
    reply = httpx2.get(origin.join("/v1/customers"), headers={"Authorization": "Bearer sk_test_123456789"})
    assert reply.json()["object"] == "list"
    for other in (hosts[4][0] for hosts in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)):
        if not str(other).startswith("127."):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((str(other), origin.port), timeout=1)
