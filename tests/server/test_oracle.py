"""The same conversations held with the SDK's low-level server: what differs is listed, with its reason."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types as types
import pytest
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from mcpgate.errors import UnknownToolError
from tests.server.example_server import LISTING, Shop
from tests.server.models import check
from tests.server.process import (
    ENVELOPE,
    HANDSHAKE,
    INITIALIZE,
    INITIALIZED,
    OPENING,
    modern,
    notification,
    replay,
    request,
    shop,
    to_line,
)

CALL = "tools/call"
DISCOVER = modern(0, "server/discover")
LISTEN = "subscriptions/listen"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"


@dataclass
class Case:
    """One conversation; where the two differ, what each answers to which id, and why that is meant."""

    name: str
    lines: list[Any]
    why: str = ""
    ours: str = ""
    theirs: str = ""


def envelope(key: str, value: Any) -> dict[str, Any]:
    """The envelope with another value, or without the key."""
    return {k: v for k, v in (ENVELOPE | {key: value}).items() if v is not ...}


def cancel(request_id: Any) -> dict[str, Any]:
    return notification("notifications/cancelled", requestId=request_id)


def buy(request_id: Any, **arguments: Any) -> dict[str, Any]:
    return modern(request_id, CALL, name="shop_get_item", arguments=arguments)


def raw_call(arguments: bytes) -> bytes:
    start = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"shop_get_item","arguments":'
    return start + arguments + b"}}"


def with_meta(method: str, meta: Any, **params: Any) -> dict[str, Any]:
    return request(1, method, _meta=meta, **params)


SILENT = "The SDK drops what it cannot parse, and the client waits until it gives up."
UNREAD = "What is not used is not checked: no client's call fails over it."

PING = request(1, "ping")
NOT_SERVED: dict[str, dict[str, Any]] = {
    "prompts/list": {},
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "a:b"},
    "logging/setLevel": {"level": "info"},
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "x"},
        "argument": {"name": "a", "value": ""},
    },
    "server/discover": {},
    LISTEN: {"notifications": {}},
    "tasks/list": {},
    "no/such": {},
    "": {},
}

HANDSHAKE_CASES = [
    *[
        Case(
            f"initialize at {version}",
            [request(0, "initialize", **{**HANDSHAKE, "protocolVersion": version})],
        )
        for version in (
            "2024-11-05",
            "2025-03-26",
            "2025-06-18",
            "2025-11-25",
            "2026-07-28",
            "2031-01-01",
            "x",
            "",
        )
    ],
    Case("initialize twice", [*OPENING, request(1, "initialize", **HANDSHAKE), request(2, "tools/list")]),
    Case("initialize without params", [request(0, "initialize"), request(1, "tools/list")]),
    *[
        Case(f"initialize without {key}", [request(0, "initialize", **{**HANDSHAKE, key: None})])
        for key in HANDSHAKE
    ],
    Case(
        "initialize by a client without a name",
        [request(0, "initialize", **{**HANDSHAKE, "clientInfo": {}})],
        why=UNREAD,
        ours="0: result",
        theirs="0: -32602",
    ),
    Case(
        "initialize with odd capabilities",
        [request(0, "initialize", **{**HANDSHAKE, "capabilities": {"roots": 7}})],
        why=UNREAD,
        ours="0: result",
        theirs="0: -32602",
    ),
    Case("the whole handshake", [*OPENING, PING, request(2, "tools/list"), shop(3, item="7")]),
    Case("ping before anything", [PING]),
    Case("ping with params", [*OPENING, request(1, "ping", _meta={"progressToken": 7})]),
    Case("tools/list before initialize", [request(1, "tools/list"), INITIALIZE, request(2, "tools/list")]),
    Case("tools/call before initialize", [shop(1, item="7")]),
    Case("an unknown method before initialize", [request(1, "no/such")]),
    Case("no wait for initialized", [INITIALIZE, request(1, "tools/list")]),
    Case("initialized alone", [INITIALIZED, request(1, "tools/list")]),
    Case(
        "tools/list with null params",
        [*OPENING, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": None}],
    ),
    Case("tools/list with a null cursor", [*OPENING, request(1, "tools/list", cursor=None)]),
    Case("tools/list with a numeric cursor", [*OPENING, request(1, "tools/list", cursor=7)]),
    Case(
        "tools/list with a cursor",
        [*OPENING, request(1, "tools/list", cursor="7")],
        why="Nobody was given a cursor: the specification wants -32602. The SDK leaves it to the handler.",
        ours="0: result, 1: -32602",
        theirs="0: result, 1: result",
    ),
    Case("tools/list with odd _meta", [*OPENING, with_meta("tools/list", 7)]),
    Case(
        "a progress token that is none",
        [*OPENING, with_meta("tools/list", {"progressToken": {}})],
        why=UNREAD,
        ours="0: result, 1: result",
        theirs="0: result, 1: -32602",
    ),
    Case("an unknown tool", [*OPENING, request(1, CALL, name="no_such")]),
    Case("a call without a name", [*OPENING, request(1, CALL, arguments={})]),
    Case("a call with a numeric name", [*OPENING, request(1, CALL, name=7)]),
    Case("a call without arguments", [*OPENING, request(1, CALL, name="shop_list_items")]),
    Case("a call with null arguments", [*OPENING, request(1, CALL, name="shop_list_items", arguments=None)]),
    Case(
        "a call with a list of arguments", [*OPENING, request(1, CALL, name="shop_list_items", arguments=[])]
    ),
    Case(
        "a call with text for arguments", [*OPENING, request(1, CALL, name="shop_list_items", arguments="{}")]
    ),
    Case("a call as a task", [*OPENING, request(1, CALL, name="shop_list_items", task={"ttl": 60000})]),
    Case("a denial", [*OPENING, shop(1, deny="too much")]),
    Case("odd text", [*OPENING, shop(1, item='€ \u2028 😀 \0 " \\')]),
    *[
        Case(f"{method} is not served", [*OPENING, request(1, method, **params)])
        for method, params in NOT_SERVED.items()
    ],
    Case(
        "a method that is not served, with wrong params",
        [*OPENING, request(1, "prompts/get", name=7)],
        why="The method is not served, whatever its params are.",
        ours="0: result, 1: -32601",
        theirs="0: result, 1: -32602",
    ),
    Case(
        "an envelope after the handshake", [*OPENING, modern(1, "tools/list"), modern(2, "server/discover")]
    ),
    Case("initialize in an envelope", [request(0, "initialize", _meta=ENVELOPE, **HANDSHAKE), PING]),
    Case("unknown notifications", [*OPENING, notification("notifications/no/such"), notification("x"), PING]),
    Case("a cancelled call", [*OPENING, shop(1, sleep=30), cancel(1), request(2, "ping")]),
    Case("a call cancelled twice", [*OPENING, shop(1, sleep=30), *[cancel(1)] * 2]),
    Case(
        "an id used again after it was cancelled", [*OPENING, shop(1, sleep=30), cancel(1), shop(1, item="7")]
    ),
    Case("cancelling nothing", [*OPENING, cancel(7), notification("notifications/cancelled"), PING]),
    Case(
        "cancelling by an id of the other type",
        [*OPENING, shop(1, sleep=0.2), cancel("1")],
        why='1 and "1" are two ids: cancelling the wrong call is worse than cancelling none.',
        ours="0: result, 1: result",
        theirs="0: result",
    ),
    Case(
        "an id that is under way",
        [*OPENING, shop(1, sleep=0.2), shop(1, item="7")],
        why="Two answers under one id, and the first is taken for both: the second call is not made.",
        ours="0: result, 1: result, None: -32600",
        theirs="0: result, 1: result, 1: result",
    ),
    Case("an id used again afterwards", [*OPENING, PING, PING]),
    Case(
        "ids of each kind",
        [
            *OPENING,
            request("1", "ping"),
            request(-7, "ping"),
            request(0, "ping"),
            request("", "ping"),
            request(10**30, "ping"),
        ],
    ),
    Case(
        "answers to nothing",
        [
            *OPENING,
            {"jsonrpc": "2.0", "id": 9, "result": {}},
            {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": ""}},
            PING,
        ],
    ),
]

MODERN_CASES = [
    Case("discover", [DISCOVER]),
    Case("no discover", [modern(1, "tools/list"), buy(2, item="7")]),
    Case("a denial, modern", [buy(1, deny="too much")]),
    Case("an unknown tool, modern", [modern(1, CALL, name="no_such")]),
    Case("no name, modern", [modern(1, CALL)]),
    Case("a list of arguments, modern", [modern(1, CALL, name="shop_list_items", arguments=[])]),
    Case("a numeric cursor, modern", [modern(1, "tools/list", cursor=7)]),
    Case("ping, modern", [DISCOVER, modern(1, "ping")]),
    Case("logging, modern", [DISCOVER, modern(1, "logging/setLevel", level="info")]),
    Case("an unknown method, modern", [DISCOVER, modern(1, "no/such")]),
    Case("not served, modern", [DISCOVER, modern(1, "prompts/list")]),
    Case(
        "an unknown version",
        [with_meta("server/discover", envelope(VERSION_KEY, "2031-01-01")), modern(2, "tools/list")],
    ),
    Case(
        "a handshake's version in the envelope",
        [with_meta("tools/list", envelope(VERSION_KEY, "2025-11-25"))],
    ),
    Case("a version that is no text", [with_meta("tools/list", envelope(VERSION_KEY, 7))]),
    Case("no capabilities", [with_meta("tools/list", envelope(CAPABILITIES_KEY, ...))]),
    Case("capabilities that are none", [with_meta("tools/list", envelope(CAPABILITIES_KEY, 7))]),
    Case("no client info", [with_meta("tools/list", envelope("io.modelcontextprotocol/clientInfo", ...))]),
    Case(
        "client info that is none",
        [with_meta("tools/list", envelope("io.modelcontextprotocol/clientInfo", 7))],
        why=UNREAD,
        ours="1: result",
        theirs="1: -32602",
    ),
    Case(
        "a log level that is none",
        [with_meta("tools/list", envelope("io.modelcontextprotocol/logLevel", 7))],
        why=UNREAD,
        ours="1: result",
        theirs="1: -32602",
    ),
    Case(
        "no envelope after an envelope",
        [DISCOVER, request(1, "tools/list"), request(2, "ping"), request(3, "tools/list", _meta={})],
    ),
    Case("discover without an envelope", [request(0, "server/discover"), PING]),
    Case(
        "initialize after an envelope",
        [DISCOVER, INITIALIZE | {"id": 1}, request(2, "initialize"), modern(3, "tools/list")],
    ),
    Case("initialized, modern", [INITIALIZED, DISCOVER, INITIALIZED, modern(1, "tools/list")]),
    Case("a cancelled call, modern", [buy(1, sleep=30), cancel(1), modern(2, "tools/list")]),
    Case(
        "listen",
        [DISCOVER, modern("s", LISTEN, notifications={"toolsListChanged": True})],
        why="At the end the SDK closes the stream with an error; the specification has a result for it.",
        ours="0: result, notifications/subscriptions/acknowledged, s: result",
        theirs="0: result, notifications/subscriptions/acknowledged, s: -32000",
    ),
    Case(
        "listen, then cancel",
        [
            DISCOVER,
            modern("s", LISTEN, notifications={"toolsListChanged": True}),
            cancel("s"),
            modern(1, "tools/list"),
        ],
    ),
    Case("listen for nothing", [modern(1, LISTEN, notifications={}), cancel(1)]),
    Case("listen without saying for what", [modern(1, LISTEN)]),
    Case("listen for something odd", [modern(1, LISTEN, notifications={"toolsListChanged": {}})]),
    Case(
        "listen for what is not served",
        [modern(1, LISTEN, notifications={"promptsListChanged": True, "toolsListChanged": True}), cancel(1)],
        why="The specification: what the server does not support is left out of the acknowledgement.",
        ours='{"toolsListChanged": true}',
        theirs='{"promptsListChanged": true, "toolsListChanged": true}',
    ),
]


HOSTILE_CASES = [
    Case(
        name,
        [INITIALIZE, line, PING],
        why=why,
        ours=f"0: result, 1: result, {ours}",
        theirs="0: result, 1: result",
    )
    for name, line, ours, why in [
        ("no JSON", "hello", "None: -32700", SILENT),
        ("a batch", [request(5, "ping")], "None: -32600", f"{SILENT} Batches were in 2025-03-26 alone."),
        ("an empty batch", [], "None: -32600", SILENT),
        ("text", '"ping"', "None: -32600", SILENT),
        ("null", "null", "None: -32600", SILENT),
        ("an empty object", {}, "None: -32600", SILENT),
        ("no version", {"id": 5, "method": "ping"}, "5: -32600", SILENT),
        ("another version", {"jsonrpc": "1.0", "id": 5, "method": "ping"}, "5: -32600", SILENT),
        ("no method", {"jsonrpc": "2.0", "id": 5}, "5: -32600", SILENT),
        ("a numeric method", {"jsonrpc": "2.0", "id": 5, "method": 7}, "5: -32600", SILENT),
        (
            "params in a list",
            {"jsonrpc": "2.0", "id": 5, "method": "ping", "params": []},
            "5: -32602",
            SILENT,
        ),
        ("a null id", {"jsonrpc": "2.0", "id": None, "method": "ping"}, "None: -32600", SILENT),
        ("a boolean id", {"jsonrpc": "2.0", "id": True, "method": "ping"}, "None: -32600", SILENT),
        ("a fractional id", {"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, "None: -32600", SILENT),
        ("an id in a list", {"jsonrpc": "2.0", "id": [5], "method": "ping"}, "None: -32600", SILENT),
        ("a byte order mark", b"\xef\xbb\xbf" + to_line(request(5, "ping")).strip(), "None: -32700", SILENT),
        ("half a pair", '{"jsonrpc":"2.0","id":5,"method":"\\ud800"}', "5: -32700", SILENT),
        ("too deep", "[" * 100_000 + "]" * 100_000, "None: -32700", SILENT),
    ]
] + [
    Case("blank lines", [INITIALIZE, "", " ", "\r", PING]),
    Case("carriage returns", [to_line(INITIALIZE).strip() + b"\r", to_line(PING).strip() + b"\r"]),
    Case("text where a notification's params are", [INITIALIZE, {**notification("x"), "params": 7}, PING]),
    Case(
        "a key twice",
        [INITIALIZE, '{"jsonrpc":"2.0","id":5,"method":"ping","method":"tools/list"}', PING],
        why="Two readers may see two messages; the SDK takes the last.",
        ours="0: result, 1: result, 5: -32600",
        theirs="0: result, 1: result, 5: result",
    ),
    Case(
        "NaN",
        [*OPENING, raw_call(b'{"a":NaN}')],
        why="NaN is not JSON, and passes any maximum.",
        ours="0: result, 5: -32700",
        theirs="0: result, 5: result",
    ),
    Case(
        "an overflow",
        [*OPENING, raw_call(b'{"a":1e999}')],
        why="It would be infinite, and passes any minimum.",
        ours="0: result, 5: -32600",
        theirs="0: result, 5: result",
    ),
    Case(
        "no UTF-8",
        [*OPENING, raw_call(b'{"a":"\xff"}')],
        why="The SDK puts a replacement character where the byte was: what is checked is not what was sent.",
        ours="0: result, None: -32700",
        theirs="0: result, 5: result",
    ),
]


def sdk_server(shop: Shop, busy: Counter[str]) -> Server[Any]:
    """The SDK's low-level server with the example's tools and instructions."""

    async def list_tools(
        _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult.model_validate({"tools": LISTING["tools"]})

    async def call_tool(
        _: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        busy["calls"] += 1
        try:
            outcome = await shop.call(params.name, params.arguments or {})
        except UnknownToolError as problem:
            raise MCPError(types.INVALID_PARAMS, problem.message) from None
        finally:
            busy["calls"] -= 1
        return types.CallToolResult(
            content=[types.TextContent(text=outcome.text)],
            structured_content=dict(outcome.structured) if outcome.structured else None,
            is_error=outcome.is_error,
        )

    return Server(
        "mcpgate",
        version="1.2.3",
        instructions=LISTING["instructions"],
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=ListenHandler(InMemorySubscriptionBus()),
    )


async def settled() -> None:
    """Lets everything run that need not wait for a clock."""
    for _ in range(100):
        await anyio.lowlevel.checkpoint()


async def ask_sdk(lines: list[Any]) -> list[dict[str, Any]]:
    """What the SDK's server says, its lines parsed and written as its stdio transport does."""
    busy: Counter[str] = Counter()
    server = sdk_server(Shop(), busy)
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](1000)
    async with anyio.create_task_group() as group, from_server:
        group.start_soon(server.run, incoming, outgoing, options)
        async with to_server:
            for line in lines:
                text = to_line(line).decode(errors="replace")
                try:
                    item: SessionMessage | Exception = SessionMessage(
                        types.jsonrpc_message_adapter.validate_json(text, by_name=False)
                    )
                except ValueError as problem:
                    item = problem
                await to_server.send(item)
                await settled()
            while busy["calls"]:
                await anyio.sleep(0.01)
            await settled()
        said = []
        async for item in from_server:
            said.append(json.loads(item.message.model_dump_json(by_alias=True, exclude_unset=True)))
    return said


def compared(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what may always differ."""
    if "error" in message:
        error = {"code": message["error"]["code"]}
        # Ours say what to do; `data` is left out where no client reads it (the SDK's is empty text).
        if error["code"] == types.UNSUPPORTED_PROTOCOL_VERSION:
            error["data"] = message["error"]["data"]
        return {**message, "error": error}
    if message.get("result", {}).get("isError") is False:
        # False is the default: left out, it is a few bytes less for each result.
        return {**message, "result": {k: v for k, v in message["result"].items() if k != "isError"}}
    return message


def summary(messages: list[dict[str, Any]]) -> str:
    """What was said, in a few words."""
    return ", ".join(
        sorted(
            f"{m['id']}: {m['error']['code'] if 'error' in m else 'result'}" if "id" in m else m["method"]
            for m in messages
        )
    )


def in_order(messages: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(compared(message), sort_keys=True) for message in messages)


CASES = HANDSHAKE_CASES + MODERN_CASES + HOSTILE_CASES


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_same_conversation(case: Case) -> None:
    ours = replay(case.lines)
    theirs = anyio.run(ask_sdk, case.lines)
    check(case.lines, ours)
    if not case.why:
        assert in_order(ours) == in_order(theirs)
        return
    assert case.ours != case.theirs
    if case.ours.startswith("{"):
        assert [m["params"]["notifications"] for m in ours if "params" in m] == [json.loads(case.ours)]
        assert [m["params"]["notifications"] for m in theirs if "params" in m] == [json.loads(case.theirs)]
    else:
        assert summary(ours) == case.ours
        assert summary(theirs) == case.theirs


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
