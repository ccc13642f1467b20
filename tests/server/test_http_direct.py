"""Calls that are answered without the SDK: they say what it would, and everything else is left to it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from mcpgate.errors import MCPGateError, UnknownToolError
from mcpgate.server.http import application
from mcpgate.server.web import entrance
from mcpgate.server.web.direct import understood
from mcpgate.server.web.door import Limits
from mcpgate.server.web.guard import Names
from mcpgate.values import Outcome
from tests.server.http_apps import (
    Apps,
    Running,
    call,
    enveloped,
    key_of,
    old,
    running,
    started_request,
    until,
)
from tests.server.models import check
from tests.server.process import ENVELOPE, HANDSHAKE, modern, notification, request
from tests.standins.loopback import Loopback, Reply

Headers = list[tuple[bytes, bytes]]

TOOL = {
    "name": "shop_get",
    "description": "Gets.",
    "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
}
OUTCOMES = {
    "plain": Outcome('{"a":1}', note="said beside"),
    "facts": Outcome("no", {"error": "no", "at": [1, None, 2.5]}, is_error=True),
    "half": Outcome("half a pair: \ud83d", {"half": "\udc00"}),
    "unwritten": Outcome("", {"odd": float("nan")}),
}


@dataclass
class Gate:
    """A gate that writes down what it is asked."""

    name: str = "billing"
    asked: list[Any] = field(default_factory=list)

    def listing(self) -> Any:
        return {"instructions": "Ask first.", "tools": [TOOL]}

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        self.asked.append((name, json.dumps(arguments)))
        await asyncio.sleep(0)
        if name in OUTCOMES:
            return OUTCOMES[name]
        if name == "slow":
            try:
                await asyncio.sleep(20)
            except asyncio.CancelledError:
                self.asked.append("cancelled")
                raise
        if name == "away":
            raise MCPGateError("The store is away.", "Start it.")
        if name == "broken":
            raise RuntimeError("secret")
        if name != "shop_get":
            raise UnknownToolError(f"There is no tool {name[:80]!r}.")
        return Outcome('{"id":"o_1"}')


@dataclass(frozen=True)
class Said:
    """What came back, and what the gate was asked for it."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    asked: list[Any]

    @property
    def message(self) -> Any:
        text = self.body.decode()
        if self.headers.get(b"content-type") == b"text/event-stream":
            text = text.partition("data: ")[2].partition("\r\n")[0]
        return json.loads(text)


class Server:
    """The application, asked without a socket: by the one way or by the other."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.looks = 0
        self.directly = 0
        self._runner = asyncio.Runner()
        self._app = application(self, Names(80), version="1.2.3")
        self._lifespan: Any = None
        self._runner.run(self._start())

    def enter(self, key: str) -> Gate:
        self.looks += 1
        return self.gate

    def ready(self) -> str:
        return ""

    async def close(self) -> None:
        pass

    async def _start(self) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        started = asyncio.Event()

        async def send(message: Any) -> None:
            started.set()

        await self._events.put({"type": "lifespan.startup"})
        self._lifespan = asyncio.ensure_future(self._app({"type": "lifespan"}, self._events.get, send))
        await started.wait()

    def stop(self) -> None:
        async def end() -> None:
            await self._events.put({"type": "lifespan.shutdown"})
            await self._lifespan

        self._runner.run(end())
        self._runner.close()

    def ask(
        self, headers: Headers, body: bytes, *, sdk: bool = False, pieces: int = 0, within: float = 20
    ) -> Said:
        """One request; `sdk` lets nothing be answered directly."""

        def seen(*args: Any) -> Any:
            found = None if sdk else understood(*args)
            self.directly += found is not None
            return found

        self.directly, self.looks = 0, 0
        with patch.object(entrance, "understood", seen):
            return self._runner.run(asyncio.wait_for(self._ask(headers, body, pieces), within))

    async def _ask(self, headers: Headers, body: bytes, pieces: int) -> Said:
        self.gate.asked = []
        parts = [body] if not pieces else [body[:pieces], body[pieces:]]
        waiting = [
            {"type": "http.request", "body": part, "more_body": n < len(parts)}
            for n, part in enumerate(parts, 1)
        ]
        sent: list[Any] = []
        never = asyncio.Event()

        async def receive() -> Any:
            if not waiting:
                await never.wait()
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "raw_path": b"/mcp",
            "query_string": b"",
            "headers": headers,
            "state": {} if pieces else {"mcpgate.whole": True},
        }
        await self._app(scope, receive, send)
        start = sent[0]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Said(start["status"], dict(start["headers"]), body, self.gate.asked)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def headers_of(message: Any, **changed: str | None) -> Headers:
    """What belongs to a message, with other values or without some; `_` is `-`."""
    sent = {
        "host": "localhost",
        "authorization": f"Bearer {key_of('billing')}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    params = message.get("params") if isinstance(message, dict) else None
    if (
        isinstance(params, dict)
        and isinstance(params.get("_meta"), dict)
        and ENVELOPE.keys() & params["_meta"].keys()
    ):
        sent |= {"mcp-protocol-version": "2026-07-28", "mcp-method": str(message.get("method"))}
        if isinstance(params.get("name"), str) and params["name"].isascii():
            sent["mcp-name"] = params["name"]
    for name, value in changed.items():
        if value is None:
            sent.pop(name.replace("_", "-"), None)
        else:
            sent[name.replace("_", "-")] = value
    return [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]


def body_of(message: Any) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def old_call(name: Any = "shop_get", request_id: Any = 1, **more: Any) -> dict[str, Any]:
    return request(request_id, "tools/call", **{"name": name, "arguments": {"id": "o_1"}, **more})


def new_call(name: Any = "shop_get", request_id: Any = 1, **more: Any) -> dict[str, Any]:
    return old_call(name, request_id, **{"_meta": ENVELOPE, **more})


def meta(**changed: Any) -> dict[str, Any]:
    """The envelope with other values; `...` leaves one out."""
    keys = {name: f"io.modelcontextprotocol/{name}" for name in changed}
    found = ENVELOPE | {keys[name]: value for name, value in changed.items()}
    return {name: value for name, value in found.items() if value is not ...}


# --- what is in order ------------------------------------------------------------------------------------

IN_ORDER: dict[str, tuple[Any, dict[str, str | None]]] = {
    **{
        f"old, {version}": (old_call(), {"mcp_protocol_version": version})
        for version in HANDSHAKE_PROTOCOL_VERSIONS
    },
    **{f"old, {name}": (old_call(name), {}) for name in (*OUTCOMES, "away", "broken", "no_such")},
    **{f"new, {name}": (new_call(name), {}) for name in (*OUTCOMES, "away", "broken", "no_such")},
    "old": (old_call(), {}),
    "new": (new_call(), {}),
    "old, no arguments": (request(1, "tools/call", name="shop_get"), {}),
    "new, no arguments": (modern(1, "tools/call", name="shop_get"), {}),
    "arguments null": (old_call(arguments=None), {}),
    "a name in other letters": (old_call("größe"), {}),
    "progress": (old_call(_meta={"progressToken": 7}), {}),
    "new, progress": (new_call(_meta=ENVELOPE | {"progressToken": "p"}), {}),
    "meta of others": (old_call(_meta={"example.com/use": {"a": 1}}), {}),
    "no client info": (new_call(_meta=meta(clientInfo=...)), {}),
    "capabilities": (new_call(_meta=meta(clientCapabilities={"elicitation": {"form": {}}, "x": 1})), {}),
    "a text for an id": (old_call(request_id="é\n"), {}),
    "zero for an id": (new_call(request_id=0), {}),
    "a long id": (old_call(request_id=2**70), {}),
    "more fields": (old_call(extra=1) | {"extra": 1}, {}),
    "a task": (old_call(task={"ttl": 60}), {}),
    "twice the same key": (body_of(old_call()).replace(b'"id": "o_1"', b'"id": "o_2", "id": "o_1"'), {}),
    "escaped letters": (old_call(arguments={"id": "€ 😀"}), {}),
    "raw letters": (json.dumps(old_call(arguments={"id": "€ 😀"}), ensure_ascii=False).encode(), {}),
    "numbers": (
        old_call(arguments={"a": 1.0, "b": -0.0, "c": 10**30, "d": 1e-300, "e": 12345.678901234567}),
        {},
    ),
    "half a pair in a key": (new_call(arguments={"\ud83d": 1}), {}),
    "deep": (old_call(arguments={"a": json.loads("[" * 150 + "]" * 150)}), {}),
    "space around": (b" \r\n" + body_of(old_call()) + b"\t\n", {}),
    "charset": (old_call(), {"content_type": "application/json; charset=utf-8"}),
    "the other order": (new_call(), {"accept": "text/event-stream;q=0.5, */*;q=0.1, Application/JSON"}),
    "headers of the later era": (old_call(), {"mcp_method": "tools/list", "mcp_name": "x"}),
    "a session of before": (old_call(), {"mcp_session_id": "1", "last_event_id": "1"}),
    "a parameter's header": (new_call(), {"mcp_param_id": "other"}),
    "a name in base64": (new_call(), {"mcp_name": "=?base64?c2hvcF9nZXQ=?="}),
    "list": (request(1, "tools/list"), {}),
    "new, list": (modern(1, "tools/list"), {}),
    "list, empty params": (request(1, "tools/list", cursor=None), {}),
    "list, empty cursor": (modern(1, "tools/list", cursor=""), {}),
}


@pytest.mark.parametrize("case", IN_ORDER)
def test_what_is_in_order_is_answered_as_the_sdk_would(server: Server, case: str) -> None:
    message, changed = IN_ORDER[case]
    headers, body = headers_of(message, **changed), body_of(message)
    found = server.ask(headers, body)
    assert server.directly == 1
    theirs = server.ask(headers, body, sdk=True)
    assert (found.status, found.message, found.asked) == (theirs.status, theirs.message, theirs.asked)
    assert found.headers == {
        b"content-type": b"application/json",
        b"content-length": str(len(found.body)).encode(),
    }
    assert b"secret" not in found.body
    if isinstance(message, dict):
        check([message], [found.message])


# --- what is not -----------------------------------------------------------------------------------------

NOT_IN_ORDER: dict[str, tuple[Any, dict[str, str | None]]] = {
    "no content type": (old_call(), {"content_type": None}),
    "another content type": (new_call(), {"content_type": "text/json"}),
    "a longer content type": (old_call(), {"content_type": "application/json-rpc"}),
    "two content types": (old_call(), {"content_type": "application/json, text/plain"}),
    "accepts nothing": (old_call(), {"accept": None}),
    "accepts JSON alone": (new_call(), {"accept": "application/json"}),
    "accepts streams alone": (old_call(), {"accept": "text/event-stream"}),
    "accepts everything": (old_call(), {"accept": "*/*"}),
    "another version": (old_call(), {"mcp_protocol_version": "2023-01-01"}),
    "a version in other letters": (old_call(), {"mcp_protocol_version": "é"}),
    "an empty version": (old_call(), {"mcp_protocol_version": ""}),
    "new, without its version": (new_call(), {"mcp_protocol_version": "2026-07-27"}),
    "new, without envelope": (old_call(), {"mcp_protocol_version": "2026-07-28"}),
    "no method": (new_call(), {"mcp_method": None}),
    "another method": (new_call(), {"mcp_method": "tools/list"}),
    "a method in capitals": (new_call(), {"mcp_method": "TOOLS/CALL"}),
    "no name": (new_call(), {"mcp_name": None}),
    "another name": (new_call(), {"mcp_name": "shop_delete"}),
    "a name that is no base64": (new_call(), {"mcp_name": "=?base64?%%?="}),
    "no capabilities": (new_call(_meta=meta(clientCapabilities=...)), {}),
    "odd capabilities": (new_call(_meta=meta(clientCapabilities=[])), {}),
    "odd client": (new_call(_meta=meta(clientInfo={"name": 1})), {}),
    "another version in the envelope": (new_call(_meta=meta(protocolVersion="2025-11-25")), {}),
    "a number for a version": (new_call(_meta=meta(protocolVersion=1)), {}),
    "an odd level": (new_call(_meta=meta(logLevel="loud")), {}),
    "odd answers": (new_call(inputResponses=[]), {}),
    "an odd state": (new_call(requestState=1), {}),
    "an odd token": (old_call(_meta={"progressToken": 1.5}), {}),
    "odd meta": (old_call(_meta=[]), {}),
    "an odd task": (old_call(task=1), {}),
    "a number for a name": (old_call(1), {}),
    "new, a number for a name": (new_call(1), {}),
    "no name at all": (request(1, "tools/call", arguments={}), {}),
    "no params": (request(1, "tools/call"), {}),
    "odd params": ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}, {}),
    "odd arguments": (old_call(arguments=[]), {}),
    "new, odd arguments": (new_call(arguments="x"), {}),
    "no id": (notification("tools/call", name="shop_get"), {}),
    "null for an id": (old_call(request_id=None), {}),
    "a truth for an id": (old_call(request_id=True), {}),
    "a fraction for an id": (new_call(request_id=1.5), {}),
    "half a pair in an id": (new_call(request_id="\ud83d"), {}),
    "half a pair": (old_call(arguments={"a": "\ud83d"}), {}),
    "another JSON-RPC": (old_call() | {"jsonrpc": "1.0"}, {}),
    "no JSON-RPC": ({"id": 1, "method": "tools/list"}, {}),
    "a batch": ([old_call(), old_call(request_id=2)], {}),
    "an answer": ({"jsonrpc": "2.0", "id": 1, "result": {}}, {}),
    "a notification": (notification("notifications/initialized"), {}),
    "a cancellation": (notification("notifications/cancelled", requestId=1), {}),
    "initialize": (request(1, "initialize", **HANDSHAKE), {}),
    "discover": (modern(1, "server/discover"), {}),
    "ping": (request(1, "ping"), {}),
    "an unknown method": (request(1, "tools/delete"), {}),
    "prompts": (modern(1, "prompts/list"), {}),
    "a cursor": (request(1, "tools/list", cursor="2"), {}),
    "new, a cursor": (modern(1, "tools/list", cursor="2"), {}),
    "an odd cursor": (request(1, "tools/list", cursor=2), {}),
    "nothing": (b"", {}),
    "no JSON": (b"{", {}),
    "null": (b"null", {}),
    "more than JSON": (body_of(old_call()) + b"x", {}),
    "a mark of the order of bytes": (b"\xef\xbb\xbf" + body_of(old_call()), {}),
    "other bytes": (body_of(old_call()).replace(b"o_1", b"\xff"), {}),
    "two bytes a letter": (json.dumps(old_call()).encode("utf-16"), {}),
    "deeper": (old_call(arguments={"a": json.loads("[" * 400 + "]" * 400)}), {}),
    "a comma too many": (body_of(old_call())[:-1] + b",}", {}),
}


@pytest.mark.parametrize("case", NOT_IN_ORDER)
def test_what_is_not_in_order_is_left_to_the_sdk(server: Server, case: str) -> None:
    message, changed = NOT_IN_ORDER[case]
    headers, body = headers_of(message, **changed), body_of(message)
    found = server.ask(headers, body)
    assert server.directly == 0
    theirs = server.ask(headers, body, sdk=True)
    assert (found.status, found.headers, found.asked) == (theirs.status, theirs.headers, theirs.asked)
    assert found.body.partition(b"ping")[0] == theirs.body.partition(b"ping")[0]


@pytest.mark.parametrize(
    "name", [b"content-type", b"accept", b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"x-other"]
)
def test_a_header_that_stands_twice_is_left_to_the_sdk(server: Server, name: bytes) -> None:
    message = new_call()
    headers = headers_of(message, x_other="1")
    found = server.ask([*headers, *((n, v) for n, v in headers if n == name)], body_of(message))
    assert server.directly == 0
    assert found.status == (400 if name.startswith(b"mcp") else 200)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))


ODD = st.sampled_from(
    [None, True, 0, -1, 1.5, 2**64, "", "x", "tools/list", "2.0", "2025-11-25", [], {}, [1], {"a": None}, ...]
)
STARTS = [old_call(), new_call(), request(1, "tools/list"), modern(1, "tools/list"), new_call("facts")]


@settings(max_examples=400, deadline=None)
@given(
    start=st.sampled_from(STARTS),
    changes=st.lists(st.tuples(st.integers(0, 99), ODD), max_size=3),
    data=st.data(),
)
def test_whatever_comes_both_ways_say_the_same(
    server: Server, start: Any, changes: list[tuple[int, Any]], data: st.DataObject
) -> None:
    message = copy.deepcopy(start)
    for number, value in changes:
        found = [path for path in places(message) if path]
        if not found:
            break
        *before, last = found[number % len(found)]
        holder = message
        for step in before:
            holder = holder[step]
        if value is ...:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)
    headers = headers_of(data.draw(st.sampled_from([message, start])))
    ours = server.ask(headers, body_of(message))
    theirs = server.ask(headers, body_of(message), sdk=True)
    assert (ours.status, ours.asked) == (theirs.status, theirs.asked)
    if theirs.body and theirs.status != 406:
        assert ours.message == theirs.message


def test_a_list_goes_out_as_the_sdk_would_write_it() -> None:
    with Loopback() as api, running(Apps(api.url, "billing")) as real:
        for message, headers in (old(request(1, "tools/list")), enveloped("tools/list")):
            found = real.post("billing", message, **headers)
            assert found.headers["content-type"] == "application/json"
            with patch.object(entrance, "understood", lambda *_: None):
                theirs = real.post("billing", message, **headers)
            assert found.message == theirs.message
            assert len(found.message["result"]["tools"]) > 3


# --- the key, while the body arrives ---------------------------------------------------------------------


@pytest.mark.parametrize(("pieces", "looks"), [(0, 1), (20, 2)])
def test_a_key_is_looked_at_again_if_the_body_took_its_time(server: Server, pieces: int, looks: int) -> None:
    for message in (old_call(), request(1, "ping")):
        assert server.ask(headers_of(message), body_of(message), pieces=pieces).status == 200
        assert server.looks == looks


@pytest.mark.parametrize("message", [old_call("shop_list_orders"), request(1, "ping")], ids=["direct", "sdk"])
@pytest.mark.parametrize("early", [0, 20])
def test_a_key_that_ends_while_the_body_arrives_is_refused(message: Any, early: int) -> None:
    body = body_of(message)
    lines = [f"{name.decode()}: {value.decode()}" for name, value in headers_of(message) if name != b"host"]
    with Loopback() as api, running(Apps(api.url, "billing")) as real:
        host = f"Host: 127.0.0.1:{real.port}"
        head = "\r\n".join(
            ["POST /mcp HTTP/1.1", host, *lines, f"Content-Length: {len(body)}", "", ""]
        ).encode()
        looks = patch.object(Apps, "enter", autospec=True, side_effect=Apps.enter)
        with socket.create_connection(("127.0.0.1", real.port), 10) as connection:
            with looks as looked:
                connection.sendall(head + body)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert looked.call_count == 1, "it came whole"
        api.requests.clear()
        with socket.create_connection(("127.0.0.1", real.port), 10) as connection:
            connection.sendall(head + body[:early])
            time.sleep(0.2)
            real.apps.revoke("billing")
            connection.sendall(body[early:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        assert not api.requests


@pytest.mark.parametrize("message", [old_call("slow"), new_call("slow")])
def test_an_end_of_the_server_is_no_client_that_leaves(server: Server, message: Any) -> None:
    with pytest.raises(TimeoutError):
        server.ask(headers_of(message), body_of(message), within=0.1)
    assert server.gate.asked == [("slow", '{"id": "o_1"}'), "cancelled"]


# --- a call that takes long ------------------------------------------------------------------------------

PATIENT = Limits(silent=0.2)


@pytest.fixture(scope="module")
def slow() -> Iterator[Running]:
    with Loopback(otherwise=Reply(wait=0.9)) as api, running(Apps(api.url, "billing"), PATIENT) as slow:
        yield slow


@pytest.mark.parametrize("modern", [False, True])
def test_a_client_that_waits_is_shown_that_it_is_not_forgotten(slow: Running, modern: bool) -> None:
    """Or a proxy would close the connection, and nobody learn what became of the call."""
    message, headers = old(call("shop_send_note", to="a", text="b"))
    if modern:
        message, headers = enveloped("tools/call", name="shop_send_note", arguments={"to": "a", "text": "b"})
    with started_request(slow.port, "billing", message, **headers) as connection:
        found, began = b"", time.monotonic()
        while b"ping" not in found:
            found += connection.recv(65536)
        assert time.monotonic() - began < 0.7
        while not found.endswith(b"0\r\n\r\n"):
            found += connection.recv(65536)
        assert b"content-type: text/event-stream" in found
        assert found.count(b": ping\r\n\r\n") >= 3
        said = json.loads(found.partition(b"data: ")[2].partition(b"\r\n")[0])
        check([message], [said])
        assert said["result"]["isError"] is False
        assert said["id"] == 1
        # and the connection goes on
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        found = b""
        while not found.endswith(b"\r\n\r\nok"):
            found += connection.recv(65536)


def test_a_client_that_leaves_while_it_waits_cancels_too(slow: Running) -> None:
    ended, gate = [], slow.apps.gates[key_of("billing")]

    async def wait(*_: object) -> Outcome:
        try:
            await asyncio.sleep(20)
        finally:
            ended.append(True)
        return Outcome("")

    with (
        patch.object(type(gate), "call", wait),
        started_request(slow.port, "billing", old_call()) as connection,
    ):
        found = b""
        while b"ping" not in found:
            found += connection.recv(65536)
        connection.close()
        until(lambda: bool(ended))
    with contextlib.suppress(OSError):
        assert slow.post("billing", old_call("no_such")).status == 200
