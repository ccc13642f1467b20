"""What is written down of a call: its rows in the activity, and its entry in the ledger. Pure."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from mcpgate.activity import Kind, Row
from mcpgate.apps import App
from mcpgate.errors import ArgumentsError, DeniedError, MCPGateError
from mcpgate.ledger import STATE_OF, Earlier, State
from mcpgate.ledger import Entry as Spending
from mcpgate.toolset import Entry
from mcpgate.values import Decision, Fate, Json, Reply

_TO_MILLISECONDS: Final = 1000
_MOST_KEPT: Final = 8 * 1024


def call_row(
    entry: Entry,
    kind: Kind,
    *,
    at: float,
    call: str,
    decision: Decision,
    args_hash: str,
    arguments: Mapping[str, Json] | None = None,
    key: str = "",
    reply: Reply | None = None,
    seconds: float = 0.0,
) -> Row:
    """A row of a call that was allowed: with its arguments before it is sent, with the reply after."""
    observed = (finding.rule for finding in decision.trace if finding.verdict == "observe")
    return Row(
        at=at,
        kind=kind,
        call=call,
        args_hash=args_hash,
        decision=decision.verdict,
        rule=", ".join(observed),
        key=key,
        arguments=arguments,
        **_of_tool(entry),
        **_of_reply(reply, seconds),
    )


def kept(arguments: Mapping[str, Json], *, acts: bool) -> Mapping[str, Json] | None:
    """The arguments that a row keeps: of what moves nothing only a few, for an agent can go on for ever."""
    return arguments if acts or len(_text(arguments)) <= _MOST_KEPT else None


def refused_row(entry: Entry, refusal: MCPGateError, at: float, arguments: Mapping[str, Json] | None) -> Row:
    """The row of a call that was not sent, with its arguments where they were sound and few."""
    reason = refusal.decision.reason if isinstance(refusal, DeniedError) else None
    other = "arguments" if isinstance(refusal, ArgumentsError) else "failure"
    return Row(
        at=at,
        kind="refused",
        call=str(uuid.uuid4()),
        args_hash="" if arguments is None else hash_of(arguments),
        decision="deny",
        rule=reason.rule if reason is not None else other,
        arguments=None if arguments is None else kept(arguments, acts=False),
        **_of_tool(entry),
    )


def lookup_row(entry: Entry, at: float, reply: Reply, seconds: float) -> Row:
    """The row of what was asked for a rule."""
    return Row(
        at=at,
        kind="lookup",
        call=str(uuid.uuid4()),
        args_hash=hash_of(reply.request.arguments),
        decision="allow",
        **_of_tool(entry),
        **_of_reply(reply, seconds),
    )


def discovery_row(app: App, tool: str, at: float, *, refused: bool) -> Row:
    """The row of a question about the app itself, for which nothing is sent."""
    return Row(
        at=at,
        kind="refused" if refused else "read",
        call=str(uuid.uuid4()),
        app=app.name,
        grant="",
        tool=tool,
        args_hash="",
        decision="deny" if refused else "allow",
        rule="arguments" if refused else "",
        outcome="" if refused else "succeeded",
        subject=app.subject,
        sandbox=app.sandbox,
    )


def spending(
    entry: Entry,
    at: float,
    call: str,
    args_hash: str,
    moved: tuple[int, str] | None,
    key: str,
    earlier: Earlier | None,
) -> Spending:
    """What a call would use: `moved` is the amount and its currency, None where that is not known."""
    amount, currency = moved or (None, "")
    return Spending(
        at=at,
        app=entry.app.name,
        grant=entry.grant.connector.name,
        tool=entry.tool.name,
        category=entry.tool.category,
        effects=entry.tool.effects,
        call=call,
        args_hash=args_hash,
        currency=currency,
        amount=amount,
        key=key,
        key_at=earlier.key_at if earlier is not None else at,
        subject=entry.app.subject,
        sandbox=entry.app.sandbox,
    )


def state_of(fate: Fate, *, acts: bool, repeated: bool) -> State:
    """What becomes of a reservation; what may have acted before is not undone by a failure of its repeat."""
    state = STATE_OF[fate]
    if state == "unknown" and not acts:
        return "settled"
    return "unknown" if state == "released" and repeated else state


def hash_of(arguments: Mapping[str, Json]) -> str:
    """What the same canonical arguments are known by."""
    return hashlib.sha256(_text(arguments).encode()).hexdigest()


def _text(arguments: Mapping[str, Json]) -> str:
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _of_tool(entry: Entry) -> dict[str, Any]:
    return {
        "app": entry.app.name,
        "subject": entry.app.subject,
        "sandbox": entry.app.sandbox,
        "grant": entry.grant.connector.name,
        "tool": entry.tool.name,
        "tool_digest": entry.tool.digest,
        "policy_digest": entry.policy_digest,
        "private": entry.grant.connector.private,
    }


def _of_reply(reply: Reply | None, seconds: float) -> dict[str, Any]:
    if reply is None:
        return {}
    return {
        "outcome": reply.fate,
        "status": reply.status,
        "request_id": reply.request_id,
        "ms": seconds * _TO_MILLISECONDS,
        "size": reply.size,
    }
