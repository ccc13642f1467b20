"""The configuration as it is read, on a connection of the driver's own."""

from __future__ import annotations

from hmac import compare_digest
from typing import Any, Final

from mcpgate.store.statement import Statement
from mcpgate.store.stored import OF_APP, OF_GRANT, Freeze, StoredApp, StoredGrant, app_of, grant_of

_APPS: Final = f"SELECT {OF_APP} FROM app"  # noqa: S608
_GRANTS: Final = f"SELECT {OF_GRANT} FROM app_grant"  # noqa: S608
_FREEZES: Final = 'SELECT app, connector, effect, since FROM "freeze" ORDER BY since'


class Looking:
    """What is asked of a configuration."""

    def __init__(self, mark: str) -> None:
        self._policy = Statement("SELECT text FROM account_policy", mark)
        self._freezes = Statement(_FREEZES, mark)
        self._apps = Statement(f"{_APPS} ORDER BY name", mark)
        self._grants = Statement(f"{_GRANTS} ORDER BY app, connector", mark)
        self._app = Statement(f"{_APPS} WHERE name = :name", mark)
        self._its_grants = Statement(f"{_GRANTS} WHERE app = :name ORDER BY connector", mark)
        self._of_key = Statement("SELECT name, key_hash FROM app WHERE key_hash = :key_hash", mark)

    def apps(self, connection: Any) -> tuple[StoredApp, ...]:
        """Every app, by name."""
        grants: dict[str, list[StoredGrant]] = {}
        for row in self._grants.records(connection):
            grants.setdefault(row["app"], []).append(grant_of(row))
        found = self._apps.records(connection)
        return tuple(app_of(row, tuple(grants.get(row["name"], ()))) for row in found)

    def find(self, connection: Any, name: str) -> StoredApp | None:
        """The app of a name."""
        found = self._app.records(connection, name=name)
        if not found:
            return None
        grants = self._its_grants.records(connection, name=name)
        return app_of(found[0], tuple(map(grant_of, grants)))

    def by_key(self, connection: Any, hashed: str) -> StoredApp | None:
        """The app of a key, by what is kept of that."""
        found = self._of_key.rows(connection, key_hash=hashed)
        if not found or not compare_digest(found[0][1], hashed):
            return None
        return self.find(connection, found[0][0])

    def account_policy(self, connection: Any) -> str:
        """The text of the policy for every app."""
        found = self._policy.rows(connection)
        return str(found[0][0] or "") if found else ""

    def freezes(self, connection: Any) -> tuple[Freeze, ...]:
        """What is frozen."""
        return tuple(Freeze(*row) for row in self._freezes.rows(connection))
