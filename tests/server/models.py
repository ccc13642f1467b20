"""Checks what the server says against the SDK's models of each era."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mcp_types import JSONRPCError, jsonrpc_message_adapter
from mcp_types import methods as sdk
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from mcpgate.server.lines import is_id


def check(sent: Iterable[Any], received: Iterable[dict[str, Any]]) -> None:
    """Every message is one of the protocol's, of the right method, with nothing in it that the era lacks."""
    requests = [message for message in map(_parsed, sent) if is_id(message.get("id")) and "method" in message]
    version = _version(requests[0]) if requests else HANDSHAKE_PROTOCOL_VERSIONS[-1]
    methods = {message["id"]: message["method"] for message in requests}
    for message in received:
        jsonrpc_message_adapter.validate_python(message, by_name=False)
        if "error" in message:
            JSONRPCError.model_validate(message, strict=True)
            assert set(message) == {"jsonrpc", "id", "error"}
        elif "result" in message:
            assert set(message) == {"jsonrpc", "id", "result"}
            method = methods[message["id"]]
            assert sdk.serialize_server_result(method, version, message["result"]) == message["result"]
            sdk.parse_server_result(method, version, message["result"])
        else:
            assert set(message) <= {"jsonrpc", "method", "params"}
            sdk.parse_server_notification(message["method"], version, message.get("params"))


def _parsed(message: Any) -> dict[str, Any]:
    if isinstance(message, str | bytes):
        try:
            message = json.loads(message)
        except (ValueError, RecursionError):
            return {}
    return message if isinstance(message, dict) else {}


def _version(opening: dict[str, Any]) -> str:
    """The protocol's version, by the first request."""
    params = opening.get("params") or {}
    if opening["method"] != "initialize" and "io.modelcontextprotocol/protocolVersion" in params.get(
        "_meta", {}
    ):
        return MODERN_PROTOCOL_VERSIONS[-1]
    asked = params.get("protocolVersion")
    return asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else HANDSHAKE_PROTOCOL_VERSIONS[-1]
