"""FastMCP's `from_openapi` as it comes, over stdio, or over HTTP where a port is given.

`tuned`: what makes it faster there, plain JSON for replies and an HTTP parser that pip does not bring.
"""

import json
import sys
from pathlib import Path

from fastmcp import FastMCP  # type: ignore[import-not-found]

SERVER = FastMCP.from_openapi(json.loads(Path(sys.argv[1]).read_text()), name="stripe")
PORT, TUNED = int(sys.argv[2]) if len(sys.argv) > 2 else 0, "tuned" in sys.argv
QUIET = {"show_banner": False, "log_level": "ERROR"}

if TUNED:
    parser = {"http": "httptools"}
    SERVER.run("http", port=PORT, json_response=True, uvicorn_config=parser, **QUIET)
elif PORT:
    SERVER.run("http", port=PORT, uvicorn_config={"http": "h11"}, **QUIET)
else:
    SERVER.run("stdio", **QUIET)
