"""What lies in the vault at a moment, and the key to it: read at every use, and held against its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpgate.errors import CredentialError
from mcpgate.store.database import Database
from mcpgate.vault.providers import Provider
from mcpgate.vault.rows import RESTORE, Reading, Record, Row, check, find, read
from mcpgate.vault.sealing import MasterKey

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NOT_THE_VAULTS: Final = {
    "passphrase": "The passphrase is not the vault's.",
    "file": "The key in the key file is not the vault's.",
    "environment": "The key in the environment is not the vault's.",
    "keyring": "The key in the keyring is not the vault's.",
}


class State(NamedTuple):
    """A vault as it was left, and the key to it."""

    record: Record
    rows: tuple[Row, ...]
    master: MasterKey


class Unlocking:
    """Reads a vault and unlocks it; `providers` are the ways to keep a master key, by name."""

    def __init__(self, database: Database, providers: Mapping[str, Provider]) -> None:
        self.master: MasterKey | None = None
        self._database = database
        self._providers = providers
        self._reading: Reading | None = None
        self._checked: State | None = None

    def read(self) -> tuple[Record | None, tuple[Row, ...]]:
        """The record and every credential of one moment, unchecked; raises `CredentialError`."""
        if self._reading is None:
            if not self._database.exists():
                return None, ()
            self._reading = Reading(self._database.mark)
        with self._database.line as connection:
            return self._reading.read(connection)

    def state(self, of: tuple[str, str] | None = None, *, at_once: bool = False) -> State | None:
        """A vault as it was left, of one moment, and its key; None where none was set up, or none `of` that.

        Raises `CredentialError`; *at once* raises `BlockingIOError` where the key would have to be asked for.
        """
        while True:
            record, rows = self.read()
            if (record is None and not rows) or (of is not None and find(rows, *of) is None):
                return None
            record = recorded(record)
            if at_once and not self._has(record):
                raise BlockingIOError
            try:
                master = self._unlock(record)
            except CredentialError:
                # the old key may be gone because another process has just rotated
                now, _ = self.read()
                if now is None or now.id == record.id:
                    raise
                continue
            return self._check(State(record, rows, master))

    def within(self, connection: Connection) -> State:
        """The same inside of a transaction, in which nobody else rotates; there is a vault."""
        found, rows = read(connection)
        record = recorded(found)
        return self._check(State(record, rows, self._unlock(record)))

    def _check(self, state: State) -> State:
        known = self._checked
        # what was read is the very same where nothing has changed
        if known is None or any(one is not other for one, other in zip(state, known, strict=True)):
            check(state.master, state.record, state.rows)
            self._checked = state
        return state

    def _unlock(self, record: Record) -> MasterKey:
        """The recorded key, asked of its provider once; after a rotation elsewhere, once more."""
        if self.master is None or self.master.id != record.id:
            master = self._providers[record.provider].load(record.id, record.place)
            if not record.is_of(master):
                hint = "Nothing was opened, and nothing was changed. "
                hint += "Give the one that was recorded, or bring back the database that it fits."
                raise CredentialError(_NOT_THE_VAULTS[record.provider], hint)
            self.master = master
        return self.master

    def _has(self, record: Record) -> bool:
        return self.master is not None and self.master.id == record.id


def recorded(record: Record | None) -> Record:
    """The record of a vault that has credentials; raises `CredentialError`."""
    if record is None:
        raise CredentialError("The vault has lost the record of its master key.", RESTORE)
    return record
