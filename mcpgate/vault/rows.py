"""The rows of the vault: the record of its master key, its credentials, and the manifest that binds them.

The manifest says under the master key which rows there are, so that an old one cannot be put back, and none
added or taken away, by anyone who has the database and not the key.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from mcpgate.errors import CredentialError
from mcpgate.secrets import Secret
from mcpgate.store.tables import CREDENTIAL, MASTER_KEY
from mcpgate.vault.binding import Binding
from mcpgate.vault.providers import Place
from mcpgate.vault.sealing import MasterKey, authenticate, check_value, seal

_FACTS: Final = ("connector", "account", "origins", "source", "settings", "mode", "ceiling", "connected")


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What is recorded of the master key: its id, who keeps it, where, and a value to know it by."""

    id: str
    provider: str
    place: Place
    check: bytes
    manifest: bytes
    made: str


def read_record(connection: Connection) -> Record | None:
    """What is recorded of the master key, None while nothing is."""
    row = connection.execute(select(MASTER_KEY)).mappings().first()
    if row is None:
        return None
    return Record(
        row["id"], row["provider"], json.loads(row["place"]), row["check_value"], row["manifest"], row["made"]
    )


def new_record(master: MasterKey, provider: str, place: Place, manifest: bytes) -> Record:
    """The record of a master key that is new today."""
    return Record(master.id, provider, dict(place), check_value(master), manifest, _now())


def columns(record: Record) -> dict[str, Any]:
    """A record as the columns of its table."""
    return {
        "id": record.id,
        "provider": record.provider,
        "place": json.dumps(record.place, sort_keys=True),
        "check_value": record.check,
        "manifest": record.manifest,
        "made": record.made,
    }


def find_row(connection: Connection, connector: str, account: str) -> RowMapping | None:
    """The row of an account, None where there is none."""
    chosen = (CREDENTIAL.c.connector == connector) & (CREDENTIAL.c.account == account)
    return connection.execute(select(CREDENTIAL).where(chosen)).mappings().first()


def put(
    connection: Connection,
    master: MasterKey,
    binding: Binding,
    secrets: Mapping[str, Secret],
    before: RowMapping | None,
) -> None:
    """Seal a credential into a row of its own, in place of the one before."""
    document = json.dumps({name: secret.reveal() for name, secret in secrets.items()}).encode()
    facts = {"id": str(uuid.uuid4()), **_texts(binding)}
    box = seal(master, bound_facts(facts), document)
    if before is not None:
        connection.execute(delete(CREDENTIAL).where(CREDENTIAL.c.id == before["id"]))
    version = 1 if before is None else before["version"] + 1
    sealed = {"version": version, "key_id": master.id, "wrapped": box.wrapped, "sealed": box.sealed}
    connection.execute(insert(CREDENTIAL).values({**facts, **sealed}))


def _texts(binding: Binding) -> dict[str, str]:
    facts = binding.facts()
    return {
        name: facts[name] if isinstance(facts[name], str) else json.dumps(facts[name], sort_keys=True)
        for name in _FACTS
    }


def bound_facts(row: RowMapping | Mapping[str, Any]) -> bytes:
    """The facts of a row that both layers of its seal are bound to."""
    return json.dumps([row[name] for name in ("id", *_FACTS)]).encode()


def binding_of(row: RowMapping | Mapping[str, Any]) -> Binding:
    """What a credential is bound to, by its row."""
    texts = {name: row[name] for name in _FACTS}
    return Binding(
        **{**texts, "origins": tuple(json.loads(texts["origins"])), "settings": json.loads(texts["settings"])}
    )


def _manifest(connection: Connection, master: MasterKey) -> bytes:
    rows = connection.execute(select(CREDENTIAL).order_by(CREDENTIAL.c.id)).mappings()
    digests = [
        [row["id"], row["version"], sha256(row["wrapped"] + row["sealed"]).hexdigest()] for row in rows
    ]
    return authenticate(master, "manifest", json.dumps(digests).encode())


def write_manifest(connection: Connection, master: MasterKey) -> None:
    """Write down which rows there are now."""
    connection.execute(update(MASTER_KEY).values(manifest=_manifest(connection, master)))


def check_manifest(connection: Connection, record: Record, master: MasterKey) -> None:
    """Hold the rows against the manifest; raises `CredentialError`."""
    if not compare_digest(_manifest(connection, master), record.manifest):
        raise CredentialError(
            "The vault is not as it was left: a row was put back, added or taken away by something else.",
            "Bring back the database from a copy, or connect the accounts again: mcpgate vault status",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
