"""Envelope encryption: a data key for each credential, wrapped by the master key. AES-256-GCM throughout.

Both layers are bound to the facts of their row by associated data, so a row that was changed, cut short or
put in another's place does not open. Nothing here raises from where a key or a document lies in a variable.
The library for it takes much memory, so it is imported where something is sealed or opened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from mcpgate.secrets import Hidden, Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
# NIST SP 800-38D: 96 bits, and random ones only for as many messages as one key will ever see here
_NONCE_BYTES: Final = 12
_CHECKED: Final = b"mcpgate master key"


class BrokenSealError(Exception):
    """What was sealed does not open: another key, other facts, or changed bytes."""


class MasterKey(Hidden):
    """The key that wraps data keys; each purpose has a key derived from it."""

    __slots__ = ("__bytes", "__wrapping", "id")

    def __init__(self, key_id: str, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self.id = key_id
        self.__bytes = key
        self.__wrapping: AESGCM | None = None

    @property
    def wrapping(self) -> AESGCM:
        """What wraps data keys: it is made once, for every call unwraps one."""
        if self.__wrapping is None:
            self.__wrapping = _cipher(self.derive("wrap"))
        return self.__wrapping

    def derive(self, purpose: str, key_id: str = "") -> bytes:
        """A key of 32 bytes for one purpose (HKDF, RFC 5869), under another id if one is said."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = f"mcpgate {purpose} {key_id or self.id}".encode()
        kdf = HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info)
        return kdf.derive(self.__bytes)

    def same_key(self, other: MasterKey) -> bool:
        """Whether another one has the same bytes, whatever its id."""
        return compare_digest(self.derive("comparison"), other.derive("comparison", self.id))


@dataclass(frozen=True, slots=True)
class Sealed:
    """A document sealed under a data key, and that key wrapped under the master key."""

    wrapped: bytes
    sealed: bytes


def seal(master: MasterKey, facts: bytes, document: Secret) -> Sealed:
    """Seal a document under a data key of its own, bound to the facts of its row."""
    data_key = os.urandom(KEY_BYTES)
    sealed = _encrypt(_cipher(data_key), facts, document.reveal().encode())
    return Sealed(_wrap(master, facts, data_key), sealed)


def unseal(master: MasterKey, facts: bytes, box: Sealed) -> Secret:
    """The document; raises `BrokenSealError`."""
    document = _unsealed(master, facts, box)
    if document is None:
        raise BrokenSealError
    return document


def rewrap(old: MasterKey, new: MasterKey, facts: bytes, box: Sealed) -> Sealed:
    """The same document under the same data key, which another master key wraps; raises `BrokenSealError`."""
    rewrapped = _rewrapped(old, new, facts, box)
    if rewrapped is None:
        raise BrokenSealError
    return rewrapped


def check_value(master: MasterKey) -> bytes:
    """What is kept of a master key to know it by."""
    return authenticate(master, "check", _CHECKED)


def authenticate(master: MasterKey, purpose: str, text: bytes) -> bytes:
    """The HMAC-SHA256 of a text under a key derived for that purpose."""
    from cryptography.hazmat.primitives import hashes, hmac

    mac = hmac.HMAC(master.derive(purpose), hashes.SHA256())
    mac.update(text)
    return mac.finalize()


def _unsealed(master: MasterKey, facts: bytes, box: Sealed) -> Secret | None:
    data_key = _unwrap(master, facts, box.wrapped)
    document = None if data_key is None else _decrypt(_cipher(data_key), facts, box.sealed)
    return None if document is None else Secret(document.decode())


def _rewrapped(old: MasterKey, new: MasterKey, facts: bytes, box: Sealed) -> Sealed | None:
    data_key = _unwrap(old, facts, box.wrapped)
    # what does not open is not carried over as if it did
    if data_key is None or _decrypt(_cipher(data_key), facts, box.sealed) is None:
        return None
    return Sealed(_wrap(new, facts, data_key), box.sealed)


def _wrap(master: MasterKey, facts: bytes, data_key: bytes) -> bytes:
    return _encrypt(master.wrapping, facts + master.id.encode(), data_key)


def _unwrap(master: MasterKey, facts: bytes, wrapped: bytes) -> bytes | None:
    data_key = _decrypt(master.wrapping, facts + master.id.encode(), wrapped)
    return data_key if data_key is not None and len(data_key) == KEY_BYTES else None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _encrypt(cipher: AESGCM, facts: bytes, text: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, text, facts)


def _decrypt(cipher: AESGCM, facts: bytes, text: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(text[:_NONCE_BYTES], text[_NONCE_BYTES:], facts)
    except (InvalidTag, ValueError):
        return None
