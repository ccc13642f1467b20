"""An MCP server of the SDK's in a thread of the test, over HTTP, in the eras that a test wants."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import anyio
import uvicorn
from mcp import MCPError
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolListChangedNotification,
)

KEY = "mgw_" + "Canary4711" * 4
OBJECT = {"type": "object"}


class MCPServer:
    """Serves `echo` and what else a call's arguments ask for; `tools` may be changed while it runs.

    `era` is *both*, *old* (knows nothing of envelopes, and has no sessions) or *sessions* (the same with
    them); `requests` are the JSON-RPC methods that came, each with its headers, `cancelled` counts calls that
    ended before they were answered. Only requests with `key` are let in.
    """

    def __init__(self, era: str = "both", json_response: bool = False, pages: int = 0, port: int = 0) -> None:
        self.era = era
        self.key = KEY
        self.tools = ["echo"]
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.cancelled = 0
        self._pages = pages
        self._json = json_response
        self._bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(self._bus)
        self._manager = self._managed()
        self._stack = AsyncExitStack()
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            port=port,
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    def publish(self, *tools: str) -> None:
        """Other tools, and news of them."""
        self.tools = [*tools]
        asyncio.run_coroutine_threadsafe(self._bus.publish(ToolsListChanged()), self._running).result(5)

    def end_streams(self) -> None:
        """Ends every stream of news."""
        self._running.call_soon_threadsafe(self._listening.close)

    def forget(self) -> None:
        """Starts anew, as far as clients can see: no session is known any more."""
        asyncio.run_coroutine_threadsafe(self._renew(), self._running).result(5)

    async def _renew(self) -> None:
        self._manager._server_instances.clear()

    async def _serve(self) -> None:
        self._running = asyncio.get_running_loop()
        async with self._manager.run():
            await self._server.serve()
            for connection in [*self._server.server_state.connections]:
                connection.transport.abort()
            await asyncio.sleep(0.01)

    def _managed(self) -> StreamableHTTPSessionManager:
        server: Server[Any] = Server(
            "elsewhere",
            version="9",
            instructions="Ask first.",
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=self._listening if self.era == "both" else None,
            get_tool_input_schema=lambda name: None,
        )
        return StreamableHTTPSessionManager(
            server, stateless=self.era != "sessions", json_response=self._json
        )

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        self.requests.append((json.loads(body)["method"] if body else scope["method"], headers))
        waiting = [part | {"body": body}]

        async def replay() -> Any:
            return waiting.pop() if waiting else await receive()

        if headers.get("authorization") != f"Bearer {self.key}":
            await _answer(send, 401, b"no such key")
        elif self.era != "both" and headers.get("mcp-protocol-version") == "2026-07-28":
            await _answer(send, 400, b"Bad Request: Unsupported protocol version: 2026-07-28")
        else:
            await self._manager.handle_request(scope, replay, send)

    async def _list(self, ctx: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        cursor = params.cursor if params else None
        number = int(cursor or 0)
        names = [self.tools[number]] if self._pages else self.tools
        following = str(number + 1) if self._pages and number + 1 < self._pages else None
        tools = [Tool(name=name, input_schema=OBJECT) for name in names]
        return ListToolsResult(tools=tools, next_cursor=following)

    async def _call(self, ctx: Any, params: CallToolRequestParams) -> CallToolResult:
        arguments = params.arguments or {}
        match arguments:
            case _ if params.name not in self.tools:
                raise MCPError(-32602, f"Unknown tool: {params.name}")
            case {"sleep": seconds}:
                try:
                    await anyio.sleep(seconds)
                except anyio.get_cancelled_exc_class():
                    self.cancelled += 1
                    raise
            case {"fail": code}:
                raise MCPError(code, f"It broke near {self.key}")
            case {"progress": _}:
                news = ToolListChangedNotification()
                await ctx.session.send_notification(news, related_request_id=ctx.request_id)
            case {"deny": reason}:
                return CallToolResult(
                    content=[
                        TextContent(text="Denied."),
                        TextContent(text="Ask."),
                        ImageContent(data="AAAA", mime_type="image/png"),
                    ],
                    structured_content={"reason": reason, "key": self.key},
                    is_error=True,
                )
        return CallToolResult(content=[TextContent(text=json.dumps(arguments, ensure_ascii=False))])


async def _answer(send: Callable[[Any], Any], status: int, body: bytes) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}
    )
    await send({"type": "http.response.body", "body": body})


def until(true: Callable[[], Any], within: float = 5) -> None:
    """Waits for something to become true."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
