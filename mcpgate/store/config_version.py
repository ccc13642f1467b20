"""The number that every change of apps, grants, rules and freezes adds one to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION: Final = "SELECT version FROM config_version WHERE one = 1"
_BUMP: Final = "UPDATE config_version SET version = version + 1 WHERE one = 1"
_FIRST: Final = "INSERT INTO config_version (one, version) VALUES (1, 1)"


def bump(connection: Connection) -> None:
    """Say that the configuration has changed, in the transaction that changes it."""
    if connection.exec_driver_sql(_BUMP).rowcount == 0:
        connection.exec_driver_sql(_FIRST)
