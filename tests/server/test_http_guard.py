"""Who is let in over HTTP, by which name, and how much one client may take."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from mcpgate.errors import StoreError, UsageError
from mcpgate.server.web.door import Limits
from mcpgate.server.web.guard import Guard, Names, RefusedRequestError, once
from mcpgate.server.web.listening import bind
from mcpgate.server.web.quiet import AGAIN_AFTER, Discreet
from mcpgate.values import Outcome
from tests.server.http_apps import (
    CANARY,
    Apps,
    Running,
    call,
    enveloped,
    key_of,
    running,
    started_request,
    until,
)
from tests.server.process import request
from tests.standins.loopback import Loopback, Reply

LIST = request(1, "tools/list")
KEY = key_of("billing")
QUICK = Limits(arrival=0.6, idle=1, stalled=0.6, at_once=3, listening=2)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    names = {"hosts": ["gate.example", "exact.example:444"], "origins": ["https://console.example"]}
    with (
        Loopback(otherwise=Reply(wait=0.8)) as api,
        running(Apps(api.url, "billing", "support"), QUICK, names) as server,
    ):
        yield server


# --- the key ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.upper()}",
        f"Bearer {KEY} {KEY}",
        f"Bearer {KEY},Bearer {KEY}",
        "Bearer mgw_",
        "Bearer mgw_" + "é" * 20,
        "Bearer " + "x" * 5000,
        "Bearer mgw_' OR 1=1 --aaaaaaaaaaaaaaaaaaaa",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
def test_without_a_key_of_an_app_nobody_comes_in(server: Running, given: str | None, method: str) -> None:
    headers = {} if given is None else {"Authorization": given.encode("utf-8").decode("latin-1")}
    answer = server.ask("/mcp", method, b"{", **headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.text == server.ask("/mcp", "POST", json.dumps(LIST)).text, (
        "it tells one refusal from another"
    )
    assert "mgw_x" not in answer.text


def test_two_keys_are_none(server: Running) -> None:
    head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {KEY}\r\nAuthorization: Bearer {KEY}\r\n"
    assert b" 401 " in raw(server, f"POST /mcp HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_lets_in(server: Running, scheme: str) -> None:
    assert server.post("billing", LIST, Authorization=f"{scheme} {KEY}").status == 200


def test_a_revoked_key_is_refused_at_its_next_request(server: Running) -> None:
    key = server.apps.add("leaver")
    assert server.post("leaver", LIST).status == 200
    gate = server.apps.gates[key]
    server.apps.revoke("leaver")
    assert server.post("leaver", LIST).status == 401
    server.apps.gates[key] = gate
    assert server.post("leaver", LIST).status == 200


def test_while_keys_cannot_be_looked_up_nobody_comes_in(
    server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    for fault in (StoreError(CANARY), RuntimeError(f"{KEY} in {CANARY}")):
        server.apps.broken = fault
        try:
            answer = server.post("billing", LIST)
        finally:
            server.apps.broken = None
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert CANARY not in answer.text
    assert CANARY not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "path",
    [
        f"/mcp?key={KEY}",
        "/mcp?token=x",
        "/mcp?a=1&access_token=x",
        "/mcp?api_key=x",
        f"/mcp/{KEY}",
        f"/{KEY}/mcp",
        f"/mcp?x=%6dgw_{KEY[4:]}",
        f"/m%67w_{KEY[4:]}",
        f"/healthz?{KEY}",
    ],
)
def test_a_key_in_the_url_is_refused_in_words(server: Running, path: str) -> None:
    answer = server.ask(path, "POST", json.dumps(LIST), Authorization=f"Bearer {KEY}")
    assert answer.status == 400
    assert "Authorization: Bearer" in answer.text
    assert KEY not in answer.text


# --- the name --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mcp", "/metrics", "/nowhere"])
@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("127.0.0.1:PORT", True),
        ("localhost:PORT", True),
        ("LocalHost:PORT", True),
        ("[::1]:PORT", True),
        ("gate.example", True),
        ("gate.example:8443", True),
        ("exact.example:444", True),
        ("exact.example", False),
        ("exact.example:445", False),
        ("evil.example", False),
        ("evil.example:PORT", False),
        ("127.0.0.1", False),
        ("127.0.0.1:1", False),
        ("127.0.0.1.evil.example:PORT", False),
        ("localhost.evil.example:PORT", False),
        ("gate.example.evil.example", False),
        ("evil.example:gate.example", False),
        ("sub.gate.example", False),
        ("gate.example@evil.example", False),
        ("gate.example:80:90", False),
        ("gate.example:", False),
        ("", False),
    ],
)
def test_by_which_names_it_is_served(server: Running, path: str, host: str, served: bool) -> None:
    host = host.replace("PORT", str(server.port))
    answer = server.ask(path, "POST", json.dumps(LIST), Host=host)
    assert (answer.status != 421) is served
    assert server.ask("/healthz", Host=host).status == 200, "whoever asks for it knows no name"


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("gate.example", True),
        ("Gate.Example:8443", True),
        ("gate", True),
        ("mcp_gate", True),
        ("xn--bcher-kva.example.", True),
        ("192.0.2.1", True),
        ("192.0.2.1:80", True),
        ("[2001:db8::1]", True),
        ("[::1]:65535", True),
        ("", False),
        ("http://x/", False),
        ("https://gate.example", False),
        ("gate.example/", False),
        ("gate.example/mcp", False),
        ("gate.example:", False),
        ("gate.example:0", False),
        ("gate.example:65536", False),
        ("gate.example:http", False),
        ("gate.example:80:80", False),
        ("gate..example", False),
        ("-gate.example", False),
        (".example", False),
        ("*", False),
        ("*.example", False),
        ("a@gate.example", False),
        ("gate.example\n", False),
        ("gate.example other.example", False),
        ("gate.example,other.example", False),
        ("bücher.example", False),
        ("a" * 64, False),
        ("2001:db8::1", False),
        ("[gate.example]", False),
        ("[2001:db8::1", False),
    ],
)
def test_which_names_can_be_allowed(host: str, taken: bool) -> None:
    if taken:
        Names(1, ["other.example", host]).check({b"host": host.encode()})
    else:
        with pytest.raises(UsageError, match="is no host name") as refused:
            Names(1, ["other.example", host])
        assert "gate.example.com:8443" in refused.value.hint


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT", True),
        ("localhost:PORT", "http://localhost:PORT", True),
        ("127.0.0.1:PORT", "https://console.example", True),
        ("127.0.0.1:PORT", "HTTPS://Console.example", True),
        ("gate.example", "https://gate.example", True),
        ("127.0.0.1:PORT", "http://localhost:PORT", False),
        ("127.0.0.1:PORT", "http://127.0.0.1", False),
        ("127.0.0.1:PORT", "http://127.0.0.1:1", False),
        ("127.0.0.1:PORT", "http://evil.example", False),
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT.evil.example", False),
        ("127.0.0.1:PORT", "http://console.example", False),
        ("127.0.0.1:PORT", "https://console.example:444", False),
        ("127.0.0.1:PORT", "null", False),
        ("127.0.0.1:PORT", "", False),
        ("127.0.0.1:PORT", "file://", False),
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT, http://evil.example", False),
    ],
)
def test_which_pages_may_call(server: Running, host: str, origin: str, allowed: bool) -> None:
    host, origin = (text.replace("PORT", str(server.port)) for text in (host, origin))
    answer = server.post("billing", LIST, Host=host, Origin=origin)
    assert answer.status == (200 if allowed else 403)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("port", "host", "served"), [(80, b"localhost", True), (8080, b"localhost", False)])
def test_the_port_of_the_scheme_need_not_be_said(port: int, host: bytes, served: bool) -> None:
    names = Names(port)
    if served:
        names.check({b"host": host})
    else:
        with pytest.raises(RefusedRequestError):
            names.check({b"host": host})


def test_two_origins_are_none_that_is_allowed() -> None:
    origins = [(b"origin", b"http://localhost:80")] * 2
    with pytest.raises(RefusedRequestError) as refused:
        Names(80).check(once([(b"host", b"localhost:80"), *origins]))
    assert refused.value.status == 403


# --- the request -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "PUT", "OPTIONS", "PATCH"])
def test_only_post_is_taken(server: Running, method: str) -> None:
    answer = server.ask("/mcp", method, Authorization=f"Bearer {KEY}", Accept="text/event-stream")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/mcp/", "/mcp/x", "//mcp", "/MCP", "/docs", "/.env"])
def test_there_is_nothing_else(server: Running, path: str) -> None:
    assert server.ask(path, "POST", "{}", Authorization=f"Bearer {KEY}").status == 404


def test_a_body_of_a_mebibyte_is_the_largest(server: Running) -> None:
    for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 413)):
        body = json.dumps(LIST).encode()
        assert server.post("billing", body + b" " * (size - len(body))).status == status


def test_a_body_that_does_not_say_its_size_ends_at_the_limit(server: Running) -> None:
    head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {KEY}\r\nTransfer-Encoding: chunked\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with connected(server) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + chunk * 17)
        assert b" 413 " in connection.recv(65536)


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "0x10", "9" * 30, "9" * 300, "1, 1", "٣", "", "1\r\nContent-Length: 2"]
)
def test_a_length_that_is_none(server: Running, length: str) -> None:
    head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n"
    answer = raw(server, f"POST /mcp HTTP/1.1\r\n{head}\r\n" + "{}")
    assert answer.split(b" ")[1] in (b"400", b"413")


@pytest.mark.parametrize("shape", ["one", "many", "slow"])
def test_headers_of_16_kib_are_the_largest(server: Running, shape: str) -> None:
    size = 20_000
    headers = [f"X-A: {'a' * size}"] if shape != "many" else [f"X-{n}: a" for n in range(size // 10)]
    head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {KEY}\r\n"
    whole = (head + "\r\n".join(headers) + "\r\nContent-Length: 0\r\n\r\n").encode()
    with connected(server) as connection:
        for place in range(0, len(whole), 4000 if shape == "slow" else len(whole)):
            connection.sendall(whole[place : place + (4000 if shape == "slow" else len(whole))])
            time.sleep(0.02)
        assert connection.recv(65536).split(b" ")[1] in (b"400", b"431")


def test_headers_that_come_in_one_piece_are_measured_too() -> None:
    """The parser measures only what it has to wait for."""
    sent: list[Any] = []

    async def ask(size: int) -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def reached(*_: Any) -> None:
            sent.append({"status": 200})

        guard = Guard(reached, reached, Names(80), Limits(), lambda refusal: refusal.response())
        headers = [(b"host", b"localhost"), (b"x-a", b"a" * size)]
        await guard(
            {"type": "http", "path": "/mcp", "raw_path": b"/mcp", "query_string": b"", "headers": headers},
            receive,
            send,
        )

    for size in (16_000, 17_000):
        asyncio.run(ask(size))
    assert [message["status"] for message in sent if "status" in message] == [200, 431]


def test_http_that_is_none(server: Running) -> None:
    for nonsense in ("\0" * 100, "GET\r\n\r\n", "é é é\r\n\r\n"):
        assert b" 400 " in raw(server, nonsense)
    assert server.post("billing", LIST).status == 200


# --- the time --------------------------------------------------------------------------------------------

HEAD = "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"


BEGINNINGS = (
    "",
    "P",
    HEAD,
    HEAD + "Content-Length: 1000\r\n\r\n",
    HEAD + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n",
    # after an answer, whole or early, the clock runs for the next one as well
    "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + HEAD + "Content-Length: 1000\r\n\r\n",
    HEAD.replace("{key}", "none") + "Content-Length: 1000\r\n\r\n",
)


@pytest.mark.parametrize("drip", [True, False])
def test_a_request_that_does_not_arrive_is_dropped(server: Running, drip: bool) -> None:
    """One byte at a time keeps it no longer open than silence does."""
    kept = {beginning: connected(server) for beginning in BEGINNINGS}
    for beginning, connection in kept.items():
        connection.sendall(beginning.format(port=server.port, key=KEY).encode())
        connection.settimeout(0.02)
    end = time.monotonic() + 4
    while kept and time.monotonic() < end:
        for beginning, connection in [*kept.items()]:
            try:
                if drip:
                    connection.sendall(b"x")
                if connection.recv(65536):
                    continue
            except TimeoutError:
                continue
            except OSError:
                pass
            connection.close()
            del kept[beginning]
    for connection in kept.values():
        connection.close()
    assert not kept


def test_a_connection_that_idles_is_closed(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.settimeout(5)
        found = b""
        while more := connection.recv(65536):
            found += more
        assert found.endswith(b"ok")


def test_a_client_that_does_not_read_is_dropped(server: Running) -> None:
    async def much(*_: object) -> Outcome:
        return Outcome("x" * 20_000_000)

    key = server.apps.add("sleeper")
    object.__setattr__(server.apps.gates[key], "call", much)
    streams = [
        started_request(server.port, "sleeper", call("shop_list_orders")) for _ in range(QUICK.at_once)
    ]
    for stream in streams:
        stream.__enter__().recv(1)
    assert server.post("sleeper", LIST).status == 429
    until(lambda: server.post("sleeper", LIST).status == 200)
    for stream in streams:
        stream.__exit__(None, None, None)


# --- how many --------------------------------------------------------------------------------------------


def test_an_app_has_so_many_requests_at_once_and_others_do_not_mind(server: Running) -> None:
    message = call("shop_send_note", to="a", text="b")
    sockets = [started_request(server.port, "billing", message) for _ in range(QUICK.at_once)]
    for connection in sockets:
        connection.__enter__()
    until(lambda: server.post("billing", LIST).status == 429)
    refused = server.post("billing", LIST)
    assert int(refused.headers["retry-after"]) > 0
    assert server.post("support", LIST).status == 200
    for connection in sockets:
        connection.__exit__(None, None, None)
    until(lambda: server.post("billing", LIST).status == 200)


def test_streams_that_wait_for_news_take_no_place_of_a_call(server: Running) -> None:
    message, headers = enveloped("subscriptions/listen", notifications={"toolsListChanged": True})
    streams = [started_request(server.port, "billing", message, **headers) for _ in range(QUICK.listening)]
    for stream in streams:
        stream.__enter__().recv(1)
    assert server.post("billing", message, **headers).status == 429
    assert server.post("billing", LIST).status == 200
    for stream in streams:
        stream.__exit__(None, None, None)


def test_the_same_warning_is_written_once_a_minute(capfd: pytest.CaptureFixture[str]) -> None:
    handler = Discreet()

    def log(created: float, line: int = 1) -> str:
        record = logging.LogRecord("uvicorn.error", logging.WARNING, "x", line, CANARY, None, None)
        record.created = created
        handler.emit(record)
        return capfd.readouterr().err

    said = log(1000)
    assert said == "mcpgate: warning in uvicorn.error, line 1\n"
    assert {log(1000 + after) for after in range(int(AGAIN_AFTER))} == {""}
    assert log(1001, line=2) != ""
    assert log(1000 + AGAIN_AFTER) == said
    assert log(1000 + AGAIN_AFTER) == ""
    assert log(500) == said, "the clock was put back"


# --- what else is asked ----------------------------------------------------------------------------------


def test_readiness(server: Running) -> None:
    assert (server.ask("/healthz").text, server.ask("/readyz").text) == ("ok", "ready")
    server.apps.unready = "The database at /secret/place is away."
    try:
        assert server.ask("/healthz").status == 200
        here, passed_on = server.ask("/readyz"), server.ask("/readyz", X_Forwarded_For="192.0.2.1")
    finally:
        server.apps.unready = ""
    assert (here.status, here.text) == (503, "The database at /secret/place is away.")
    assert (passed_on.status, "secret" in passed_on.text) == (503, False)


@pytest.mark.parametrize(
    ("host", "port"), [("a" * 64, 0), ("a\0b", 0), ("127.0.0.1", 70000), ("127.0.0.1", -1), ("192.0.2.1", 0)]
)
def test_an_address_that_cannot_be_listened_on(host: str, port: int) -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        bind(host, port)


def test_a_port_that_is_taken() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(UsageError, match=r"in use.*|cannot listen"):
        bind("127.0.0.1", listener.getsockname()[1])


def connected(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 10)


def raw(server: Running, text: str) -> bytes:
    """What comes back until the connection is closed, or nothing more comes."""
    with connected(server) as connection:
        connection.sendall(text.encode())
        return connection.recv(65536)


def test_as_many_clients_as_there_are_places_are_never_too_many(server: Running) -> None:
    """A place is left with the last byte: whoever asks again at once finds it free."""
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }

    def client(_: int) -> set[int]:
        connection, seen = HTTPConnection("127.0.0.1", server.port, timeout=20), set()
        for _ in range(60):
            connection.request("POST", "/mcp", json.dumps(LIST), headers)
            reply = connection.getresponse()
            reply.read()
            seen.add(reply.status)
        connection.close()
        return seen

    with ThreadPoolExecutor(QUICK.at_once) as clients:
        assert set().union(*clients.map(client, range(QUICK.at_once))) == {200}
