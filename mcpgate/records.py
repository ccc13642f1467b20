"""What is written down of a call: its rows in the activity, and its entry in the ledger. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from mcpgate.activity import Row
from mcpgate.apps import App
from mcpgate.arguments import hash_of, written
from mcpgate.errors import ArgumentsError, DeniedError, MCPGateError
from mcpgate.ledger import STATE_OF, Earlier, State
from mcpgate.ledger import Entry as Spending
from mcpgate.plan import Plan, Started
from mcpgate.toolset import Entry
from mcpgate.values import Fate, Json, Reply

_TO_MILLISECONDS: Final = 1000


def call_row(plan: Plan, started: Started, at: float, reply: Reply | None, seconds: float) -> Row:
    """A row of a call that was allowed: with its arguments before it is sent, with the reply after."""
    acts, decision = plan.entry.acts, plan.decision
    observed = [finding.rule for finding in decision.trace if finding.verdict == "observe"]
    return Row(
        at=at,
        kind="read" if not acts else "started" if reply is None else "finished",
        call=started.call,
        args_hash=plan.args_hash,
        decision=decision.verdict,
        rule=", ".join(observed),
        key=started.key,
        arguments=None if acts and reply is not None else plan.kept,
        **_of_tool(plan.entry),
        **_of_reply(reply, seconds),
    )


def refused_row(entry: Entry, refusal: MCPGateError, at: float, arguments: Mapping[str, Json] | None) -> Row:
    """The row of a call that was not sent, with its arguments where they were sound and few."""
    reason = refusal.decision.reason if isinstance(refusal, DeniedError) else None
    other = "arguments" if isinstance(refusal, ArgumentsError) else "failure"
    args_hash, kept = ("", None) if arguments is None else written(arguments, acts=False)
    return Row(
        at=at,
        kind="refused",
        call=str(uuid.uuid4()),
        args_hash=args_hash,
        decision="deny",
        rule=reason.rule if reason is not None else other,
        arguments=kept,
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
