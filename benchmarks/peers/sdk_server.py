"""The least a server on the SDK can do: a list that is always the same, and a warm HTTP client."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

TOOLS = types.ListToolsResult.model_validate({"tools": json.loads(Path(sys.argv[1]).read_text())["tools"]})
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
PATHS = {"stripe_get_balance": "/v1/balance", "stripe_list_customers": "/v1/customers"}
CLIENT = httpx2.AsyncClient(
    base_url=f"http://127.0.0.1:{PORT}", limits=httpx2.Limits(max_connections=None), timeout=30
)


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    return TOOLS


async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    reply = await CLIENT.get(PATHS[params.name], params=params.arguments or {})
    return types.CallToolResult(content=[types.TextContent(text=reply.text)])


async def main() -> None:
    server: Server[Any] = Server("minimal", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
