"""Credentials in the operating system's keyring: one small document per account, with what it is bound to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from mcpgate.errors import CredentialError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Account
from mcpgate.vault.accounts import Accounts, Binding, origins_of, read_binding, source_of
from mcpgate.vault.environment import variable
from mcpgate.vault.kinds import Known, check_mode, connect_command, judge, of_its_own
from mcpgate.vault.os_keyring import INSTALL, UNLOCK, Keyring, find_keyring


class KeyringVault:
    """Credentials in a keyring, with an index of accounts beside it that says which keyring has each.

    The document that is kept says what its secret is bound to, so an edited index opens nothing.
    """

    def __init__(
        self,
        accounts: Accounts,
        known: Known,
        scrubber: Scrubber,
        find: Callable[[str], Keyring | None] = find_keyring,
    ) -> None:
        self._accounts = accounts
        self._known = known
        self._scrubber = scrubber
        self._find = find

    def open(self, account: Account) -> Secret | None:
        """The secret of an account that is still what was connected; raises `CredentialError`."""
        connector = account.connector
        if connector.auth is None:
            return None
        again = f"A person has to run `{connect_command(connector, account.name)}`."
        row = self._accounts.find(connector.name, account.name)
        if row is None:
            raise CredentialError(f"{connector.title} has no account '{account.name}'.", again)
        what = f"The account {_user(connector.name, account.name)}"
        document = self._keyring_of(row).get(_user(connector.name, account.name))
        if document is None:
            raise CredentialError(f"{what} is no longer in the {row.keyring}.", again)
        kept = _read(document)
        if kept is None:
            raise CredentialError(f"What the {row.keyring} has for {what[4:]} is not mcpgate's.", again)
        binding, text = kept
        self._scrubber.learn(text)
        fault = binding.fault(account)
        if fault:
            raise CredentialError(
                f"{what} {fault}.", again if binding.same_kind(connector) else of_its_own(connector)
            )
        kind = judge(text, account, self._known, what=what, another=again)
        check_mode(account, what, kind.mode, binding.mode)
        return Secret(text)

    def holds(self, row: Binding) -> bool:
        """Whether the keyring still has the secret of an account; raises `CredentialError`."""
        return self._keyring_of(row).get(_user(row.connector, row.account)) is not None

    def keyring(self, connector: str) -> Keyring:
        """The keyring that new secrets go to; raises `CredentialError` with what to type instead."""
        found = self._find("")
        if found is None:
            name = variable(connector)
            hint = f"Without one:\n  read -rs {name} && export {name}"
            if sys.platform not in ("darwin", "win32"):
                hint += f"\nOr get one, and log in again:\n  {INSTALL}"
                hint += f"\nWithout a desktop, unlock it:\n  {UNLOCK}"
            raise CredentialError("No keyring of this system can be used, so a key cannot be kept.", hint)
        return found

    def keep(self, account: Account, secret: Secret, mode: str) -> None:
        """Keep the secret of an account; when a step fails, what was there before is put back."""
        keyring = self.keyring(account.connector.name)
        binding = Binding(
            account.connector.name,
            account.name,
            origins_of(account),
            source_of(account.connector),
            dict(account.settings),
            mode,
            datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            keyring.name,
        )
        user = _user(binding.connector, binding.account)
        before = keyring.get(user)
        try:
            keyring.put(user, json.dumps({**binding.facts(), "secrets": {"secret": secret.reveal()}}))
            self._accounts.put(binding)
        except BaseException:
            _put_back(keyring, user, before)
            raise

    def remove(self, connector: str, name: str) -> bool:
        """Forget an account and its secret, also one that the index has lost; whether there was any."""
        row = self._accounts.find(connector, name)
        if row is not None:
            self._keyring_of(row).delete(_user(connector, name))
            self._accounts.drop(connector, name)
            return True
        try:
            keyring = self._find("")
            return keyring is not None and keyring.delete(_user(connector, name))
        except CredentialError:
            return False

    def _keyring_of(self, row: Binding) -> Keyring:
        found = self._find(row.keyring)
        if found is None:
            where = (
                f"{row.connector}/{row.account} is in the {row.keyring}, which cannot be reached from here."
            )
            hint = f"Start mcpgate where it can be, or set {variable(row.connector)} there."
            raise CredentialError(where, hint)
        return found


def _user(connector: str, account: str) -> str:
    """The name that the keyring knows an account by."""
    return f"{connector}/{account}"


def _read(document: str) -> tuple[Binding, str] | None:
    """The binding and the secret of a document, None for anything that `keep` did not write."""
    try:
        value = json.loads(document)
        secret = value["secrets"]["secret"]
        return (read_binding(value), secret) if isinstance(secret, str) and secret else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _put_back(keyring: Keyring, user: str, before: str | None) -> None:
    try:
        if before is None:
            keyring.delete(user)
        else:
            keyring.put(user, before)
    except CredentialError:
        pass  # the error that led here is the one to tell
