"""The vaults of this person: what `connect` has sealed, and what the environment holds."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import cache

from mcpgate import catalog, paths
from mcpgate.activity import Row
from mcpgate.cli.asking import ask_secret
from mcpgate.errors import CredentialError
from mcpgate.secrets import Scrubber
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.config import Config, Freeze
from mcpgate.store.database import Database
from mcpgate.store.sql import SQLStore
from mcpgate.vault import os_keyring
from mcpgate.vault.chosen import ChosenVault
from mcpgate.vault.connected import ConnectedVault
from mcpgate.vault.environment import EnvironmentVault
from mcpgate.vault.providers import EnvironmentProvider, FileProvider, KeyringProvider, PassphraseProvider
from mcpgate.vault.sealed_vault import SealedVault


def database() -> Database:
    """The database of this person, which need not be there yet."""
    return Database(str(paths.home() / "mcpgate.db"))


def config() -> Config:
    """Apps, rules and freezes as the database keeps them; every change of them has its row."""
    return Config(database(), sql_store().recorder)


def sql_store(sealed: SealedVault | None = None) -> SQLStore:
    """Ledger and activity in the database; what is sealed there opens with a key from the vault."""
    vault = sealed or sealed_vault()

    def key() -> ActivityKey | None:
        try:
            return ActivityKey(vault.own_key("activity")) if vault.record() is not None else None
        except CredentialError:
            # the log goes on without a key, and says so
            return None

    return SQLStore(vault.database, key)


def note(says: str, sealed: SealedVault) -> None:
    """Write down what a person did with the vault."""
    store = sql_store(sealed)
    with store.transaction(durable=True) as transaction:
        transaction.write(Row(time.time(), "changed", "", "", "", "", "", "", says=says))
    store.close()


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database keeps for every app: a policy's text, empty where there is none, and the freezes."""

    account_policy: str = ""
    freezes: tuple[Freeze, ...] = ()


def read_kept() -> Kept:
    """What holds for every app at this moment; raises `StoreError`."""
    if not database().exists():
        return Kept()
    kept = config()
    return Kept(kept.account_policy(), kept.freezes())


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


def open_vault(scrubber: Scrubber, sealed: SealedVault | None = None) -> ChosenVault:
    """The vault of a gateway: credentials that were connected, and those of the environment."""
    sealed = sealed or sealed_vault()
    # every call asks for the connector of a name: it is read once
    environment = EnvironmentVault(os.environ, cache(catalog.known_connector), scrubber)
    return ChosenVault(os.environ, sealed, environment, connected_vault(scrubber, sealed))
