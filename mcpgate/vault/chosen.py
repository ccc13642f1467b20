"""Which credential a call gets: the named account's, else the environment's, else that of `default`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mcpgate.secrets import Secret
from mcpgate.values import Account, Request
from mcpgate.vault import Vault
from mcpgate.vault.binding import DEFAULT, UNCHOSEN
from mcpgate.vault.environment import is_set
from mcpgate.vault.sealed_vault import SealedVault


class ChosenVault:
    """Asks one of two vaults; it is chosen anew for each call, so that what was just connected counts."""

    def __init__(
        self, environ: Mapping[str, str], sealed: SealedVault, environment: Vault, connected: Vault
    ) -> None:
        self._environ = environ
        self._sealed = sealed
        self._environment = environment
        self._connected = connected

    def open(self, account: Account, request: Request) -> Secret | None:
        """The secret of an account, as its own vault opens it; raises `CredentialError`."""
        vault, named = self._chosen(account)
        return vault.open(named, request)

    def waits(self, account: Account) -> bool:
        """Whether opening may take its time; a variable is there at once."""
        return not (account.name == UNCHOSEN and is_set(self._environ, account.connector.name))

    def check(self, account: Account) -> None:
        """Whether its own vault would open it; raises `CredentialError`."""
        vault, named = self._chosen(account)
        vault.check(named)

    def _chosen(self, account: Account) -> tuple[Vault, Account]:
        if account.name != UNCHOSEN:
            return self._connected, account
        name = account.connector.name
        if is_set(self._environ, name) or self._sealed.find(name, DEFAULT) is None:
            return self._environment, account
        return self._connected, dataclasses.replace(account, name=DEFAULT)
