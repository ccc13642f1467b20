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
# credentials and accounts that were found to fit
_MOST: Final = 256


class ConnectedVault:
    """Credentials in the sealed vault; `known` finds the connector of a name."""

    def __init__(self, sealed: SealedVault, known: Known, scrubber: Scrubber) -> None:
        self._sealed = sealed
        self._known = known
        self._scrubber = scrubber
        self._fits: dict[tuple[str, int], Account] = {}

    def open(
        self, account: Account, request: Request, *, at_once: bool = False, if_kept: bool = False
    ) -> Secret | None:
        """The secret of an account that is still what was connected, for a request within its ceiling.

        Raises `CredentialError`, and then nothing was opened that could be used. *At once* raises
        `BlockingIOError` where a keyring or a person would have to be asked; *if kept* is None where there is
        no such account.
        """
        if account.connector.auth is None:
            return None
        kept = self._unsealed(account, at_once=at_once, if_kept=if_kept)
        if kept is None and if_kept:
            return None
        kept = self._fitting(account, kept)
        why = beyond(kept.binding.ceiling, request, account)
        if why:
            what = f"{_what(account)} was connected for less"
            raise CredentialError(f"{what}: {why}.", f"To raise that, {_raising(account)}")
        return kept.secrets[SECRET]

    def check(self, account: Account) -> None:
        """Whether the account is still what was connected; raises `CredentialError`."""
        if account.connector.auth is not None:
            self._fitting(account, self._sealed.open(account.connector.name, account.name))

    def _unsealed(self, account: Account, *, at_once: bool, if_kept: bool) -> Kept | None:
        """What the vault has for an account; why it stays closed is told to an agent, who cannot mend it."""
        name = account.connector.name
        try:
            return self._sealed.open(name, account.name, at_once=at_once, if_kept=if_kept)
        except CredentialError as error:
            fault = error
        what = f"{_what(account)} cannot be opened, and a person has to mend that."
        raise CredentialError(f"{what} {fault.message}", fault.hint)

    def _fitting(self, account: Account, kept: Kept | None) -> Kept:
        """What is kept, where the account is still what was connected; raises `CredentialError`."""
        if kept is None:
            what = f"{account.connector.title} has no account '{account.name}'."
            raise CredentialError(what, _again(account))
        # a version never changes, nor does an account: what was judged of the two stays true
        which = (kept.version, id(account.connector))
        if self._fits.get(which) != account:
            self._judge(account, kept)
            if len(self._fits) >= _MOST:
                self._fits.clear()
            self._fits[which] = account
        return kept

    def _judge(self, account: Account, kept: Kept) -> None:
        connector, what, again = account.connector, _what(account), _again(account)
        text = kept.secrets[SECRET].reveal()
        self._scrubber.learn(text)
        fault = kept.binding.fault(account)
        if fault:
            hint = again if kept.binding.same_kind(connector) else of_its_own(connector)
            raise CredentialError(f"{what} {fault}.", hint)
        kind = judge(text, account, self._known, what=what, another=again)
        check_mode(account, what, kind.mode, kept.binding.mode)
        # a ceiling guards by names: where the connector has others by now, nothing is opened
        fault = unfit(kept.binding.ceiling, connector) if kept.binding.ceiling else ""
        if fault:
            what = f"{what} has a ceiling that does not fit {connector.title} any more"
            raise CredentialError(f"{what}: {fault}.", f"For that, {_raising(account)}")

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


def _again(account: Account) -> str:
    return f"A person has to run `{_command(account)}`."


def _raising(account: Account) -> str:
    return f"a person connects the account again: {_command(account)} --allow PRESET"
