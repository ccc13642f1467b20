"""An API that pays money out and fails in every way, and keeps an account of what it really did.

What was done under an idempotency key is not done again. The account is the truth that a ledger is held to.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

Manner = Literal["answer", "refuse", "limit", "break", "hang", "cut", "half", "garble"]
When = Literal["before", "after", "later", "never"]


@dataclass(frozen=True)
class Mood:
    """How a request is treated: `acts` is when it is carried out, seen from the answer or its absence."""

    manner: Manner
    acts: When
    weight: int


FRIENDLY: Final = (Mood("answer", "before", 1),)
CALM: Final = (Mood("answer", "before", 90), Mood("refuse", "never", 5), Mood("break", "before", 5))
FIERCE: Final = (
    Mood("answer", "before", 46),
    Mood("refuse", "never", 14),
    Mood("limit", "never", 4),
    Mood("break", "never", 6),
    Mood("break", "before", 4),
    Mood("break", "later", 2),
    Mood("hang", "never", 4),
    Mood("hang", "before", 4),
    Mood("hang", "later", 3),
    Mood("cut", "never", 4),
    Mood("cut", "before", 4),
    Mood("cut", "later", 2),
    Mood("half", "before", 2),
    Mood("garble", "before", 1),
)
_STATUS: Final[dict[Manner, int]] = {"answer": 200, "refuse": 402, "limit": 429, "break": 500, "half": 200}


@dataclass(frozen=True)
class Payment:
    """What was paid out under a key."""

    order: str
    amount: int


class Till:
    """The API, on a free port of loopback; `late` is after how many seconds it does what it does late."""

    def __init__(self, moods: tuple[Mood, ...] = FIERCE, seed: int = 0, late: float = 0.8) -> None:
        self.moods = moods
        self.paid: dict[str, Payment] = {}
        self.orders: dict[str, str] = {}
        self.answers: dict[str, Counter[str]] = {}
        self.faults: list[str] = []
        self.requests = 0
        self._random = random.Random(seed)
        self._late = late
        self._waiting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def moved(self) -> int:
        """All that was paid out."""
        return sum(payment.amount for payment in self.paid.values())

    def settle(self) -> None:
        """Wait for what is done late."""

        async def wait() -> None:
            while self._waiting:
                await asyncio.gather(*self._waiting)

        asyncio.run_coroutine_threadsafe(wait(), self._loop).result(30)

    def close(self) -> None:
        """Stop at once."""

        async def end() -> None:
            self._server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.strip().lower(): text.strip()
                    for name, _, text in (line.partition(":") for line in head[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._answer(headers.get("idempotency-key", ""), body, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, key: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Treat one request; whether the connection goes on."""
        said = json.loads(body)
        payment = Payment(said["order"], said["amount"])
        self.requests += 1
        if not key or self.orders.setdefault(key, payment.order) != payment.order:
            self.faults.append(f"key {key!r} for {payment.order}, before for {self.orders.get(key)}")
        mood = self._random.choices(self.moods, [mood.weight for mood in self.moods])[0]
        manner = "answer" if mood.acts == "never" and key in self.paid else mood.manner
        self.answers.setdefault(key, Counter())[manner] += 1
        if mood.acts == "before":
            self._pay(key, payment)
        elif mood.acts == "later":
            task = asyncio.ensure_future(self._pay_later(key, payment))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        await asyncio.sleep(self._random.choice((0, 0, 0.005, 0.03)))
        if manner == "hang":
            await reader.read()  # until whoever waits has gone
        if manner in ("hang", "cut"):
            return False
        answer: dict[str, Any] = {"id": f"po_{payment.order}", "amount": payment.amount}
        text = json.dumps(answer).encode() if manner != "garble" else b'{"id": "po_'
        status = _STATUS.get(manner, 200)
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode())
        writer.write(text[:5] if manner == "half" else text)
        await writer.drain()
        return manner != "half"

    def _pay(self, key: str, payment: Payment) -> None:
        if self.paid.setdefault(key, payment) != payment:
            self.faults.append(f"key {key!r} for {payment}, before for {self.paid[key]}")

    async def _pay_later(self, key: str, payment: Payment) -> None:
        await asyncio.sleep(self._late)
        self._pay(key, payment)
