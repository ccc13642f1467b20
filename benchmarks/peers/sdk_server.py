"""The least a server on the SDK can do: a list that is always the same, and a warm HTTP client.

Over stdio, or over HTTP where a port is given. Where a file of replies stands in the API's place, it calls
none: what is left is the SDK's own part.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.server import Server

LISTING, API, *GIVEN = sys.argv[1:]
TOOLS = types.ListToolsResult.model_validate({"tools": json.loads(Path(LISTING).read_text())["tools"]})
PATHS = {"stripe_get_balance": "/v1/balance", "stripe_list_customers": "/v1/customers"}
KEPT = {} if API.isdigit() else json.loads(Path(API).read_text())
CLIENT = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{API}", timeout=30)


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    return TOOLS


async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    if KEPT:
        text = KEPT[params.name]
    else:
        reply = await CLIENT.get(PATHS[params.name], params=params.arguments or {})
        text = reply.text
    return types.CallToolResult(content=[types.TextContent(text=text)])


SERVER: Server[Any] = Server(
    "minimal", version=version("mcp"), on_list_tools=list_tools, on_call_tool=call_tool
)


async def stdio() -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await SERVER.run(read, write, SERVER.create_initialization_options())


def http(port: int) -> None:
    import uvicorn

    app = SERVER.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


if GIVEN:
    http(int(GIVEN[0]))
else:
    anyio.run(stdio)
