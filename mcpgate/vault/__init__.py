"""Secrets: where credentials are kept, and for whom they are opened."""

from __future__ import annotations

from typing import Protocol

from mcpgate.secrets import Secret
from mcpgate.values import Account


class Vault(Protocol):
    """Opens the credential of an account, for the client step only."""

    def open(self, account: Account) -> Secret | None:
        """The secret, or None for a connector without auth; raises `CredentialError`."""
        ...
