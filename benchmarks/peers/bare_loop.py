"""The least a Python server can do: asyncio, JSON, one list, and connections that are kept."""

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlencode

TOOLS = json.loads(Path(sys.argv[1]).read_text())["tools"]
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
PATHS = {"stripe_get_balance": "/v1/balance", "stripe_list_customers": "/v1/customers"}
SERVER = {"name": "bare", "version": "1"}
RESULTS = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": SERVER},
    "tools/list": {"tools": TOOLS},
}
IDLE: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []


async def get(path: str) -> str:
    reader, writer = IDLE.pop() if IDLE else await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(size)
    IDLE.append((reader, writer))
    return body.decode()


async def answer(message: dict[str, object]) -> None:
    method, params = str(message["method"]), message.get("params")
    if method == "tools/call" and isinstance(params, dict):
        query = urlencode(params.get("arguments") or {})
        text = await get(PATHS[params["name"]] + (f"?{query}" if query else ""))
        result: object = {"content": [{"type": "text", "text": text}]}
    else:
        result = RESULTS[method]
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
    sys.stdout.flush()


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=4 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        message = json.loads(line)
        if "id" in message:
            task = loop.create_task(answer(message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


asyncio.run(main())
