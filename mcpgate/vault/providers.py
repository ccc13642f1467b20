"""Where the master key comes from: chosen once, at `mcpgate init`, and never changed by itself.

A provider makes a key only when a person sets a vault up or rotates it. At run time it gives the key that was
recorded, or nothing: there is no other provider to fall back to.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault.key_file import make_key_file, read_secret
from mcpgate.vault.os_keyring import Keyring
from mcpgate.vault.sealing import KEY_BYTES, MasterKey

Place: TypeAlias = Mapping[str, str]
PLACES: Final[Mapping[str, str]] = {
    "keyring": "keyring",
    "passphrase": "salt",
    "file": "path",
    "environment": "variable",
}
"""What each provider's place has to say."""

PASSPHRASE: Final = "PASSPHRASE"  # noqa: S105  a name
_NEW: Final = "NEW_"
_ENTRY: Final = "master key"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
# RFC 9106's second recommendation; it takes a third of a second, once per start
_PASSES, _LANES, _KIB = 3, 4, 64 * 1024
_SALT_BYTES: Final = 16
_SHORTEST_PASSPHRASE: Final = 12
# of 32 random bytes fewer differ once in 10^20 times; zeros from a file cut short by a crash always do
_FEWEST_DIFFERENT: Final = 12
_AGAIN: Final = (
    "Bring it back; or move the database away, then connect again or import an export: "
    "mcpgate vault import FILE"
)


class Provider(Protocol):
    """One way to keep a master key; `place` is what has to be recorded to find it again, and no secret."""

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """A key for a vault that is being set up or rotated; raises `CredentialError` or `UsageError`."""
        ...

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key that was recorded; raises `CredentialError`."""
        ...

    def forget(self, key_id: str, place: Place) -> None:
        """Remove a key that no row is sealed under, where this provider keeps it itself."""
        ...


@dataclass(frozen=True, slots=True)
class KeyringProvider:
    """The key lies in the operating system's keyring."""

    find: Callable[[str], Keyring | None]

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """A fresh random key, kept under its id; a keyring that is in use already stays the one."""
        keyring = self._keyring(place.get("keyring", ""))
        text = _fresh()
        keyring.put(f"{_ENTRY} {key_id}", text)
        return _master_key(key_id, text, "What was made"), {"keyring": keyring.name}

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key under its id."""
        text = self._keyring(place["keyring"]).get(f"{_ENTRY} {key_id}")
        if text is None:
            raise CredentialError(f"The master key is no longer in the {place['keyring']}.", _AGAIN)
        return _master_key(key_id, text, f"What the {place['keyring']} has for the master key")

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

    environ: Mapping[str, str] = field(repr=False)
    ask: Callable[[str], Secret] | None = None

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """A key under a fresh salt."""
        passphrase = self._new()
        check_passphrase(passphrase)
        salt = os.urandom(_SALT_BYTES)
        return derive(key_id, passphrase, salt), {"salt": base64.b64encode(salt).decode()}

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key by the recorded salt."""
        salt, given = _salt(place), self._given(PASSPHRASE)
        if given is None:
            if self.ask is None:
                variable = f"MCPGATE_{PASSPHRASE}"
                hint = f"Set {variable}, or {variable}_FILE to a file with it, where mcpgate is started."
                raise CredentialError("The vault is locked: its passphrase is not given.", hint)
            given = self.ask("Passphrase of the vault (not shown): ")
        return derive(key_id, given, salt)

    def forget(self, key_id: str, place: Place) -> None:
        """Nothing is kept."""

    def _new(self) -> Secret:
        """A new passphrase, by a name of its own while the old one is needed too."""
        given = self._given(f"{_NEW}{PASSPHRASE}") or self._given(PASSPHRASE)
        if given is not None:
            return given
        if self.ask is None:
            names = f"MCPGATE_{_NEW}{PASSPHRASE} or MCPGATE_{_NEW}{PASSPHRASE}_FILE"
            raise CredentialError("The new passphrase is not given.", f"Set {names}, or type it.")
        typed = self.ask("New passphrase for the vault (not shown): ")
        if typed.reveal() != self.ask("The same again: ").reveal():
            raise UsageError("The two passphrases are not the same.", "Type them again.")
        return typed

    def _given(self, name: str) -> Secret | None:
        """What a variable holds, or the file that it names; nothing of a variable that is empty."""
        variable = f"MCPGATE_{name}"
        if self.environ.get(variable):
            return Secret(self.environ[variable])
        path = self.environ.get(f"{variable}_FILE", "")
        if not path:
            return None
        text = _line(read_secret(Path(path), "passphrase"))
        if text is None:
            raise CredentialError(f"The passphrase file {path} holds no line of text.", "Write it as UTF-8.")
        return text


def derive(key_id: str, passphrase: Secret, salt: bytes) -> MasterKey:
    """The key that a passphrase and a salt make by Argon2id (RFC 9106)."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_KIB)
    return MasterKey(key_id, kdf.derive(_canonical(passphrase.reveal())))


def check_passphrase(passphrase: Secret) -> None:
    """A passphrase that a vault or an export may have; raises `UsageError`."""
    size = len(passphrase.reveal())
    if size < _SHORTEST_PASSPHRASE:
        raise UsageError(
            f"The passphrase has {size} characters, and {_SHORTEST_PASSPHRASE} are the least.",
            "Four random words are better than one that is hard to type.",
        )


@dataclass(frozen=True, slots=True)
class FileProvider:
    """The key lies in a file: one of your own, or a secret of systemd, Docker or Kubernetes."""

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """The key of a file that is there already; else a fresh one in a new file that only you can read.

        A new file stays though the vault is not set up or rotated after all: it is taken the next time.
        """
        path = Path(place["path"]).absolute()
        fault = "" if os.path.lexists(path) else make_key_file(path, _fresh())
        if fault:
            raise UsageError(f"The key file {path} cannot be made: {fault}.", "Name another path.")
        found = {"path": str(path)}
        return self.load(key_id, found), found

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key of the file that was recorded."""
        path = Path(place["path"])
        return _master_key(key_id, read_secret(path, "key"), f"What is in {path}", raw=True)

    def forget(self, key_id: str, place: Place) -> None:
        """The file is a person's own, and stays."""


@dataclass(frozen=True, slots=True)
class EnvironmentProvider:
    """The key stands in an environment variable, in base64."""

    environ: Mapping[str, str] = field(repr=False)

    def make(self, key_id: str, place: Place) -> tuple[MasterKey, Place]:
        """The key of a variable that is set already: mcpgate cannot set it where it will be started."""
        if not _VARIABLE.fullmatch(place["variable"]):
            # a key may have been pasted where the name belongs, so it is not repeated
            hint = "It has letters, digits and underscores, like MCPGATE_VAULT."
            raise UsageError("What was given cannot be the name of a variable.", hint)
        return self.load(key_id, place), {"variable": place["variable"]}

    def load(self, key_id: str, place: Place) -> MasterKey:
        """The key of the variable that was recorded."""
        name = place["variable"]
        text = Secret(self.environ.get(name, ""))
        if not text.reveal().strip():
            hint = f"Set {name} where mcpgate is started."
            raise CredentialError(f"The vault is locked: {name} is not set.", hint)
        return _master_key(key_id, text, f"What is in {name}")

    def forget(self, key_id: str, place: Place) -> None:
        """A variable is set elsewhere."""


def _fresh() -> Secret:
    return Secret(base64.b64encode(os.urandom(KEY_BYTES)).decode())


def _master_key(key_id: str, text: Secret, what: str, *, raw: bool = False) -> MasterKey:
    """The key that a text is; raises `CredentialError` without repeating it."""
    found = _decoded(key_id, text, raw=raw)
    if found is None:
        hint = f"It has to be {KEY_BYTES} random bytes{', raw or' if raw else ''} in base64. "
        hint += f"A new one: openssl rand -base64 {KEY_BYTES}. "
        hint += "One that was there before has to come back from a copy; a new one opens nothing."
        raise CredentialError(f"{what} is not a master key.", hint)
    return found


def _decoded(key_id: str, text: Secret, *, raw: bool) -> MasterKey | None:
    data = text.reveal().encode("latin-1", "replace")
    # 32 characters are no 32 random bytes: words, or a key in hexadecimal of half that size
    if not raw or len(data) != KEY_BYTES or data.isascii():
        try:
            data = base64.b64decode(data.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
    good = len(data) == KEY_BYTES and len(set(data)) >= _FEWEST_DIFFERENT
    return MasterKey(key_id, data) if good else None


def _line(text: Secret) -> Secret | None:
    """The line that the bytes of a file are, None for bytes that are no text, and for no line."""
    try:
        line = text.reveal().encode("latin-1").decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return None
    return Secret(line) if line else None


def _canonical(text: str) -> bytes:
    """One keyboard writes an ä as one character, another as two; a variable may hold what is no text."""
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")


def _salt(place: Place) -> bytes:
    try:
        salt = base64.b64decode(place["salt"], validate=True)
    except (binascii.Error, ValueError):
        salt = b""
    if len(salt) != _SALT_BYTES:
        raise CredentialError("The record of the vault's master key is damaged.", _AGAIN)
    return salt
