"""The configuration as it is kept: apps with their grants, the policy for every app, and what is frozen.

Every change is made in a transaction that raises the version of the configuration and writes to the activity.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcpgate.secrets import Secret
from mcpgate.store.app_key import hash_of, is_key
from mcpgate.store.config_version import bump
from mcpgate.store.database import Database
from mcpgate.store.looking import Looking
from mcpgate.store.stored import Freeze, StoredApp, StoredGrant, StoredPolicy, check_app_name

if TYPE_CHECKING:
    from mcpgate.store.changes import Changes, Write

__all__ = ["Config", "Freeze", "StoredApp", "StoredGrant", "StoredPolicy", "check_app_name"]


class Config:
    """The configuration in a database.

    `recorder` is asked before each change for what adds its row to the activity in the same transaction.
    """

    def __init__(
        self, database: Database, recorder: Callable[[], Write], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._looking = Looking(database.mark)

    def all(self) -> tuple[StoredApp, ...]:
        """Every app, by name."""
        with self._reading() as connection:
            return () if connection is None else self._looking.apps(connection)

    def find(self, name: str) -> StoredApp | None:
        """The app of a name."""
        with self._reading() as connection:
            return None if connection is None else self._looking.find(connection, name)

    def by_key(self, key: str) -> StoredApp | None:
        """The app of a key, expired and paused ones too; of what is no key the database is not asked."""
        if not is_key(key):
            return None
        hashed = hash_of(key)
        with self._reading() as connection:
            return None if connection is None else self._looking.by_key(connection, hashed)

    def account_policy(self) -> str:
        """The text of the policy for every app, empty where there is none."""
        with self._reading() as connection:
            return "" if connection is None else self._looking.account_policy(connection)

    def freezes(self) -> tuple[Freeze, ...]:
        """What is frozen, the oldest first."""
        with self._reading() as connection:
            return () if connection is None else self._looking.freezes(connection)

    @contextmanager
    def changing(self) -> Iterator[Changes]:
        """Several changes at once: all of them, or none where one raises."""
        from mcpgate.store.changes import Changes

        write = self._recorder()
        with self._database.write() as connection:
            changes = Changes(connection, write, self._clock(), self._looking)
            yield changes
            if changes.made:
                bump(connection)

    def create(self, app: StoredApp, says: str = "") -> Secret:
        """See `Changes.create`."""
        with self.changing() as changes:
            return changes.create(app, says)

    def rotate(self, name: str, says: str = "") -> Secret:
        """See `Changes.rotate`."""
        with self.changing() as changes:
            return changes.rotate(name, says)

    def replace(self, before: StoredApp, after: StoredApp, says: str) -> None:
        """See `Changes.replace`."""
        with self.changing() as changes:
            changes.replace(before, after, says)

    def delete(self, app: StoredApp, says: str = "") -> None:
        """See `Changes.delete`."""
        with self.changing() as changes:
            changes.delete(app, says)

    def set_account_policy(self, text: str, before: str) -> None:
        """See `Changes.set_account_policy`."""
        with self.changing() as changes:
            changes.set_account_policy(text, before)

    def freeze(self, app: str = "", connector: str = "", effect: str = "") -> bool:
        """See `Changes.freeze`."""
        with self.changing() as changes:
            return changes.freeze(app, connector, effect)

    def thaw(self, app: str = "", connector: str = "", effect: str = "") -> bool:
        """See `Changes.thaw`."""
        with self.changing() as changes:
            return changes.thaw(app, connector, effect)

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """A connection, or None where there is no database yet: looking makes none."""
        if not self._database.exists():
            yield None
            return
        with self._database.look() as connection:
            yield connection
