"""Opens credentials that were connected, for the account, the place and the use they were connected for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from mcpgate.errors import CredentialError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Account, Policy, Request
from mcpgate.vault.binding import Binding, origins_of, source_of
from mcpgate.vault.ceiling import beyond, document
from mcpgate.vault.kinds import Known, check_mode, connect_command, judge, of_its_own
from mcpgate.vault.sealed_vault import Kept, SealedVault

# the one secret of a credential that is a single text
SECRET: Final = "secret"  # noqa: S105  a name


class ConnectedVault:
    """Credentials in the sealed vault; `known` finds the connector of a name."""

    def __init__(self, sealed: SealedVault, known: Known, scrubber: Scrubber) -> None:
        self._sealed = sealed
        self._known = known
        self._scrubber = scrubber

    def open(self, account: Account, request: Request) -> Secret | None:
        """The secret of an account that is still what was connected, for a request within its ceiling.

        Raises `CredentialError`, and then nothing was opened that could be used.
        """
        if account.connector.auth is None:
            return None
        kept = self._kept(account)
        why = beyond(kept.binding.ceiling, request, account)
        if why:
            raise CredentialError(
                f"The account {account.connector.name}/{account.name} was connected for less: {why}.",
                f"To raise that, a person connects it again: {_command(account)} --allow PRESET",
            )
        return kept.secrets[SECRET]

    def check(self, account: Account) -> None:
        """Whether the account is still what was connected; raises `CredentialError`."""
        if account.connector.auth is not None:
            self._kept(account)

    def _kept(self, account: Account) -> Kept:
        connector, again = account.connector, f"A person has to run `{_command(account)}`."
        kept = self._sealed.open(connector.name, account.name)
        if kept is None:
            raise CredentialError(f"{connector.title} has no account '{account.name}'.", again)
        text = kept.secrets[SECRET].reveal()
        self._scrubber.learn(text)
        what = f"The account {connector.name}/{account.name}"
        fault = kept.binding.fault(account)
        if fault:
            hint = again if kept.binding.same_kind(connector) else of_its_own(connector)
            raise CredentialError(f"{what} {fault}.", hint)
        kind = judge(text, account, self._known, what=what, another=again)
        check_mode(account, what, kind.mode, kept.binding.mode)
        return kept

    def keep(self, account: Account, secret: Secret, mode: str, ceiling: Policy | None) -> Binding:
        """Seal the secret of an account, bound to all that it is for, in place of the one before."""
        binding = Binding(
            account.connector.name,
            account.name,
            origins_of(account),
            source_of(account.connector),
            dict(account.settings),
            mode,
            datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            document(ceiling) if ceiling is not None else "",
        )
        self._sealed.keep(binding, {SECRET: secret})
        return binding


def _command(account: Account) -> str:
    return connect_command(account.connector, account.name)
