"""A conversation carried out: calls side by side, what they need loaded once, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from mcpgate.errors import MCPGateError, UnknownToolError
from mcpgate.server.messages import Call, Cancelled, Conversation
from mcpgate.server.pipes import PolledSource, Sink, ThreadedSource, is_file, is_polled

if TYPE_CHECKING:
    from mcpgate.server.lines import Lines
    from mcpgate.server.messages import Listing
    from mcpgate.values import Outcome

NOT_LOADED = "Something broke inside mcpgate before the call was made: nothing was sent."
BROKEN = "Something broke inside mcpgate: whether the call took effect is not known."

_LOOK_SECONDS = 1.0
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")

_logger = logging.getLogger("mcpgate.server")


class Caller(Protocol):
    """What carries out calls: the gateway, as the wire sees it."""

    def listing(self) -> Listing | None:
        """What is offered at this moment, None where nobody looks after that; asked every second."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Carries out one call; a tool that does not exist raises `UnknownToolError`."""
        ...

    async def close(self) -> None:
        """Waits for the calls that have started, then lets go of everything."""
        ...


class Connection:
    """One client on two descriptors, from the first call to the end.

    `load` makes the `Caller`, in a thread: as soon as the tools are listed, so that the first call finds it
    done, or at the first call. If it raises, the next call tries again.
    """

    def __init__(
        self, conversation: Conversation, load: Callable[[], Caller], source: int, sink: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._conversation = conversation
        self._load = load
        self._caller: Caller | None = None
        self._loading: asyncio.Future[BaseException | None] | None = None
        self._warmed = False
        self._tasks: dict[Call, asyncio.Task[None]] = {}
        self._unread: deque[bytes | None] = deque()
        self._ended = asyncio.Event()
        self._source = (PolledSource if is_polled(source) else ThreadedSource)(source, self._received)
        self._sink = Sink(sink, drained=self._work, lost=self._ended.set)
        self._from_file = is_file(source)
        self._one_socket = os.path.sameopenfile(source, sink)
        self._paused = True
        self._at_end = False
        self._code = 0
        self._listing: Listing | None = None

    @property
    def loading(self) -> bool:
        """Whether a thread is still busy making the `Caller`."""
        return self._loading is not None and not self._loading.done()

    async def serve(self, lines: Lines, unread: Iterable[bytes | None] = (), call: Call | None = None) -> int:
        """Carries on where the first answers ended; returns the exit code."""
        self._lines = lines
        self._loop.set_exception_handler(_unhandled)
        self._catch_signals()
        if not self._one_socket:
            self._sink.watch()
        if call:
            self._start(call)
        self._unread.extend(unread)
        self._work()
        await self._ended.wait()
        await self._close()
        return self._code

    def list_changed(self, listing: Listing) -> None:
        """Takes a new listing and tells the client, from any thread."""
        self._loop.call_soon_threadsafe(lambda: self._sink.write(self._conversation.list_changed(listing)))

    # --- lines in ---

    def _received(self, data: bytes) -> None:
        self._unread.extend(self._lines.feed(data or b"\n"))
        self._at_end = not data
        self._work()

    def _work(self) -> None:
        """Takes lines while the client reads the answers; stops reading when it does not."""
        if self._ended.is_set():
            return
        while self._unread and not self._sink.full and not self._ended.is_set():
            step = self._conversation.receive(self._unread.popleft())
            if isinstance(step, bytes):
                self._sink.write(step)
            elif isinstance(step, Call):
                self._start(step)
            elif isinstance(step, Cancelled):
                self._tasks[step.call].cancel()
        if self._conversation.in_use and not self._warmed:
            self._warmed = True
            self._loading = self._loading or self._load_in_thread()
        if self._at_end and not self._unread:
            self._ended.set()
        elif self._paused != self._sink.full:
            self._paused = self._sink.full
            if self._paused:
                self._source.pause()
            else:
                self._source.resume()

    # --- calls ---

    def _start(self, call: Call) -> None:
        task = self._tasks[call] = self._loop.create_task(self._carry_out(call))
        task.add_done_callback(lambda _: self._tasks.pop(call))

    async def _carry_out(self, call: Call) -> None:
        try:
            caller = self._caller or await self._loaded()
            outcome = await caller.call(call.name, call.arguments)
            texts = (outcome.text, outcome.note) if outcome.note else (outcome.text,)
            line = self._conversation.answer(
                call, *texts, structured=outcome.structured, is_error=outcome.is_error
            )
        except UnknownToolError as problem:
            line = self._conversation.refuse(call, problem.message)
        except MCPGateError as problem:
            text = f"{problem.message}\n{problem.hint}".strip()
            line = self._conversation.answer(call, text, is_error=True)
        except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
            _logger.error("a call broke: %s", type(problem).__name__)
            line = self._conversation.answer(call, BROKEN, is_error=True)
        self._sink.write(line)

    async def _loaded(self) -> Caller:
        if self._loading is None:
            self._loading = self._load_in_thread()
        loading = self._loading
        problem = await asyncio.shield(loading)
        if self._caller:
            return self._caller
        if self._loading is loading:
            self._loading = None
        if isinstance(problem, MCPGateError):
            raise problem
        _logger.error("loading broke: %s", type(problem).__name__)
        raise MCPGateError(NOT_LOADED)

    def _load_in_thread(self) -> asyncio.Future[BaseException | None]:
        loading: asyncio.Future[BaseException | None] = self._loop.create_future()

        def load() -> None:
            caller, problem = None, None
            try:
                caller = self._load()
            except BaseException as raised:  # noqa: BLE001  a call waits for it, whatever it is
                problem = raised
            try:
                self._loop.call_soon_threadsafe(loaded, caller, problem)
            except RuntimeError:  # the loop is closed
                pass

        def loaded(caller: Caller | None, problem: BaseException | None) -> None:
            self._caller = caller
            loading.set_result(problem)
            if caller:
                self._look(caller)

        threading.Thread(target=load, daemon=True).start()
        return loading

    # --- what is offered ---

    def _look(self, caller: Caller) -> None:
        """Tells the client of other tools, within a second of their change."""
        if self._ended.is_set():
            return
        try:
            listing = caller.listing()
        except MCPGateError:  # what cannot be put together is not offered
            listing = {"instructions": "", "tools": []}
        except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
            _logger.error("the tools broke: %s", type(problem).__name__)
            listing = {"instructions": "", "tools": []}
        if listing is not None and listing != self._listing:
            self._listing = listing
            if self._conversation.offers_other(listing):
                self._sink.write(self._conversation.list_changed(listing))
        self._loop.call_later(_LOOK_SECONDS, self._look, caller)

    # --- the end ---

    def _catch_signals(self) -> None:
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            try:
                self._loop.add_signal_handler(number, self._signalled, number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda n, _: self._loop.call_soon_threadsafe(self._signalled, n))

    def _signalled(self, number: int) -> None:
        if self._code:
            os._exit(128 + number)
        self._code = 128 + number
        if self._ended.is_set():
            self._cancel()
            self._sink.close()
        self._ended.set()

    def _cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _close(self) -> None:
        """Lets calls that have started settle, and nothing else; a file's calls are all carried out."""
        self._source.close()
        if self._code or not self._from_file:
            self._cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        if self._caller:
            try:
                await self._caller.close()
            except Exception as problem:  # noqa: BLE001  whatever it says may hold a secret
                _logger.error("closing broke: %s", type(problem).__name__)
        self._sink.write(self._conversation.close())
        if not self._code:
            await self._sink.finish()
        self._sink.close()


def _unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _logger.error("the loop met %s", type(context.get("exception")).__name__)
