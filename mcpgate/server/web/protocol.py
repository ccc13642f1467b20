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
from mcpgate.server.lines import encode
from mcpgate.server.web.guard import admitted

if TYPE_CHECKING:
    from mcpgate.server.messages import Listing
    from mcpgate.server.web.changes import Changes
    from mcpgate.server.web.door import Limits
    from mcpgate.values import Outcome

BROKEN: Final = "Something broke inside mcpgate: whether the call took effect is not known."
UNLISTED: Final = "Something broke inside mcpgate: the tools cannot be listed."

_COMPLETE: Final[dict[str, Any]] = {"resultType": "complete"}  # left out again for the era without it
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


async def _list_tools(ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams) -> HandlerResult:
    if params.cursor:
        raise MCPError(INVALID_PARAMS, "There is no such cursor: all tools stand on the first page")
    return {**_COMPLETE, "tools": _listing(ctx)["tools"]}


async def _call_tool(ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> HandlerResult:
    try:
        return _result(await admitted(ctx.request).gate.call(params.name, params.arguments or {}))
    except UnknownToolError as problem:
        raise MCPError(INVALID_PARAMS, problem.message) from None
    except MCPGateError as problem:
        return _failed(f"{problem.message}\n{problem.hint}".strip())
    except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
        _logger.error("a call broke: %s", type(problem).__name__)
        return _failed(BROKEN)


async def _instruct(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Adds the instructions of the app: the SDK knows only those of a whole server."""
    result = await call_next(ctx)
    if ctx.method in ("initialize", "server/discover") and isinstance(result, dict):
        instructions = _listing(ctx)["instructions"]
        return {**result, "instructions": instructions} if instructions else result
    return result


def _listing(ctx: ServerRequestContext[Any, Any]) -> Listing:
    try:
        return admitted(ctx.request).gate.listing()
    except MCPGateError as problem:
        raise MCPError(INTERNAL_ERROR, f"{problem.message}\n{problem.hint}".strip()) from None
    except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
        _logger.error("a listing broke: %s", type(problem).__name__)
        raise MCPError(INTERNAL_ERROR, UNLISTED) from None


def _result(outcome: Outcome) -> dict[str, Any]:
    texts = (outcome.text, outcome.note) if outcome.note else (outcome.text,)
    content = [{"type": "text", "text": _whole(text)} for text in texts]
    result = {**_COMPLETE, "content": content, "isError": outcome.is_error}
    if outcome.structured is not None:
        result["structuredContent"] = json.loads(_whole(encode(outcome.structured)))
    return result


def _failed(text: str) -> dict[str, Any]:
    return {**_COMPLETE, "content": [{"type": "text", "text": _whole(text)}], "isError": True}


def _whole(text: str) -> str:
    """A text that can be written as UTF-8: half of a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
