"""Opens credentials that were connected, for the account, the place and the use they were connected for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from mcpgate.errors import CredentialError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Account, Policy, Request
from mcpgate.vault.binding import Binding, origins_of, source_of
from mcpgate.vault.ceiling import beyond, document, unfit
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
        self._fits: set[tuple[str, str, str]] = set()

    def open(self, account: Account, request: Request) -> Secret | None:
        """The secret of an account that is still what was connected, for a request within its ceiling.

        Raises `CredentialError`, and then nothing was opened that could be used.
        """
        if account.connector.auth is None:
            return None
        kept = self._fitting(account, self._unsealed(account))
        why = beyond(kept.binding.ceiling, request, account)
        if why:
            what = f"{_what(account)} was connected for less"
            raise CredentialError(f"{what}: {why}.", f"To raise that, {_raising(account)}")
        return kept.secrets[SECRET]

    def check(self, account: Account) -> None:
        """Whether the account is still what was connected; raises `CredentialError`."""
        if account.connector.auth is not None:
            self._fitting(account, self._sealed.open(account.connector.name, account.name))

    def _unsealed(self, account: Account) -> Kept | None:
        """What the vault has for an account; why it stays closed is told to an agent, who cannot mend it."""
        try:
            return self._sealed.open(account.connector.name, account.name)
        except CredentialError as error:
            fault = error
        what = f"{_what(account)} cannot be opened, and a person has to mend that."
        raise CredentialError(f"{what} {fault.message}", fault.hint)

    def _fitting(self, account: Account, kept: Kept | None) -> Kept:
        """What is kept, where the account is still what was connected; raises `CredentialError`."""
        connector, again = account.connector, f"A person has to run `{_command(account)}`."
        what = _what(account)
        if kept is None:
            raise CredentialError(f"{connector.title} has no account '{account.name}'.", again)
        text = kept.secrets[SECRET].reveal()
        self._scrubber.learn(text)
        fault = kept.binding.fault(account)
        if fault:
            hint = again if kept.binding.same_kind(connector) else of_its_own(connector)
            raise CredentialError(f"{what} {fault}.", hint)
        kind = judge(text, account, self._known, what=what, another=again)
        check_mode(account, what, kind.mode, kept.binding.mode)
        self._check_fit(kept.binding.ceiling, account)
        return kept

    def _check_fit(self, ceiling: str, account: Account) -> None:
        """A ceiling guards by names: where the connector has others by now, nothing is opened."""
        connector = account.connector
        key = (ceiling, connector.name, connector.source.digest)
        if not ceiling or key in self._fits:
            return
        fault = unfit(ceiling, connector)
        if fault:
            what = f"{_what(account)} has a ceiling that does not fit {connector.title} any more"
            raise CredentialError(f"{what}: {fault}.", f"For that, {_raising(account)}")
        self._fits.add(key)

    def keep(self, account: Account, secret: Secret, mode: str, ceiling: Policy | None) -> Binding:
        """Seal the secret of an account, bound to all that it is for, in place of the one before.

        Raises `UsageError` for a preset that is no ceiling.
        """
        binding = Binding(
            account.connector.name,
            account.name,
            origins_of(account),
            source_of(account.connector, exact=ceiling is not None),
            dict(account.settings),
            mode,
            datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            document(ceiling, account.connector) if ceiling is not None else "",
        )
        self._sealed.keep(binding, {SECRET: secret})
        return binding


def _what(account: Account) -> str:
    return f"The account {account.connector.name}/{account.name}"


def _command(account: Account) -> str:
    return connect_command(account.connector, account.name)


def _raising(account: Account) -> str:
    return f"a person connects the account again: {_command(account)} --allow PRESET"
