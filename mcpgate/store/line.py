"""What a call waits for: a connection that is kept, in a `with` for one at a time."""

from __future__ import annotations

import threading
from typing import Any, Final, NoReturn, Protocol

from mcpgate.errors import StoreError

_SECONDS: Final = 5.0


class Opening(Protocol):
    """What makes a connection, and says whether it is still one to the same files."""

    def connection(self) -> Any:
        """A connection of the driver's own."""
        ...

    def files(self) -> tuple[Any, ...]:
        """What it is a connection to."""
        ...

    def check_files(self, known: tuple[Any, ...]) -> None:
        """Raises `StoreError` where that is something else by now."""
        ...

    def fault(self, error: BaseException) -> str:
        """What went wrong, where an error is a library's own."""
        ...

    def fail(self, fault: str) -> NoReturn:
        """Raises `StoreError` in its place."""
        ...


class Line:
    """A connection that is kept; an exception undoes what was begun on it.

    `with` gives the driver's own, with nothing begun on it, and raises `StoreError`.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._connection: Any = None
        self._files: tuple[Any, ...] = ()

    # a class of its own, and no generator: every call comes by here several times
    def __enter__(self) -> Any:
        if not self._lock.acquire(timeout=_SECONDS):
            raise StoreError("The database is held by another call of this process.", "Try again.")
        fault = ""
        try:
            self._connect()
        except BaseException as error:
            self._lock.release()
            fault = self._opening.fault(error)
            if not fault:
                raise
        if fault:
            self._opening.fail(fault)
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is not None:
                self._undo()
        finally:
            self._lock.release()
        if error is not None:
            fault = self._opening.fault(error)
            del error
            if fault:
                self._opening.fail(fault)

    def close(self) -> None:
        """Let go of the connection; the next use makes another."""
        with self._lock:
            self._drop()

    def _connect(self) -> None:
        if self._connection is not None:
            self._opening.check_files(self._files)
        else:
            connection, self._files = self._opening.connection(), self._opening.files()
            self._connection = connection

    def _undo(self) -> None:
        try:
            self._connection.rollback()
        except Exception:  # noqa: BLE001  one that is lost
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
