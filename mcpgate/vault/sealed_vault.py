"""The vault: credentials in the database, each sealed under a key of its own and bound to where it may go.

The master key is recorded once, with a value to know it by. A row that was changed, cut short, swapped for
another or put back from an earlier day is refused, and so is everything while the master key is not there.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hmac import compare_digest
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.database import Database
from mcpgate.store.tables import CREDENTIAL, MASTER_KEY
from mcpgate.vault.binding import Binding
from mcpgate.vault.providers import Place, Provider
from mcpgate.vault.rows import (
    Record,
    binding_of,
    bound_facts,
    check_manifest,
    columns,
    find_row,
    new_record,
    put,
    read_record,
    write_manifest,
)
from mcpgate.vault.sealing import BrokenSealError, MasterKey, Sealed, check_value, rewrap, unseal

_SAME: Final = "comparison"
_INIT: Final = "Set one up: mcpgate init"
_IMPORT: Final = "Import an export: mcpgate vault import FILE"
_NOT_THE_VAULTS: Final = {
    "passphrase": "The passphrase is not the vault's.",
    "file": "The key in the key file is not the vault's.",
    "environment": "The key in the environment is not the vault's.",
    "keyring": "The key in the keyring is not the vault's.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A credential as it lies in the vault: what it is bound to, which version it is, and its secrets."""

    binding: Binding
    version: int
    secrets: Mapping[str, Secret]


class SealedVault:
    """Credentials in a database; `providers` are the ways to keep a master key, by name."""

    def __init__(self, database: Database, providers: Mapping[str, Provider]) -> None:
        self._database = database
        self._providers = providers
        self._master: MasterKey | None = None

    # --- the master key ----------------------------------------------------------------------------------

    def record(self) -> Record | None:
        """What is recorded of the master key, None while no vault was set up."""
        if not self._database.exists():
            return None
        with self._database.read() as connection:
            return read_record(connection)

    def set_up(self, provider: str, place: Place) -> Record:
        """Make or take a master key and record it; raises `UsageError` where there is one already."""
        with self._database.write() as connection:
            known = read_record(connection)
            if known is not None:
                hint = "To change where it is kept: mcpgate vault rotate"
                raise UsageError(f"The vault was set up already, on {known.made[:10]}.", hint)
            master, place = self._providers[provider].make(str(uuid.uuid4()), place)
            record = new_record(master, provider, place, b"")
            connection.execute(insert(MASTER_KEY).values(one=1, **columns(record)))
            write_manifest(connection, master)
        self._master = master
        return record

    def unlock(self) -> MasterKey:
        """The master key that is recorded; raises `CredentialError` for any other, or none."""
        record = self.record()
        if record is None:
            raise CredentialError("There is no vault yet.", _INIT)
        return self._unlock(record)

    def rotate(self, provider: str, place: Place) -> int:
        """Wrap every data key anew under another master key, all in one transaction; gives how many.

        Whatever stops it, every credential opens with the old key or with the new one, and all with the same.
        """
        with self._database.write() as connection:
            record = self._recorded(connection)
            old = self._unlock(record)
            check_manifest(connection, record, old)
            new, place = self._providers[provider].make(str(uuid.uuid4()), place)
            if new.derive(_SAME) == old.derive(_SAME, key_id=new.id):
                raise UsageError("That is the key that the vault has already.", "Name another one.")
            rows = connection.execute(select(CREDENTIAL)).mappings().all()
            for row in rows:
                box = self._opened(row, lambda facts, box: rewrap(old, new, facts, box))
                changed = {"key_id": new.id, "wrapped": box.wrapped, "version": row["version"] + 1}
                connection.execute(update(CREDENTIAL).where(CREDENTIAL.c.id == row["id"]).values(changed))
            connection.execute(update(MASTER_KEY).values(columns(new_record(new, provider, place, b""))))
            write_manifest(connection, new)
        self._master = new
        # only now: until the transaction was over, the old key was the one that opens
        self._providers[record.provider].forget(record.id, record.place)
        return len(rows)

    # --- credentials -------------------------------------------------------------------------------------

    def all(self) -> tuple[Binding, ...]:
        """Every credential by what it is bound to, without opening any."""
        if not self._database.exists():
            return ()
        with self._database.read() as connection:
            rows = connection.execute(select(CREDENTIAL)).mappings().all()
        return tuple(
            sorted((binding_of(row) for row in rows), key=lambda each: (each.connector, each.account))
        )

    def find(self, connector: str, account: str) -> Binding | None:
        """What one credential is bound to, None where there is none."""
        found = (each for each in self.all() if (each.connector, each.account) == (connector, account))
        return next(found, None)

    def open(self, connector: str, account: str) -> Kept | None:
        """One credential with its secrets, None where there is none; raises `CredentialError`."""
        if not self._database.exists():
            return None
        with self._database.read() as connection:
            record = read_record(connection)
            row = find_row(connection, connector, account)
            if row is None:
                return None
            if record is None:
                raise CredentialError("The vault has lost the record of its master key.", _IMPORT)
            master = self._unlock(record)
            check_manifest(connection, record, master)
        document = self._opened(row, lambda facts, box: unseal(master, facts, box))
        secrets = {name: Secret(text) for name, text in json.loads(document).items()}
        return Kept(binding_of(row), row["version"], secrets)

    def opened(self) -> Iterator[Kept]:
        """Every credential with its secrets, for an export; raises `CredentialError`."""
        for binding in self.all():
            kept = self.open(binding.connector, binding.account)
            if kept is not None:
                yield kept

    def keep(self, binding: Binding, secrets: Mapping[str, Secret], *, version: int | None = None) -> None:
        """Seal a credential, in place of the one of that account; with `version`, only of that one.

        Raises `CredentialError` where another process has changed it in between.
        """
        with self._changing() as (connection, master):
            before = find_row(connection, binding.connector, binding.account)
            if version is not None and (before is None or before["version"] != version):
                what = f"The credential of {binding.connector}/{binding.account} was changed meanwhile."
                raise CredentialError(what, "Try again.")
            put(connection, master, binding, secrets, before)

    def keep_all(self, credentials: Iterable[tuple[Binding, Mapping[str, Secret]]]) -> None:
        """Seal many credentials, all or none."""
        with self._changing() as (connection, master):
            for binding, secrets in credentials:
                before = find_row(connection, binding.connector, binding.account)
                put(connection, master, binding, secrets, before)

    def remove(self, connector: str, account: str) -> bool:
        """Forget a credential; whether there was one."""
        if self.find(connector, account) is None:
            return False
        with self._changing() as (connection, _):
            row = find_row(connection, connector, account)
            if row is not None:
                connection.execute(delete(CREDENTIAL).where(CREDENTIAL.c.id == row["id"]))
        return row is not None

    @contextmanager
    def _changing(self) -> Iterator[tuple[Connection, MasterKey]]:
        """A transaction over rows that are as they were left, and are written down as they are left."""
        with self._database.write() as connection:
            record = self._recorded(connection)
            master = self._unlock(record)
            check_manifest(connection, record, master)
            yield connection, master
            write_manifest(connection, master)

    def _recorded(self, connection: Connection) -> Record:
        record = read_record(connection)
        if record is None:
            raise CredentialError("There is no vault yet.", _INIT)
        return record

    def _unlock(self, record: Record) -> MasterKey:
        """The recorded key, asked of its provider once; after a rotation elsewhere, once more."""
        if self._master is None or self._master.id != record.id:
            provider = self._providers.get(record.provider)
            if provider is None:
                hint = "Is this an older mcpgate?"
                raise CredentialError(f"This mcpgate knows no keeper of keys called {record.provider}.", hint)
            master = provider.load(record.id, record.place)
            if not compare_digest(check_value(master), record.check):
                hint = "Nothing was opened, and nothing was changed."
                raise CredentialError(_NOT_THE_VAULTS[record.provider], hint)
            self._master = master
        return self._master

    @staticmethod
    def _opened(row: RowMapping | Mapping[str, Any], use: Callable[[bytes, Sealed], Any]) -> Any:
        """What `use` makes of a row's box; raises `CredentialError` for one that is not as it was sealed."""
        try:
            return use(bound_facts(row), Sealed(row["wrapped"], row["sealed"]))
        except BrokenSealError:
            pass
        name = f"{row['connector']}/{row['account']}"
        hint = f"Connect it again: mcpgate connect {row['connector']} --account {row['account']}"
        raise CredentialError(f"The credential {name} is not as it was sealed: its row was changed.", hint)
