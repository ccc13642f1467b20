"""The database: SQLite by default, PostgreSQL by URL. One set of statements for both."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol
from weakref import WeakSet

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from mcpgate import paths
from mcpgate.errors import StoreError
from mcpgate.store.tables import METADATA

_BUSY_MS: Final = 5000
_AGAIN_AFTER: Final = 0.01
_POLL: Final = (0.0003, 0.001)
_OWNER_ONLY: Final = 0o600
_PRAGMAS: Final = (
    f"busy_timeout={_BUSY_MS}",
    # a commit outlives a power cut: after one, keys are taken out of a keyring and money moves
    "synchronous=FULL",
    "fullfsync=ON",
    "secure_delete=ON",
    "foreign_keys=ON",
)
_FAULTS: Final[Mapping[str, str]] = {
    "BUSY": "another program holds it",
    "CANTOPEN": "it cannot be opened",
    "CORRUPT": "it is damaged",
    "ERROR": "its tables are not those of this mcpgate",
    "FULL": "the disk is full",
    "IOERR": "the disk failed",
    "NOTADB": "it is no database",
    "PERM": "it cannot be opened",
    "READONLY": "it cannot be written to",
}
_NO_ROOM: Final = "Make room on the disk that it lies on, then try again."
_FROM_A_COPY: Final = (
    "Bring it back from a copy: stop every mcpgate, put the copy in its place, take away the files beside it "
    "that end with -wal and -shm, and start again."
)
_HINTS: Final[Mapping[str, str]] = {
    _FAULTS["FULL"]: _NO_ROOM,
    os.strerror(errno.ENOSPC): _NO_ROOM,
    _FAULTS["CORRUPT"]: _FROM_A_COPY,
    _FAULTS["NOTADB"]: _FROM_A_COPY,
    _FAULTS["ERROR"]: f"If a newer mcpgate made it, use that one. {_FROM_A_COPY}",
}
_HINT: Final = "Look at who may read and write it and its folder, and whether another program holds it."
# what SQLite keeps beside a file, as long as anyone has it open
_BESIDE: Final = ("-wal", "-shm")
Identity = tuple[int, int]


class Closing(Protocol):
    """What keeps a connection."""

    def close(self) -> None:
        """Let go of it."""
        ...


class Database:
    """A database that is there: its tables are made at the first use, and every change is one transaction."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._engine: Engine | None = None
        self._file: Identity | None = None
        self._moved = False
        self._kept: WeakSet[Closing] = WeakSet()

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite's, and no server's."""
        return "://" not in self.address

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for. Raises `StoreError`."""
        return self._prepared().dialect

    def exists(self) -> bool:
        """Whether there is something to read; looking makes no file. Raises `StoreError`."""
        if not self.is_file:
            return True
        self.check()
        return self._identity() is not None

    def check(self) -> None:
        """See that the file is the one it was at the first use. Raises `StoreError`, from then on always.

        One that was moved or replaced goes on working for whoever has it open, and sees no freeze any more.
        """
        if self._file is None:
            return
        if self._moved or self._identity() != self._file:
            self.refuse()

    def refuse(self) -> NoReturn:
        """Never use it again, for it is another one. Raises `StoreError`."""
        self._moved = True
        what = "is not the file that it was when this started: it was moved or replaced."
        raise StoreError(f"The database {self.address} {what}", "Start mcpgate again.")

    def beside(self) -> tuple[Identity | None, ...]:
        """What lies beside the file: the same ones as long as a connection is open. Raises `StoreError`."""
        return tuple(self._identity(name) for name in _BESIDE) if self.is_file else ()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other one runs beside; an exception undoes it. Raises `StoreError`."""
        with self.told(), self._prepared().begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of everything and holds nobody up. Raises `StoreError`."""
        with self.told(), self._prepared().connect() as connection:
            yield connection.execution_options(reading=True)

    def connection(self) -> Any:
        """A connection of the driver's own, the caller's to close, on which nothing is begun by itself.

        What a call waits for goes this way, in a tenth of the time. Call it, and use it, within `told`.
        """
        pooled = self._prepared().raw_connection()
        pooled.detach()
        connection: Any = pooled.dbapi_connection
        if not self.is_file:
            connection.autocommit = True
        return connection

    @contextmanager
    def told(self) -> Iterator[None]:
        """What the database library raises holds statements and their values, so none of it is passed on.

        Raises `StoreError` in its place.
        """
        fault = ""
        try:
            yield
        except SQLAlchemyError as error:
            fault = _fault(error)
        except Exception as error:
            # the driver's own, from a connection of its own
            if self._engine is None or not isinstance(error, self._engine.dialect.loaded_dbapi.Error):
                raise
            fault = _fault(error)
        if fault:
            try:
                raise _cannot_be_used(self.address, fault)
            except StoreError as told:
                # the `with` is still handling the library's own error, which would hang on to this one
                told.__context__ = None
                raise

    def keep(self, line: Closing) -> None:
        """Close what keeps a connection of its own as well, when this is closed."""
        self._kept.add(line)

    def close(self) -> None:
        """Close every connection."""
        for line in [*self._kept]:
            line.close()
        if self._engine is not None:
            self._engine.dispose()

    def _prepared(self) -> Engine:
        if self._engine is None:
            engine = _engine(self.address)
            try:
                file = self._identity() if self.is_file else None
                _make_tables(engine)
            except BaseException:
                engine.dispose()
                raise
            self._engine, self._file = engine, file
        self.check()
        return self._engine

    def _identity(self, beside: str = "") -> Identity | None:
        """Which file is there; None where there is none."""
        fault = ""
        try:
            found = os.stat(self.address + beside)  # noqa: PTH116  every call does this
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            fault = error.strerror or type(error).__name__
        if fault:
            raise _cannot_be_used(self.address, fault)
        return found.st_dev, found.st_ino


def _engine(address: str) -> Engine:
    if "://" in address:
        return _server(address)
    _make_file(Path(address))
    engine = create_engine(f"sqlite:///{address}", hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _server(address: str) -> Engine:
    fault = ""
    try:
        return create_engine(
            address, hide_parameters=True, pool_pre_ping=True, isolation_level="SERIALIZABLE"
        )
    except ImportError as error:
        fault = f"{error.name} is not installed"
    raise _cannot_be_used(address, fault)


def _make_tables(engine: Engine) -> None:
    """Looked for first: whoever only reads does not wait for one that writes."""
    with engine.connect() as connection:
        there = set(inspect(connection.execution_options(reading=True)).get_table_names())
    if not there.issuperset(METADATA.tables):
        with engine.begin() as connection:
            METADATA.create_all(connection)


def _make_file(path: Path) -> None:
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
        raise _cannot_be_used(os.fspath(path), fault)


def _cannot_be_used(address: str, fault: str) -> StoreError:
    shown = make_url(address).render_as_string(hide_password=True) if "://" in address else address
    return StoreError(f"The database {shown} cannot be used: {fault}.", _HINTS.get(fault, _HINT))


def _fault(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    code = str(getattr(cause, "sqlite_errorname", "")).split("_")
    return _FAULTS.get(code[1] if code[1:] else "", "_".join(code) or type(cause).__name__)


def _set_up(connection: Any, record: object) -> None:
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


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("reading", False):
        connection.exec_driver_sql("BEGIN")
    else:
        begin(connection.connection.dbapi_connection)


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
