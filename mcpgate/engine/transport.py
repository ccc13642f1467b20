"""The seam below the client: a message goes out, a reply comes back, and it is known how far it got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it goes out: to an origin, for a target. The secret may be in it, so it shows little."""

    method: str
    origin: str
    target: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Received:
    """What came back, not yet scrubbed: header names in lower case, the body unpacked, and its fault."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fault: str = ""


@dataclass(slots=True)
class Attempt:
    """How far one attempt got: whether the API may have seen it, and the status it answered."""

    sent: bool
    status: int | None = None


class UnsentError(Exception):
    """The API has seen nothing; `again` says whether another attempt may fare better."""

    def __init__(self, what: str, *, again: bool = True) -> None:
        super().__init__(what)
        self.again = again


class BrokenError(Exception):
    """The connection broke before an answer came: the API may have seen the message, and acted on it."""


class Transport(Protocol):
    """Carries messages to APIs. What its errors say never quotes a message."""

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        """Send a message and receive the whole reply, `attempt` always telling how far that has got.

        Raises `UnsentError` and `BrokenError`; may be cancelled at any time.
        """
        ...

    def warm(self, origin: str) -> None:
        """Make what the first message to an origin would wait for; from any thread, and it never fails."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
