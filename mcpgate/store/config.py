"""The configuration as it is kept: apps with their grants, the policy for every app, and what is frozen.

Every change is made in a transaction that raises the version of the configuration and writes to the activity.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hmac import compare_digest
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from mcpgate.activity import Row
from mcpgate.errors import NotFoundError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.app_key import hash_of, is_key, moment, new_key
from mcpgate.store.config_version import bump
from mcpgate.store.database import Database
from mcpgate.store.stored import (
    Freeze,
    StoredApp,
    StoredGrant,
    StoredPolicy,
    app_of,
    app_values,
    check_app_name,
    grant_of,
    grant_values,
)
from mcpgate.store.tables import ACCOUNT_POLICY, APP, FREEZE, GRANT

__all__ = ["Changes", "Config", "Freeze", "StoredApp", "StoredGrant", "StoredPolicy", "check_app_name"]

Write: TypeAlias = Callable[[Connection, Row], None]

_ONE = 1
_MEANWHILE = "Nothing was done. Look at it again, then do it again."


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

    def all(self) -> tuple[StoredApp, ...]:
        """Every app, by name."""
        with self._reading() as connection:
            return () if connection is None else _apps(connection)

    def find(self, name: str) -> StoredApp | None:
        """The app of a name."""
        with self._reading() as connection:
            return None if connection is None else _find(connection, name)

    def by_key(self, key: str) -> StoredApp | None:
        """The app of a key, expired and paused ones too; of what is no key the database is not asked."""
        if not is_key(key):
            return None
        hashed = hash_of(key)
        with self._reading() as connection:
            if connection is None:
                return None
            query = select(APP.c.name, APP.c.key_hash).where(APP.c.key_hash == hashed)
            row = connection.execute(query).one_or_none()
            if row is None or not compare_digest(row.key_hash, hashed):
                return None
            return _find(connection, row.name)

    def account_policy(self) -> str:
        """The text of the policy for every app, empty where there is none."""
        with self._reading() as connection:
            return "" if connection is None else _account_policy(connection)

    def freezes(self) -> tuple[Freeze, ...]:
        """What is frozen, the oldest first."""
        with self._reading() as connection:
            return () if connection is None else _freezes(connection)

    @contextmanager
    def changing(self) -> Iterator[Changes]:
        """Several changes at once: all of them, or none where one raises."""
        write = self._recorder()
        with self._database.write() as connection:
            changes = Changes(connection, write, self._clock())
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
    def _reading(self) -> Iterator[Connection | None]:
        """A connection, or None where there is no database yet: looking makes none."""
        if not self._database.exists():
            yield None
            return
        with self._database.read() as connection:
            yield connection


class Changes:
    """What is changed within one transaction. Whoever changes something says what it was before."""

    def __init__(self, connection: Connection, write: Write, now: float) -> None:
        self._connection = connection
        self._write = write
        self._now = now
        self.made = 0

    def create(self, app: StoredApp, says: str = "") -> Secret:
        """Keep a new app; gives its key, which is nowhere else from then on."""
        check_app_name(app.name)
        if _find(self._connection, app.name) is not None:
            hint = f"Give it another name, or look at that one: mcpgate apps show {app.name}"
            raise UsageError(f"There is an app {app.name} already.", hint)
        key = new_key()
        made = replace(app, created=moment(self._now))
        self._connection.execute(insert(APP).values(**app_values(made), key_hash=hash_of(key.reveal())))
        self._keep_grants(made)
        self._note(app.name, says or f"apps create {app.name}")
        return key

    def rotate(self, name: str, says: str = "") -> Secret:
        """Another key for an app; the one it had counts no longer. Raises `NotFoundError`."""
        key = new_key()
        changed = update(APP).where(APP.c.name == name).values(key_hash=hash_of(key.reveal()))
        if not self._connection.execute(changed).rowcount:
            raise NotFoundError(f"There is no app '{name}'.", "See them all: mcpgate apps list")
        self._note(name, says or f"apps rotate {name}")
        return key

    def replace(self, before: StoredApp, after: StoredApp, says: str) -> None:
        """Change an app that is still as it was looked at; raises `UsageError` where it is not."""
        self._expect(before)
        values = app_values(after)
        self._connection.execute(update(APP).where(APP.c.name == before.name).values(**values))
        self._connection.execute(delete(GRANT).where(GRANT.c.app == before.name))
        self._keep_grants(after)
        self._note(before.name, says)

    def delete(self, app: StoredApp, says: str = "") -> None:
        """Delete an app that is still as it was looked at; what it spent and did stays written down."""
        self._expect(app)
        self._connection.execute(delete(GRANT).where(GRANT.c.app == app.name))
        self._connection.execute(delete(APP).where(APP.c.name == app.name))
        self._note(app.name, says or f"apps delete {app.name}")

    def set_account_policy(self, text: str, before: str) -> None:
        """Put another policy in the place of the one for every app; an empty text is none."""
        if _account_policy(self._connection) != before:
            raise UsageError("The policy for every app was changed meanwhile.", _MEANWHILE)
        self._connection.execute(delete(ACCOUNT_POLICY))
        if text:
            row = {"one": _ONE, "text": text, "applied": moment(self._now)}
            self._connection.execute(insert(ACCOUNT_POLICY).values(**row))
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._note("", f"policy apply, sha256 {digest}" if text else "policy apply --remove")

    def freeze(self, app: str = "", connector: str = "", effect: str = "") -> bool:
        """Freeze everything, or what is named; False where just that is frozen already."""
        if self._connection.execute(select(FREEZE.c.since).where(_is(app, connector, effect))).first():
            return False
        row = {"app": app, "connector": connector, "effect": effect, "since": moment(self._now)}
        self._connection.execute(insert(FREEZE).values(**row))
        self._note(app, f"freeze {Freeze(app, connector, effect, '').what}")
        return True

    def thaw(self, app: str = "", connector: str = "", effect: str = "") -> bool:
        """End a freeze of just that; False where there is none."""
        if not self._connection.execute(delete(FREEZE).where(_is(app, connector, effect))).rowcount:
            return False
        self._note(app, f"thaw {Freeze(app, connector, effect, '').what}")
        return True

    def _expect(self, app: StoredApp) -> None:
        now = _find(self._connection, app.name)
        if now is None:
            raise NotFoundError(f"There is no app '{app.name}' any more.", _MEANWHILE)
        if now != app:
            raise UsageError(f"The app {app.name} was changed meanwhile.", _MEANWHILE)

    def _keep_grants(self, app: StoredApp) -> None:
        for grant in app.grants:
            self._connection.execute(insert(GRANT).values(**grant_values(app.name, grant)))

    def _note(self, app: str, says: str) -> None:
        self.made += 1
        row = Row(self._now, "changed", "", app, "", "", "", "", says=says)
        self._write(self._connection, row)


def _apps(connection: Connection) -> tuple[StoredApp, ...]:
    grants: dict[str, list[StoredGrant]] = {}
    for row in connection.execute(select(GRANT).order_by(GRANT.c.connector)).mappings():
        grants.setdefault(row["app"], []).append(grant_of(dict(row)))
    rows = connection.execute(select(APP).order_by(APP.c.name)).mappings()
    return tuple(app_of(dict(row), tuple(grants.get(row["name"], ()))) for row in rows)


def _find(connection: Connection, name: str) -> StoredApp | None:
    row = connection.execute(select(APP).where(APP.c.name == name)).mappings().one_or_none()
    if row is None:
        return None
    query = select(GRANT).where(GRANT.c.app == name).order_by(GRANT.c.connector)
    grants = tuple(grant_of(dict(each)) for each in connection.execute(query).mappings())
    return app_of(dict(row), grants)


def _account_policy(connection: Connection) -> str:
    return str(connection.execute(select(ACCOUNT_POLICY.c.text)).scalar_one_or_none() or "")


def _freezes(connection: Connection) -> tuple[Freeze, ...]:
    rows = connection.execute(select(FREEZE).order_by(FREEZE.c.since)).mappings()
    return tuple(Freeze(row["app"], row["connector"], row["effect"], row["since"]) for row in rows)


def _is(app: str, connector: str, effect: str) -> ColumnElement[bool]:
    return (FREEZE.c.app == app) & (FREEZE.c.connector == connector) & (FREEZE.c.effect == effect)
