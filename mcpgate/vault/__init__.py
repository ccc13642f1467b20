"""Secrets: where credentials are kept, and for whom they are opened."""

from __future__ import annotations

from typing import Protocol

from mcpgate.secrets import Secret
from mcpgate.values import Account, Request


class Vault(Protocol):
    """Opens the credential of an account, for the client step only."""

    def open(self, account: Account, request: Request) -> Secret | None:
        """The secret for one request, None for a connector without auth; raises `CredentialError`."""
        ...

    def check(self, account: Account) -> None:
        """Whether it would be opened, giving nothing away; raises `CredentialError`."""
        ...
