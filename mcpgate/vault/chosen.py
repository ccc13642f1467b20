"""Which credential a call gets: the named account's, else the environment's, else that of `default`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mcpgate.secrets import Secret
from mcpgate.values import Account, Request
from mcpgate.vault import Vault
from mcpgate.vault.binding import DEFAULT, UNCHOSEN
from mcpgate.vault.connected import ConnectedVault
from mcpgate.vault.environment import is_set
from mcpgate.vault.sealed_vault import SealedVault


class ChosenVault:
    """Asks one of two vaults; it is chosen anew for each call, so that what was just connected counts."""

    def __init__(
        self, environ: Mapping[str, str], sealed: SealedVault, environment: Vault, connected: ConnectedVault
    ) -> None:
        self._environ = environ
        self._sealed = sealed
        self._environment = environment
        self._connected = connected

    def open(self, account: Account, request: Request) -> Secret | None:
        """The secret of an account, as its own vault opens it; raises `CredentialError`."""
        return self._open(account, request, at_once=False)

    def open_at_once(self, account: Account, request: Request) -> Secret | None:
        """The same where nobody has to be asked; raises `BlockingIOError` where a keyring or a person has."""
        return self._open(account, request, at_once=True)

    def check(self, account: Account) -> None:
        """Whether its own vault would open it; raises `CredentialError`."""
        vault, named = self._chosen(account)
        vault.check(named)

    def _open(self, account: Account, request: Request, *, at_once: bool) -> Secret | None:
        if account.name != UNCHOSEN:
            return self._connected.open(account, request, at_once=at_once)
        if not is_set(self._environ, account.connector.name):
            named = dataclasses.replace(account, name=DEFAULT)
            secret = self._connected.open(named, request, at_once=at_once, if_kept=True)
            if secret is not None:
                return secret
        return self._environment.open(account, request)

    def _chosen(self, account: Account) -> tuple[Vault, Account]:
        if account.name != UNCHOSEN:
            return self._connected, account
        name = account.connector.name
        if is_set(self._environ, name) or self._sealed.find(name, DEFAULT) is None:
            return self._environment, account
        return self._connected, dataclasses.replace(account, name=DEFAULT)
