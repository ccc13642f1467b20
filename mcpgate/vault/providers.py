"""Where the master key comes from: chosen once, at `mcpgate init`, and never changed by itself.

A provider makes a key only when a person sets a vault up or rotates it. At run time it gives the key that was
recorded, or nothing: there is no other provider to fall back to.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias, get_args

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault.os_keyring import Keyring
from mcpgate.vault.sealing import KEY_BYTES, MasterKey

Kind: TypeAlias = Literal["keyring", "passphrase", "file", "environment"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Place: TypeAlias = Mapping[str, str]

PASSPHRASE: Final = "PASSPHRASE"  # noqa: S105  a name
_NEW: Final = "NEW_"
_ENTRY: Final = "master key"
# OWASP's first recommendation for Argon2id has 19 MiB; this takes a third of a second, once per start
_PASSES, _LANES, _KIB = 3, 4, 64 * 1024
_SHORTEST_PASSPHRASE: Final = 12
# where Docker and Kubernetes mount secrets
_MOUNTS: Final = ("/run/secrets", "/var/run/secrets")


class Provider(Protocol):
    """One way to keep a master key; `place` is what has to be recorded to find it again, and no secret."""

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """A key for a vault that is being set up or rotated; raises `CredentialError` or `UsageError`."""
        ...

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key that was recorded; raises `CredentialError`."""
        ...

    def forget(self, key_id: str, place: Place) -> None:
        """Remove a key that no row is sealed under any more, where this provider keeps it itself."""
        ...


@dataclass(frozen=True, slots=True)
class KeyringProvider:
    """The key lies in the operating system's keyring."""

    find: Callable[[str], Keyring | None]

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """A fresh random key, kept under its id."""
        keyring = self._keyring("")
        key = os.urandom(KEY_BYTES)
        keyring.put(f"{_ENTRY} {key_id}", base64.b64encode(key).decode())
        return MasterKey(key_id, key), {"keyring": keyring.name}

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key under its id."""
        text = self._keyring(place["keyring"]).get(f"{_ENTRY} {key_id}")
        if text is None:
            raise CredentialError(
                f"The master key is no longer in the {place['keyring']}.",
                "Bring the keyring back, or import an export: mcpgate vault import FILE",
            )
        return MasterKey(key_id, _decoded(text, f"What the {place['keyring']} has for the master key"))

    def forget(self, key_id: str, place: Place) -> None:
        """Remove it from the keyring."""
        self._keyring(place["keyring"]).delete(f"{_ENTRY} {key_id}")

    def _keyring(self, name: str) -> Keyring:
        found = self.find(name)
        if found is None:
            raise CredentialError(f"The {name or 'keyring'} cannot be used here.", "See: mcpgate doctor")
        return found


@dataclass(frozen=True, slots=True)
class PassphraseProvider:
    """The key is derived from a passphrase by Argon2id, with a salt that is recorded."""

    environ: Mapping[str, str]
    ask: Callable[[str], Secret] | None = None

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """A key under a fresh salt."""
        passphrase = self._passphrase(new=True)
        size = len(passphrase.reveal())
        if size < _SHORTEST_PASSPHRASE:
            raise UsageError(
                f"The passphrase has {size} characters, and {_SHORTEST_PASSPHRASE} are the least.",
                "Four random words are better than one that is hard to type.",
            )
        salt = os.urandom(16)
        return derive(key_id, passphrase, salt), {"salt": base64.b64encode(salt).decode()}

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key by the recorded salt."""
        return derive(key_id, self._passphrase(new=False), base64.b64decode(place["salt"]))

    def forget(self, key_id: str, place: Place) -> None:
        """Nothing is kept."""

    def _passphrase(self, *, new: bool) -> Secret:
        """From the environment, a file that it names, or a person; a new one has a name of its own."""
        for name in (f"{_NEW}{PASSPHRASE}", PASSPHRASE) if new else (PASSPHRASE,):
            variable = f"MCPGATE_{name}"
            if self.environ.get(variable):
                return Secret(self.environ[variable])
            if self.environ.get(f"{variable}_FILE"):
                text = _read_secret(Path(self.environ[f"{variable}_FILE"]), "passphrase")
                return Secret(text.decode("utf-8", "replace").rstrip("\r\n"))
        if self.ask is None:
            variable = f"MCPGATE_{PASSPHRASE}"
            hint = f"Set {variable}, or {variable}_FILE to a file that holds it, where mcpgate is started."
            raise CredentialError("The vault is locked: its passphrase is not given.", hint)
        typed = self.ask("Passphrase of the vault (not shown): ")
        if new and typed.reveal() != self.ask("The same again: ").reveal():
            raise UsageError("The two passphrases are not the same.", "Type them again.")
        return typed


def derive(key_id: str, passphrase: Secret, salt: bytes) -> MasterKey:
    """The key that a passphrase and a salt make by Argon2id (RFC 9106)."""
    kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_KIB)
    return MasterKey(key_id, kdf.derive(passphrase.reveal().encode()))


@dataclass(frozen=True, slots=True)
class FileProvider:
    """The key lies in a file: one of your own, or a secret of systemd, Docker or Kubernetes."""

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """The key of a file that is there already; else a fresh one in a new file that only you can read."""
        path = Path(place["path"])
        if not path.exists():
            text = base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"
            fault = ""
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                fault = error.strerror or type(error).__name__
            if fault:
                raise UsageError(f"The key file {path} cannot be made: {fault}.", "Name another path.")
        return self.load(key_id, place), place

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key of the file that was recorded."""
        path = Path(place["path"])
        return MasterKey(key_id, _decoded(_read_secret(path, "key"), f"What is in {path}"))

    def forget(self, key_id: str, place: Place) -> None:
        """The file is a person's own, and stays."""


@dataclass(frozen=True, slots=True)
class EnvironmentProvider:
    """The key stands in an environment variable, in base64."""

    environ: Mapping[str, str]

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """The key of a variable that is set already: mcpgate cannot set it where it will be started."""
        return self.load(key_id, place), place

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key of the variable that was recorded."""
        name = place["variable"]
        text = self.environ.get(name, "").strip()
        if not text:
            hint = f"Set {name} where mcpgate is started. A fresh key: openssl rand -base64 {KEY_BYTES}"
            raise CredentialError(f"The vault is locked: {name} is not set.", hint)
        return MasterKey(key_id, _decoded(text, f"What is in {name}"))

    def forget(self, key_id: str, place: Place) -> None:
        """A variable is set elsewhere."""


def _decoded(text: str | bytes, what: str) -> bytes:
    """A key of 32 bytes, raw or in base64; raises `CredentialError` without repeating it."""
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) == KEY_BYTES:
        return raw
    try:
        key = base64.b64decode(raw.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        hint = f"It has to be {KEY_BYTES} random bytes, raw or in base64: openssl rand -base64 {KEY_BYTES}"
        raise CredentialError(f"{what} is not a master key.", hint)
    return key


def _read_secret(path: Path, what: str) -> bytes:
    """What a file holds that only its owner may read; raises `CredentialError`."""
    fault = ""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(4096)
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault:
        message = f"The {what} file {path} cannot be read: {fault}."
        raise CredentialError(message, "Bring it back, or see: mcpgate doctor")
    loose = stat.S_IWGRP | stat.S_IWOTH | (0 if _is_mounted(path) else stat.S_IRWXO)
    if sys.platform != "win32" and status.st_mode & loose:
        raise CredentialError(f"The {what} file {path} is open to other users.", f"chmod 600 {path}")
    return text


def _is_mounted(path: Path) -> bool:
    """Whether a file is a secret that a container or service was given, where read bits are the custom."""
    given = os.environ.get("CREDENTIALS_DIRECTORY", "")
    folders = [Path(folder).resolve() for folder in (*_MOUNTS, given) if folder]
    read_only = hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return read_only or any(path.resolve().is_relative_to(folder) for folder in folders)
