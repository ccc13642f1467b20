"""An MCP server elsewhere, with its tools, its calls and its news: what a bridge stands on.

It is spoken to as of 2026-07-28, without a session; one that does not know that gets the handshake before.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, TypedDict

from mcpgate.engine.body import MAX_REPLY_BYTES
from mcpgate.engine.endpoint import Endpoint
from mcpgate.engine.remote_messages import (
    ENVELOPE,
    HANDSHAKES,
    INVALID_PARAMS,
    NO_SUCH_METHOD,
    NO_SUCH_VERSION,
    Message,
    RemoteError,
    Speech,
    is_listing,
    member,
)
from mcpgate.errors import MCPGateError, UnknownToolError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Fate, Outcome

CALL_SECONDS: Final = 330.0
_SECONDS: Final = 30.0
# for what is said on leaving
_LAST_SECONDS: Final = 1.0
# a stream on which nothing comes, not even what keeps it alive, may have lost its other end
_SILENCE: Final = 60.0
_LONGEST_PAUSE: Final = 60.0
_MOST_PAGES: Final = 100
_HEARD: Final = "notifications/subscriptions/acknowledged"
_CHANGED: Final = "notifications/tools/list_changed"
_NOTHING_DONE: Final = "Nothing was done."
_GUESSED: Final = f"{_NOTHING_DONE} The call holds what looks like the app key, which no call has to hold."
_UNKNOWN: Final = (
    "Whether the call took effect is not known: the gate there has it written down. Look at what is there"
    " before trying again."
)


class Offer(TypedDict):
    """What the server offers: its tools, as JSON, and what it says of them all."""

    instructions: str
    tools: list[dict[str, Any]]


class Remote:
    """A server behind an `Endpoint`, as a caller.

    `poll` is the seconds between two looks at the tools of a server that tells no news, `pause` those before
    a stream of news is opened again, doubled as long as that fails.
    """

    def __init__(
        self,
        url: str,
        key: Secret,
        scrubber: Scrubber,
        version: str,
        *,
        poll: float = 30.0,
        pause: float = 1.0,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        scrubber.learn(key.reveal())
        self._client = {"name": "mcpgate", "version": version}
        self._endpoint = Endpoint(url, key, scrubber, f"mcpgate/{version}")
        self._origin = self._endpoint.reader.origin
        self._scrubber = scrubber
        self._poll = poll
        self._pause = pause
        self._call_seconds = call_seconds
        self._ids = itertools.count(1)
        self._speech: Speech | None = None
        self._tells = True  # whether it has streams of news
        self._instructions = ""
        self._offer: Offer | None = None
        self._following: asyncio.Task[None] | None = None
        self._farewells: set[asyncio.Task[None]] = set()

    async def open(self) -> Offer:
        """What the server offers now, in an event loop that may end; raises `MCPGateError`."""
        try:
            self._offer = await self._list()
            return self._offer
        finally:
            await self._endpoint.close()

    def follow(self) -> None:
        """Keeps `listing` true from now on, in the running event loop."""
        self._following = asyncio.get_running_loop().create_task(self._follow())

    def listing(self) -> Offer | None:
        """What the server offers, as far as it is known."""
        return self._offer

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Carries out one call there, and never a second time; raises `UnknownToolError`, `MCPGateError`."""
        try:
            guessed = self._scrubber.shows([name, arguments])
        except RecursionError:
            raise RemoteError("The arguments cannot be sent as JSON.", _NOTHING_DONE) from None
        if guessed:
            # an answer that repeats it would tell by its mask how much of a guess is right
            return Outcome(_GUESSED, is_error=True)
        try:
            speech = self._speech or await self._agree()
        except RemoteError as error:
            raise _told(error, "failed") from None
        try:
            params = {"name": name, "arguments": arguments}
            result = await self._ask("tools/call", params, speech, self._call_seconds)
            return self._endpoint.reader.outcome(result)
        except RemoteError as error:
            if self._is_over(speech, error):
                message = f"What was agreed on with {self._origin} is over, and is agreed on anew."
                raise RemoteError(message, f"{_NOTHING_DONE} Call again.") from None
            if error.code == INVALID_PARAMS:
                raise UnknownToolError(error.message) from None
            if error.code is not None:
                return Outcome(error.message, is_error=True)
            raise _told(error, error.fate) from None

    async def close(self) -> None:
        """Leaves: no more news, no more connections."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._farewells:
            await asyncio.wait(self._farewells)
        if self._speech is not None and self._speech.session:
            await self._endpoint.tell("DELETE", None, self._speech.headers(), _LAST_SECONDS)
        await self._endpoint.close()

    # --- how it is spoken to ---

    async def _agree(self) -> Speech:
        """A revision that both know; raises `MCPGateError`."""
        speech, found = Speech(ENVELOPE), Message()
        try:
            found = await self._ask("server/discover", {}, speech)
        except RemoteError as error:
            if not error.may_be_older:
                raise
        known = found.get("supportedVersions")
        if not isinstance(known, list) or ENVELOPE not in known:
            speech, found = await self._shake_hands()
        said = found.get("instructions")
        self._instructions = self._scrubber.text(said) if isinstance(said, str) else ""
        self._speech, self._tells = speech, speech.modern
        return speech

    async def _shake_hands(self) -> tuple[Speech, Message]:
        params = {"protocolVersion": HANDSHAKES[-1], "capabilities": {}, "clientInfo": self._client}
        request = Speech(HANDSHAKES[-1]).request(next(self._ids), "initialize", params, self._client)
        found, headers = await self._endpoint.ask(request, {}, _SECONDS)
        if found.get("protocolVersion") not in HANDSHAKES:
            known = ", ".join((*HANDSHAKES, ENVELOPE))
            raise RemoteError(f"{self._origin} speaks no revision of MCP that mcpgate does: {known}.")
        speech = Speech(found["protocolVersion"], headers.get("mcp-session-id", ""))
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await self._endpoint.tell("POST", ready, speech.headers(), _SECONDS)
        return speech, found

    def _is_over(self, speech: Speech, error: RemoteError) -> bool:
        """Whether the server has forgotten what was agreed on; where it may have, that is agreed on anew."""
        over = error.code == NO_SUCH_VERSION or (error.status == 404 and bool(speech.session))
        if over or (error.status in (400, 404) and error.code != INVALID_PARAMS):
            self._speech = None if self._speech is speech else self._speech
        return over

    async def _ask(self, method: str, params: Message, speech: Speech, seconds: float = _SECONDS) -> Message:
        request = speech.request(next(self._ids), method, params, self._client)
        try:
            result, _ = await self._endpoint.ask(request, speech.headers(request), seconds)
        except asyncio.CancelledError:
            if speech.session:
                # as of 2026-07-28 a request whose connection closes is cancelled; before, it goes on
                notice = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
                gone = {**notice, "params": {"requestId": request["id"]}}
                told = self._endpoint.tell("POST", gone, speech.headers(), _LAST_SECONDS)
                task = asyncio.create_task(told)
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)
            raise
        return result

    # --- its tools and its news ---

    async def _list(self) -> Offer:
        """Every page of its tools; raises `MCPGateError`."""
        speech = self._speech or await self._agree()
        tools: list[dict[str, Any]] = []
        cursors: list[Any] = [None]
        while len(cursors) <= _MOST_PAGES and cursors[-1] not in cursors[:-1]:
            params = {"cursor": cursors[-1]} if cursors[-1] else {}
            try:
                page = await self._ask("tools/list", params, speech)
            except RemoteError as error:
                self._is_over(speech, error)
                raise
            if not is_listing(page.get("tools")):
                raise RemoteError(f"{self._origin} does not list its tools as MCP does.")
            tools += page["tools"]
            if len(json.dumps(tools)) > MAX_REPLY_BYTES:
                break
            cursors.append(page.get("nextCursor"))
            if not cursors[-1]:
                return {"instructions": self._instructions, "tools": self._scrubber.tree(tools)}
        raise RemoteError(f"{self._origin} lists more tools than can be taken.")

    async def _follow(self) -> None:
        pause = self._pause
        while True:
            try:
                async with aclosing(self._news()) as news:
                    async for standing in news:
                        self._offer = await self._list()
                        pause = self._pause if standing else pause
            except MCPGateError:
                pass  # a call tells of it; the tools are looked at as soon as they can be
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  jitter
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _news(self) -> AsyncGenerator[bool]:
        """Comes by whenever the tools may have changed: with true if all is as it should be."""
        speech = self._speech or await self._agree()
        if not self._tells:
            yield True
            await asyncio.sleep(self._poll)
            return
        heard = False
        try:
            async with aclosing(self._listen(speech)) as methods:
                async for method in methods:
                    heard = heard or method == _HEARD
                    if method in (_HEARD, _CHANGED):
                        yield True
        except RemoteError as error:
            self._is_over(speech, error)
        if not heard:
            yield False

    async def _listen(self, speech: Speech) -> AsyncGenerator[str]:
        """The methods of what comes on one stream of news."""
        wanted = {"notifications": {"toolsListChanged": True}}
        request = speech.request(next(self._ids), "subscriptions/listen", wanted, self._client)
        answers = self._endpoint.messages(request, speech.headers(request), silence=_SILENCE)
        async with aclosing(answers) as messages:
            async for message, _ in messages:
                granted = member(message, "params", "notifications", "toolsListChanged")
                deaf = message.get("method") == _HEARD and not granted
                if deaf or member(message, "error", "code") == NO_SUCH_METHOD:
                    self._tells = False
                    return
                yield message.get("method", "")


def _told(error: RemoteError, fate: Fate) -> RemoteError:
    """An error of a call, with what became of the call."""
    hint = _UNKNOWN if fate == "unknown" else f"{_NOTHING_DONE} {error.hint}".strip()
    return RemoteError(error.message, hint, fate=fate, status=error.status)
