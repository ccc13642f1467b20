"""FastMCP's `from_openapi`, over stdio, or over HTTP where a port is given."""

import json
import sys
from pathlib import Path

import httpx2
from fastmcp import FastMCP  # type: ignore[import-not-found]

SPEC, API = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2])
CLIENT = httpx2.AsyncClient(
    base_url=f"http://127.0.0.1:{API}", limits=httpx2.Limits(max_connections=None), timeout=30
)
SERVER = FastMCP.from_openapi(SPEC, client=CLIENT, name="stripe")

if len(sys.argv) > 3:
    SERVER.run("http", host="127.0.0.1", port=int(sys.argv[3]), show_banner=False, log_level="ERROR")
else:
    SERVER.run("stdio", show_banner=False, log_level="ERROR")
