"""The socket, and uvicorn on it, with an end in which started calls finish."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import uvicorn

from mcpgate.errors import UsageError
from mcpgate.server.web.connection import Connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcpgate.server.web.door import Limits

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGBREAK")


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens already; port 0 is any free one. Raises `UsageError`."""
    try:
        if not 0 <= port <= 65535:
            raise OverflowError
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # with the protocol named, asyncio sends small answers at once; without, each waits for 40 ms
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name != "nt":  # there it would let another process take the port away
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or "it is no address"
        raise UsageError(
            f"mcpgate cannot listen on {host}, port {port}: {said}.", "Give another --port."
        ) from None
    return listener


class Service(uvicorn.Server):
    """uvicorn on one application; `stopping` is called when the first signal comes."""

    def __init__(self, app: ASGIApp, limits: Limits, stopping: Callable[[], None]) -> None:
        class Limited(Connection):
            pass

        Limited.limits = limits
        super().__init__(
            uvicorn.Config(
                app,
                http=Limited,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=limits.connections,
                timeout_keep_alive=limits.idle,
                timeout_graceful_shutdown=limits.stopping,
            )
        )
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes nothing new, ends the streams, and waits for the requests under way."""
        self._stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The first signal stops in order, and is no failure; the second one ends at once.

        uvicorn's own handler is not installed: the SDK looks for it, and cuts every answer off when it runs.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {}
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            before[number] = signal.getsignal(number)
            try:
                loop.add_signal_handler(number, self._signalled, number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda n, _: self._signalled(n))
        try:
            yield
        finally:
            for number, handler in before.items():
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _signalled(self, number: int) -> None:
        if self.should_exit:
            os._exit(128 + number)
        self.should_exit = True
