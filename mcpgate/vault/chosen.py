"""Which credential a call gets: the named account's, else the environment's, else that of `default`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mcpgate.secrets import Secret
from mcpgate.values import Account
from mcpgate.vault import Vault
from mcpgate.vault.accounts import DEFAULT, UNCHOSEN, Accounts
from mcpgate.vault.environment import variable


def is_set(environ: Mapping[str, str], connector: str) -> bool:
    """Whether the environment has a key for a connector."""
    return bool(environ.get(variable(connector), "").strip())


class ChosenVault:
    """Asks one of two vaults; it is chosen anew for each call, so that what was just connected counts."""

    def __init__(
        self, environ: Mapping[str, str], accounts: Accounts, environment: Vault, connected: Vault
    ) -> None:
        self._environ = environ
        self._accounts = accounts
        self._environment = environment
        self._connected = connected

    def open(self, account: Account) -> Secret | None:
        """The secret of an account, as its own vault opens it; raises `CredentialError`."""
        if account.name != UNCHOSEN:
            return self._connected.open(account)
        name = account.connector.name
        if is_set(self._environ, name) or self._accounts.find(name, DEFAULT) is None:
            return self._environment.open(account)
        return self._connected.open(dataclasses.replace(account, name=DEFAULT))
