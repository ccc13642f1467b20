"""The keyring of the operating system, one of those that are known to keep a secret.

The `keyring` package is used for its backends alone. Its own choice among them may fall on plain text, on
nothing at all or on whatever its configuration names, and differs between a shell and an MCP client; so the
known ones are tried here, in a fixed order.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

from mcpgate.errors import CredentialError
from mcpgate.secrets import Secret

SERVICE: Final = "mcpgate"
_SECONDS: Final = 30.0
_RUN: Final = "/run/user"
_MAC: Final = (("macOS Keychain", "keyring.backends.macOS", "Keyring"),)
_WINDOWS: Final = (("Windows Credential Manager", "keyring.backends.Windows", "WinVaultKeyring"),)
_OTHERS: Final = (
    # two ways to one and the same store
    ("Secret Service", "keyring.backends.SecretService", "Keyring"),
    ("Secret Service", "keyring.backends.libsecret", "Keyring"),
    ("KWallet", "keyring.backends.kwallet", "DBusKeyring"),
)
INSTALL: Final = "sudo apt install gnome-keyring dbus-user-session"
UNLOCK: Final = (
    # without --replace a second daemon would start beside the locked one
    'read -rs P && printf %s "$P" | gnome-keyring-daemon --replace --unlock --components=secrets'
)
"""What brings a Secret Service to Debian and its kin, and what unlocks it on a machine without a desktop."""
_LOCKED: Final = ("KeyringLocked", "LockedException", "PromptDismissedException", "InitError")

Found = TypeVar("Found")


class Backend(Protocol):
    """What is used of a backend of the `keyring` package."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """The text kept under a name, None where there is none."""
        ...

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Keep a text under a name."""
        ...

    def delete_password(self, service: str, username: str, /) -> None:
        """Forget what is kept under a name."""
        ...


class Keyring:
    """One keyring, asked in a thread of its own: it may wait for ever for a person to unlock it."""

    def __init__(self, name: str, backend: Backend, seconds: float = _SECONDS) -> None:
        self.name = name
        self._backend = backend
        self._seconds = seconds

    def get(self, user: str) -> Secret | None:
        """What is kept for a user; raises `CredentialError`, as everything here does."""
        return self._ask(lambda: _hidden(self._backend.get_password(SERVICE, user)))

    def put(self, user: str, text: Secret) -> None:
        """Keep a text, and read it back: some keyrings fail without a word."""
        self._ask(lambda: self._backend.set_password(SERVICE, user, text.reveal()))
        kept = self.get(user)
        if kept is None or kept.reveal() != text.reveal():
            raise CredentialError(f"The {self.name} did not keep what it was given.", "See: mcpgate doctor")

    def delete(self, user: str) -> bool:
        """Forget what is kept for a user; whether there was anything."""
        if self.get(user) is None:
            return False
        self._ask(lambda: self._backend.delete_password(SERVICE, user))
        return True

    def _ask(self, question: Callable[[], Found]) -> Found:
        answer: Future[tuple[Found] | str] = Future()

        def work() -> None:
            try:
                answer.set_result((question(),))
            except BaseException as error:  # noqa: BLE001  backends raise what they like, and may quote the secret
                answer.set_result(type(error).__name__)

        Thread(target=work, daemon=True).start()
        found: tuple[Found] | str = ""
        try:
            found = answer.result(self._seconds)
        except TimeoutError:
            pass
        if isinstance(found, str):
            raise self._fault(found)
        return found[0]

    def _fault(self, kind: str) -> CredentialError:
        if not kind:
            hint = "It may be waiting for a person to unlock it: look for its window, then try again."
            return CredentialError(f"The {self.name} did not answer within {self._seconds:g} s.", hint)
        if kind in _LOCKED:
            hint = "A person has to unlock it, then try again."
            if self.name == "Secret Service":
                hint += f" Without a desktop: {UNLOCK}"
            return CredentialError(f"The {self.name} is locked.", hint)
        return CredentialError(f"The {self.name} failed ({kind}).", "Try again, or see: mcpgate doctor")


def find_keyring(name: str = "") -> Keyring | None:
    """The first keyring of this system that can be used, or the one of this name, or None."""
    _find_session_bus()
    known = {"darwin": _MAC, "win32": _WINDOWS}.get(sys.platform, _OTHERS)
    for label, module, kind in known:
        backend = _load(module, kind) if name in ("", label) else None
        if backend is not None:
            return Keyring(label, backend)
    return None


def _hidden(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def _find_session_bus() -> None:
    """MCP clients start servers with HOME, PATH and little else: the user's own bus is where it always is."""
    if sys.platform in ("darwin", "win32") or os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return
    bus = Path(_RUN, str(os.getuid()), "bus")
    if bus.is_socket():
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus}"


def _load(module: str, kind: str) -> Backend | None:
    try:
        backend: Any = getattr(importlib.import_module(module), kind)
        made: Backend | None = backend() if backend.viable else None
    except Exception:  # noqa: BLE001  whatever its libraries raise, it cannot be used
        return None
    return made
