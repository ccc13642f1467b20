"""The one path of a call. Read this file first.

 1. find the tool; one that is off or denied is refused before its arguments are looked at
 2. check the arguments against the tool's own schema, and make them canonical
 3. look up what a rule needs and the arguments do not say
 4. decide
 5. build the HTTP request, which knows no secret
 6. reserve in the ledger and write the *started* row, with the idempotency key
 7. send: the credential is opened, added last, and exists only there
 8. settle the reservation and write the *finished* row
 9. shape what the agent reads

Steps 1 to 5 change nothing and end in a `Plan` or a refusal. From step 6 on the call is shielded from cancellation.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from mcpgate.activity import Row
from mcpgate.arguments import check_arguments
from mcpgate.engine.http import Backend
from mcpgate.errors import DeniedError, MCPGateError, RefusedError
from mcpgate.ledger import STATE_OF, Reservation, entries
from mcpgate.places import MISSING
from mcpgate.policy.checks import Call, UndecidableError, amount_of
from mcpgate.policy.decide import decide, explain, structure
from mcpgate.secrets import Scrubber
from mcpgate.store import Store
from mcpgate.toolset import Entry, Toolset
from mcpgate.values import Decision, Finding, Json, Outcome, Reply, Request

_REUSE_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that was decided and could be sent."""

    entry: Entry
    call: Call
    decision: Decision
    request: Request
    args_hash: str


class Gateway:
    """Takes the calls of one app from the wire to the API and back."""

    def __init__(
        self,
        toolset: Toolset,
        backend: Backend,
        store: Store,
        scrubber: Scrubber,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.toolset = toolset
        self._backend = backend
        self._store = store
        self._scrubber = scrubber
        self._clock = clock
        self._started: set[asyncio.Task[Outcome]] = set()

    async def call(self, name: str, arguments: dict[str, Json]) -> Outcome:
        """One call of a tool; raises `UnknownToolError` for a tool that does not exist for this app."""
        entry = self.toolset.find(name)
        try:
            plan = self.plan(entry, arguments)
        except RefusedError as refusal:
            return self._clean(self._refuse(entry, refusal))
        task = asyncio.ensure_future(self._perform(plan))
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return self._clean(await asyncio.shield(task))

    def plan(self, entry: Entry, arguments: dict[str, Json]) -> Plan:
        """Steps 1 to 5, which change nothing; raises `DeniedError` or `ArgumentsError`."""
        if entry.denied is not None:
            trace = tuple(step for step in entry.bound if isinstance(step, Finding))
            decision = Decision("deny", trace, entry.denied)
            raise DeniedError(explain(entry.denied), decision)
        canonical = check_arguments(entry.tool, entry.validator, arguments)
        call = Call(entry.tool, canonical, before=MISSING)
        decision = decide(entry.bound, call)
        if decision.reason is not None:
            raise DeniedError(explain(decision.reason), decision)
        request = self._backend.prepare(entry.tool, canonical, entry.grant.account)
        return Plan(entry, call, decision, request, _hash(canonical))

    async def close(self) -> None:
        """Wait for the calls that have started, each bounded by its own timeout, and close every connection."""
        while self._started:
            await asyncio.gather(*self._started, return_exceptions=True)
        await self._backend.close()

    async def _perform(self, plan: Plan) -> Outcome:
        """Steps 6 to 9."""
        began = time.perf_counter()
        call_id, key, repeated = self._start(plan)
        account = plan.entry.grant.account
        try:
            reply = await self._backend.send(plan.request, account, key)
        except MCPGateError as error:
            self._finish(plan, call_id, Reply(plan.request, "failed", None, {}, None, error.message), began)
            return _failed(error)
        except BaseException:
            broken = Reply(plan.request, "unknown", None, {}, None, "mcpgate itself failed while sending")
            self._finish(plan, call_id, broken, began)
            raise
        self._finish(plan, call_id, reply, began)
        outcome = self._backend.shape(plan.entry.tool, reply, account)
        return _note_repeated(outcome, key) if repeated else outcome

    def _start(self, plan: Plan) -> tuple[str, str, bool]:
        """Reserve and write the started row; gives the call's id, its key, and whether that key was used before."""
        call_id, now, tool = str(uuid.uuid4()), self._clock(), plan.entry.tool
        if tool.category == "read":
            return call_id, "", False
        app, grant = self.toolset.app.name, plan.entry.grant.connector.name
        with self._store.transaction() as transaction:
            earlier = transaction.unknown_key(app, tool.name, plan.args_hash, now - _REUSE_SECONDS)
            key = (earlier or str(uuid.uuid4())) if plan.request.key_header else ""
            reserved = entries(now, app, grant, tool.name, call_id, plan.args_hash, _reservations(plan.call))
            transaction.reserve(reserved)
            transaction.write(self._row(plan, "started", call_id, at=now, key=key))
        return call_id, key, bool(earlier and key)

    def _finish(self, plan: Plan, call_id: str, reply: Reply, began: float) -> None:
        row = self._row(
            plan,
            "read" if plan.entry.tool.category == "read" else "finished",
            call_id,
            at=self._clock(),
            outcome=reply.fate,
            status=reply.status,
            request_id=reply.request_id,
            key=reply.request.key,
            ms=(time.perf_counter() - began) * 1000,
            size=reply.size,
        )
        with self._store.transaction() as transaction:
            if row.kind == "finished":
                transaction.settle(call_id, STATE_OF[reply.fate])
            transaction.write(row)

    def _refuse(self, entry: Entry, refusal: RefusedError) -> Outcome:
        denied = refusal.decision.reason if isinstance(refusal, DeniedError) else None
        row = Row(
            at=self._clock(),
            kind="refused",
            call=str(uuid.uuid4()),
            app=self.toolset.app.name,
            grant=entry.grant.connector.name,
            tool=entry.tool.name,
            args_hash="",
            decision="deny",
            rule=denied.rule if denied else "arguments",
        )
        with self._store.transaction() as transaction:
            transaction.write(row)
        if denied is not None:
            return Outcome(refusal.message, structure(denied), is_error=True)
        return _failed(refusal)

    def _row(self, plan: Plan, kind: Any, call_id: str, **facts: Any) -> Row:
        return Row(
            kind=kind,
            call=call_id,
            app=self.toolset.app.name,
            grant=plan.entry.grant.connector.name,
            tool=plan.entry.tool.name,
            args_hash=plan.args_hash,
            decision=plan.decision.verdict,
            rule=", ".join(finding.rule for finding in plan.decision.trace if finding.verdict == "observe"),
            **facts,
        )

    def _clean(self, outcome: Outcome) -> Outcome:
        """The scrubber stands at the way out, whatever came before."""
        return dataclasses.replace(
            outcome, text=self._scrubber.text(outcome.text), structured=self._scrubber.tree(outcome.structured)
        )


def _failed(error: MCPGateError) -> Outcome:
    text = f"{error.message} {error.hint}".strip()
    facts = {"error": error.message, "hint": error.hint}
    return Outcome(text, {name: fact for name, fact in facts.items() if fact}, is_error=True)


def _note_repeated(outcome: Outcome, key: str) -> Outcome:
    note = (
        f"This call was made before and its outcome was not known, so it was sent under the same idempotency "
        f"key ({key}): it cannot have acted twice."
    )
    return dataclasses.replace(outcome, note=note)


def _reservations(call: Call) -> list[Reservation]:
    """What a write would move by each of its effects, as far as its arguments say it."""
    try:
        amount, currency = amount_of(call)
    except UndecidableError:
        return [Reservation(effect) for effect in call.tool.effects]
    return [Reservation(effect, currency, amount) for effect in call.tool.effects]


def _hash(arguments: dict[str, Json]) -> str:
    text = json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
