"""The API that everything here calls: two replies of Stripe's over HTTP/1.1, as fast as asyncio gives them.

A process of its own. `GET /delay?ms=100` makes every later reply wait; `GET /asked` tells how many requests
there have been; `limit=100` waits two seconds whatever was said.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import processes
from benchmarks.answers import AMOUNTS, COUNT

ROOT: Final = Path(__file__).parents[1]
FIXTURES: Final = ROOT / "tests" / "data" / "stripe-fixtures.json"
SLOW: Final = b"limit=100 "
SLOW_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Stub:
    """The API while it runs."""

    port: int
    pid: int

    def asked(self) -> int:
        """How many requests there have been."""
        return int(self._say("/asked"))

    @contextmanager
    def delayed(self, milliseconds: int) -> Iterator[None]:
        """Every reply takes so long meanwhile."""
        self._say(f"/delay?ms={milliseconds}")
        try:
            yield
        finally:
            self._say("/delay?ms=0")

    def _say(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[Stub]:
    """The stub in a process of its own."""
    process = processes.start([sys.executable, "-m", __name__], ROOT, said=subprocess.PIPE)
    try:
        assert process.stdout
        yield Stub(int(process.stdout.readline()), process.pid)
    finally:
        processes.end(process)


def balance() -> dict[str, Any]:
    """What `GET /v1/balance` answers."""
    kept: dict[str, Any] = json.loads(FIXTURES.read_text())["resources"]["balance"]
    # amounts by which an answer is known again
    kept["available"][0]["amount"], kept["pending"][0]["amount"] = AMOUNTS
    return kept


def customers() -> dict[str, Any]:
    """What `GET /v1/customers` answers: a page of customers who have names and addresses."""
    one = json.loads(FIXTURES.read_text())["resources"]["customer"]
    data = []
    for number in range(COUNT):
        address = {
            **one["address"],
            "city": "San Francisco",
            "country": "US",
            "line1": f"{number} Townsend St",
        }
        name = {"name": f"Jane Doe {number}", "email": f"jane.{number}@example.com", "address": address}
        # few have a discount, while the fixture's has one
        own = {"id": f"cus_QXg1o8vcGmoR{number:02}", "created": 1750000000 + number, "discount": None}
        data.append({**one, **name, **own})
    return {"object": "list", "url": "/v1/customers", "has_more": True, "data": data}


def written(value: Any) -> bytes:
    """A reply's body, indented as Stripe's are."""
    return json.dumps(value, indent=2).encode()


def replied(body: bytes) -> bytes:
    """A whole reply."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Request-Id: req_bench000000\r\n\r\n".encode() + body


class Answers(asyncio.Protocol):
    """One connection."""

    balance: bytes
    customers: bytes
    delay = 0.0
    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._came = b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = self._came[:end]
            size = 0
            if b"ontent-" in head or b"ONTENT-" in head:
                lengths = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0].strip()
                size = int(lengths or b"0")
            if len(self._came) < end + 4 + size:
                return
            self._came = self._came[end + 4 + size :]
            self._answer(head.partition(b"\r\n")[0])

    def _answer(self, line: bytes) -> None:
        if b" /v1/" not in line:
            self._transport.write(replied(self._told(line)))
            return
        Answers.asked += 1
        reply = self.customers if b"/customers" in line else self.balance
        wait = SLOW_SECONDS if SLOW in line else self.delay
        if wait:
            asyncio.get_running_loop().call_later(wait, self._write, reply)
        else:
            self._transport.write(reply)

    def _told(self, line: bytes) -> bytes:
        if b" /delay?ms=" in line:
            Answers.delay = int(line.split(b"ms=")[1].split(b" ")[0]) / 1000
        return str(self.asked).encode()

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def serve() -> None:
    """Serve until the process is ended."""
    Answers.balance, Answers.customers = replied(written(balance())), replied(written(customers()))
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
