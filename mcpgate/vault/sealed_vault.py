"""The vault: credentials in the database, each sealed under a key of its own and bound to where it may go.

The master key is recorded once, with a value to know it by. A row that was changed, cut short, swapped for
another or put back from an earlier day is refused, and so is everything while the master key is not there.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.database import Database
from mcpgate.vault.binding import Binding
from mcpgate.vault.providers import Place, Provider
from mcpgate.vault.rows import RESTORE, Record, Row, find, new_record, read, seal_row, write
from mcpgate.vault.sealing import KEY_BYTES, MasterKey
from mcpgate.vault.unlocking import State, Unlocking, recorded

# no connector's name begins so: what is kept there is mcpgate's own, and no credential of anyone
_OWN: Final = "-"
_KEY: Final = "key"


@dataclass(frozen=True, slots=True)
class Kept:
    """A credential as it lies in the vault: what it is bound to, which version it is, and its secrets."""

    binding: Binding
    version: str
    secrets: Mapping[str, Secret]


class SealedVault:
    """Credentials in a database; `providers` are the ways to keep a master key, by name."""

    def __init__(self, database: Database, providers: Mapping[str, Provider]) -> None:
        self.database = database
        self._providers = providers
        self._unlocking = Unlocking(database, providers)

    # --- the master key ----------------------------------------------------------------------------------

    def record(self) -> Record | None:
        """What is recorded of the master key, None while no vault was set up."""
        return self._unlocking.read()[0]

    def set_up(self, provider: str, place: Place) -> Record:
        """Make or take a master key and record it; raises `UsageError` where there is one already."""
        _check_none(*self._unlocking.read())
        # outside of the transaction: a keyring or a person may take their time
        master, place = self._providers[provider].make(str(uuid.uuid4()), place)
        with self._withdrawing(provider, master.id, place), self.database.write() as connection:
            _check_none(*read(connection))
            record = write(connection, master, new_record(master, provider, place), ())
        self._unlocking.master = master
        return record

    def unlock(self) -> MasterKey:
        """The master key that is recorded, to a vault as it was left; raises `CredentialError`."""
        return self._there().master

    def rotate(self, provider: str, place: Place) -> int:
        """Wrap every data key anew under another master key, all in one transaction; gives how many.

        Whatever stops it, every credential opens with the old key or with the new one, and all with the same.
        The old key leaves a keyring only once nothing needs it; so does a new one that was not recorded.
        """
        record, _, old = self._there()
        place = {**record.place, **place} if provider == record.provider else place
        new, place = self._providers[provider].make(str(uuid.uuid4()), place)
        with self._withdrawing(provider, new.id, place):
            if new.same_key(old):
                raise UsageError("That is the key that the vault has already.", "Name another one.")
            with self.database.write() as connection:
                before, rows, old = self._unlocking.within(connection)
                if before.id != record.id:
                    raise CredentialError("The vault was rotated meanwhile by another process.", "Try again.")
                changed = [row.rewrapped(old, new) for row in rows]
                write(connection, new, new_record(new, provider, place), changed)
        self._unlocking.master = new
        self._forget(record)
        return len(_credentials(rows))

    # --- credentials -------------------------------------------------------------------------------------

    def all(self) -> tuple[Binding, ...]:
        """Every credential by what it is bound to, without opening any and unchecked."""
        bindings = (row.binding for row in _credentials(self._unlocking.read()[1]))
        return tuple(sorted(bindings, key=lambda each: (each.connector, each.account)))

    def find(self, connector: str, account: str) -> Binding | None:
        """What one credential is bound to, unchecked, None where there is none."""
        row = find(_credentials(self._unlocking.read()[1]), connector, account)
        return None if row is None else row.binding

    def open(
        self, connector: str, account: str, *, at_once: bool = False, if_kept: bool = False
    ) -> Kept | None:
        """One credential with its secrets, None where there is none; raises `CredentialError`.

        *At once* raises `BlockingIOError` where a keyring or a person would have to be asked for the key; *if
        kept* asks for none, and checks nothing, where there is no such credential.
        """
        of = (connector, account) if if_kept else None
        state = self._unlocking.state(of, at_once=at_once)
        row = None if state is None else find(_credentials(state.rows), connector, account)
        return None if state is None or row is None else _kept(row, state.master)

    def opened(self) -> Iterator[Kept]:
        """Every credential of one moment with its secrets, for an export; raises `CredentialError`."""
        state = self._unlocking.state()
        if state is not None:
            for row in sorted(_credentials(state.rows), key=lambda each: (each.connector, each.account)):
                yield _kept(row, state.master)

    def keep(self, binding: Binding, secrets: Mapping[str, Secret], *, version: str | None = None) -> None:
        """Seal a credential, in place of the one of that account; with `version`, only of that one.

        Raises `CredentialError` where another process has changed it in between; a rotation does not.
        """
        with self._changing() as (master, rows):
            before = find(rows, binding.connector, binding.account)
            if version is not None and (before is None or before.id != version):
                what = f"The credential of {binding.connector}/{binding.account} was changed meanwhile."
                raise CredentialError(what, "Try again.")
            _replace(master, rows, binding, secrets)

    def keep_all(self, credentials: Iterable[tuple[Binding, Mapping[str, Secret]]]) -> None:
        """Seal many credentials, all or none."""
        with self._changing() as (master, rows):
            for binding, secrets in credentials:
                _replace(master, rows, binding, secrets)

    def remove(self, connector: str, account: str) -> bool:
        """Forget a credential; whether there was one."""
        if self.find(connector, account) is None:
            return False
        with self._changing() as (_, rows):
            row = find(rows, connector, account)
            if row is not None:
                rows.remove(row)
        return row is not None

    # --- what is mcpgate's own ---------------------------------------------------------------------------

    def own_key(self, name: str) -> bytes:
        """A key of 32 bytes for a use of mcpgate's own, made at its first use; a rotation leaves it as it is.

        Raises `CredentialError` while the vault does not open. Where it is made, this is a transaction.
        """
        _, there, master = self._there()
        row = find(there, _OWN + name, "")
        if row is None:
            with self._changing() as (master, rows):
                row = find(rows, _OWN + name, "")
                if row is None:
                    binding = Binding(_OWN + name, "", (), "own", {}, "", "")
                    row = seal_row(master, binding, {_KEY: Secret(os.urandom(KEY_BYTES).hex())})
                    rows.append(row)
        try:
            return bytes.fromhex(row.secrets(master)[_KEY].reveal())
        except CredentialError:
            pass
        raise CredentialError(
            f"The vault's {name} key is not as it was sealed: its row was changed.", RESTORE
        )

    @contextmanager
    def _changing(self) -> Iterator[tuple[MasterKey, list[Row]]]:
        """A transaction over rows that are as they were left, and are written down as they are left."""
        self.unlock()  # here a keyring or a person may take their time, and nobody waits for it
        with self.database.write() as connection:
            record, rows, master = self._unlocking.within(connection)
            left = list(rows)
            yield master, left
            write(connection, master, record, left)

    # --- what every step stands on -----------------------------------------------------------------------

    def _there(self) -> State:
        state = self._unlocking.state()
        if state is None:
            raise _no_vault()
        return state

    @contextmanager
    def _withdrawing(self, provider: str, key_id: str, place: Place) -> Iterator[None]:
        """A new key that was not recorded after all opens nothing, and does not stay in a keyring."""
        try:
            yield
        except BaseException:
            try:
                record = self.record()
                if record is None or record.id != key_id:
                    self._providers[provider].forget(key_id, place)
            except MCPGateError:
                pass  # it opens nothing, and what went wrong before is what counts
            raise

    def _forget(self, record: Record) -> None:
        """Only after the transaction: until then the old key was the one that opens."""
        fault = ""
        try:
            self._providers[record.provider].forget(record.id, record.place)
        except CredentialError as error:
            fault = error.message
        if fault:
            raise CredentialError(
                f"The vault was rotated, but its old master key is still where it was kept. {fault}",
                f"It opens only old copies of the database. Its entry: mcpgate, master key {record.id}",
            )


def _no_vault() -> CredentialError:
    return CredentialError("There is no vault yet.", "Set one up: mcpgate init")


def _check_none(record: Record | None, rows: tuple[Row, ...]) -> None:
    """No vault is set up over another; raises `UsageError`, or `CredentialError` over what is left of one."""
    if record is not None:
        hint = "To change where it is kept: mcpgate vault rotate"
        raise UsageError(f"The vault was set up already, on {record.made[:10]}.", hint)
    if rows:
        recorded(record)


def _credentials(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row.connector.startswith(_OWN)]


def _kept(row: Row, master: MasterKey) -> Kept:
    return Kept(row.binding, row.id, row.secrets(master))


def _replace(master: MasterKey, rows: list[Row], binding: Binding, secrets: Mapping[str, Secret]) -> None:
    if binding.connector.startswith(_OWN):
        raise UsageError(
            f"'{binding.connector[:80]}' cannot be the name of a connector.", "Look at the file."
        )
    rows[:] = [row for row in rows if not row.is_of(binding.connector, binding.account)]
    rows.append(seal_row(master, binding, secrets))
