"""Files that hold a secret: one's own, closed to others, or one that a container or service was given."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import uuid
from pathlib import Path
from typing import Final

from mcpgate import paths
from mcpgate.errors import CredentialError
from mcpgate.secrets import Secret

# where Docker, Kubernetes and systemd mount secrets; anyone there may read them, as is the custom
_MOUNTS: Final = ("/run/secrets", "/var/run/secrets", "/run/credentials")
_MOST: Final = 4096
_GROUP, _OTHERS, _WRITE = 0o070, 0o007, 0o022


def make_key_file(path: Path, text: Secret) -> str:
    """Write a new file, whole or not at all; says why it could not be made, and nothing where it could.

    One that another process made meanwhile stays as it is.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        paths.make_private(str(path.parent))
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{text.reveal()}\n")
                file.flush()
                os.fsync(file.fileno())
            # unlike a rename it never takes the place of a file that is there
            os.link(draft, path)
        finally:
            os.unlink(draft)  # noqa: PTH108  a Path would be no plainer
        _keep_name(path.parent)
    except FileExistsError:
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def read_secret(path: Path, what: str) -> Secret:
    """The bytes of a file that is nobody else's, as Latin-1; raises `CredentialError`."""
    fault, hint, text = "", "Bring it back; a fresh one opens nothing.", Secret("")
    try:
        # a pipe would keep everybody waiting for what nobody writes
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            fault, mend = _openness(path, file.fileno())
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                fault, mend = "is no file", ""
            if not fault:
                text = Secret(file.read(_MOST + 1).decode("latin-1"))
    except (OSError, ValueError) as error:
        fault = f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
    else:
        hint = mend or hint
    if len(text.reveal()) > _MOST:
        fault = f"cannot be it: it has more than {_MOST} bytes"
    if fault:
        raise CredentialError(f"The {what} file {path} {fault}.", hint)
    return text


def _openness(path: Path, descriptor: int) -> tuple[str, str]:
    """Who else may read or change an open file, and what mends that."""
    if sys.platform == "win32" or os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        # Windows keeps a user's own folders closed; what cannot be written to was given by whoever mounted it
        return "", ""
    status, quoted = os.fstat(descriptor), shlex.quote(str(path))
    own, given = status.st_uid == os.geteuid(), _is_given(path)
    if not (own or given or status.st_uid == 0):
        return "belongs to another user", f'chown "$USER" {quoted}'
    # a file of root's is read by way of its group
    closed = _WRITE if given else _GROUP | _OTHERS if own else _WRITE | _OTHERS
    return ("is open to other users", f"chmod 600 {quoted}") if status.st_mode & closed else ("", "")


def _is_given(path: Path) -> bool:
    """Whether a file lies where secrets are mounted, by way of whatever links."""
    folders = [Path(folder).resolve() for folder in _MOUNTS]
    return any(path.resolve().is_relative_to(folder) for folder in folders)


def _keep_name(folder: Path) -> None:
    """The name of a new file outlives a power cut only when its folder is written out too."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
