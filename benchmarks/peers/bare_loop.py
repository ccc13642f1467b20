"""The least a Python server can do: asyncio, JSON, and a list that is always the same."""

import asyncio
import json
import sys
from pathlib import Path

TOOLS = json.loads(Path(sys.argv[1]).read_text())["tools"]
SERVER = {"name": "bare", "version": "1"}
RESULTS = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": SERVER},
    "tools/list": {"tools": TOOLS},
    "tools/call": {"content": [{"type": "text", "text": "{}"}]},
}


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=4 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        message = json.loads(line)
        if "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": RESULTS[message["method"]]}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


asyncio.run(main())
