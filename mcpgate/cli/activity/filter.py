"""Which rows of the activity are asked for, and a row as plain facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcpgate.cli.activity.moments import exact, read_moment
from mcpgate.errors import NotFoundError, UsageError
from mcpgate.spec.yaml_text import did_you_mean

if TYPE_CHECKING:
    from mcpgate.store.chain import Stored
    from mcpgate.store.reading import Asked
    from mcpgate.store.sql import SQLStore

_CALL: Final = re.compile(r"[0-9a-f-]{4,36}")


@dataclass(frozen=True, slots=True)
class Filter:
    """The flags that choose rows, as they were typed; what is empty does not matter."""

    app: str = ""
    connector: str = ""
    tool: str = ""
    decision: str = ""
    outcome: str = ""
    kind: str = ""
    since: str = ""
    until: str = ""

    def asked(self, now: float) -> Asked:
        """The same as the store takes it; raises `UsageError` for a moment that is none."""
        from mcpgate.store.reading import Asked

        since = read_moment("--since", self.since, now) if self.since else None
        until = read_moment("--until", self.until, now, whole_day=True) if self.until else None
        if since is not None and until is not None and since >= until:
            raise UsageError(f"Nothing lies between {self.since} and {self.until}.", "--since comes first.")
        return Asked(
            app=self.app,
            connector=self.connector,
            tool=self.tool,
            decision=self.decision,
            outcome=self.outcome,
            kind=self.kind,
            since=since,
            until=until,
        )


def check_app(store: SQLStore, name: str) -> None:
    """An app that is there, or was when it left a row; raises `NotFoundError`."""
    from mcpgate.cli.vaults import config
    from mcpgate.store.reading import Asked

    known = ["run", *(app.name for app in config().all())]
    if name and name not in known and not any(store.rows(Asked(app=name), 1)):
        hint = f"Known are: {', '.join(known)}."
        raise NotFoundError(f"There is no app '{name[:80]}'{did_you_mean(name[:80], known)}", hint)


def rows_of(store: SQLStore, call: str) -> list[Stored]:
    """Every row of the call whose id begins so; raises `NotFoundError`, and `UsageError` for several."""
    from mcpgate.cli.vaults import database
    from mcpgate.store.reading import Asked

    there = _CALL.fullmatch(call) and database().exists()
    found = list(store.rows(Asked(call=call))) if there else []
    if not found:
        hint = "See the calls there are: mcpgate activity"
        raise NotFoundError(f"There is no call '{call[:80]}' in the activity.", hint)
    if len({each.row.call for each in found}) > 1:
        raise UsageError(f"More than one call begins with {call}.", "Give more of its id.")
    return found


def facts(stored: Stored) -> dict[str, Any]:
    """A row as plain facts, with its place in the chain."""
    row = stored.row
    return {
        "stream": stored.stream,
        "seq": stored.seq,
        "time": exact(row.at),
        "at": row.at,
        "kind": row.kind,
        "call": row.call,
        "app": row.app,
        "subject": row.subject,
        "sandbox": row.sandbox,
        "connector": row.grant,
        "tool": row.tool,
        "decision": row.decision,
        "rule": row.rule,
        "outcome": row.outcome,
        "status": row.status,
        "ms": row.ms,
        "bytes": row.size,
        "request_id": row.request_id,
        "key": row.key,
        "says": row.says,
        "arguments": row.arguments,
        "arguments_are": stored.opened,
        "private": list(row.private),
        "args_hash": row.args_hash,
        "tool_digest": row.tool_digest,
        "policy_digest": row.policy_digest,
        "key_id": stored.key_id,
        "mac": stored.mac,
    }


def json_lines(rows: Iterable[Stored]) -> Iterator[str]:
    """Each row as one line of JSON, in which nothing moves a cursor."""
    import json

    for each in rows:
        yield json.dumps(facts(each), separators=(",", ":"))
