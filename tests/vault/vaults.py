"""Vaults in a folder of the test, one for each way to keep a master key, and what an attacker has of them."""

from __future__ import annotations

import base64
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import mcpgate
from mcpgate.errors import MCPGateError
from mcpgate.secrets import Secret
from mcpgate.store.database import Database
from mcpgate.vault.binding import Binding
from mcpgate.vault.os_keyring import Keyring
from mcpgate.vault.providers import (
    EnvironmentProvider,
    FileProvider,
    KeyringProvider,
    PassphraseProvider,
)
from mcpgate.vault.sealed_vault import Kept, SealedVault
from tests.standins.keyring import FolderBackend

CANARY: Final = "sk_test_CanaryCanaryCanary"
PASSPHRASE: Final = "correct horse battery staple"
KEY: Final = bytes(range(7, 39))
OURS: Final = str(Path(mcpgate.__file__).parent)


def binding(account: str = "default", connector: str = "shop", **changes: Any) -> Binding:
    """What a credential of the shop is bound to."""
    facts: dict[str, Any] = {
        "origins": (f"https://{connector}.example",),
        "source": f"shipped {connector}",
        "settings": {"site": "main"},
        "mode": "test",
        "connected": "2026-01-02T03:04:05Z",
        "ceiling": '{"preset": "read-only", "allow": ["read"]}',
    }
    return Binding(connector, account, **{**facts, **changes})


class Rig:
    """A folder with a database, a key file, a keyring and an environment; each `vault` is a new start."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.path = folder / "mcpgate.db"
        self.environ = {"VAULT": base64.b64encode(KEY).decode(), "MCPGATE_PASSPHRASE": PASSPHRASE}
        self.backend = FolderBackend(folder / "keyring")
        self.keyring_name = "Test keyring"
        self.places = {
            "keyring": {},
            "passphrase": {},
            "file": {"path": str(folder / "keys" / "master.key")},
            "environment": {"variable": "VAULT"},
        }
        self._databases: list[Database] = []

    def vault(self, ask: Callable[[str], Secret] | None = None) -> SealedVault:
        """The vault as a process that has just started has it."""
        self._databases.append(Database(str(self.path)))
        return SealedVault(
            self._databases[-1],
            {
                "keyring": KeyringProvider(self._find),
                "passphrase": PassphraseProvider(self.environ, ask),
                "file": FileProvider(),
                "environment": EnvironmentProvider(self.environ),
            },
        )

    def set_up(self, keeper: str = "file", *bindings: Binding) -> SealedVault:
        """A vault with a credential for each binding, whose secret ends with its account."""
        vault = self.vault()
        vault.set_up(keeper, self.places[keeper])
        for each in bindings:
            vault.keep(each, {"secret": Secret(f"{CANARY}-{each.account}")})
        return vault

    def close(self) -> None:
        """Close every database, as the ends of their processes would."""
        for database in self._databases:
            database.close()

    def opens(self) -> dict[str, str]:
        """The secret of every account, as a fresh process opens it, one by one."""
        vault = self.vault()
        return {
            f"{each.connector}/{each.account}": secret(vault.open(each.connector, each.account))
            for each in vault.all()
        }

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What an attacker does who may write to the database."""
        with closing(sqlite3.connect(self.path)) as database, database:
            return database.execute(statement, values).fetchall()

    def rows(self, table: str = "credential") -> list[dict[str, Any]]:
        """Every row of a table."""
        with closing(sqlite3.connect(self.path)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(f"SELECT * FROM {table}")]

    def put_rows(self, rows: list[dict[str, Any]], table: str = "credential") -> None:
        """Put rows in place of all of a table."""
        self.sql(f"DELETE FROM {table}")
        for row in rows:
            marks = ", ".join("?" * len(row))
            self.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())

    def everything(self) -> object:
        """All that the vault keeps: both tables, the keyring, the key file."""
        keys = {name: self.backend.get_password("", name) for name in self.backend.names()}
        file = Path(self.places["file"].get("path", ""))
        return self.rows("master_key"), self.rows(), keys, file.read_bytes() if file.is_file() else None

    def _find(self, name: str) -> Keyring | None:
        found = name in ("", self.keyring_name) and bool(self.keyring_name)
        return Keyring(self.keyring_name, self.backend) if found else None


def secret(kept: Kept | None, name: str = "secret") -> str:
    """One secret of a credential that is there."""
    assert kept is not None
    return kept.secrets[name].reveal()


def told_in_full(error: BaseException) -> str:
    """All that a log could hold of an error: its texts, its chain, and every variable of mcpgate's frames."""
    return "\n".join(_told(error))


def _told(error: BaseException | None) -> Iterator[str]:
    if error is None:
        return
    yield repr(error)
    yield repr(vars(error))
    for frame in traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True):
        if frame.filename.startswith(OURS):
            yield f"{frame.filename}:{frame.lineno} {frame.locals}"
    # whether or not it would be shown
    yield from _told(error.__cause__)
    yield from _told(error.__context__)


def one_line(error: MCPGateError) -> str:
    """The message of an error that is fit for a person: one line, one hint, no canary anywhere in it."""
    assert error.message == error.message.strip()
    assert len(error.message.splitlines()) == 1
    assert error.hint
    full = told_in_full(error)
    assert "Canary" not in full
    assert PASSPHRASE not in full
    return error.message
