"""The number that every change of apps, grants, rules and freezes adds one to."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert, select, update

from mcpgate.store.tables import CONFIG_VERSION

_ONE: Final = CONFIG_VERSION.c.one == 1
VERSION: Final = select(CONFIG_VERSION.c.version).where(_ONE)


def bump(connection: Connection) -> None:
    """Say that the configuration has changed, in the transaction that changes it."""
    changed = update(CONFIG_VERSION).where(_ONE).values(version=CONFIG_VERSION.c.version + 1)
    if connection.execute(changed).rowcount == 0:
        connection.execute(insert(CONFIG_VERSION).values(one=1, version=1))
