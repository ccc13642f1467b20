"""Bytes on their way: what goes out, what a reply is, which connection is used again, TLS and proxies."""

from __future__ import annotations

import asyncio
import gc
import gzip
import select
import socket
import struct
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mcpgate.engine import network as network_module
from mcpgate.engine.connection import Connection, host_of, written
from mcpgate.engine.network import Network
from mcpgate.engine.transport import Attempt, BrokenError, Message, Received, UnsentError
from tests.engine.raw import WAIT, RawServer, http
from tests.engine.tls import Authority, Front
from tests.standins.loopback import Loopback, Reply

_Result = TypeVar("_Result")


def message(origin: str, method: str = "GET", target: str = "/x", **more: Any) -> Message:
    return Message(method, origin, target, more.get("headers", ()), more.get("body"))


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Fails rather than to wait for ever for an answer that nobody gives."""
    return asyncio.run(asyncio.wait_for(work, 20))


def exchange(*messages: Message) -> list[Received | Exception]:
    """What becomes of messages that are sent one after the other over one network."""

    async def all_of_them() -> list[Received | Exception]:
        network = Network()
        results: list[Received | Exception] = []
        for each in messages:
            try:
                results.append(await network.exchange(each, Attempt(sent=False)))
            except (UnsentError, BrokenError) as error:
                results.append(error)
        await network.close()
        return results

    return run(all_of_them())


# --- what goes out ---


@pytest.mark.parametrize(
    ("sent", "bytes_of_it"),
    [
        (message("https://h:443"), b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"),
        (message("http://h:80"), b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"),
        (message("http://[::1]:8080", target="/"), b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
        (message("https://h", "POST"), b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        (message("https://h", "DELETE"), b"DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n"),
        (
            message("https://h", "PUT", "/x?a=%20&b[]=1", headers=[("A", "b c"), ("D", "")], body=b"\r\n"),
            b"PUT /x?a=%20&b[]=1 HTTP/1.1\r\nHost: h\r\nA: b c\r\nD: \r\nContent-Length: 2\r\n\r\n\r\n",
        ),
    ],
)
def test_the_bytes_of_a_message(sent: Message, bytes_of_it: bytes) -> None:
    assert written(sent) == bytes_of_it


@pytest.mark.parametrize(
    "header",
    [
        *(("A", text) for text in ("b\r\nC: d", "b\n", "\0", " b", "b ", "é", "\x7f", "\x85")),
        *((name, "b") for name in ("", "A:", "A B", "A\r\nB", "Ä")),
    ],
)
def test_a_header_that_would_be_another_is_not_sent(header: tuple[str, str]) -> None:
    with pytest.raises(UnsentError) as caught:
        written(message("https://h", headers=[header]))
    assert not caught.value.again
    assert str(caught.value) == "a header cannot be sent as it is"


def test_hosts_are_named_without_the_port_that_goes_without_saying() -> None:
    assert host_of("https://h:80") == "h:80"
    assert host_of("http://h:443") == "h:443"


# --- what comes back ---

OK = b"HTTP/1.1 200 OK\r\n"

REPLIES: list[tuple[str, bytes, tuple[int, bytes, str]]] = [
    ("GET", http(b"{}"), (200, b"{}", "")),
    ("GET", OK + b"\r\n{}", (200, b"{}", "")),
    ("GET", OK + b"Content-Length: 3\r\n\r\n{}", (200, b"{}", "it was cut off")),
    ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", (200, b"{}", "")),
    ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n", (200, b"{}", "")),
    ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", (200, b"{}", "it was cut off")),
    ("GET", b"HTTP/1.1 100 Continue\r\nX: no\r\n\r\n" * 3 + http(b"{}"), (200, b"{}", "")),
    ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + http(b"{}"), (200, b"{}", "")),
    ("GET", b"HTTP/1.0 200 OK\r\n\r\n{}", (200, b"{}", "")),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", "")),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", (304, b"", "")),
    ("GET", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", (200, b"", "")),
    ("HEAD", OK + b"Content-Length: 900\r\n\r\n", (200, b"", "")),
    ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", (200, b"", "")),
    ("POST", http(b"{}", "413 Too Large", "Connection: close\r\n"), (413, b"{}", "")),
]


@pytest.mark.parametrize(("method", "said", "expected"), REPLIES)
@pytest.mark.parametrize("apart", [False, True])
def test_what_a_reply_is(method: str, said: bytes, expected: tuple[int, bytes, str], apart: bool) -> None:
    with Dripping(said) if apart else RawServer([said]) as server:
        (got,) = exchange(message(server.url, method))
    assert isinstance(got, Received)
    assert (got.status, got.body, got.fault) == expected
    assert "x" not in got.headers
    assert "link" not in got.headers


class Dripping:
    """A server that says one thing, a byte at a time, and closes."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def __enter__(self) -> Dripping:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            connection.recv(65536)
            try:
                for place in range(len(self._said)):
                    connection.sendall(self._said[place : place + 1])
            except OSError:
                pass

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()


NO_HTTP = "the server did not speak HTTP"
TOO_LARGE = "its headers are too large"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_reply(said: bytes) -> None:
    with RawServer([said]) as server:
        (got,) = exchange(message(server.url))
    assert isinstance(got, BrokenError), got
    assert str(got) == NO_HTTP


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


# each is larger than what the loop reads at once (256 KiB) by so much that the limit lies before the end
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000 + http(b"{}"), TOO_LARGE),
        (http(b"{}", headers=("A: " + "b" * 997 + "\r\n") * 400), TOO_LARGE),
        (http(b"{}", headers="A: " + "b" * 400_000 + "\r\n"), TOO_LARGE),
        (
            CHUNKED + b"2\r\n{}\r\n0\r\n" + (b"A: " + b"b" * 997 + b"\r\n") * 700 + b"\r\n",
            (2, "it was cut off"),
        ),
        (CHUNKED + b"2;a=" + b"b" * 700_000 + b"\r\n{}\r\n0\r\n\r\n", (0, "it was cut off")),
        (CHUNKED + (b"3e8\r\n" + b"a" * 1000 + b"\r\n") * 700 + b"0\r\n\r\n", (700_000, "")),
        (http(b"a" * 700_000), (700_000, "")),
    ],
)
def test_how_much_of_a_reply_may_be_no_body(said: bytes, expected: str | tuple[int, str]) -> None:
    with RawServer([said]) as server:
        (got,) = exchange(message(server.url))
    assert expected == ((len(got.body), got.fault) if isinstance(got, Received) else str(got))


@pytest.mark.parametrize(("reset", "fault"), [(False, ""), (True, "it was cut off")])
def test_a_body_that_ends_with_its_connection_is_whole_unless_that_broke(reset: bool, fault: str) -> None:
    async def ended(server: RawServer) -> Received:
        network, attempt = Network(), Attempt(sent=False)
        task = asyncio.ensure_future(network.exchange(message(server.url), attempt))
        while attempt.status is None:
            await asyncio.sleep(0.001)
        (connection,) = server.connections
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
        connection.close()
        return await task

    with RawServer([OK + b"\r\n[1, 2"], hold=True) as server:
        got = run(ended(server))
    assert (got.body, got.fault) == (b"[1, 2", fault)


def test_headers_that_come_twice_are_one() -> None:
    said = http(b"", headers="A: 1\r\na: 2\r\nB: \xe9\r\n")
    with RawServer([said]) as server:
        (got,) = exchange(message(server.url))
    assert isinstance(got, Received)
    assert (got.headers["a"], got.headers["b"]) == ("1, 2", "é")


def test_a_packed_body_in_many_parts() -> None:
    packed = gzip.compress(b"[" + b"1, " * 5000 + b"1]")
    with Loopback(Reply(200, packed, {"Content-Encoding": "gzip"}, drip=0.0001)) as server:
        (got,) = exchange(message(server.url))
    assert isinstance(got, Received)
    assert got.body == gzip.decompress(packed)


def test_an_answer_that_comes_before_the_request_has_gone_out() -> None:
    """Nothing is lost of a refusal, though the body behind it is larger than the socket takes at once."""
    with Dripping(http(b"no", "413 Too Large", "Connection: close\r\n")) as server:
        (got,) = exchange(message(server.url, "POST", body=b"a" * 50_000))
    assert isinstance(got, Received)
    assert (got.status, got.body) == (413, b"no")


# --- which connection is used again ---

ONE, TWO, STALE = http(b"1"), http(b"2"), http(b"stale")


def old(headers: str = "") -> bytes:
    return http(b"1", headers=headers).replace(b"1.1", b"1.0", 1)


@pytest.mark.parametrize(
    ("said", "size", "again"),
    [
        (ONE, 0, True),
        (ONE, 15 * 1024, True),
        (ONE, 16 * 1024, False),
        (http(b"1", headers="Connection: close\r\n"), 0, False),
        (old(), 0, False),
        (old("Connection: keep-alive\r\n"), 0, False),
        (ONE + TWO, 0, False),
        (ONE + b"x", 0, False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 0, True),
        (OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\n1", 0, False),
    ],
)
def test_row_27_a_reply_is_never_that_to_another_request(said: bytes, size: int, again: bool) -> None:
    """The server would go on in every case: it is the caller that leaves."""
    scripts = [[said, TWO]] if again else [[said, STALE], [TWO]]
    with RawServer(*scripts) as server:
        first, second = exchange(message(server.url, "POST", body=b"a" * size), message(server.url))
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    assert (first.body in (b"1", b""), second.body) == (True, b"2")
    assert len(server.heads) == len(scripts)


def test_a_line_end_behind_a_reply_does_no_harm() -> None:
    with RawServer([ONE + b"\r\n", TWO], [TWO]) as server:
        _, second = exchange(message(server.url), message(server.url))
    assert isinstance(second, Received)
    assert second.body == b"2"


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("said", [STALE, b""])
def test_row_27_what_nobody_asked_for_is_no_answer_to_what_is_sent_next(said: bytes, told: bool) -> None:
    """Neither bytes nor the end, though the loop may have had no turn to tell of them in between."""

    async def twice(server: RawServer) -> bytes:
        network = Network()
        await network.exchange(message(server.url), Attempt(sent=False))
        server.connections[0].sendall(said)
        if not said:
            server.connections[0].shutdown(socket.SHUT_WR)
        ((_, kept),) = network._idle[server.url]
        assert select.select([kept._transport.get_extra_info("socket")], [], [], 5)[0]
        while told and kept.fit:
            await asyncio.sleep(0)
        got = await network.exchange(message(server.url), Attempt(sent=False))
        await network.close()
        return got.body

    with RawServer([ONE], [TWO], hold=True) as server:
        assert run(twice(server)) == b"2"


CANCEL = b"the caller is cancelled"


@pytest.mark.parametrize(
    ("turn", "body", "fit"),
    [
        ([ONE], b"1", True),
        ([ONE[:-1], b"1"], b"1", True),
        ([ONE, b"\r\n"], b"1", False),
        ([ONE, TWO], b"1", False),
        ([ONE, CANCEL], None, False),
        ([CANCEL, ONE], None, False),
        ([CANCEL], None, False),
    ],
)
def test_row_27_what_happens_in_one_turn_of_the_loop(
    turn: list[bytes], body: bytes | None, fit: bool
) -> None:
    """A connection that is not used again is closed, for nobody else knows of it."""

    async def at_once(server: RawServer) -> tuple[bytes | None, bool]:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", server.port)
        data = written(message(server.url))
        task = asyncio.ensure_future(connection.exchange(data, Attempt(sent=False)))
        await asyncio.sleep(0)
        for each in turn:
            if each is CANCEL:
                task.cancel()
            else:
                connection.data_received(each)
        await asyncio.wait([task])
        assert connection._transport.is_closing() != connection.fit
        was_fit = connection.fit
        connection.close()
        await asyncio.sleep(0)
        return None if task.cancelled() else task.result().body, was_fit

    with RawServer([], hold=True) as server:
        assert run(at_once(server)) == (body, fit)


class Clock:
    """Puts the clock of the running loop forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._real, self._ahead = loop.time, 0.0
        monkeypatch.setattr(loop, "time", lambda: self._real() + self._ahead)

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.mark.parametrize(("seconds", "heads"), [(4, [2]), (5, [1, 1])])
def test_a_connection_that_was_idle_for_long_is_not_used(
    seconds: float, heads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor if the loop was too busy to close it in time."""

    async def twice(url: str) -> None:
        network, clock = Network(), Clock(monkeypatch)
        await network.exchange(message(url), Attempt(sent=False))
        clock.forward(seconds)
        await network.exchange(message(url), Attempt(sent=False))
        await network.close()

    with RawServer([ONE, TWO], [TWO]) as server:
        run(twice(server.url))
        assert [len(each) for each in server.heads] == heads


def test_a_connection_that_stays_idle_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def left(url: str) -> list[tuple[int, bool]]:
        network, clock, seen = Network(), Clock(monkeypatch), []
        await network.exchange(message(url), Attempt(sent=False))
        clock.forward(3)
        await network.exchange(message(url), Attempt(sent=False))
        for seconds in (0, 3, 3):
            clock.forward(seconds)
            await asyncio.sleep(0.001)
            seen.append((sum(map(len, network._idle.values())), network._sweep is not None))
        await network.close()
        return seen

    with RawServer([ONE] * 3) as server:
        assert run(left(server.url)) == [(1, True), (1, True), (0, False)]
        assert server.ended.wait(2)


def test_a_network_that_was_closed_can_be_used_and_closes_what_is_idle() -> None:
    async def closed(url: str) -> None:
        network = Network()
        await network.exchange(message(url), Attempt(sent=False))
        before = network._sweep
        await network.close()
        assert before is not None
        assert before.cancelled()
        await network.exchange(message(url), Attempt(sent=False))
        assert network._sweep is not None
        assert not network._sweep.cancelled()
        await network.close()

    with RawServer([ONE, STALE], [TWO]) as server:
        run(closed(server.url))
        assert len(server.heads) == 2


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_network_in_another_loop_starts_anew() -> None:
    """The connections of the first loop can tell of nothing any more: an answer would never arrive."""
    network = Network()

    async def once(url: str, *, last: bool) -> tuple[bytes, Any]:
        got = await network.exchange(message(url), Attempt(sent=False))
        sweep = network._sweep
        if last:
            await network.close()
        return got.body, sweep

    with RawServer([ONE], [TWO], hold=True) as server:
        (_, before), (body, after) = (run(once(server.url, last=last)) for last in (False, True))
        assert len(server.heads) == 2
    assert body == b"2"
    assert None is not after is not before
    gc.collect()


def test_so_many_connections_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_module, "_MOST_IDLE", 3)

    async def many(url: str) -> int:
        network = Network()
        await asyncio.gather(*(network.exchange(message(url), Attempt(sent=False)) for _ in range(8)))
        kept = sum(map(len, network._idle.values()))
        await network.close()
        return kept

    with Loopback(otherwise=Reply(wait=0.2)) as server:
        server._server.socket.listen(128)
        assert run(many(server.url)) == 3


def test_a_message_that_nobody_waits_for_any_more_takes_its_connection_along() -> None:
    async def cancelled(url: str) -> Received:
        network = Network()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await network.exchange(message(url), Attempt(sent=False))
        got = await network.exchange(message(url), Attempt(sent=False))
        await network.close()
        return got

    with RawServer([WAIT], [http(b"2")]) as server:
        assert run(cancelled(server.url)).body == b"2"
        assert server.ended.wait(2)


@pytest.mark.parametrize(("said", "sent", "status"), [(b"", True, None), (OK + b"A: b\r\n\r\n", True, 200)])
def test_how_far_it_got_is_known_all_the_time(said: bytes, sent: bool, status: int | None) -> None:
    async def cut(url: str) -> Attempt:
        network, attempt = Network(), Attempt(sent=False)
        try:
            await network.exchange(message(url), attempt)
        except BrokenError:
            pass
        await network.close()
        return attempt

    with RawServer([said]) as server:
        assert run(cut(server.url)) == Attempt(sent, status)


# --- TLS and proxies ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HTTP_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def trusting(authority: Authority, alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


def front_of(server: Loopback, authority: Authority, name: str = "localhost") -> Front:
    return Front(server.port, tls=authority.server(name))


@pytest.mark.usefixtures("trusting")
def test_tls_to_a_server_that_proves_its_name(authority: Authority) -> None:
    with Loopback(otherwise=Reply()) as server, front_of(server, authority) as front:
        sent = message(f"https://localhost:{front.port}", "POST", headers=[("A", "b")], body=b"c" * 300_000)
        got = exchange(sent, sent)
    assert [each.status for each in got if isinstance(each, Received)] == [200, 200]
    assert {(len(each.body), each.headers["a"]) for each in server.requests} == {(300_000, "b")}


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
@pytest.mark.usefixtures("trusting")
def test_tls_to_a_server_of_another_name_is_never_sent_on(authority: Authority, name: str) -> None:
    with Loopback(otherwise=Reply()) as server, front_of(server, authority, name) as front:
        (got,) = exchange(message(f"https://localhost:{front.port}"))
        assert not server.requests
    assert isinstance(got, UnsentError)


@pytest.mark.usefixtures("alone")
def test_tls_to_a_server_that_nobody_vouches_for_is_never_sent_on(authority: Authority) -> None:
    with Loopback(otherwise=Reply()) as server, front_of(server, authority) as front:
        (got,) = exchange(message(f"https://localhost:{front.port}"))
        assert not server.requests
    assert isinstance(got, UnsentError)
    assert str(got).startswith("its certificate is not trusted: ")
    assert not got.again


@pytest.mark.usefixtures("alone")
def test_a_server_that_speaks_no_tls_is_never_sent_on() -> None:
    with Loopback(otherwise=Reply()) as server:
        (got,) = exchange(message(f"https://localhost:{server.port}"))
        assert not server.requests
    assert isinstance(got, UnsentError)
    assert str(got).startswith("no TLS: ")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.usefixtures("alone")
def test_certificates_that_cannot_be_read(
    authority: Authority, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no certificate")
    monkeypatch.setenv(name, str(broken))
    with Loopback(otherwise=Reply()) as server, front_of(server, authority) as front:
        (got,) = exchange(message(f"https://localhost:{front.port}"))
        assert not server.requests
    assert isinstance(got, UnsentError)
    assert not got.again
    assert ("environment" in str(got)) == (name == "SSL_CERT_FILE")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for by name lies elsewhere: a proxy is wanted for it."""
    monkeypatch.setattr(network_module, "is_loopback", lambda host: False)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("user", ["", "somebody:pass%3Aword@"])
@pytest.mark.usefixtures("trusting", "away")
def test_through_a_proxy(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, secure: bool, user: str
) -> None:
    """TLS to the API stands inside the tunnel: the proxy reads nothing of it."""
    tls = authority.server("localhost")
    with (
        Loopback(otherwise=Reply()) as server,
        Front(server.port, tls=tls) as api,
        Front(api.port, tls=tls if secure else None, proxy=True) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http{'s' * secure}://{user}localhost:{proxy.port}")
        sent = message("https://localhost", "POST", headers=[("A", "a-secret")], body=b"c" * 200_000)
        got = exchange(sent, sent)
    assert [each.status for each in got if isinstance(each, Received)] == [200, 200], got
    assert [len(each.body) for each in server.requests] == [200_000] * 2
    head, _ = proxy.asked
    assert head.startswith(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n")
    assert (b"\r\nProxy-Authorization: Basic c29tZWJvZHk6cGFzczp3b3Jk\r\n" in head) == bool(user)
    assert b"secret" not in head


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://api.example", "api.example:443"),
        ("https://api.example:8443", "api.example:8443"),
        ("https://[2001:db8::1]", "[2001:db8::1]:443"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
@pytest.mark.usefixtures("trusting", "away")
def test_what_a_proxy_is_asked_for(origin: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Front(0, proxy=True, said=b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        (got,) = exchange(message(origin))
    assert str(got) == "the proxy answered 502"
    assert proxy.asked == [f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()]


@pytest.mark.usefixtures("trusting", "away")
def test_a_proxy_that_answers_in_the_place_of_the_api_is_not_believed(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Loopback(otherwise=Reply()) as server,
        Front(server.port, tls=authority.server("other.example")) as api,
        Front(api.port, proxy=True) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{proxy.port}")
        (got,) = exchange(message("https://localhost", headers=[("A", "a-secret")]))
        assert not server.requests
    assert isinstance(got, UnsentError)


def test_a_network_that_is_warm_has_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://p:1")
    network = Network()
    network.warm("https://api.example.com")
    with pytest.raises(UnsentError):
        network._proxy("https://api.example.com")
