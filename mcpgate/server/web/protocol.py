"""The protocol as the SDK speaks it, in both eras, with the app of each request behind it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    PaginatedRequestParams,
    SubscriptionsListenRequestParams,
)

from mcpgate.errors import MCPGateError, UnknownToolError
from mcpgate.server.messages import content
from mcpgate.server.web.door import admitted

if TYPE_CHECKING:
    from mcpgate.server.messages import Listing
    from mcpgate.server.web.changes import Changes
    from mcpgate.server.web.door import Gate, Limits

BROKEN: Final = "Something broke inside mcpgate: whether the call took effect is not known."
UNLISTED: Final = "Something broke inside mcpgate: the tools cannot be listed."

_COMPLETE: Final[dict[str, Any]] = {"resultType": "complete"}  # left out again for the era without it
_NO_ERROR: Final = ',"isError":false'  # the SDK always says it
_FRESHNESS: Final = CacheHint(ttl_ms=0, scope="private")

_logger = logging.getLogger("mcpgate.server")


def session_manager(version: str, changes: Changes, limits: Limits) -> StreamableHTTPSessionManager:
    """The SDK's side of `/mcp`: stateless, so that any replica can answer any request."""

    async def listen(ctx: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams) -> Any:
        return await changes.listen(admitted(ctx.request), ctx, params)

    server: Server[Any] = Server(
        "mcpgate",
        version=version,
        cache_hints={"tools/list": _FRESHNESS, "server/discover": _FRESHNESS},
        get_tool_input_schema=lambda name: None,
        on_subscriptions_listen=listen,
    )
    server.add_request_handler("tools/list", PaginatedRequestParams, _list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, _call_tool)
    server.middleware = [_instruct]  # without the SDK's own, which hands requests to whoever collects traces
    return StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=limits.body)


async def carry_out(gate: Gate, name: str, arguments: dict[str, Any]) -> str:
    """One call, and its result as members in JSON. Raises `MCPError` for a tool that does not exist."""
    try:
        outcome = await gate.call(name, arguments)
        texts = (outcome.text, outcome.note) if outcome.note else (outcome.text,)
        found = content(*texts, structured=outcome.structured, is_error=outcome.is_error)
        return found if outcome.is_error else found + _NO_ERROR
    except UnknownToolError as problem:
        raise MCPError(INVALID_PARAMS, problem.message) from None
    except MCPGateError as problem:
        return content(f"{problem.message}\n{problem.hint}".strip(), is_error=True)
    except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
        _logger.error("a call broke: %s", type(problem).__name__)
        return content(BROKEN, is_error=True)


def listed(gate: Gate) -> Listing:
    """What an app is offered. Raises `MCPError`."""
    try:
        return gate.listing()
    except MCPGateError as problem:
        raise MCPError(INTERNAL_ERROR, f"{problem.message}\n{problem.hint}".strip()) from None
    except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
        _logger.error("a listing broke: %s", type(problem).__name__)
        raise MCPError(INTERNAL_ERROR, UNLISTED) from None


async def _list_tools(ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams) -> HandlerResult:
    if params.cursor:
        raise MCPError(INVALID_PARAMS, "There is no such cursor: all tools stand on the first page")
    return {**_COMPLETE, "tools": listed(admitted(ctx.request).gate)["tools"]}


async def _call_tool(ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> HandlerResult:
    members = await carry_out(admitted(ctx.request).gate, params.name, params.arguments or {})
    # half of a surrogate pair cannot be written, and becomes a question mark
    return {**_COMPLETE, **json.loads(f"{{{members}}}".encode("utf-8", "replace"))}


async def _instruct(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Adds the instructions of the app: the SDK knows only those of a whole server."""
    result = await call_next(ctx)
    if ctx.method in ("initialize", "server/discover") and isinstance(result, dict):
        instructions = listed(admitted(ctx.request).gate)["instructions"]
        return {**result, "instructions": instructions} if instructions else result
    return result
