"""An MCP server elsewhere: the SDK's in every era, and servers that do what none should."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from mcp.shared.inbound import decode_header_value

from mcpgate.engine.body import MAX_REPLY_BYTES
from mcpgate.engine.endpoint import Endpoint, check_key, check_url
from mcpgate.engine.remote import Remote
from mcpgate.engine.remote_messages import MAX_DEPTH, RemoteError, header_word
from mcpgate.errors import CredentialError, MCPGateError, UnknownToolError, UsageError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Outcome
from tests.engine.mcp_server import KEY, MCPServer, until
from tests.engine.raw import RawServer
from tests.standins.loopback import LOST, Captured, Loopback, Reply

ERAS = ["both", "old", "sessions"]
MODERN = "2026-07-28"
UNKNOWN, UNDONE = "is not known", "Nothing was done."
ECHO = [{"name": "echo", "inputSchema": {"type": "object"}}]


def remote(url: str, **rest: Any) -> Remote:
    return Remote(url, Secret(KEY), Scrubber(), "1.2.3", **{"poll": 0.05, "pause": 0.02, **rest})


def using(url: str, use: Callable[[Remote], Coroutine[Any, Any, Any]], **rest: Any) -> Any:
    """Opens in one event loop and uses in another, as the bridge does."""
    there = remote(url, **rest)
    asyncio.run(there.open())

    async def run() -> Any:
        try:
            return await use(there)
        finally:
            await there.close()

    return asyncio.run(run())


def calling(url: str, **arguments: Any) -> Outcome:
    outcome = using(url, lambda there: there.call("echo", arguments))
    assert isinstance(outcome, Outcome)
    return outcome


# --- what any server does --------------------------------------------------------------------------------


@pytest.mark.parametrize("json_response", [False, True])
@pytest.mark.parametrize("era", ERAS)
def test_a_server_of_every_era(era: str, json_response: bool) -> None:
    async def use(there: Remote) -> None:
        assert await there.call("echo", {"a": "é", "b": [1.5, None]}) == Outcome(
            '{"a": "é", "b": [1.5, null]}'
        )
        assert (await there.call("echo", {"progress": 1})).text == '{"progress": 1}'
        told = (await there.call("echo", {"deny": "no"}), await there.call("echo", {"fail": -32603}))
        assert told[0] == Outcome(
            "Denied.",
            {"reason": "no", "key": "***"},
            is_error=True,
            note="Ask.\n(image: image/png; mcpgate passes on texts only)",
        )
        assert told[1] == Outcome("It broke near ***", is_error=True)
        with pytest.raises(UnknownToolError, match="Unknown tool: nö"):
            await there.call("nö", {})

    with MCPServer(era, json_response) as server:
        there = remote(server.url)
        tools = [{"name": "echo", "inputSchema": {"type": "object"}}]
        assert asyncio.run(there.open()) == {"instructions": "Ask first.", "tools": tools}
        assert server.methods == ["server/discover", "tools/list"] if era == "both" else True
        using(server.url, use)
        assert server.methods.count("tools/call") == 5
        handshakes = 0 if era == "both" else 2
        assert server.methods.count("initialize") == handshakes
        assert server.methods.count("notifications/initialized") == handshakes
        assert server.methods[-1] == ("DELETE" if era == "sessions" else "tools/call")
        calls = [headers for method, headers in server.requests if method == "tools/call"]
        assert {call["mcp-protocol-version"] for call in calls} == {MODERN if era == "both" else "2025-11-25"}
        assert all(("mcp-session-id" in call) is (era == "sessions") for call in calls)
        assert [call.get("mcp-name") for call in calls[-2:]] == (
            ["echo", "=?base64?bsO2?="] if era == "both" else [None, None]
        )


def test_all_pages_are_read() -> None:
    with MCPServer(pages=3) as server:
        server.tools = ["one", "two", "three"]
        offer = asyncio.run(remote(server.url).open())
    assert [tool["name"] for tool in offer["tools"]] == ["one", "two", "three"]


@pytest.mark.parametrize("era", ERAS)
def test_calls_run_side_by_side_and_are_cancelled(era: str) -> None:
    async def use(there: Remote) -> None:
        texts = await asyncio.gather(*(there.call("echo", {"n": n}) for n in range(20)))
        assert [json.loads(outcome.text)["n"] for outcome in texts] == [*range(20)]
        calls = server.methods.count("tools/call")
        waiting = asyncio.create_task(there.call("echo", {"sleep": 30}))
        await asyncio.to_thread(until, lambda: server.methods.count("tools/call") > calls)
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(until, lambda: server.cancelled == 1)

    with MCPServer(era) as server:
        using(server.url, use)
    assert server.methods.count("notifications/cancelled") == (era == "sessions")


@pytest.mark.parametrize("era", ERAS)
def test_the_offer_stays_true(era: str) -> None:
    def names(there: Remote) -> list[str]:
        offer = there.listing()
        return [tool["name"] for tool in offer["tools"]] if offer else []

    async def use(there: Remote) -> None:
        server.tools = ["before"]  # between the opening and the stream
        there.follow()
        await asyncio.to_thread(until, lambda: names(there) == ["before"])
        server.publish("a", "b")
        await asyncio.to_thread(until, lambda: names(there) == ["a", "b"])
        server.end_streams()
        server.forget()
        server.tools = ["c"]
        await asyncio.to_thread(until, lambda: names(there) == ["c"])
        if era == "both":
            await asyncio.to_thread(
                until, lambda: server.methods[-2:] == ["subscriptions/listen", "tools/list"]
            )
        server.key = "another"
        server.end_streams()
        asked = len(server.requests)
        await asyncio.to_thread(until, lambda: len(server.requests) > asked + 1)
        with pytest.raises(CredentialError):
            await there.call("c", {})
        server.key, server.tools = KEY, ["d"]
        await asyncio.to_thread(until, lambda: names(there) == ["d"])

    with MCPServer(era) as server:
        using(server.url, use)


@pytest.mark.parametrize("status", [404, 405, 500])
def test_news_are_polled_where_there_are_no_streams(status: int) -> None:
    """For good if the server says that it knows none, else in between further tries."""
    listed: list[int] = []

    def answer(request: Captured) -> Reply:
        message = json.loads(request.body)
        if message["method"] == "subscriptions/listen":
            error = {**envelope(message), "error": {"code": -32601, "message": "no"}}
            return Reply.json(error, status) if status == 404 else Reply(status, b"", {})
        if message["method"] == "tools/list":
            listed.append(1)
        return modern(request)

    async def use(there: Remote) -> None:
        there.follow()
        await asyncio.to_thread(until, lambda: len(listed) > 4)

    with Loopback(otherwise=answer) as server:
        using(server.url, use)
        asked = [json.loads(request.body)["method"] for request in server.requests]
    assert (asked.count("subscriptions/listen") == 1) is (status == 404)


def test_a_session_that_is_over() -> None:
    async def use(there: Remote) -> None:
        await there.call("echo", {})
        server.forget()
        with pytest.raises(RemoteError, match="over") as told:
            await there.call("echo", {})
        assert told.value.hint == "Nothing was done. Call again."
        assert (await there.call("echo", {"again": 1})).text == '{"again": 1}'

    with MCPServer("sessions") as server:
        using(server.url, use)
    assert server.methods.count("tools/call") == 3
    assert server.methods.count("initialize") == 2


# --- what none should do ---------------------------------------------------------------------------------


def envelope(message: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"]}


def result(message: dict[str, Any], **members: Any) -> Reply:
    return Reply.json({**envelope(message), "result": {"resultType": "complete", **members}})


def modern(request: Captured) -> Reply:
    """A server of 2026-07-28 with one tool."""
    message = json.loads(request.body)
    match message["method"]:
        case "server/discover":
            return result(message, supportedVersions=[MODERN], capabilities={})
        case "tools/list":
            return result(message, tools=ECHO)
    return result(message, content=[{"type": "text", "text": "done"}])


def but(method: str, reply: Reply | Callable[[dict[str, Any]], Reply]) -> Callable[[Captured], Reply]:
    """The same, but for one method."""

    def answer(request: Captured) -> Reply:
        message = json.loads(request.body)
        if message["method"] != method:
            return modern(request)
        return reply(message) if callable(reply) else reply

    return answer


def events(*messages: Any, **rest: Any) -> Reply:
    body = b"".join(b"event: message\ndata: " + json.dumps(each).encode() + b"\n\n" for each in messages)
    return Reply(200, body, {"Content-Type": "text/event-stream", **rest})


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


def raw(message: dict[str, Any], content: str) -> Reply:
    """A result whose content is written by hand."""
    return Reply(body=f'{{"jsonrpc":"2.0","id":{message["id"]},"result":{{"content":{content}}}}}'.encode())


NEWS = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x"}}
FAULTS: dict[str, tuple[Any, str, str]] = {
    "revoked": (Reply(401, b"no such key", {}), "refuses the app key (401): no such key", "revoked"),
    "forbidden": (Reply(403, b'{"error_description": "paused"}'), "(403): paused", "revoked"),
    "too many": (
        Reply(429, b"", {"Retry-After": "7"}),
        "answered 429. It asks to wait 7 s.",
        UNDONE,
    ),
    "too large": (Reply(413, b"<html>", {}), "answered 413.", UNDONE),
    "moved": (
        Reply(307, b"", {"Location": "https://elsewhere.example/mcp"}),
        "a redirect",
        "elsewhere.example",
    ),
    "nowhere": (Reply(404, b"<html>", {}), "answered 404.", "Look at the path"),
    "broken": (Reply(500, b"Internal Server Error", {}), "500: Internal Server Error", UNKNOWN),
    "away": (
        Reply(503, b"", {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}),
        "503. It asks to wait",
        UNKNOWN,
    ),
    "taken, no answer": (Reply(202, b"", {}), "answered 202.", UNKNOWN),
    "empty": (Reply(200, b""), "no message of MCP", UNKNOWN),
    "a page": (Reply(200, b"<html>hello", {"Content-Type": "text/html"}), "no message of MCP", UNKNOWN),
    "half": (Reply(200, b'{"jsonrpc": "2.0", "id": 3, "res'), "no message of MCP", UNKNOWN),
    "no JSON-RPC": (Reply(200, b'{"content": []}'), "no message of MCP", UNKNOWN),
    "a batch": (Reply(200, b'[{"jsonrpc": "2.0"}]'), "no message of MCP", UNKNOWN),
    "another's": (
        lambda m: Reply.json({**envelope(m), "id": 99, "result": {}}),
        "to another request",
        UNKNOWN,
    ),
    "nothing": (lambda m: Reply.json(envelope(m)), "neither a result nor an error", UNKNOWN),
    "no content": (lambda m: result(m, said="yes"), "no result of a tool", UNKNOWN),
    "odd content": (lambda m: result(m, content=["yes"]), "no result of a tool", UNKNOWN),
    "no number": (lambda m: raw(m, "[NaN]"), "no message of MCP", UNKNOWN),
    "endless number": (lambda m: raw(m, "[1e999]"), "no message of MCP", UNKNOWN),
    "long number": (lambda m: raw(m, "9" * 5000), "no message of MCP", UNKNOWN),
    "deep": (lambda m: result(m, content=nested(MAX_DEPTH)), "no message of MCP", UNKNOWN),
    "very deep": (lambda m: raw(m, "[" * 200_000), "no message of MCP", UNKNOWN),
    "giant": (Reply(200, b"[" + b" " * MAX_REPLY_BYTES), "more than 5 MiB", UNKNOWN),
    "packed giant": (Reply.bomb(MAX_REPLY_BYTES + 1000), "more than 5 MiB", UNKNOWN),
    "giant event": (lambda m: events(NEWS, "x" * MAX_REPLY_BYTES), "more than 5 MiB", UNKNOWN),
    "packed events": (events(NEWS, **{"Content-Encoding": "gzip"}), "packed", UNKNOWN),
    "events without an answer": (events(NEWS), "cut off", UNKNOWN),
    "no event": (Reply(200, b"data: {}\n\n", {"Content-Type": "text/event-stream"}), "no message", UNKNOWN),
    "a cut event": (lambda m: cut(m), "cut off", UNKNOWN),
    "a cut body": (Reply(200, b'{"jsonrpc": "2.0"}', cut=5), "cut off", UNKNOWN),
    "a cut stream": (Reply(200, b"x" * 99, {"Content-Type": "text/event-stream"}, cut=5), "broke", UNKNOWN),
    "lost": (LOST, "The connection to http://127.0.0.1", UNKNOWN),
}


def cut(message: dict[str, Any]) -> Reply:
    """Events whose last one, the answer, lacks its end."""
    whole = events(NEWS, json.loads(result(message, content=[]).body))
    return Reply(200, whole.body[:-1], whole.headers)


@pytest.mark.parametrize("name", FAULTS)
def test_an_answer_that_is_none(name: str) -> None:
    """An error that says whether the call may have taken effect; and it is never sent twice."""
    reply, says, hint = FAULTS[name]
    with Loopback(otherwise=but("tools/call", reply)) as server:
        with pytest.raises(MCPGateError) as told:
            calling(server.url)
        asked = [json.loads(request.body)["method"] for request in server.requests]
    assert says in told.value.message
    assert hint in told.value.hint
    assert (UNKNOWN in told.value.hint) is (hint == UNKNOWN)
    assert asked == ["server/discover", "tools/list", "tools/call"]


@pytest.mark.parametrize("status", [401, 429, 500, 200])
def test_the_key_is_told_nowhere(status: int) -> None:
    said = f"Bearer {KEY} is refused; mgw%5F{KEY[4:]}"
    bodies = [said, json.dumps({"error_description": said}), json.dumps({"error": {"message": said}})]
    for body in bodies:
        answer = but("tools/call", Reply(status, body.encode()))
        with Loopback(otherwise=answer) as server, pytest.raises(MCPGateError) as told:
            calling(server.url)
        assert KEY[8:20] not in f"{told.value!r} {told.value.hint}"


def test_what_a_result_shows_of_the_key() -> None:
    def answer(message: dict[str, Any]) -> Reply:
        block = {"type": "text", "text": f"key: {KEY}"}
        return result(message, content=[block, block], structuredContent={KEY: [KEY]}, isError=True)

    with Loopback(otherwise=but("tools/call", answer)) as server:
        assert calling(server.url) == Outcome("key: ***", {"***": ["***"]}, is_error=True, note="key: ***")
    tools = [{**ECHO[0], "description": f"Use {KEY}."}]
    with Loopback(otherwise=but("tools/list", lambda message: result(message, tools=tools))) as server:
        assert KEY not in str(asyncio.run(remote(server.url).open()))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"content": []}, Outcome("")),
        ({"content": [], "structuredContent": [1]}, Outcome("")),
        ({"content": [{"type": "text", "text": "\u202ea"}]}, Outcome("\u202ea")),
        ({"content": [{"type": "resource", "resource": {"text": "t"}}]}, Outcome("t")),
        (
            {"content": [{"type": "resource_link", "uri": "x:y"}]},
            Outcome("(resource_link: x:y; mcpgate passes on texts only)"),
        ),
        (
            {"content": [], "resultType": "input_required"},
            Outcome("The server asks for input that this client cannot give.", is_error=True),
        ),
    ],
)
def test_what_a_result_becomes(members: dict[str, Any], expected: Outcome) -> None:
    with Loopback(otherwise=but("tools/call", lambda message: result(message, **members))) as server:
        assert calling(server.url) == expected


def test_the_answer_among_other_events() -> None:
    def answer(message: dict[str, Any]) -> Reply:
        asks = {**NEWS, "id": message["id"]}  # a request of the server's own, under the same number
        done = {**envelope(message), "result": {"content": [{"type": "text", "text": "done"}]}}
        return events(NEWS, asks, {**done, "id": 99, "result": {"content": []}}, done)

    with Loopback(otherwise=but("tools/call", answer)) as server:
        assert calling(server.url).text == "done"


def test_a_stream_is_left_once_the_answer_is_there() -> None:
    event = b'data: {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def ask(server: RawServer) -> None:
        there = Endpoint(server.url, Secret(KEY), Scrubber(), "test")
        found, _ = await there.ask({"jsonrpc": "2.0", "id": 1, "method": "x"}, {}, 5)
        assert found == {"a": 1}
        assert await asyncio.to_thread(server.ended.wait, 2)
        await there.close()

    with RawServer([head + b"%x\r\n%s\r\n" % (len(event), event), b"more"]) as server:
        asyncio.run(ask(server))


def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    with Loopback(otherwise=modern) as elsewhere:
        for status in (301, 302, 307, 308):
            with Loopback(otherwise=Reply(status, b"", {"Location": elsewhere.url})) as server:
                with pytest.raises(RemoteError, match="a redirect") as told:
                    asyncio.run(remote(server.url).open())
                assert elsewhere.url in told.value.hint
                assert len(server.requests) == 1
        assert not elsewhere.requests


def test_no_answer_in_time() -> None:
    with MCPServer() as server:
        with pytest.raises(RemoteError, match=r"answered nothing within 0\.3 s") as told:
            using(server.url, lambda there: there.call("echo", {"sleep": 30}), call_seconds=0.3)
        assert UNKNOWN in told.value.hint
        until(lambda: server.cancelled)


def test_the_server_is_gone_and_comes_back() -> None:
    async def use(there: Remote) -> None:
        server.close()
        with pytest.raises(RemoteError, match="There is no connection to http") as told:
            await there.call("echo", {})
        assert told.value.hint == UNDONE
        assert told.value.fate == "failed"

    server = Loopback(otherwise=modern)
    using(server.url, use)


def test_arguments_that_are_no_json() -> None:
    with MCPServer() as server:
        with pytest.raises(RemoteError, match="cannot be sent as JSON"):
            calling(server.url, number=float("nan"))
        assert "tools/call" not in server.methods


# --- the opening -----------------------------------------------------------------------------------------


def refused(code: int, **data: Any) -> Callable[[dict[str, Any]], Reply]:
    """A JSON-RPC error."""
    error = {"code": code, "message": "no", **({"data": data} if data else {})}
    return lambda message: Reply.json({**envelope(message), "error": error}, 400)


@pytest.mark.parametrize(
    ("discovery", "older"),
    [
        (refused(-32022, supported=["2025-11-25"]), True),
        (refused(-32022), True),
        (refused(-32022, supported=["2031-01-01"]), False),
        (refused(-32601), True),
        (lambda message: result(message, supportedVersions=["2025-11-25"]), True),
        (lambda message: result(message), True),
        (Reply(400, b"Bad Request"), True),
        (Reply(404, b"Not Found"), True),
        (Reply(405, b""), True),
        (Reply(500, b""), True),
        (Reply(401, b""), False),
        (Reply(403, b""), False),
        (Reply(307, b""), False),
        (Reply(429, b""), False),
        (Reply(502, b""), False),
        (Reply(503, b""), False),
        (Reply(200, b"<html>"), False),
        (LOST, False),
    ],
)
def test_who_is_greeted_with_the_handshake(discovery: Any, older: bool) -> None:
    with Loopback(otherwise=but("server/discover", discovery)) as server:
        with pytest.raises(MCPGateError):
            asyncio.run(remote(server.url).open())
        asked = [json.loads(request.body)["method"] for request in server.requests]
    assert asked == ["server/discover", *(["initialize"] if older else [])]


@pytest.mark.parametrize(
    ("method", "reply", "says"),
    [
        ("server/discover", Reply(401, b""), "refuses the app key"),
        ("server/discover", Reply(503, b""), "answered 503"),
        ("tools/list", lambda message: result(message), "does not list its tools as MCP does"),
        ("tools/list", lambda message: result(message, tools=["echo"]), "does not list its tools"),
        ("tools/list", lambda message: result(message, tools=[{"name": "echo"}]), "does not list its tools"),
        ("tools/list", lambda message: result(message, tools=ECHO, nextCursor="again"), "more tools"),
        ("tools/list", refused(-32603), "no"),
    ],
)
def test_a_server_that_cannot_be_opened(method: str, reply: Any, says: str) -> None:
    with Loopback(otherwise=but(method, reply)) as server:
        with pytest.raises(MCPGateError, match=says) as told:
            asyncio.run(remote(server.url).open())
        assert len(server.requests) <= 4
    assert told.value.exit_code == (4 if "key" in says else 1)


@pytest.mark.parametrize(("pages", "size"), [(3, 0), (100, 2**21)])
def test_a_listing_without_end(monkeypatch: pytest.MonkeyPatch, pages: int, size: int) -> None:
    monkeypatch.setattr("mcpgate.engine.remote._MOST_PAGES", pages)
    numbers = iter(range(1000))

    def answer(message: dict[str, Any]) -> Reply:
        return result(message, tools=[{**ECHO[0], "x": "x" * size}], nextCursor=f"page {next(numbers)}")

    with Loopback(otherwise=but("tools/list", answer)) as server:
        with pytest.raises(RemoteError, match="more tools"):
            asyncio.run(remote(server.url).open())
        assert len(server.requests) == 4


def test_a_handshake_with_an_unknown_revision() -> None:
    def answer(request: Captured) -> Reply:
        message = json.loads(request.body)
        if message["method"] == "initialize":
            return result(message, protocolVersion="1999-01-01")
        return Reply(400, b"")

    with Loopback(otherwise=answer) as server, pytest.raises(RemoteError, match="no revision of MCP"):
        asyncio.run(remote(server.url).open())


def test_nobody_is_there() -> None:
    with RawServer() as nobody:
        pass
    with pytest.raises(RemoteError, match="There is no connection to http:") as told:
        asyncio.run(remote(f"{nobody.url}/mcp").open())
    assert told.value.exit_code == 1


@pytest.mark.parametrize("discovery", [LOST, Reply(200, b"<html>"), Reply(503, b""), refused(-32603)])
def test_a_call_before_anything_is_agreed_on(discovery: Any) -> None:
    """Whatever becomes of the opening, the call was not sent."""

    def answer(request: Captured) -> Reply:
        message = json.loads(request.body)
        reply: Reply = discovery(message) if callable(discovery) else discovery
        return reply

    async def call(there: Remote) -> None:
        with pytest.raises(RemoteError) as told:
            await there.call("echo", {})
        assert told.value.hint.startswith(UNDONE)
        assert told.value.fate == "failed"
        await there.close()

    with Loopback(otherwise=answer) as server:
        asyncio.run(call(remote(server.url)))


def test_bytes_that_are_no_http() -> None:
    broke = pytest.raises(RemoteError, match="The connection to http:")
    with RawServer([b"\x16\x03\x01 what?"]) as server, broke:
        asyncio.run(remote(server.url).open())


def test_certificates_are_checked(tmp_path: Any) -> None:
    """A server with a certificate of its own making learns nothing: not one byte of a request comes."""
    heard: list[bytes] = []
    refused = pytest.raises(RemoteError, match="CERTIFICATE_VERIFY_FAILED")
    with _self_signed(tmp_path, heard) as port, refused as told:
        asyncio.run(remote(f"https://127.0.0.1:{port}/mcp").open())
    assert told.value.fate == "failed"
    assert not heard


class _self_signed:  # noqa: N801
    """One TLS connection to whoever comes, with a certificate that nobody has signed."""

    def __init__(self, folder: Any, heard: list[bytes]) -> None:
        import datetime
        import ipaddress
        import socket

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
        signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
        form = serialization.Encoding.PEM
        (folder / "cert.pem").write_bytes(
            key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + signed.public_bytes(form)
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "cert.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._heard = heard
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                with self._context.wrap_socket(connection, server_side=True) as wrapped:
                    if heard := wrapped.recv(1000):
                        self._heard.append(heard)
            except OSError:
                pass

    def __enter__(self) -> int:
        self._thread.start()
        port = self._listener.getsockname()[1]
        assert isinstance(port, int)
        return port

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()


# --- what is given ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://gate.example.com/mcp",
        "https://gate.example.com:8443/a/b",
        "https://gate.example.com",
        "http://127.0.0.1:8000/mcp",
        "http://localhost/mcp",
        "http://[::1]:8000/mcp",
    ],
)
def test_addresses(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gate.example.com/mcp",
        "ftp://gate.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///mcp",
        "https://gate.example.com:99999/",
        "https://gäte.example.com/",
        "https://gate.example.com/a b",
        "https://gate.example.com/\r\nX: y",
        "https://[::1/",
        "http://gate.example.com/mcp",
        "http://10.0.0.1/mcp",
        "http://0.0.0.0/mcp",
        "http://localhost.example.com/mcp",
        "http://127.0.0.1@gate.example.com/mcp",
        f"https://{KEY}@gate.example.com/mcp",
        f"https://user:{KEY}@gate.example.com/mcp",
        f"https://gate.example.com/mcp?key={KEY}",
        f"https://gate.example.com/mcp#{KEY}",
        "https://gate.example.com/mcp?",
        "https://gate.example.com/mcp#",
    ],
)
def test_no_addresses(url: str) -> None:
    with pytest.raises(UsageError) as told:
        check_url(url)
    assert KEY not in told.value.message + told.value.hint
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["", "  ", "short", "two words here", "mgw_ä" * 4, "mgw_\x00" * 4, "k" * 5000]
)
def test_no_keys(text: str) -> None:
    with pytest.raises(CredentialError) as told:
        check_key(Secret(text), "MCPGATE_APP_KEY")
    assert not text.strip() or text.strip() not in told.value.message + told.value.hint


def test_a_key() -> None:
    assert check_key(Secret(f" {KEY}\n"), "a file").reveal() == KEY


@pytest.mark.parametrize(
    "name", ["echo", "a b", "nö", " a", "a ", "", "=?base64?YQ==?=", "a\r\nX: y", "\x7f", "a\tb"]
)
def test_names_in_headers(name: str) -> None:
    word = header_word(name)
    assert decode_header_value(word) == name
    assert word.isascii()
    assert word.isprintable()
