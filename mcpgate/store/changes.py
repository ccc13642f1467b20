"""What is changed of the configuration, within one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from mcpgate.activity import Row
from mcpgate.errors import NotFoundError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.app_key import hash_of, moment, new_key
from mcpgate.store.looking import Looking
from mcpgate.store.stored import Freeze, StoredApp, app_values, check_app_name, grant_values
from mcpgate.store.tables import ACCOUNT_POLICY, APP, FREEZE, GRANT

Write: TypeAlias = Callable[[Connection, Row], None]

_ONE = 1
_MEANWHILE = "Nothing was done. Look at it again, then do it again."


class Changes:
    """What is changed within one transaction. Whoever changes something says what it was before."""

    def __init__(self, connection: Connection, write: Write, now: float, looking: Looking) -> None:
        self._connection = connection
        self._looking = looking
        self._write = write
        self._now = now
        self.made = 0

    def create(self, app: StoredApp, says: str = "") -> Secret:
        """Keep a new app; gives its key, which is nowhere else from then on."""
        check_app_name(app.name)
        if self._find(app.name) is not None:
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
        if self._looking.account_policy(self._driver) != before:
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

    @property
    def _driver(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _find(self, name: str) -> StoredApp | None:
        return self._looking.find(self._driver, name)

    def _expect(self, app: StoredApp) -> None:
        now = self._find(app.name)
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


def _is(app: str, connector: str, effect: str) -> ColumnElement[bool]:
    return (FREEZE.c.app == app) & (FREEZE.c.connector == connector) & (FREEZE.c.effect == effect)
