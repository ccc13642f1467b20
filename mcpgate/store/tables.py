"""The tables. Moments are RFC 3339 texts, in ledger and activity seconds; settings and such JSON texts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

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

# one row, whose number grows with every change of apps, grants, rules and freezes
CONFIG_VERSION: Final = Table(
    "config_version",
    METADATA,
    Column("one", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)

APP: Final = Table(
    "app",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("created", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("paused", Integer, nullable=False),
    Column("discovery", Integer, nullable=False),
    Column("sandbox", Integer, nullable=False),
    Column("rules", Text, nullable=False),
    Column("subject", Text, nullable=False),
)

GRANT: Final = Table(
    "app_grant",
    METADATA,
    Column("app", Text, ForeignKey("app.name", ondelete="CASCADE"), primary_key=True),
    Column("connector", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("preset", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("live", Integer, nullable=False),
    Column("tools", Text, nullable=False),
)

# the policy that holds for every app, as its text: one row at most
ACCOUNT_POLICY: Final = Table(
    "account_policy",
    METADATA,
    Column("one", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("applied", Text, nullable=False),
)

# an empty name is all of its kind
FREEZE: Final = Table(
    "freeze",
    METADATA,
    Column("app", Text, primary_key=True),
    Column("connector", Text, primary_key=True),
    Column("effect", Text, primary_key=True),
    Column("since", Text, nullable=False),
)

# what a sum looks at stands in the index, so that it touches no row
_COUNTED: Final = (
    "state",
    "currency",
    "effects",
    "category",
    "tool",
    "grant_name",
    "amount",
    "call",
    "sandbox",
)

# one row per call; seconds since the epoch here and in the activity, for sums over them
LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("call", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("app", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("grant_name", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("effects", Text, nullable=False),
    Column("args_hash", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", BigInteger),
    Column("key", Text, nullable=False),
    Column("key_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("sandbox", Integer, nullable=False),
    Index("ledger_by_app", "app", "at", *_COUNTED),
    Index("ledger_by_time", "at", *_COUNTED),
    Index("ledger_by_call", "app", "tool", "args_hash", "state", "at"),
)

# the chain: each row's mac covers the one before and every column, what is sealed by a digest in `facts`
ACTIVITY: Final = Table(
    "activity",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("call", Text, nullable=False),
    Column("app", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("grant_name", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("private", LargeBinary),
    Column("key_id", Text, nullable=False),
    Column("mac", Text, nullable=False),
    Index("activity_by_time", "at"),
    Index("activity_by_app", "app", "at"),
    Index("activity_by_call", "call"),
)
