"""The vaults of this person: what `connect` has sealed, and what the environment holds."""

from __future__ import annotations

import os
import sys
from functools import cache

from mcpgate import catalog, paths
from mcpgate.cli.asking import ask_secret
from mcpgate.secrets import Scrubber
from mcpgate.store.database import Database
from mcpgate.vault import Vault, os_keyring
from mcpgate.vault.chosen import ChosenVault
from mcpgate.vault.connected import ConnectedVault
from mcpgate.vault.environment import EnvironmentVault
from mcpgate.vault.providers import EnvironmentProvider, FileProvider, KeyringProvider, PassphraseProvider
from mcpgate.vault.sealed_vault import SealedVault


def database() -> Database:
    """The database of this person, which need not be there yet."""
    return Database(str(paths.home() / "mcpgate.db"))


def sealed_vault() -> SealedVault:
    """The vault that `connect` seals credentials in; a passphrase is asked for at a terminal only.

    A server that a client has started speaks its protocol over stdin, which is no terminal then.
    """
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    return SealedVault(
        database(),
        {
            "keyring": KeyringProvider(os_keyring.find_keyring),
            "passphrase": PassphraseProvider(os.environ, ask_secret if at_terminal else None),
            "file": FileProvider(),
            "environment": EnvironmentProvider(os.environ),
        },
    )


def connected_vault(scrubber: Scrubber, sealed: SealedVault | None = None) -> ConnectedVault:
    """Opens what `connect` has sealed."""
    return ConnectedVault(sealed or sealed_vault(), cache(catalog.known_connector), scrubber)


def open_vault(scrubber: Scrubber) -> Vault:
    """The vault of a gateway: credentials that were connected, and those of the environment."""
    sealed = sealed_vault()
    # every call asks for the connector of a name: it is read once
    environment = EnvironmentVault(os.environ, cache(catalog.known_connector), scrubber)
    return ChosenVault(os.environ, sealed, environment, connected_vault(scrubber, sealed))
