"""The chain: every row of the log has a mac over all that it says and over the mac of the row before it.

With the activity's key it is an HMAC, which nobody makes who has the database alone; without, a digest, which
shows an accident. What is sealed counts by its digest, so that it can be erased and the chain still holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from operator import attrgetter, itemgetter
from typing import Any, Final

from mcpgate.activity import Row
from mcpgate.store import arguments
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.arguments import Opened
from mcpgate.store.statement import Statement, insertion

_OF_HEAD: Final = "SELECT seq, mac FROM activity WHERE stream = :stream ORDER BY seq DESC LIMIT 1"
_KEYED: Final = "SELECT key_id FROM activity WHERE key_id != '' LIMIT 1"
_COLUMNS: Final = ("at", "kind", "call", "app", "subject", "tool", "decision", "outcome")
_COVERED: Final = ("stream", "seq", *_COLUMNS, "grant_name", "facts", "key_id")
_INSERT: Final = insertion("activity", (*_COVERED, "sealed", "private", "mac"))
_IN_FACTS: Final = tuple(
    field.name
    for field in fields(Row)
    if field.name not in (*_COLUMNS, "grant", "args_hash", "arguments", "private")
)
_columns_of: Final = attrgetter(*_COLUMNS)
_facts_of: Final = attrgetter(*_IN_FACTS)
_covered_of: Final = itemgetter(*_COVERED)


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it lies in the log: the `seq`th of its stream; `opened` says what became of its arguments."""

    stream: str
    seq: int
    mac: str
    key_id: str
    opened: Opened
    row: Row


class Chain:
    """Adds rows to a stream; the transaction is the caller's."""

    def __init__(self, stream: str, mark: str) -> None:
        self._stream = stream
        self._head = Statement(_OF_HEAD, mark)
        self._insert = Statement(_INSERT, mark)
        self._keyed = Statement(_KEYED, mark)

    def append(
        self, connection: Any, key: ActivityKey | None, row: Row, vouched: Mapping[str, Any] | None = None
    ) -> None:
        """Add a row; `vouched` is what it says of other rows of the log, for `verify`."""
        columns = {"stream": self._stream, **_columns(key, row, vouched or {})}
        head = self._head.rows(connection, stream=self._stream)
        before, columns["seq"] = (head[0][1], head[0][0] + 1) if head else ("", 1)
        columns["mac"] = mac(key, before, columns)
        self._insert.change(connection, **columns)

    def keyed(self, connection: Any) -> bool:
        """Whether any row of the log is under a key."""
        return bool(self._keyed.rows(connection))


def mac(key: ActivityKey | None, before: str, columns: Mapping[str, Any]) -> str:
    """The mac of a row, given the one before it."""
    text = json.dumps([before, *_covered_of(columns)]).encode()
    return sha256(text).hexdigest() if key is None else key.mac(text)


def digest(blob: bytes | None) -> str:
    """By what something sealed counts."""
    return "" if blob is None else sha256(blob).hexdigest()


def hidden(key: ActivityKey | None, args_hash: str) -> str:
    """The digest of arguments as it is stored."""
    return key.digest(args_hash) if key is not None and args_hash else args_hash


def stored(columns: Mapping[str, Any], key: ActivityKey | None) -> Stored:
    """A row as it was written."""
    facts = json.loads(columns["facts"])
    opened, given, names = arguments.unseal(key, columns["call"], columns["sealed"], columns["private"])
    if columns["sealed"] is None and facts.get("empty"):
        opened, given = "whole", {}
    row = Row(
        **{name: columns[name] for name in _COLUMNS},
        grant=columns["grant_name"],
        args_hash=facts.get("args_hash", ""),
        **{name: facts[name] for name in _IN_FACTS if name in facts},
        arguments=given,
        private=names,
    )
    return Stored(columns["stream"], columns["seq"], columns["mac"], columns["key_id"], opened, row)


def _columns(key: ActivityKey | None, row: Row, vouched: Mapping[str, Any]) -> dict[str, Any]:
    sealed, private = None, None
    if key is not None and row.arguments:
        sealed, private = arguments.seal(key, row.call, row.arguments, row.private)
    facts = {
        "args_hash": hidden(key, row.args_hash),
        **dict(zip(_IN_FACTS, _facts_of(row), strict=True)),
        "sealed": digest(sealed),
        "private": digest(private),
        # there is nothing to seal: a sealed one shows by its length that it is none
        "empty": (key is not None and row.arguments == {}) or None,
        **vouched,
    }
    return {
        **dict(zip(_COLUMNS, _columns_of(row), strict=True)),
        "grant_name": row.grant,
        "facts": json.dumps({name: fact for name, fact in facts.items() if fact not in ("", None)}),
        "sealed": sealed,
        "private": private,
        "key_id": "" if key is None else key.id,
    }
