"""The tables. Moments are texts of RFC 3339, settings and the like JSON as text."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

METADATA: Final = MetaData()

MASTER_KEY: Final = Table(
    "master_key",
    METADATA,
    Column("one", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("check_value", LargeBinary, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("made", Text, nullable=False),
)

CREDENTIAL: Final = Table(
    "credential",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("connector", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("origins", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("ceiling", Text, nullable=False),
    Column("connected", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("connector", "account"),
)
