"""The least a server on the SDK can do, with a list that is always the same."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

TOOLS = types.ListToolsResult.model_validate({"tools": json.loads(Path(sys.argv[1]).read_text())["tools"]})


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    return TOOLS


async def call_tool(_: Any, __: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text="{}")])


async def main() -> None:
    server: Server[Any] = Server("minimal", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
