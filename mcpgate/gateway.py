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

Steps 1 to 5 change nothing and end in a `Plan` or a refusal. From step 6 on a call is shielded from
cancellation.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpgate.activity import Row
from mcpgate.arguments import check_arguments
from mcpgate.engine.http import Backend
from mcpgate.engine.hygiene import visible
from mcpgate.errors import ArgumentsError, CredentialError, DeniedError, MCPGateError, RefusedError
from mcpgate.ledger import STATE_OF, Reservation, entries
from mcpgate.places import MISSING
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.decide import asks_lookup, decide, explain, structure
from mcpgate.policy.templates.money import amount_of
from mcpgate.secrets import Scrubber
from mcpgate.store import Store
from mcpgate.toolset import Entry, Toolset
from mcpgate.values import Decision, Fate, Finding, Json, Outcome, Reply, Request, Tool

_REUSE_SECONDS: Final = 24 * 3600.0
_BROKEN: Final[Mapping[Fate, str]] = {
    "succeeded": "The call succeeded, but mcpgate itself failed after it ({}): look at what it did.",
    "failed": "The call failed, and mcpgate itself failed after it ({}).",
    "unknown": "mcpgate itself failed after the call ({}): whether it was carried out is not known.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that was decided and could be sent."""

    entry: Entry
    call: Call
    decision: Decision
    request: Request
    args_hash: str


@dataclass(frozen=True, slots=True)
class Started:
    """What a call goes under: its id, its idempotency key, and whether an earlier call had that key."""

    call: str
    key: str = ""
    repeated: bool = False


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
            checked = self.check(entry, arguments)
            call, spent = await self.look_up(entry, checked)
            plan = self.decide(entry, call, spent)
            started = self._start(plan)
        except (RefusedError, CredentialError) as refusal:
            return self._clean(self._refuse(entry, refusal))
        except Exception as error:  # noqa: BLE001  closed, whatever failed, and nothing of it is shown
            said = f"mcpgate itself failed ({type(error).__name__}), so nothing was sent."
            return self._clean(self._refuse(entry, RefusedError(said)))
        task = asyncio.ensure_future(self._perform(plan, started))
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return self._clean(await asyncio.shield(task))

    def check(self, entry: Entry, arguments: dict[str, Json]) -> Call:
        """Steps 1 and 2; raises `DeniedError` for a tool that is denied whatever it is given, and
        `ArgumentsError`."""
        if entry.denied is not None:
            trace = tuple(step for step in entry.bound if isinstance(step, Finding))
            decision = Decision("deny", trace, entry.denied)
            raise DeniedError(explain(entry.denied), decision)
        canonical = check_arguments(entry.tool, entry.validator, arguments)
        return Call(entry.tool, canonical, now=self._clock(), settings=entry.grant.account.settings)

    async def look_up(self, entry: Entry, call: Call) -> tuple[Call, float]:
        """Step 3: the call with `before`, asked only where a rule needs it, and the seconds it took.

        Where nothing is told, the call has the reason, and the rule that needs it denies. Raises
        `CredentialError`.
        """
        lookup = entry.lookup
        if lookup is None or not asks_lookup(entry.bound, call):
            return call, 0.0
        given = {**entry.grant.account.settings, **call.arguments}
        absent = [name for name in lookup.request.names if given.get(name) is None]
        if absent:
            unknown = f"it is looked up by {' and '.join(absent)}, so give that"
            return dataclasses.replace(call, unknown=unknown), 0.0
        began = time.perf_counter()
        try:
            request = self._backend.prepare(lookup, call.arguments, entry.grant.account)
            request = dataclasses.replace(request, purpose="lookup")
            reply = await self._backend.send(request, entry.grant.account, "")
            self._write_lookup(entry, reply, began)
            problem, before = _without_excerpt(reply), reply.body
            if problem:
                facts = self._backend.shape(lookup, reply, entry.grant.account).structured or {}
                problem += f": {facts['hint'].strip(' .')}" if "hint" in facts else ""
        except CredentialError:
            raise
        except ArgumentsError as error:
            problem, before = f"{error.message} {error.hint}".strip(" ."), MISSING
        except Exception as error:  # noqa: BLE001  what it says may hold a secret
            problem, before = f"mcpgate itself failed ({type(error).__name__})", MISSING
        spent = time.perf_counter() - began
        if problem:
            return dataclasses.replace(call, unknown=f"{_said(lookup)} failed ({problem})"), spent
        return dataclasses.replace(call, before=before, unknown=f"{_said(lookup)} does not tell it"), spent

    def decide(self, entry: Entry, call: Call, spent: float = 0.0) -> Plan:
        """Steps 4 and 5, of a call on which `spent` seconds went already; raises `DeniedError`."""
        decision = decide(entry.bound, call)
        if decision.reason is not None:
            raise DeniedError(explain(decision.reason, decision.trace), decision)
        request = self._backend.prepare(entry.tool, call.arguments, entry.grant.account)
        if spent >= request.timeout:
            said = f"The lookup took all of the {request.timeout:g} s that a call may take: nothing was sent."
            raise RefusedError(said)
        left = round(request.timeout - spent, 3)
        request = dataclasses.replace(request, timeout=left, before=call.before, now=call.now)
        return Plan(entry, call, decision, request, _hash(call.arguments))

    def plan(self, entry: Entry, arguments: dict[str, Json]) -> Plan:
        """Steps 1 to 5 without the lookup, so that nothing is sent at all; raises as they do."""
        call = self.check(entry, arguments)
        if entry.lookup is not None:
            call = dataclasses.replace(
                call, unknown=f"a dry run asks {_said(entry.lookup)} only with --sandbox"
            )
        return self.decide(entry, call)

    async def close(self) -> None:
        """Wait for the calls that have started, each bounded by its timeout, and close every connection."""
        while self._started:
            await asyncio.gather(*self._started, return_exceptions=True)
        await self._backend.close()

    async def _perform(self, plan: Plan, started: Started) -> Outcome:
        """Steps 7 to 9."""
        began = time.perf_counter()
        tool, account = plan.entry.tool, plan.entry.grant.account
        request = dataclasses.replace(plan.request, key=started.key)
        reply = Reply(request, "unknown", None, {}, None, "mcpgate itself failed while sending")
        unsent: CredentialError | None = None
        try:
            reply = await self._backend.send(plan.request, account, started.key)
        except CredentialError as error:
            unsent = error
            reply = dataclasses.replace(reply, fate="failed", problem=error.message)
        except Exception as error:  # noqa: BLE001  what it says may hold a secret
            reply = dataclasses.replace(reply, problem=f"{reply.problem} ({type(error).__name__})")
        except BaseException:
            self._finish(plan, started, reply, began)
            raise
        try:
            self._finish(plan, started, reply, began)
            outcome = (
                self._backend.shape(tool, reply, account, plan.entry.mask)
                if unsent is None
                else _failed(unsent)
            )
        except Exception as error:  # noqa: BLE001  the call was made: the agent has to know what became of it
            outcome = _failed(MCPGateError(_BROKEN[reply.fate].format(type(error).__name__)))
        return _note_key(outcome, started, reply) if started.key and unsent is None else outcome

    def _start(self, plan: Plan) -> Started:
        """Step 6: reserve, and write the started row; a read does neither."""
        call_id, now, tool = str(uuid.uuid4()), self._clock(), plan.entry.tool
        if tool.category == "read":
            return Started(call_id)
        app, grant = self.toolset.app.name, plan.entry.grant.connector.name
        with self._store.transaction() as transaction:
            earlier = transaction.unknown_key(app, tool.name, plan.args_hash, now - _REUSE_SECONDS)
            key = (earlier or str(uuid.uuid4())) if plan.request.key_header else ""
            started = Started(call_id, key, repeated=bool(earlier and key))
            reserved = entries(now, app, grant, tool.name, call_id, plan.args_hash, _reservations(plan.call))
            transaction.reserve(reserved)
            transaction.write(self._row(plan, "started", started, at=now))
        return started

    def _finish(self, plan: Plan, started: Started, reply: Reply, began: float) -> None:
        """Step 8."""
        row = self._row(
            plan,
            "read" if plan.entry.tool.category == "read" else "finished",
            started,
            at=self._clock(),
            outcome=reply.fate,
            status=reply.status,
            request_id=reply.request_id,
            ms=(time.perf_counter() - began) * 1000,
            size=reply.size,
        )
        with self._store.transaction() as transaction:
            if row.kind == "finished":
                transaction.settle(started.call, STATE_OF[reply.fate])
            transaction.write(row)

    def _refuse(self, entry: Entry, refusal: MCPGateError) -> Outcome:
        decision = refusal.decision if isinstance(refusal, DeniedError) else None
        denied = decision.reason if decision is not None else None
        row = Row(
            at=self._clock(),
            kind="refused",
            call=str(uuid.uuid4()),
            app=self.toolset.app.name,
            grant=entry.grant.connector.name,
            tool=entry.tool.name,
            args_hash="",
            decision="deny",
            rule=denied.rule if denied else "arguments" if isinstance(refusal, ArgumentsError) else "failure",
        )
        try:
            with self._store.transaction() as transaction:
                transaction.write(row)
        except Exception:  # noqa: BLE001, S110  it is refused all the same
            pass
        if decision is not None and denied is not None:
            facts = structure(denied, decision.trace)
            return Outcome(refusal.message, facts, is_error=True, exit_code=refusal.exit_code)
        return _failed(refusal)

    def _write_lookup(self, entry: Entry, reply: Reply, began: float) -> None:
        row = Row(
            at=self._clock(),
            kind="lookup",
            call=str(uuid.uuid4()),
            app=self.toolset.app.name,
            grant=entry.grant.connector.name,
            tool=entry.tool.name,
            args_hash=_hash(reply.request.arguments),
            decision="allow",
            outcome=reply.fate,
            status=reply.status,
            request_id=self._scrubber.text(reply.request_id),
            ms=(time.perf_counter() - began) * 1000,
            size=reply.size,
        )
        with self._store.transaction() as transaction:
            transaction.write(row)

    def _row(self, plan: Plan, kind: Any, started: Started, **facts: Any) -> Row:
        return Row(
            kind=kind,
            call=started.call,
            app=self.toolset.app.name,
            grant=plan.entry.grant.connector.name,
            tool=plan.entry.tool.name,
            args_hash=plan.args_hash,
            decision=plan.decision.verdict,
            rule=", ".join(finding.rule for finding in plan.decision.trace if finding.verdict == "observe"),
            key=started.key,
            **self._scrubber.tree(facts),
        )

    def _clean(self, outcome: Outcome) -> Outcome:
        """The scrubber stands at the way out, whatever came before; an error shows all that it says."""
        if outcome.is_error:
            # first, for a secret that is broken up by what does not show would be whole without it
            text, structured = visible(outcome.text), visible(outcome.structured)
            outcome = dataclasses.replace(outcome, text=text, structured=structured)
        text, note = self._scrubber.text(outcome.text), self._scrubber.text(outcome.note)
        structured = self._scrubber.tree(outcome.structured)
        return dataclasses.replace(outcome, text=text, structured=structured, note=note)


def _said(lookup: Tool) -> str:
    """A lookup as it is told: `GET /charges/{charge}`."""
    return "GET " + "/".join(map(str, ("", *lookup.request.path)))


def _without_excerpt(reply: Reply) -> str:
    """What is wrong with a reply, without the beginning of what came: a lookup is the rules' alone."""
    return reply.problem if reply.status is None else reply.problem.partition(": ")[0]


def _failed(error: MCPGateError) -> Outcome:
    text = f"{error.message} {error.hint}".strip()
    facts = {"error": error.message, "hint": error.hint}
    said = {name: fact for name, fact in facts.items() if fact}
    return Outcome(text, said, is_error=True, exit_code=error.exit_code)


def _note_key(outcome: Outcome, started: Started, reply: Reply) -> Outcome:
    """What the idempotency key of a call means for the same call made before, or again."""
    notes = []
    if started.repeated:
        notes.append(
            "This call was made before and its outcome was not known, so it was sent under the same "
            f"idempotency key ({started.key}): it cannot have acted twice."
        )
    if reply.fate == "unknown":
        notes.append(
            "While this server runs, the same call made again within 24 hours is sent under the same "
            f"idempotency key ({started.key}), so that it cannot act twice."
        )
    return dataclasses.replace(outcome, note=" ".join(notes))


def _reservations(call: Call) -> list[Reservation]:
    """What a write would move by each of its effects, as far as its arguments say it."""
    try:
        amount, currency = amount_of(call)
    except UndecidableError:
        return [Reservation(effect) for effect in call.tool.effects]
    return [Reservation(effect, currency, amount) for effect in call.tool.effects]


def _hash(arguments: Mapping[str, Json]) -> str:
    text = json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
