"""What goes to a server and what comes back: messages written before the clock runs, answers read after.

An answer that is late, missing, an error, a refusal or about something else is a failure of the measurement,
never a fast call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from benchmarks.processes import FailedError

HELLO: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
READY: Final = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
BALANCE: Final = "stripe_get_balance"
CUSTOMERS: Final = "stripe_list_customers"
AMOUNTS: Final = (4180417, 92306)
COUNT: Final = 10
# what of the API's reply must be found in what a model is given, however it is laid out
MARKS: Final[Mapping[str, tuple[str, ...]]] = {
    BALANCE: tuple(map(str, AMOUNTS)),
    CUSTOMERS: tuple(f"cus_QXg1o8vcGmoR{number:02}" for number in range(COUNT)),
}


class Answering(Protocol):
    """Something that answers calls: a server, or the API itself without any."""

    pid: int

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        """One call, and what came back for it."""
        ...

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> Flood:
        """So many calls, so many of them at a time."""
        ...

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        """Seconds of a quick call that is made while a slow one is under way."""
        ...

    def text(self, answer: bytes) -> str:
        """What a model reads of an answer; raises `FailedError` where that is an error."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True)
class Flood:
    """Calls side by side: the seconds they took, and the answers."""

    seconds: float
    answers: Sequence[bytes]


def request(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    """A request as it goes over the wire."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def result(answer: bytes) -> dict[str, Any]:
    """The result of an answer; raises `FailedError` for an error, or for a tool's own one."""
    message = json.loads(answer)
    found = message.get("result")
    if not isinstance(found, dict) or found.get("isError"):
        raise FailedError(f"a call failed: {short(answer)}")
    return found


def text_of(answer: bytes) -> str:
    """What a client passes on to its model: the texts, or what is structured where there are none."""
    found = result(answer)
    texts = [block["text"] for block in found.get("content", ()) if block.get("type") == "text"]
    return "\n".join(texts) or json.dumps(found.get("structuredContent"))


def ids(answers: Iterable[bytes]) -> list[int]:
    """Which requests were answered."""
    return sorted(json.loads(answer)["id"] for answer in answers)


def check(tool: str, text: str) -> None:
    """Raises `FailedError` where a text does not hold what the API has answered."""
    missing = [mark for mark in MARKS[tool] if mark not in text]
    if missing:
        raise FailedError(f"an answer to {tool} lacks {', '.join(missing)}: {text[:200]}")


def short(answer: bytes) -> str:
    """The beginning of an answer, as it is named in a report."""
    return " ".join(answer[:300].decode(errors="replace").split())
