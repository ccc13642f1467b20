"""Calls and lists that are in order, answered without the streams and tasks that the SDK makes for each.

What is in order is decided by the SDK's own checks. Whatever does not pass them all goes the SDK's way, which
says what is wrong with it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, InboundLadderRejection, classify_inbound_request
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    SERVER_INFO_META_KEY,
    CallToolRequestParams,
    JSONRPCMessage,
    JSONRPCRequest,
    PaginatedRequestParams,
    RequestId,
    jsonrpc_message_adapter,
)
from mcp_types.methods import validate_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic_core import from_json

from mcpgate.server.lines import WireError, encode, error_line, result_line
from mcpgate.server.messages import FRESHNESS
from mcpgate.server.web.protocol import carry_out, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive, Send

    from mcpgate.server.web.door import Gate, Limits

_JSON: Final = b"application/json"
_STREAM: Final = b"text/event-stream"
_STREAMED: Final = [
    (b"content-type", _STREAM),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_VERSION: Final = b"mcp-protocol-version"
_ROUTING: Final = (_VERSION, b"mcp-method", b"mcp-name")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in order; without params it asks for the list of tools."""

    id: RequestId
    modern: bool
    params: CallToolRequestParams | None


def understood(headers: Mapping[bytes, bytes], body: bytes) -> Asked | None:
    """What is asked, if nothing at all is wrong with it, by headers of which none stands twice."""
    kinds = [kind.partition(b";")[0].strip().lower() for kind in headers.get(b"accept", b"").split(b",")]
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    if kind != _JSON or _JSON not in kinds or _STREAM not in kinds:
        return None
    version = headers[_VERSION].decode("latin-1") if _VERSION in headers else DEFAULT_NEGOTIATED_VERSION
    try:
        request = _parsed(version, headers, body)
        if type(request) is not JSONRPCRequest or request.method not in ("tools/call", "tools/list"):
            return None
        str(request.id).encode()  # fails on half of a surrogate pair, which the SDK gives back and we cannot
        validate_client_request(request.method, version, request.params)
        if request.method == "tools/list":
            page = PaginatedRequestParams.model_validate(request.params or {}, by_name=False)
            return None if page.cursor else Asked(request.id, version in MODERN_PROTOCOL_VERSIONS, None)
        called = CallToolRequestParams.model_validate(request.params, by_name=False)
        return Asked(request.id, version in MODERN_PROTOCOL_VERSIONS, called)
    except (ValueError, RecursionError):
        return None


def _parsed(version: str, headers: Mapping[bytes, bytes], body: bytes) -> JSONRPCMessage | None:
    """The message, as the SDK reads it in the era of a version; None where its headers are wrong."""
    if version in HANDSHAKE_PROTOCOL_VERSIONS:
        return jsonrpc_message_adapter.validate_python(from_json(body), by_name=False)
    if version not in MODERN_PROTOCOL_VERSIONS:
        return None
    message = json.loads(body)
    request = JSONRPCRequest.model_validate(message)
    routing = {name.decode(): headers[name].decode("latin-1") for name in _ROUTING if name in headers}
    refused = isinstance(classify_inbound_request(message, headers=routing), InboundLadderRejection)
    return None if refused else request


class Direct:
    """Answers what was understood, as the SDK would."""

    def __init__(self, version: str, limits: Limits) -> None:
        stamp = {SERVER_INFO_META_KEY: {"name": "mcpgate", "version": version}}
        self._modern = f'"resultType":"complete","_meta":{encode(stamp)},'
        self._silent = limits.silent

    async def answer(self, asked: Asked, gate: Gate, receive: Receive, send: Send) -> None:
        """One answer; a client that leaves before it cancels its call."""
        attendant = _Attendant(receive, send, self._silent)
        caller = asyncio.current_task()
        assert caller is not None
        attending = asyncio.create_task(attendant.attend(caller))
        try:
            status, body = await self._written(asked, gate)
        except asyncio.CancelledError:
            if not attendant.left:
                raise
            return
        finally:
            attending.cancel()
        if attendant.streaming:
            body = b"event: message\r\ndata: %b\r\n\r\n" % body
        else:
            length = str(len(body)).encode()
            await send(_start(status, [(b"content-length", length), (b"content-type", _JSON)]))
        await send({"type": "http.response.body", "body": body, "more_body": True})
        # the end only when the client reads: until then the request is under way
        await send({"type": "http.response.body", "body": b""})

    async def _written(self, asked: Asked, gate: Gate) -> tuple[int, bytes]:
        common = self._modern if asked.modern else ""
        try:
            if asked.params is None:
                freshness = FRESHNESS if asked.modern else ""
                members = f'{freshness}"tools":{encode(listed(gate)["tools"])}'
            else:
                members = await carry_out(gate, asked.params.name, asked.params.arguments or {})
        except MCPError as problem:
            error = problem.error
            status = ERROR_CODE_HTTP_STATUS.get(error.code, 200) if asked.modern else 200
            return status, error_line(WireError(error.code, error.message, asked.id))[:-1]
        return 200, result_line(asked.id, common + members)[:-1]


class _Attendant:
    """Stands by while a call is under way: hears of it when the client leaves, and gives it signs of life."""

    def __init__(self, receive: Receive, send: Send, silent: float) -> None:
        self._receive = receive
        self._send = send
        self._silent = silent
        self.left = False
        self.streaming = False

    async def attend(self, caller: asyncio.Task[Any]) -> None:
        """Cancels the caller when the client leaves; a stream begins where it has to wait for long."""
        while True:
            try:
                async with asyncio.timeout(self._silent):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
                self.left = True
                caller.cancel()
                return
            except TimeoutError:
                if not self.streaming:
                    await self._send(_start(200, _STREAMED))
                    self.streaming = True
                await self._send({"type": "http.response.body", "body": b": ping\r\n\r\n", "more_body": True})


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}
