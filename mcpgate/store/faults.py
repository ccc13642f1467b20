"""What is wrong with a database that cannot be used, and what mends it: no statement, and no value of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

from mcpgate.errors import StoreError

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


def cannot_be_used(address: str, fault: str) -> StoreError:
    """What is told of a fault; the password in an address is not."""
    shown = address
    if "://" in address:
        from sqlalchemy import make_url

        shown = make_url(address).render_as_string(hide_password=True)
    return StoreError(f"The database {shown} cannot be used: {fault}.", _HINTS.get(fault, _HINT))


def fault_of(error: BaseException) -> str:
    """What went wrong by an error of a library's, in words where there are any."""
    cause = getattr(error, "orig", None) or error
    code = str(getattr(cause, "sqlite_errorname", "")).split("_")
    return _FAULTS.get(code[1] if code[1:] else "", "_".join(code) or type(cause).__name__)
