"""The key of the activity: it chains the log, seals arguments, and hides what they were a digest of."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final

from mcpgate.secrets import Hidden

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12


class ActivityKey(Hidden):
    """The key of a log; each purpose has one derived from it, and `id` is one to know it by.

    Each call's arguments are sealed under a key of their own, so that no key ever sees too many of them.
    """

    __slots__ = ("__arguments", "__chain", "__digests", "id")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"an activity key has {KEY_BYTES} bytes")
        self.id = _derive(key, "id")[:_ID_BYTES].hex()
        self.__chain = _derive(key, "chain")
        self.__arguments = _derive(key, "arguments")
        self.__digests = _derive(key, "digests")

    def mac(self, text: bytes) -> str:
        """What a row of the log is known by."""
        return hmac.digest(self.__chain, text, "sha256").hex()

    def digest(self, digest: str) -> str:
        """A digest in place of one that could be guessed, for it is of a little text."""
        return hmac.digest(self.__digests, digest.encode(), "sha256").hex()

    def seal(self, call: str, part: str, text: bytes) -> bytes:
        """A part of a call's arguments, bound to both (AES-256-GCM)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(call).encrypt(nonce, text, part.encode())

    def open(self, call: str, part: str, sealed: bytes) -> bytes | None:
        """What was sealed; None where it does not open."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher(call).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], part.encode())
        except (InvalidTag, ValueError):
            return None

    def _cipher(self, call: str) -> AESGCM:
        # imported here, for it takes much memory: where there is no vault, there is no key
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(_derive(self.__arguments, call))


def _derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose (NIST SP 800-108, one block): what it is made from is random all over."""
    return hmac.digest(key, f"mcpgate activity {purpose}".encode(), "sha256")
