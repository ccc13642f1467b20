"""A database in a file of SQLite's: how it is made, opened and begun to be written to."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from mcpgate import paths
from mcpgate.store.faults import cannot_be_used

Identity = tuple[int, int]

# what SQLite keeps beside a file, as long as anyone has it open
BESIDE: Final = ("-wal", "-shm")
_BUSY_MS: Final = 5000
_AGAIN_AFTER: Final = 0.01
_POLL: Final = (0.0003, 0.001)
_OWNER_ONLY: Final = 0o600
_PRAGMAS: Final = (
    f"busy_timeout={_BUSY_MS}",
    # a commit outlives a power cut: after one, keys are taken out of a keyring and money moves
    "synchronous=FULL",
    "fullfsync=ON",
    # pages of the log before it is written back, which waits for the disk: a call takes five
    "wal_autocheckpoint=4000",
    "secure_delete=ON",
    "foreign_keys=ON",
)


def connect(address: str) -> sqlite3.Connection:
    """A connection of the driver's own to a file that is there, on which nothing is begun by itself."""
    connection = sqlite3.connect(address, check_same_thread=False)
    try:
        set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def tables(address: str) -> set[str]:
    """The names of the tables that there are; whoever looks does not wait for one that writes."""
    with closing(connect(address)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def identity(path: str) -> Identity | None:
    """Which file is there; None where there is none. Raises `StoreError`."""
    fault = ""
    try:
        found = os.stat(path)  # noqa: PTH116  every call does this
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault:
        raise cannot_be_used(path, fault)
    return found.st_dev, found.st_ino


def begin(connection: Any) -> None:
    """Begin to write on a connection of SQLite's own.

    SQLite waits in steps of a tenth of a second, in which those who write all the time take turns and leave
    none: whoever asks often gets its turn.
    """
    until = time.monotonic() + _BUSY_MS / 1000
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(*_POLL))  # noqa: S311  so that two do not keep in step
    finally:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")


def make_file(path: Path) -> None:
    """Made before SQLite makes it, so that it is never open to others, nor what it writes beside it."""
    fault = ""
    try:
        paths.make_private(os.fspath(path.parent))
        # one that is there is not opened: to close it would let go of every lock of this process on it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
    except FileExistsError:
        fault = "it is a folder" if path.is_dir() else ""
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault:
        raise cannot_be_used(os.fspath(path), fault)


def set_up(connection: Any) -> None:
    """Make a connection of the driver's own what every one is."""
    # the driver would begin by itself, and too late: two first starts would block each other
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    _keep_log(connection)


def _keep_log(connection: Any) -> None:
    """Make the log a write-ahead one, for good: SQLite does not wait for another that does so too."""
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_AGAIN_AFTER)
