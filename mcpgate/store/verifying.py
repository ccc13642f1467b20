"""Whether the log is as it was written: every row in its place, and nothing gone but what it says so of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hmac import compare_digest
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, exists, func, select

from mcpgate.activity import Kind
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.chain import digest, mac
from mcpgate.store.tables import ACTIVITY, LEDGER

Head = tuple[int, str]
"""A row by its number and its mac."""
_C: Final = ACTIVITY.c
_NONE: Final[Head] = (0, "")
_AT_ONCE: Final = 500
_CUT: Final = "the log was cut short or written anew: the row that was kept elsewhere is not in it"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of a stream under one key, or without any where `key_id` is empty."""

    stream: str
    first: int
    last: int
    key_id: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where the log is not as it was written, and what is wrong there."""

    stream: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls of the ledger, and the first of them."""

    count: int
    first: str
    at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: rows, the head and the beginning of each stream, and the first broken place.

    Calls of the ledger that are `unlogged` have no row, though none was pruned from their time; those
    `given_back` were released, though the log says that they succeeded, and not that a person did that.
    `unchecked` rows are under a key that is not at hand: nobody can say who has written them. A head that was
    kept elsewhere was *met*, *missing*, or *pruned* since, so that it proves nothing any more.
    """

    count: int
    unchecked: int
    heads: Mapping[str, Head]
    starts: Mapping[str, Head]
    stretches: tuple[Stretch, ...]
    expected: Literal["", "met", "pruned", "missing"]
    broken: Broken | None
    unlogged: Calls | None = None
    given_back: Calls | None = None

    @property
    def changed(self) -> bool:
        """Whether log or ledger is not as it was written."""
        return any(fault is not None for fault in (self.broken, self.unlogged, self.given_back))


def verify(connection: Connection, key: ActivityKey | None, expected: Head | None) -> Verdict:
    """Go through the whole log; `expected` is a head that was kept elsewhere."""
    check = _Check(key, dict(_starts(connection)))
    found = connection.execute(select(ACTIVITY).order_by(ACTIVITY.c.stream, ACTIVITY.c.seq))
    broken = None
    for row in found.yield_per(_AT_ONCE).mappings():
        fault = check.fault(dict(row), expected)
        if fault:
            broken = Broken(str(row["stream"]), row["seq"], fault)
            break
    verdict = check.verdict(broken, expected)
    if broken is not None:
        # what was pruned may be told of only after that place
        return verdict
    unlogged = _first(connection, check.pruned, LEDGER.c.category != "read", ~_has("started"))
    released = (LEDGER.c.state == "released", _has("finished", _C.outcome == "succeeded"), ~_has("changed"))
    return replace(verdict, unlogged=unlogged, given_back=_first(connection, check.pruned, *released))


@dataclass(slots=True)
class _Start:
    """Where a stream begins since it was pruned, by the row that says so."""

    head: Head
    said_by: tuple[str, int]


@dataclass(slots=True)
class _Check:
    """What is known so far, row after row."""

    key: ActivityKey | None
    starts: dict[str, _Start]
    count: int = 0
    unchecked: int = 0
    met: bool = False
    pruned: float = float("-inf")
    heads: dict[str, Head] = field(default_factory=dict)
    firsts: dict[str, int] = field(default_factory=dict)
    keyed: set[str] = field(default_factory=set)
    stretches: list[Stretch] = field(default_factory=list)
    trusted: set[tuple[str, int]] = field(default_factory=set)
    gone: set[tuple[str, int]] = field(default_factory=set)
    erased: set[tuple[str, int]] = field(default_factory=set)

    def fault(self, row: Mapping[str, Any], expected: Head | None) -> str:
        """What is wrong with a row; nothing where it is the one to come."""
        stream, seq = row["stream"], row["seq"]
        last, before = self.heads.get(stream) or self._start(stream)
        if seq != last + 1:
            return f"rows are missing: after {last} comes {seq}" if type(seq) is int else "its number is none"
        try:
            facts = json.loads(row["facts"])
            fault = self._changed(row, before, facts) or self._lost(row, facts)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fault = "it was changed"
        if fault:
            return fault
        self.count += 1
        self.heads[stream] = (seq, row["mac"])
        self.firsts.setdefault(stream, seq)
        self.met = self.met or (expected is not None and self.heads[stream] == expected)
        self._stretch(stream, seq, row["key_id"])
        return ""

    def verdict(self, broken: Broken | None, expected: Head | None) -> Verdict:
        """What came of it, once there are no more rows."""
        starts = {stream: self._start(stream) for stream in self.heads}
        found: Literal["", "met", "pruned", "missing"] = "missing"
        broken = broken or self._unvouched()
        if expected is None:
            found = ""
        elif self.met or expected in starts.values():
            found = "met"
        elif any(seq > expected[0] for seq, _ in starts.values()):
            found = "pruned"
        elif broken is None:
            broken = Broken("", expected[0], _CUT)
        return Verdict(self.count, self.unchecked, self.heads, starts, tuple(self.stretches), found, broken)

    def _start(self, stream: str) -> Head:
        start = self.starts.get(stream)
        return _NONE if start is None else start.head

    def _changed(self, row: Mapping[str, Any], before: str, facts: dict[str, Any]) -> str:
        if row["key_id"] and (self.key is None or row["key_id"] != self.key.id):
            if self.key is not None:
                return "it is under another key"
            self.unchecked += 1
            return ""
        made = mac(self.key if row["key_id"] else None, before, row)
        return "" if compare_digest(made, row["mac"]) else "it was changed"

    def _lost(self, row: Mapping[str, Any], facts: dict[str, Any]) -> str:
        """What is sealed, and what a row says of others."""
        if digest(row["sealed"]) != facts.get("sealed", ""):
            return "its arguments were changed or taken out"
        place = (row["stream"], row["seq"])
        if row["private"] is None and facts.get("private"):
            self.gone.add(place)
        elif digest(row["private"]) != facts.get("private", ""):
            return "its personal data were changed"
        if row["key_id"]:
            self.keyed.add(row["stream"])
        # once there is a key, what anyone can write excuses nothing
        if row["key_id"] or row["stream"] not in self.keyed:
            self.trusted.add(place)
            if row["kind"] == "pruned":
                self.pruned = max(self.pruned, float(facts.get("before", row["at"])))
            for stream, ranges in facts.get("erased", {}).items():
                for first, last in ranges:
                    self.erased.update((stream, seq) for seq in range(first, last + 1))
        return ""

    def _stretch(self, stream: str, seq: int, key_id: str) -> None:
        last = self.stretches[-1] if self.stretches else None
        if last is not None and (last.stream, last.key_id) == (stream, key_id):
            self.stretches[-1] = Stretch(stream, last.first, seq, key_id)
        else:
            self.stretches.append(Stretch(stream, seq, seq, key_id))

    def _unvouched(self) -> Broken | None:
        """What is gone, and no row that can be trusted says that a person took it out."""
        for stream, seq in self.firsts.items():
            if seq > 1 and self.starts[stream].said_by not in self.trusted:
                return Broken(stream, seq, "the rows before it were taken out")
        for stream, seq in sorted(self.gone - self.erased):
            return Broken(stream, seq, "its personal data were taken out")
        return None


def _starts(connection: Connection) -> Iterator[tuple[str, _Start]]:
    """Where the streams begin, as the latest rows about it say; they are held against the chain later."""
    rows = select(ACTIVITY.c.stream, ACTIVITY.c.seq, ACTIVITY.c.facts).where(ACTIVITY.c.kind == "pruned")
    latest: dict[str, _Start] = {}
    for by, number, text in connection.execute(rows):
        try:
            for stream, (seq, before) in json.loads(text)["pruned"].items():
                if stream not in latest or seq > latest[stream].head[0]:
                    latest[stream] = _Start((int(seq), str(before)), (by, number))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue  # the chain breaks there
    yield from latest.items()


def _has(kind: Kind, *also: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a call of the ledger has such a row."""
    return exists().where(_C.call == LEDGER.c.call, _C.kind == kind, *also)


def _first(connection: Connection, since: float, *which: ColumnElement[bool]) -> Calls | None:
    """The calls of the ledger that are so, of those from which no row was pruned."""
    chosen = select(func.count().over(), LEDGER.c.call, LEDGER.c.at).where(*which)
    if since > float("-inf"):
        chosen = chosen.where(LEDGER.c.at >= since)
    found = connection.execute(chosen.order_by(LEDGER.c.at, LEDGER.c.call).limit(1)).first()
    return None if found is None else Calls(*found)
