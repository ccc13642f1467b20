"""The API without any server: by kept sockets, and by a warm HTTP client."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from benchmarks.answers import BALANCE, CUSTOMERS, Flood
from benchmarks.lane import WAIT, Lane
from benchmarks.processes import FailedError

PATHS: Final = {BALANCE: "/v1/balance", CUSTOMERS: "/v1/customers"}


class Raw:
    """The API itself by kept sockets: what no server can be faster than."""

    pid = 0

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._lanes: list[Lane] = []

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return self._lane(0).exchange(self._message(tool, arguments))

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> Flood:
        lanes = [self._lane(number) for number in range(min(at_once, count))]
        messages = [self._message(tool, arguments) for _ in range(count)]
        answers: list[bytes] = []
        with selectors.DefaultSelector() as ready:
            for lane in lanes:
                ready.register(lane.socket, selectors.EVENT_READ, lane)
            began = time.perf_counter()
            for lane in lanes:
                lane.send(messages.pop())
            while len(answers) < count:
                found = ready.select(WAIT)
                if not found:
                    raise FailedError(f"there was no answer for {WAIT:.0f} s")
                for key, _ in found:
                    lane = key.data
                    answer = lane.take()
                    if answer is not None:
                        answers.append(answer)
                        if messages:
                            lane.send(messages.pop())
            seconds = time.perf_counter() - began
        self._check(answers, count)
        return Flood(seconds, answers)

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        other = self._lane(1)
        other.send(self._message(slow, arguments))
        began = time.perf_counter()
        answer = self._lane(0).exchange(self._message(quick, {}))
        took = time.perf_counter() - began
        self.text(answer)
        while (late := other.take()) is None:
            pass
        self.text(late)
        return took

    def text(self, answer: bytes) -> str:
        return answer.decode()

    def close(self) -> None:
        for lane in self._lanes:
            lane.socket.close()

    def _lane(self, number: int) -> Lane:
        while len(self._lanes) <= number:
            self._lanes.append(Lane(self._address))
        lane = self._lanes[number]
        lane.renew()
        return lane

    def _message(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return f"GET {_target(tool, arguments)} HTTP/1.1\r\nHost: api\r\n\r\n".encode()

    def _check(self, answers: Sequence[bytes], count: int) -> None:
        """Raises `FailedError` where what was answered is not what was asked."""


class Warm:
    """The API by a warm HTTP client, as a Python program would have it."""

    pid = 0

    def __init__(self, port: int) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT)

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return self._runner.run(self._client.get(_target(tool, arguments))).content

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> Flood:
        target, left, answers = _target(tool, arguments), count, list[bytes]()

        async def lane() -> None:
            nonlocal left
            while left:
                left -= 1
                answers.append((await self._client.get(target)).content)

        async def lanes() -> float:
            began = time.perf_counter()
            await asyncio.gather(*(lane() for _ in range(at_once)))
            return time.perf_counter() - began

        return Flood(self._runner.run(lanes()), answers)

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        async def both() -> float:
            late = asyncio.create_task(self._client.get(_target(slow, arguments)))
            await asyncio.sleep(0)
            began = time.perf_counter()
            await self._client.get(_target(quick, {}))
            took = time.perf_counter() - began
            await late
            return took

        return self._runner.run(both())

    def text(self, answer: bytes) -> str:
        return answer.decode()

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


def _target(tool: str, arguments: Mapping[str, Any]) -> str:
    query = urlencode(arguments)
    return PATHS[tool] + (f"?{query}" if query else "")
