"""Sending, retrying and bounding, against servers that misbehave: decisions 12 and 13."""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mcpgate.apps import open_account
from mcpgate.engine.body import MAX_REPLY_BYTES
from mcpgate.engine.client import Client
from mcpgate.engine.connection import written
from mcpgate.engine.network import Network
from mcpgate.engine.request import build
from mcpgate.engine.transport import Attempt, Message, Received, UnsentError
from mcpgate.secrets import Secret
from mcpgate.values import Account, Connector, Request
from tests.engine.raw import WAIT, RawServer, http
from tests.engine.rig import Rig, one_tool
from tests.standins.loopback import JSON, LOST, Answer, Loopback, Reply

GET = "category: read\nrequest: GET /x"
POST = "category: write\neffects: []\nrequest: POST /x\nparams: {a: Text.}"
SAFE = "category: read\nrequest: POST /x\nsafe: true"
PUT = POST.replace("POST", "PUT")
DELETE = POST.replace("POST", "DELETE")
KEYED = "idempotency: Key\nretry: Should-Retry\n"
OK = Reply()
CUT = Reply(body=b'{"a": 1}', cut=4)

Start = Callable[..., Loopback]


def tool(spec: str, url: str, top: str = "retry: Should-Retry\n") -> Connector:
    return one_tool(spec, top, base_url=url)


def reply(status: int, **headers: str) -> Reply:
    return Reply(status, headers={**JSON, **{name.replace("_", "-"): text for name, text in headers.items()}})


# --- what becomes of a call, over all its attempts: rows 20, 27 and 30 ---

SEQUENCES: list[tuple[str, str, list[Answer], str]] = [
    ("GET", "", [OK], "succeeded"),
    ("GET", "", [reply(503), OK], "succeeded"),
    ("GET", "", [LOST, CUT, OK], "succeeded"),
    ("GET", "", [reply(500), reply(502), reply(504)], "unknown"),
    ("GET", "", [reply(429), reply(429), reply(429)], "failed"),
    ("GET", "", [reply(501)], "unknown"),
    ("GET", "", [reply(302, Location="/y")], "failed"),
    ("GET", "", [reply(400)], "failed"),
    ("GET", "", [dataclasses.replace(CUT, status=404)], "failed"),
    ("GET", "", [reply(503, Should_Retry="false")], "unknown"),
    ("GET", "", [reply(409, Should_Retry="true"), OK], "succeeded"),
    ("GET", "", [reply(302, Should_Retry="true")], "failed"),
    ("SAFE", "", [reply(503), OK], "succeeded"),
    ("SAFE", "key", [reply(503), OK], "succeeded"),
    ("POST", "", [reply(503)], "unknown"),
    ("POST", "", [reply(503, Should_Retry="true")], "unknown"),
    ("POST", "", [reply(429)], "failed"),
    ("POST", "", [reply(429, Should_Retry="true")], "failed"),
    ("POST", "", [reply(303, Location="/y")], "unknown"),
    ("POST", "key", [reply(303, Location="/y")], "unknown"),
    ("POST", "", [reply(307, Location="/y")], "failed"),
    ("POST", "", [LOST], "unknown"),
    ("POST", "", [CUT], "unknown"),
    ("POST", "", [dataclasses.replace(CUT, status=402)], "failed"),
    ("POST", "", [dataclasses.replace(CUT, status=500)], "unknown"),
    ("PUT", "key", [reply(503)], "unknown"),
    ("PUT", "key", [LOST], "unknown"),
    ("DELETE", "key", [reply(429)], "failed"),
    ("DELETE", "key", [LOST], "unknown"),
    ("POST", "key", [reply(503), LOST, OK], "succeeded"),
    ("POST", "key", [reply(409, Should_Retry="true"), OK], "succeeded"),
    ("POST", "key", [reply(500, Should_Retry="false")], "unknown"),
    ("POST", "key", [LOST, reply(402)], "unknown"),
    ("POST", "key", [reply(500), reply(429), reply(429)], "unknown"),
    ("POST", "key", [reply(429), reply(402)], "failed"),
    ("POST", "key", [reply(429), LOST, reply(400)], "unknown"),
    ("POST", "key", [LOST, LOST, LOST], "unknown"),
    ("POST", "key", [CUT, OK], "succeeded"),
]


@pytest.mark.parametrize(("method", "key", "answers", "fate"), SEQUENCES)
def test_row_30_what_is_sent_again_and_what_becomes_of_it(
    scripted: Start, method: str, key: str, answers: list[Answer], fate: str
) -> None:
    server = scripted(*answers)
    spec = {"GET": GET, "SAFE": SAFE, "POST": POST, "PUT": PUT, "DELETE": DELETE}[method]
    with Rig(tool(spec, server.url, KEYED if key else "retry: Should-Retry\n")) as rig:
        got = rig.send("" if method == "SAFE" else "key-1", **({"a": "1"} if "params" in spec else {}))
    assert (got.fate, got.attempts, len(server.requests)) == (fate, len(answers), len(answers)), got.problem
    assert bool(got.problem) == (fate != "succeeded")
    keys = {request.headers.get("key") for request in server.requests}
    assert keys == ({"key-1"} if key and method == "POST" else {None})
    assert len({(request.target, request.body) for request in server.requests}) == 1


def test_row_30_a_write_that_lost_its_key_is_not_repeated(scripted: Start) -> None:
    server = scripted(reply(503))
    with Rig(tool(POST, server.url, KEYED)) as rig:
        assert rig.send("").fate == "unknown"


class Refusing(Network):
    """The network, after so many connections that fail."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        self.times -= 1
        if self.times >= 0:
            raise UnsentError("refused")
        return await super().exchange(message, attempt)


@pytest.mark.parametrize("spec", [GET, POST, PUT, DELETE])
@pytest.mark.parametrize(
    ("refused", "answers", "fate"),
    [
        (1, [OK], "succeeded"),
        (2, [reply(402)], "failed"),
        (2, [LOST], "unknown"),
        (3, [], "failed"),
    ],
)
def test_what_was_never_sent_is_tried_again(
    scripted: Start, spec: str, refused: int, answers: list[Answer], fate: str
) -> None:
    server = scripted(*answers)
    with Rig(tool(spec, server.url), transport=Refusing(refused)) as rig:
        got = rig.send()
    assert (got.fate, got.attempts) == (fate, refused + len(answers))


@pytest.mark.parametrize("spec", [GET, POST, DELETE])
def test_nobody_listens(spec: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Rig(tool(spec, f"http://127.0.0.1:{port}")) as rig:
        got = rig.send()
        outcome = rig.call()
    assert (got.fate, got.status, got.attempts) == ("failed", None, 3)
    assert "No connection" in outcome.text
    assert "not known" not in outcome.text


@pytest.mark.parametrize("origin", ["https://a..example", f"https://{'a' * 64}.example"])
def test_a_host_that_no_name_service_takes(origin: str) -> None:
    with Rig(tool(POST, "https://h")) as rig:
        rig.account = dataclasses.replace(rig.account, base_url=origin, origin=origin)
        got = rig.send()
    assert (got.fate, got.status) == ("failed", None)


# --- what comes back is garbage ---


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"",
    ],
)
def test_row_27_bytes_that_are_not_http(answer: bytes) -> None:
    with RawServer([answer]) as server, Rig(tool(POST, server.url)) as rig:
        got = rig.send()
    assert (got.fate, got.attempts) == ("unknown", 1), got.problem


# --- time: row 28 ---


@pytest.mark.parametrize(
    ("status", "fate"),
    [(200, "unknown"), (402, "failed"), (302, "unknown"), (307, "failed"), (503, "unknown")],
)
def test_row_28_a_byte_at_a_time_for_ever(scripted: Start, status: int, fate: str) -> None:
    server = scripted(Reply(status, b" " * 1000, drip=0.05))
    with Rig(tool(POST, server.url, f"{KEYED}timeout: 0.4")) as rig:
        began = time.monotonic()
        got = rig.send("key-1", a="1")
    assert time.monotonic() - began < 1.5
    assert (got.fate, got.status, got.attempts) == (fate, status, 1)
    assert "within 0.4 s" in got.problem


def test_row_28_headers_that_never_end() -> None:
    endless = [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5, WAIT]
    with RawServer(endless) as server, Rig(tool(POST, server.url, "timeout: 0.3")) as rig:
        assert rig.send().fate == "unknown"


def test_row_28_all_attempts_share_one_deadline(scripted: Start) -> None:
    server = scripted(*[Reply(503, wait=0.4)] * 2, Reply(wait=60))
    with Rig(tool(GET, server.url, "timeout: 1")) as rig:
        began = time.monotonic()
        got = rig.send()
    assert 0.95 < time.monotonic() - began < 1.7
    assert (got.fate, got.attempts) == ("unknown", 3)


def in_a_minute() -> str:
    return email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)


@pytest.mark.parametrize("after", ["60", "59.4", "date"])
@pytest.mark.parametrize("spec", [GET, POST])
def test_row_28_a_wait_beyond_what_is_left_is_told(scripted: Start, spec: str, after: str) -> None:
    server = scripted(reply(429, Retry_After=in_a_minute() if after == "date" else after))
    with Rig(tool(spec, server.url)) as rig:
        began = time.monotonic()
        outcome = rig.call()
    assert time.monotonic() - began < 5
    assert "wait 60 s" in outcome.text or "wait 59 s" in outcome.text


def test_a_wait_within_what_is_left_is_waited_for(scripted: Start) -> None:
    server = scripted(reply(429, Retry_After="0.3"), OK)
    with Rig(tool(GET, server.url)) as rig:
        began = time.monotonic()
        assert rig.send().fate == "succeeded"
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    "after", ["-5", "nan", "inf", "1e999", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "99:99"]
)
def test_a_wait_that_says_nothing_is_ours_to_choose(scripted: Start, after: str) -> None:
    server = scripted(reply(503, Retry_After=after), OK)
    with Rig(tool(GET, server.url)) as rig:
        assert rig.send().fate == "succeeded"


def test_the_pause_grows_and_varies() -> None:
    client = Client(lambda *_: None, backoff=0.5)
    first, second = ([client._pause(attempt) for _ in range(50)] for attempt in (1, 2))
    assert all(0.25 <= pause <= 0.5 for pause in first)
    assert all(0.5 <= pause <= 1 for pause in second)
    assert len(set(first)) > 1


# --- size: row 19 ---


def bomb(size: int) -> bytes:
    packer, zeros = zlib.compressobj(wbits=31), bytes(1 << 20)
    return b"".join(
        [packer.compress(b"["), *(packer.compress(zeros) for _ in range(size >> 20)), packer.flush()]
    )


def nothing(size: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"[]") + packer.flush(zlib.Z_FULL_FLUSH)
    return start + packer.flush(zlib.Z_FULL_FLUSH) + b"\0\0\0\xff\xff" * (size // 5)


BOMBS = {
    "large": (b"[" + b" " * (50 << 20) + b"]", {}),
    "packed": (bomb(200 << 20), {"Content-Encoding": "gzip"}),
    "packed nothing": (nothing(6 << 20), {"Content-Encoding": "gzip"}),
    "after the end": (gzip.compress(b"{}") + bytes(30 << 20), {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize(("status", "fate"), [(200, "unknown"), (400, "failed")])
def test_row_19_a_huge_reply_is_left_alone(scripted: Start, name: str, status: int, fate: str) -> None:
    body, headers = BOMBS[name]
    server = scripted(Reply(status, body, {**JSON, **headers}), OK)
    with Rig(tool(GET, server.url)) as rig:
        tracemalloc.start()
        got = rig.send()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (got.fate, got.attempts) == (fate, 1)
        assert "MiB" in got.problem or status == 400 or name == "after the end"
        assert rig.send().fate == "succeeded"
    assert got.size <= MAX_REPLY_BYTES
    assert peak < 6 * MAX_REPLY_BYTES


@pytest.mark.parametrize(("size", "fate"), [(MAX_REPLY_BYTES, "succeeded"), (MAX_REPLY_BYTES + 1, "unknown")])
@pytest.mark.parametrize("packed", [False, True])
def test_row_19_the_largest_reply_that_is_read(scripted: Start, size: int, fate: str, packed: bool) -> None:
    body = b"[" + b" " * (size - 2) + b"]"
    headers = {"Content-Encoding": "gzip"} if packed else {}
    server = scripted(Reply(200, gzip.compress(body) if packed else body, {**JSON, **headers}))
    with Rig(tool(GET, server.url)) as rig:
        assert rig.send().fate == fate


@pytest.mark.parametrize(
    ("encoding", "body", "fate"),
    [
        ("gzip", gzip.compress(b'{"a":1}'), "succeeded"),
        ("GZIP", gzip.compress(b'{"a":1}'), "succeeded"),
        ("identity", b"{}", "succeeded"),
        ("gzip", b"", "succeeded"),
        ("gzip", gzip.compress(b'{"a":1}')[:-9], "unknown"),
        ("gzip", b'{"a":1}', "unknown"),
        ("gzip", gzip.compress(b"{}") + b"{}", "unknown"),
        ("br", b'{"a":1}', "unknown"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), "unknown"),
    ],
)
def test_a_packed_reply(scripted: Start, encoding: str, body: bytes, fate: str) -> None:
    server = scripted(Reply(200, body, {**JSON, "Content-Encoding": encoding}))
    with Rig(tool(POST, server.url)) as rig:
        assert rig.send(a="1").fate == fate
    assert server.requests[0].headers["accept-encoding"] == "gzip"


# --- redirects, cookies, connections ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("spec", [GET, POST])
def test_row_12_a_redirect_is_not_followed(
    scripted: Start, capture: Loopback, spec: str, status: int
) -> None:
    server = scripted(reply(status, Location=f"{capture.url}/steal"))
    with Rig(tool(spec, server.url), "a-secret-key") as rig:
        outcome = rig.call()
    assert outcome.is_error
    assert "redirect" in outcome.text
    assert not capture.requests


def test_cookies_are_not_kept_and_not_read(scripted: Start) -> None:
    server = scripted(reply(200, Set_Cookie="session=1; Path=/"), OK)
    with Rig(tool(GET, server.url)) as rig:
        assert "set-cookie" not in rig.send().headers
        rig.send()
    assert "cookie" not in server.requests[1].headers


def test_calls_share_their_connections() -> None:
    with RawServer([http()] * 5) as server, Rig(tool(GET, server.url)) as rig:
        for _ in range(5):
            assert rig.send().fate == "succeeded"
    assert [len(heads) for heads in server.heads] == [5]


def test_a_connection_that_the_server_closed_while_idle_is_not_used() -> None:
    with RawServer([http()], [http()]) as server, Rig(tool(POST, server.url)) as rig:
        assert rig.send().fate == "succeeded"
        time.sleep(0.2)
        assert rig.send().fate == "succeeded"
    assert [len(heads) for heads in server.heads] == [1, 1]


def test_a_reused_connection_that_breaks_has_been_sent_on() -> None:
    with RawServer([http(), b""], [http()]) as server, Rig(tool(POST, server.url)) as rig:
        assert rig.send().fate == "succeeded"
        assert rig.send().fate == "unknown"
        assert rig.send().fate == "succeeded"


def test_many_calls_at_once(capture: Loopback) -> None:
    capture._server.socket.listen(128)
    with Rig(tool(POST, capture.url)) as rig:

        async def many() -> list[Any]:
            return await asyncio.gather(*(rig.sending(a=str(number)) for number in range(60)))

        got = rig.run(many())
    assert {one.fate for one in got} == {"succeeded"}
    assert sorted(request.body for request in capture.requests) == sorted(
        b'{"a":"%d"}' % n for n in range(60)
    )


def test_a_call_that_is_cancelled_leaves_nothing_behind(scripted: Start) -> None:
    server = scripted(Reply(wait=60), Reply(body=b" " * 500, drip=0.1), OK)
    with Rig(tool(GET, server.url)) as rig:

        async def cancelled() -> None:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.4):
                        await rig.sending()
            assert (await rig.sending()).fate == "succeeded"
            network = rig.client._transport
            assert isinstance(network, Network)
            assert [len(kept) for kept in network._idle.values()] == [1]

        rig.run(cancelled())


def test_a_handshake_that_takes_too_long_is_closed() -> None:
    with RawServer([WAIT]) as server, Rig(tool(POST, server.url.replace("p:", "ps:"), "timeout: 1")) as rig:
        assert rig.send().fate == "failed"
        assert server.ended.wait(2)


# --- the address is the one that was checked ---


class Seen(Network):
    """The network, as far as the bytes that would go out."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        line = written(message).split(b"\r\n")[0].decode()
        self.urls.append(message.origin + line.removeprefix("GET ").removesuffix(" HTTP/1.1"))
        return Received(200, {}, b"{}")


def test_an_address_is_sent_as_it_was_built() -> None:
    seen = Seen()
    base_url = "https://{site}.example.com/a'b(c)/%7e%e9"
    top = f"base_url: {base_url}\nsettings: {{site: {{type: string, pattern: '[A-Z]+'}}}}"
    spec = "category: read\nrequest: GET /x?q[]=a%27&r={a}\nparams: {a: Text.}"
    with Rig(one_tool(spec, top), settings={"site": "ACME"}, transport=seen) as rig:
        assert rig.send(a="é'[]%2F").fate == "succeeded"
    assert seen.urls == [base_url.format(site="ACME") + "/x?q[]=a%27&r=%C3%A9%27%5B%5D%252F"]


@pytest.mark.parametrize(
    "tail",
    [
        "/a/../b",
        "/./a",
        "/a b",
        "/é",
        "/a/..",
        "/a\n",
        "/a#b",
        ".evil.example/a",
        "@evil.example/",
        ":1/",
        "/" + "a" * 70_000,
    ],
)
def test_row_10_what_would_arrive_as_another_address_is_not_sent(tail: str) -> None:
    seen = Seen()
    with Rig(tool(POST, "https://h"), transport=seen) as rig:
        built = build(rig.account, rig.connector.tools["t_x"], {})
        got = rig.run(rig.client.send(dataclasses.replace(built, url=f"https://h{tail}"), rig.account))
    assert (got.fate, got.attempts, seen.urls) == ("failed", 1, [])


# --- proxies ---


@pytest.fixture
def through_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def send(proxy: str, base_url: str = "https://api.example.com/v1") -> Any:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with Rig(tool(POST, base_url, "timeout: 1.5"), "a-secret-key") as rig:
            return rig.send()

    return send


@pytest.mark.parametrize(
    "answer", [http(b"", "407 Proxy Authentication Required"), http(b"", "502 No"), b"", b"?\r\n\r\n"]
)
def test_what_a_proxy_refuses_was_never_sent(through_proxy: Callable[[str], Any], answer: bytes) -> None:
    with RawServer(*[[answer]] * 3) as proxy:
        got = through_proxy(proxy.url.removeprefix("http://"))
    assert (got.fate, got.attempts) == ("failed", 3), got.problem
    heads = [head for heads in proxy.heads for head in heads]
    assert all(head.startswith(b"CONNECT api.example.com:443 ") for head in heads)
    assert not any(b"secret" in head for head in heads)


@pytest.mark.parametrize("script", [[WAIT], [http(b""), WAIT]])
def test_a_tunnel_that_never_stands_was_never_sent_on(
    through_proxy: Callable[[str], Any], script: list[bytes]
) -> None:
    with RawServer(script) as proxy:
        got = through_proxy(proxy.url)
    assert (got.fate, got.attempts) == ("failed", 1), got.problem


@pytest.mark.parametrize("proxy", ["gopher://p:1", "socks5://user:hunter22@p:1", "http://p:port"])
def test_a_proxy_that_cannot_be_used(through_proxy: Callable[[str], Any], proxy: str) -> None:
    got = through_proxy(proxy)
    assert (got.fate, got.attempts) == ("failed", 1)
    assert "proxy" in got.problem
    assert "hunter22" not in got.problem


@pytest.mark.parametrize(
    "origin", ["https://127.0.0.1:{port}", "https://localhost:{port}", "http://127.0.0.1:{port}"]
)
def test_this_machine_is_never_proxied(through_proxy: Callable[..., Any], origin: str) -> None:
    with RawServer([http()]) as proxy, RawServer(*[[http()]] * 3) as server:
        through_proxy(proxy.url, origin.format(port=server.port))
        assert not proxy.heads
        assert server.heads


def test_the_credential_is_opened_once_for_all_attempts(scripted: Start) -> None:
    server = scripted(reply(503), reply(503), OK)
    with Rig(tool(GET, server.url, "auth: {type: bearer}"), "a-secret-key") as rig:
        assert rig.send().fate == "succeeded"
        assert rig.opened == 1
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer a-secret-key"}


@pytest.mark.parametrize("there", [True, False])
def test_a_credential_that_is_there_at_once_is_opened_without_a_thread(there: bool) -> None:
    threads: list[str] = []

    def opened(account: Account, request: Request) -> Secret | None:
        threads.append(threading.current_thread().name)
        return None

    def at_once(account: Account, request: Request) -> Secret | None:
        if not there:
            raise BlockingIOError
        return opened(account, request)

    with Loopback(otherwise=Reply.json({})) as server:
        connector = one_tool("request: GET /x\ncategory: read", base_url=server.url)
        account = open_account(connector, {})
        client = Client(opened, at_once=at_once)

        async def send() -> None:
            client.warm([account.origin])
            await client.send(build(account, account.connector.tools["t_x"], {}), account)
            await client.close()

        asyncio.run(send())
    assert len(threads) == 1
    assert (threads[0] == "MainThread") == there
