"""The rows of the vault: the record of its master key, its credentials, and the manifest that binds them.

The manifest says under the master key what the record is and which rows there are, so that no old one can be
put back, and none added, renamed or taken away, by anyone who has the database and not the key. A row gets a
new id whenever it is sealed, and its seal is bound to that and to all that it says. What is read may have
been written by anyone, so its types are looked at first; the manifest is made of what was meant to be
written, not of what is there then.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from mcpgate.errors import CredentialError
from mcpgate.secrets import Secret
from mcpgate.store.config_version import bump
from mcpgate.store.statement import Statement
from mcpgate.vault.binding import Binding
from mcpgate.vault.providers import PLACES, Place
from mcpgate.vault.sealing import (
    BrokenSealError,
    MasterKey,
    Sealed,
    authenticate,
    check_value,
    rewrap,
    seal,
    unseal,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FACTS: Final = ("connector", "account", "origins", "source", "settings", "mode", "ceiling", "connected")
# the columns as they are declared
_OF_RECORD: Final[Mapping[str, type]] = {
    "one": int,
    **dict.fromkeys(("id", "provider", "place"), str),
    **dict.fromkeys(("check_value", "manifest"), bytes),
    "made": str,
}
_OF_ROW: Final[Mapping[str, type]] = {
    **dict.fromkeys(("id", *_FACTS, "key_id"), str),
    **dict.fromkeys(("wrapped", "sealed"), bytes),
}
_RECORD: Final = f"SELECT {', '.join(_OF_RECORD)} FROM master_key WHERE one = 1"  # noqa: S608
_ROWS: Final = f"SELECT {', '.join(_OF_ROW)} FROM credential ORDER BY id"  # noqa: S608
RESTORE: Final = (
    "Bring the database back from a copy; or move it away, then connect again or import an export: "
    "mcpgate vault import FILE"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What is recorded of the master key: its id, who keeps it, where, and a value to know it by."""

    id: str
    provider: str
    place: Place
    check: bytes
    manifest: bytes
    made: str

    def is_of(self, master: MasterKey) -> bool:
        """Whether a master key is the one that was recorded."""
        return compare_digest(check_value(master), self.check)


@dataclasses.dataclass(frozen=True)
class Row:
    """A credential as it lies in the database, text for text; what follows from it is made once."""

    id: str
    connector: str
    account: str
    origins: str
    source: str
    settings: str
    mode: str
    ceiling: str
    connected: str
    key_id: str
    wrapped: bytes
    sealed: bytes

    def is_of(self, connector: str, account: str) -> bool:
        """Whether it is the row of an account."""
        return (self.connector, self.account) == (connector, account)

    @cached_property
    def binding(self) -> Binding:
        """What the credential is bound to; raises `CredentialError`."""
        texts = {name: getattr(self, name) for name in _FACTS}
        origins, settings = _json(self.origins, list), _json(self.settings, dict)
        return Binding(**{**texts, "origins": tuple(origins), "settings": settings})

    def secrets(self, master: MasterKey) -> Mapping[str, Secret]:
        """The secrets of the credential; raises `CredentialError`."""
        try:
            return _read(unseal(master, self._facts, self._box(master)))
        except BrokenSealError:
            pass
        raise self._broken()

    def rewrapped(self, old: MasterKey, new: MasterKey) -> Row:
        """The same credential under another master key; raises `CredentialError`."""
        try:
            box = rewrap(old, new, self._facts, self._box(old))
            return dataclasses.replace(self, key_id=new.id, wrapped=box.wrapped)
        except BrokenSealError:
            pass
        raise self._broken()

    @cached_property
    def _facts(self) -> bytes:
        """What both layers of the seal are bound to."""
        return json.dumps([getattr(self, name) for name in ("id", *_FACTS)]).encode()

    def _box(self, master: MasterKey) -> Sealed:
        if self.key_id != master.id:
            raise BrokenSealError
        return Sealed(self.wrapped, self.sealed)

    def _broken(self) -> CredentialError:
        name = f"{self.connector}/{self.account}"
        which = "PATH" if self.source.startswith("file ") else self.connector
        hint = f"Connect it again: mcpgate connect {which} --account {self.account} --allow PRESET"
        return CredentialError(f"The credential {name} is not as it was sealed: its row was changed.", hint)


def find(rows: Iterable[Row], connector: str, account: str) -> Row | None:
    """The row of an account, None where there is none."""
    return next((row for row in rows if row.is_of(connector, account)), None)


def seal_row(master: MasterKey, binding: Binding, secrets: Mapping[str, Secret]) -> Row:
    """A row of its own for a credential; its id is never used again."""
    facts = binding.facts()
    texts = {
        name: facts[name] if isinstance(facts[name], str) else json.dumps(facts[name], sort_keys=True)
        for name in _FACTS
    }
    row = Row(id=str(uuid.uuid4()), **texts, key_id=master.id, wrapped=b"", sealed=b"")
    box = seal(master, row._facts, _document(secrets))
    return dataclasses.replace(row, wrapped=box.wrapped, sealed=box.sealed)


def new_record(master: MasterKey, provider: str, place: Place) -> Record:
    """The record of a master key that is new today; its manifest is made when it is written."""
    made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Record(master.id, provider, dict(place), check_value(master), b"", made)


def read(connection: Connection) -> tuple[Record | None, tuple[Row, ...]]:
    """The record and every credential, nothing of it checked but its types; raises `CredentialError`."""
    return _read_rows(connection.exec_driver_sql(_RECORD).all(), connection.exec_driver_sql(_ROWS).all())


class Reading:
    """The same on a connection of the driver's own: what every call waits for.

    All of it is read each time; it is made sense of where it is not what it was the last time.
    """

    def __init__(self, mark: str) -> None:
        self._record = Statement(_RECORD, mark)
        self._rows = Statement(_ROWS, mark)
        self._lines: tuple[list[Any], list[Any]] = ([], [])
        self._found: tuple[Record | None, tuple[Row, ...]] = (None, ())

    def read(self, connection: Any) -> tuple[Record | None, tuple[Row, ...]]:
        """The record and every credential of one moment; raises `CredentialError`."""
        connection.execute("BEGIN")
        lines = (self._record.rows(connection), self._rows.rows(connection))
        connection.execute("COMMIT")
        if lines != self._lines:
            self._found = _read_rows(*lines)
            self._lines = lines
        return self._found


def _read_rows(records: Sequence[Any], rows: Sequence[Any]) -> tuple[Record | None, tuple[Row, ...]]:
    record = _record(_typed(_OF_RECORD, records[0])) if records else None
    return record, tuple(Row(**_typed(_OF_ROW, row)) for row in rows)


def write(connection: Connection, master: MasterKey, record: Record, rows: Iterable[Row]) -> Record:
    """Put these rows in place of all that there are, under a manifest of them; servers look at them anew."""
    from sqlalchemy import delete, insert

    from mcpgate.store.tables import CREDENTIAL, MASTER_KEY

    kept = list(rows)
    record = dataclasses.replace(record, manifest=_manifest(master, record, kept))
    columns = {
        "one": 1,
        "id": record.id,
        "provider": record.provider,
        "place": _text(record.place),
        "check_value": record.check,
        "manifest": record.manifest,
        "made": record.made,
    }
    for table, values in ((MASTER_KEY, [columns]), (CREDENTIAL, [dataclasses.asdict(row) for row in kept])):
        connection.execute(delete(table))
        if values:
            connection.execute(insert(table), values)
    bump(connection)
    return record


def check(master: MasterKey, record: Record, rows: Iterable[Row]) -> None:
    """Hold the record and the rows against the manifest; raises `CredentialError`."""
    if not compare_digest(_manifest(master, record, rows), record.manifest):
        what = "a row was put back, added, renamed or taken away by something else"
        raise CredentialError(f"The vault is not as it was left: {what}.", RESTORE)


def _manifest(master: MasterKey, record: Record, rows: Iterable[Row]) -> bytes:
    about = [record.id, record.provider, _text(record.place), record.check.hex(), record.made]
    names = sorted([row.id, row.connector, row.account] for row in rows)
    return authenticate(master, "manifest", json.dumps([about, names]).encode())


def _typed(types: Mapping[str, type], row: Sequence[Any]) -> dict[str, Any]:
    """The columns of a row, as they are declared: SQLite keeps any type in any one."""
    if any(type(value) is not kind for value, kind in zip(row, types.values(), strict=True)):
        raise _damaged()
    return dict(zip(types, row, strict=True))


def _record(columns: Mapping[str, Any]) -> Record:
    place = _json(columns["place"], dict)
    if PLACES.get(columns["provider"]) not in place:
        raise _damaged()
    return Record(
        columns["id"],
        columns["provider"],
        place,
        columns["check_value"],
        columns["manifest"],
        columns["made"],
    )


def _json(text: str, kind: type[Any]) -> Any:
    """A list or a mapping of texts; raises `CredentialError`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    inner = found.values() if isinstance(found, dict) else found
    if not isinstance(found, kind) or not all(isinstance(each, str) for each in inner):
        raise _damaged()
    return found


def _damaged() -> CredentialError:
    return CredentialError("The vault is damaged: its rows are not those that mcpgate writes.", RESTORE)


def _document(secrets: Mapping[str, Secret]) -> Secret:
    return Secret(json.dumps({name: secret.reveal() for name, secret in secrets.items()}))


def _read(document: Secret) -> Mapping[str, Secret]:
    return {name: Secret(text) for name, text in json.loads(document.reveal()).items()}


def _text(place: Place) -> str:
    return json.dumps(dict(place), sort_keys=True)
