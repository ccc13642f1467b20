"""The two ends of the wire, as the event loop sees them.

Pipes and sockets are polled. Files, terminals and everything on Windows cannot be, or are shared with others
who would not like them to be non-blocking: a thread reads them, and writing waits.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import Callable

CHUNK = 256 * 1024
UNSENT = 1024 * 1024


def is_polled(descriptor: int) -> bool:
    """Whether the loop waits for this descriptor."""
    mode = os.fstat(descriptor).st_mode
    return (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) and sys.platform != "win32"


def is_file(descriptor: int) -> bool:
    """Whether this is a file, whose end does not mean that a client has left."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


class PolledSource:
    """What comes in through a pipe or a socket; `received` gets empty bytes at the end."""

    def __init__(self, descriptor: int, received: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._received = received
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)

    def resume(self) -> None:
        """Reads from now on."""
        self._loop.add_reader(self._descriptor, self._ready)

    def pause(self) -> None:
        """Reads no more until it is told to."""
        self._loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """Reads nothing more; leaves the descriptor as it was, since others may share it."""
        self.pause()
        os.set_blocking(self._descriptor, True)

    def _ready(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.pause()
        self._received(data)


class ThreadedSource:
    """What comes in from elsewhere: a thread reads one chunk, and the next once that is dealt with."""

    def __init__(self, descriptor: int, received: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._paused = True
        self._wanted = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def resume(self) -> None:
        """Reads from now on."""
        self._paused = False
        self._wanted.set()

    def pause(self) -> None:
        """Reads no more until it is told to."""
        self._paused = True

    def close(self) -> None:
        """Delivers nothing more; the thread ends with the process."""
        self._received = lambda data: None

    def _read(self) -> None:
        data = b"\n"
        while data:
            self._wanted.wait()
            self._wanted.clear()
            try:
                data = os.read(self._descriptor, CHUNK)
            except OSError:
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._deliver, data)
            except RuntimeError:  # the loop is closed
                return

    def _deliver(self, data: bytes) -> None:
        self._received(data)
        if not self._paused:
            self._wanted.set()


class Sink:
    """What goes out: one write for each line where there is room, and in order where there is none.

    `drained` is called when a client that had let too much pile up has read it all, `lost` when nobody reads.
    """

    def __init__(self, descriptor: int, drained: Callable[[], None], lost: Callable[[], None]) -> None:
        self.full = False
        self._descriptor = descriptor
        self._drained = drained
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._polled = is_polled(descriptor)
        self._unsent = bytearray()
        self._open = True
        self._finished: asyncio.Future[None] | None = None
        if self._polled:
            os.set_blocking(descriptor, False)

    def watch(self) -> None:
        """Notices from now on when nobody reads any longer, even if nothing is written."""
        if self._polled:
            self._loop.add_reader(self._descriptor, self._lose)

    def write(self, line: bytes) -> None:
        """Sends a line now, or as soon as there is room."""
        if not self._open:
            return
        if not self._unsent:
            line = line[self._send(line) :]
            if not line:
                return
            self._loop.add_writer(self._descriptor, self._ready)
        self._unsent += line
        self.full = len(self._unsent) > UNSENT

    async def finish(self) -> None:
        """Waits until all is sent, or nobody wants it."""
        if self._unsent and self._open:
            self._finished = self._loop.create_future()
            await self._finished

    def close(self) -> None:
        """Sends nothing more; leaves the descriptor as it was, since others may share it."""
        if not self._open:
            return
        self._open = False
        if self._unsent:
            self._loop.remove_writer(self._descriptor)
            self._unsent.clear()
        if self._polled:
            self._loop.remove_reader(self._descriptor)
            os.set_blocking(self._descriptor, True)
        if self._finished and not self._finished.done():
            self._finished.set_result(None)

    def _send(self, data: bytes | bytearray) -> int:
        sent = 0
        try:
            with memoryview(data) as view:
                while sent < len(data):
                    sent += os.write(self._descriptor, view[sent:])
        except BlockingIOError:
            pass
        except OSError:
            self._lose()
            return len(data)
        return sent

    def _ready(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if self._unsent or not self._open:
            return
        self._loop.remove_writer(self._descriptor)
        if self._finished:
            self._finished.set_result(None)
        if self.full:
            self.full = False
            self._drained()

    def _lose(self) -> None:
        self.close()
        self._lost()
