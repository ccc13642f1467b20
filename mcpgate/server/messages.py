"""What a line of the client means and which bytes answer it, in both eras of the protocol, without any I/O.

This runs before `tools/list` is answered, so not even `typing` is imported.
"""

from __future__ import annotations

from mcpgate.server.lines import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LONGEST_LINE,
    METHOD_NOT_FOUND,
    UNSUPPORTED_VERSION,
    WireError,
    encode,
    error_line,
    is_id,
    line_of,
    read,
    result_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypedDict

    from mcpgate.server.lines import Id, Object

    class Listing(TypedDict):
        """What a client is told of the tools: plain JSON, so that it can be saved."""

        instructions: str
        tools: list[dict[str, Any]]


HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
ENVELOPE_VERSIONS = ("2026-07-28",)

MOST_AT_ONCE = 1000

_CAPABILITIES = {"tools": {"listChanged": True}}
FRESHNESS = '"ttlMs":0,"cacheScope":"private",'

_VERSION = "io.modelcontextprotocol/protocolVersion"
_CLIENT = "io.modelcontextprotocol/clientCapabilities"
_SERVER = "io.modelcontextprotocol/serverInfo"
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


class Call:
    """A `tools/call` to be carried out; it waits until it is answered or cancelled."""

    __slots__ = ("arguments", "name", "request_id")

    def __init__(self, request_id: Id, name: str, arguments: Object) -> None:
        self.request_id = request_id
        self.name = name
        self.arguments = arguments


class Cancelled:
    """The client does not wait for this call any longer."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call


class Conversation:
    """One client's talk with the server: lines go in; answers, calls and cancellations come out.

    The first request decides the era for good: with the envelope of 2026-07-28, or with the handshake before.
    """

    def __init__(self, listing: Listing, version: str) -> None:
        self.in_use = False  # whether the client has gone beyond the opening: calls and news may follow
        self._server = {"name": "mcpgate", "version": version}
        self._modern: bool | None = None
        self._common = ""  # what every result of the era begins with
        self._initialized = False
        self._calls: dict[Id, Call] = {}
        self._subscriptions: dict[Id, bool] = {}
        self._list(listing)

    def receive(self, line: bytes | None) -> bytes | Call | Cancelled | None:
        """What one line leads to; None is a line that was too long to be kept."""
        try:
            if line is None:
                raise WireError(INVALID_REQUEST, f"Refused: a message is longer than {LONGEST_LINE} bytes")
            return self._message(read(line)) if line.strip() else None
        except WireError as problem:
            return error_line(problem)

    def answer(
        self,
        call: Call,
        *texts: str,
        structured: Mapping[str, Any] | None = None,
        is_error: bool = False,
    ) -> bytes:
        """The answer to a call, a block for each text; empty if the call was cancelled meanwhile."""
        result = self._common + content(*texts, structured=structured, is_error=is_error)
        return result_line(call.request_id, result) if self._settle(call) else b""

    def refuse(self, call: Call, message: str) -> bytes:
        """The answer to a call of a tool that does not exist."""
        problem = WireError(INVALID_PARAMS, message, call.request_id)
        return error_line(problem) if self._settle(call) else b""

    def offers_other(self, listing: Listing) -> bool:
        """Whether a listing is another one than the client was told."""
        return listing["instructions"] != self._instructions or encode(listing["tools"]) != self._tools

    def list_changed(self, listing: Listing) -> bytes:
        """Takes a new listing; gives the lines that tell those who want to know."""
        self._list(listing)
        method = "notifications/tools/list_changed"
        if not self._modern:
            return line_of({"jsonrpc": "2.0", "method": method}) if self._initialized else b""
        return b"".join(
            line_of({"jsonrpc": "2.0", "method": method, "params": {"_meta": {_SUBSCRIPTION: request_id}}})
            for request_id, wanted in self._subscriptions.items()
            if wanted
        )

    def close(self) -> bytes:
        """The last lines: whoever still waits for an answer learns that none will come."""
        meta = {_SERVER: self._server}
        ended = [
            result_line(key, f'"resultType":"complete","_meta":{encode(meta | {_SUBSCRIPTION: key})}')
            for key in self._subscriptions
        ]
        message = "The connection was closed before the call was answered"
        unanswered = [error_line(WireError(CONNECTION_CLOSED, message, key)) for key in self._calls]
        self._subscriptions.clear()
        self._calls.clear()
        return b"".join(ended + unanswered)

    def _list(self, listing: Listing) -> None:
        self._instructions = listing["instructions"]
        self._tools = encode(listing["tools"])

    def _settle(self, call: Call) -> bool:
        """Whether this very call still waits: its id may have been cancelled and used again."""
        if self._calls.get(call.request_id) is not call:
            return False
        del self._calls[call.request_id]
        return True

    # --- any message ---

    def _message(self, message: Any) -> bytes | Call | Cancelled | None:
        if type(message) is not dict:
            raise WireError(INVALID_REQUEST, "A message is one JSON object; batches are not taken")
        method, params = message.get("method"), message.get("params")
        if "method" not in message and ("result" in message or "error" in message):
            return None  # an answer, to a server that asks nothing
        request_id = message.get("id") if is_id(message.get("id")) else None
        if message.get("jsonrpc") != "2.0" or type(method) is not str:
            raise WireError(INVALID_REQUEST, 'A message says "jsonrpc": "2.0" and names a method', request_id)
        if "id" not in message:
            return self._notification(method, params)
        if request_id is None:
            raise WireError(INVALID_REQUEST, "An id is a string or an integer")
        if request_id in self._calls or request_id in self._subscriptions:
            # Not under its id: that would be taken for the answer to the call which is under way.
            raise WireError(INVALID_REQUEST, "The id of a request that is under way was used again")
        if params is not None and type(params) is not dict:
            raise WireError(INVALID_PARAMS, "params must be an object", request_id)
        try:
            return self._request(request_id, method, params or {})
        except WireError as problem:
            problem.request_id = request_id
            raise

    def _notification(self, method: str, params: object) -> Cancelled | None:
        if method == "notifications/initialized":
            self._initialized = True
        elif method == "notifications/cancelled" and isinstance(params, dict):
            request_id = params.get("requestId")
            if is_id(request_id):
                self._subscriptions.pop(request_id, None)
                call = self._calls.pop(request_id, None)
                return Cancelled(call) if call else None
        return None

    def _request(self, request_id: Id, method: str, params: Object) -> bytes | Call:
        meta = params.get("_meta")
        enveloped = isinstance(meta, dict) and _VERSION in meta and method != "initialize"
        if self._modern is None:
            self._modern = enveloped
            if enveloped:
                self._common = f'"resultType":"complete","_meta":{encode({_SERVER: self._server})},'
        if self._modern:
            return self._modern_request(request_id, method, params)
        if enveloped:
            raise WireError(INVALID_REQUEST, "This connection began with a handshake and takes no envelope")
        return self._handshake_request(request_id, method, params)

    # --- 2024-11-05 to 2025-11-25 ---

    def _handshake_request(self, request_id: Id, method: str, params: Object) -> bytes | Call:
        if method == "initialize":
            return self._initialize(request_id, params)
        if method == "ping":
            return result_line(request_id, "")
        if method not in ("tools/list", "tools/call"):
            raise WireError(METHOD_NOT_FOUND, "Method not found", data=method[:100])
        if not self._initialized:
            raise WireError(INVALID_PARAMS, "initialize must come first")
        if params.get("_meta") is not None and type(params["_meta"]) is not dict:
            raise WireError(INVALID_PARAMS, "_meta must be an object")
        if method == "tools/list":
            return self._list_tools(request_id, params)
        return self._call(request_id, params)

    def _initialize(self, request_id: Id, params: Object) -> bytes:
        version = params.get("protocolVersion")
        if (
            type(version) is not str
            or type(params.get("capabilities")) is not dict
            or type(params.get("clientInfo")) is not dict
        ):
            raise WireError(INVALID_PARAMS, "initialize needs protocolVersion, capabilities and clientInfo")
        self._initialized = True
        result = {
            "protocolVersion": version if version in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
            "capabilities": _CAPABILITIES,
            "serverInfo": self._server,
        }
        if self._instructions:
            result["instructions"] = self._instructions
        return result_line(request_id, encode(result)[1:-1])

    # --- 2026-07-28 ---

    def _modern_request(self, request_id: Id, method: str, params: Object) -> bytes | Call:
        if method == "initialize":
            version = params.get("protocolVersion")
            data = {"supported": ENVELOPE_VERSIONS} | ({"requested": version} if type(version) is str else {})
            raise WireError(UNSUPPORTED_VERSION, "This connection began without a handshake", data=data)
        _check_envelope(params.get("_meta"))
        if method == "tools/call":
            return self._call(request_id, params)
        if method == "tools/list":
            return self._list_tools(request_id, params)
        if method == "server/discover":
            result = {"supportedVersions": ENVELOPE_VERSIONS, "capabilities": _CAPABILITIES}
            if self._instructions:
                result["instructions"] = self._instructions
            return result_line(request_id, self._common + FRESHNESS + encode(result)[1:-1])
        if method == "subscriptions/listen":
            return self._listen(request_id, params.get("notifications"))
        raise WireError(METHOD_NOT_FOUND, "Method not found", data=method[:100])

    def _listen(self, request_id: Id, wanted: object) -> bytes:
        tools = wanted.get("toolsListChanged") if isinstance(wanted, dict) else ""
        if tools is not None and type(tools) is not bool:
            raise WireError(INVALID_PARAMS, "notifications must be an object of true and false")
        self._admit()
        self._subscriptions[request_id] = bool(tools)
        self.in_use = True
        params = {
            "_meta": {_SUBSCRIPTION: request_id},
            "notifications": {"toolsListChanged": True} if tools else {},
        }
        method = "notifications/subscriptions/acknowledged"
        return line_of({"jsonrpc": "2.0", "method": method, "params": params})

    # --- both eras ---

    def _list_tools(self, request_id: Id, params: Object) -> bytes:
        if params.get("cursor"):
            raise WireError(INVALID_PARAMS, "There is no such cursor: all tools stand on the first page")
        self.in_use = True
        freshness = FRESHNESS if self._modern else ""
        return result_line(request_id, f'{self._common}{freshness}"tools":{self._tools}')

    def _call(self, request_id: Id, params: Object) -> Call:
        name, arguments = params.get("name"), params.get("arguments")
        if type(name) is not str:
            raise WireError(INVALID_PARAMS, "name must be a string")
        if arguments is not None and type(arguments) is not dict:
            raise WireError(INVALID_PARAMS, "arguments must be an object")
        self._admit()
        call = self._calls[request_id] = Call(request_id, name, arguments or {})
        return call

    def _admit(self) -> None:
        if len(self._calls) + len(self._subscriptions) >= MOST_AT_ONCE:
            raise WireError(INTERNAL_ERROR, f"There are already {MOST_AT_ONCE} requests under way")


def content(*texts: str, structured: Mapping[str, Any] | None = None, is_error: bool = False) -> str:
    """What the result of a call says, as members in JSON: a block for each text."""
    blocks = ",".join([f'{{"type":"text","text":{encode(text)}}}' for text in texts])
    found = f'"content":[{blocks}]'
    if structured is not None:
        found += f',"structuredContent":{encode(structured)}'
    return found + ',"isError":true' if is_error else found


def _check_envelope(meta: object) -> None:
    meta = meta if isinstance(meta, dict) else {}
    if missing := [key for key in (_VERSION, _CLIENT) if key not in meta]:
        raise WireError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}")
    version = meta[_VERSION]
    if type(version) is not str:
        raise WireError(INVALID_PARAMS, f"{_VERSION} must be a string")
    if version not in ENVELOPE_VERSIONS:
        data = {"supported": ENVELOPE_VERSIONS, "requested": version}
        raise WireError(UNSUPPORTED_VERSION, "Unsupported protocol version", data=data)
    if type(meta[_CLIENT]) is not dict:
        raise WireError(INVALID_PARAMS, f"{_CLIENT} must be an object")
