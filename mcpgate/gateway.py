"""The one path of a call. Read this file first.

 1. find the tool; one that is off or denied is refused before its arguments are looked at
 2. check the arguments against the tool's own schema, and make them canonical
 3. look up what a rule needs and the arguments do not say
 4. decide
 5. build the HTTP request, which knows no secret
 6. count what was spent before, reserve in the ledger, and write the *started* row, with the idempotency key
 7. send: the credential is opened, added last, and exists only there
 8. settle the reservation and write the *finished* row
 9. shape what the agent reads

Steps 1 to 5 change nothing and end in a `Plan` or a refusal. Step 6 can still refuse, and starts over where
the configuration has changed meanwhile. From there on a call is shielded from cancellation.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpgate.activity import Row
from mcpgate.arguments import check_arguments
from mcpgate.discovery import DISCOVERY_NAMES, discover, listing_of
from mcpgate.engine.http import Backend
from mcpgate.engine.hygiene import visible
from mcpgate.errors import (
    ArgumentsError,
    CredentialError,
    DeniedError,
    MCPGateError,
    RefusedError,
    StoreError,
)
from mcpgate.ledger import Entry as Spending
from mcpgate.lookup import look_up, request_said
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.decide import asks_lookup, decide, explain, paced, structure, tallies
from mcpgate.policy.templates.money import amount_of
from mcpgate.records import (
    call_row,
    discovery_row,
    hash_of,
    kept,
    lookup_row,
    refused_row,
    spending,
    state_of,
)
from mcpgate.secrets import Scrubber
from mcpgate.store import Store, Transaction
from mcpgate.toolset import Entry, LiveToolset, Toolset
from mcpgate.values import Decision, Fate, Finding, Json, Outcome, Reply, Request

_REUSE_SECONDS: Final = 24 * 3600.0
_GUESSED: Final = "The arguments hold what looks like a credential, which no call has to hold."
_UNWRITTEN: Final = "its row could not be written, which a person has to look at: mcpgate doctor"
_BROKEN: Final[Mapping[Fate, str]] = {
    "succeeded": "The call succeeded, but mcpgate itself failed after it ({}): look at what it did.",
    "failed": "The call failed, and mcpgate itself failed after it ({}).",
    "unknown": "mcpgate itself failed after the call ({}): whether it was carried out is not known.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that was decided and could be sent; `same` is what the same call is known by in the ledger."""

    entry: Entry
    call: Call
    decision: Decision
    request: Request
    args_hash: str
    same: str


@dataclass(frozen=True, slots=True)
class Started:
    """What a call goes under: its id, its idempotency key, and whether an earlier call had that key."""

    call: str
    key: str = ""
    repeated: bool = False
    reserved: bool = False


def unwatched(row: Row) -> None:
    """Nobody wants to know of the rows that are written."""


class _ChangedError(Exception):
    """The configuration is another one than the call was decided on."""


class Gateway:
    """Takes the calls of one app from the wire to the API and back; `watch` is told every row it writes."""

    def __init__(
        self,
        toolset: Toolset | LiveToolset,
        backend: Backend,
        store: Store,
        scrubber: Scrubber,
        clock: Callable[[], float] = time.time,
        watch: Callable[[Row], None] = unwatched,
    ) -> None:
        self._live = toolset
        self._watch = watch
        self._backend = backend
        self._store = store
        self._scrubber = scrubber
        self._clock = clock
        self._started: dict[asyncio.Task[Outcome], str] = {}

    @property
    def toolset(self) -> Toolset:
        """The toolset of this moment; raises what building it raises."""
        return self._live.current()

    def listing(self) -> Any:
        """What an agent is told when it connects, as of this moment."""
        return listing_of(self.toolset)

    async def call(self, name: str, arguments: dict[str, Json]) -> Outcome:
        """One call of a tool; raises `UnknownToolError` for a tool that does not exist for this app, and what
        building its toolset raises."""
        toolset = self.toolset
        if toolset.app.discovery and name in DISCOVERY_NAMES:
            return self._discover(toolset, name, arguments)
        entry, call = toolset.find(name), None
        try:
            call = self.check(entry, arguments)
            call, spent = await self.look_up(entry, call)
            plan = self.decide(entry, call, spent)
            plan, started = self._start(plan, toolset.version)
        except _ChangedError:
            return await self.call(name, arguments)
        except (RefusedError, CredentialError) as refusal:
            return self._clean(self._refuse(entry, refusal, call))
        except StoreError as error:
            return self._clean(self._refuse(entry, error, call))
        except Exception as error:  # noqa: BLE001  closed, whatever failed, and nothing of it is shown
            said = f"mcpgate itself failed ({type(error).__name__}), so nothing was sent."
            return self._clean(self._refuse(entry, RefusedError(said), call))
        task = asyncio.ensure_future(self._perform(plan, started))
        self._started[task] = started.call
        task.add_done_callback(self._started.pop)
        return self._clean(await asyncio.shield(task))

    def check(self, entry: Entry, arguments: dict[str, Json]) -> Call:
        """Steps 1 and 2; raises `DeniedError` for a tool that is denied whatever it is given, and
        `ArgumentsError`."""
        if entry.denied is not None:
            trace = tuple(step for step in entry.bound if isinstance(step, Finding))
            decision = Decision("deny", trace, entry.denied)
            raise DeniedError(explain(entry.denied), decision)
        self._check_guess(arguments)
        canonical = check_arguments(entry.tool, entry.validator, arguments)
        return Call(entry.tool, canonical, now=self._clock(), settings=entry.grant.account.settings)

    async def look_up(self, entry: Entry, call: Call) -> tuple[Call, float]:
        """Step 3, with its row: the call as far as it is known then, and the seconds it took.

        Raises `CredentialError`, and `DeniedError` where a rate is used up: a lookup is sent as well.
        """
        if entry.counts and asks_lookup(entry.bound, call):
            self._check_pace(entry, call)
        found = await look_up(entry, call, self._backend)
        if found.reply is not None:
            self._note(lookup_row(entry, self._clock(), found.reply, found.seconds))
        return found.call, found.seconds

    def decide(self, entry: Entry, call: Call, spent: float = 0.0) -> Plan:
        """Steps 4 and 5, of a call on which `spent` seconds went already; raises `DeniedError`."""
        decision = _allowed(decide(entry.bound, call))
        request = self._backend.prepare(entry.tool, call.arguments, entry.grant.account)
        if spent >= request.timeout:
            said = f"The lookup took all of the {request.timeout:g} s that a call may take: nothing was sent."
            raise RefusedError(said)
        left = round(request.timeout - spent, 3)
        request = dataclasses.replace(request, timeout=left, before=call.before, now=call.now)
        return Plan(entry, call, decision, request, hash_of(call.arguments), _same(entry, call))

    def count(self, plan: Plan) -> Plan:
        """A plan that was held against the ledger, where nothing is entered; raises `DeniedError`."""
        if not plan.entry.counts:
            return plan
        with self._store.transaction() as transaction:
            spent = spending(plan.entry, self._clock(), "", plan.same, _moved(plan.call), "", None)
            return _counted(plan, transaction, spent)

    def plan(self, entry: Entry, arguments: dict[str, Json]) -> Plan:
        """Steps 1 to 5 without the lookup, and what was spent: nothing is sent, nothing entered; raises as
        they do."""
        call = self.check(entry, arguments)
        if entry.lookup is not None:
            call = dataclasses.replace(
                call, unknown=f"a dry run asks {request_said(entry.lookup)} only with --sandbox"
            )
        return self.count(self.decide(entry, call))

    async def finish(self) -> None:
        """Wait for the calls that have started, each bounded by its timeout."""
        while self._started:
            await asyncio.gather(*self._started, return_exceptions=True)

    async def close(self) -> None:
        """The same, and close every connection."""
        await self.finish()
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
            self._finish(plan, started, reply, time.perf_counter() - began)
            raise
        try:
            self._finish(plan, started, reply, time.perf_counter() - began)
            outcome = (
                self._backend.shape(tool, reply, account, plan.entry.mask)
                if unsent is None
                else _failed(unsent)
            )
        except Exception as error:  # noqa: BLE001  the call was made: the agent has to know what became of it
            what = _UNWRITTEN if isinstance(error, StoreError) else type(error).__name__
            outcome = _failed(MCPGateError(_BROKEN[reply.fate].format(what)))
        return _note_key(outcome, started, reply) if started.key and unsent is None else outcome

    def _start(self, plan: Plan, version: int) -> tuple[Plan, Started]:
        """Step 6; a read is entered only where a rule counts it, for it moves nothing.

        Raises `DeniedError` for what is spent already, and `_ChangedError`.
        """
        entry, call_id = plan.entry, str(uuid.uuid4())
        if not entry.acts and not entry.counts:
            return plan, Started(call_id)
        with self._store.transaction(durable=entry.acts) as transaction:
            if transaction.version() != version:
                raise _ChangedError
            now, key, earlier = self._clock(), "", None
            if entry.acts and plan.request.key_header:
                since = now - _REUSE_SECONDS
                earlier = transaction.take_over(
                    entry.app.name, entry.tool.name, plan.same, since, self._started.values()
                )
                key = earlier.key if earlier is not None else str(uuid.uuid4())
            spent = spending(entry, now, call_id, plan.same, _moved(plan.call), key, earlier)
            if entry.counts:
                plan = _counted(plan, transaction, spent)
            transaction.reserve(spent)
            started = Started(call_id, key, repeated=earlier is not None, reserved=True)
            row = self._row(plan, started, now)
            if entry.acts:
                transaction.write(row)
        if entry.acts:
            self._watch(row)
        return plan, started

    def _finish(self, plan: Plan, started: Started, reply: Reply, seconds: float) -> None:
        """Step 8."""
        acts = plan.entry.acts
        row = self._row(plan, started, self._clock(), reply, seconds)
        with self._store.transaction() as transaction:
            if started.reserved:
                state = state_of(reply.fate, acts=acts, repeated=started.repeated)
                transaction.settle(started.call, state)
            transaction.write(row)
        self._watch(row)

    def _row(
        self, plan: Plan, started: Started, at: float, reply: Reply | None = None, seconds: float = 0.0
    ) -> Row:
        """The row of a read, or the first or the second one of a call that acts."""
        acts = plan.entry.acts
        row = call_row(
            plan.entry,
            "read" if not acts else "started" if reply is None else "finished",
            at=at,
            call=started.call,
            decision=plan.decision,
            args_hash=plan.args_hash,
            arguments=None if acts and reply is not None else kept(plan.call.arguments, acts=acts),
            key=started.key,
            reply=reply,
            seconds=seconds,
        )
        return self._scrubbed(row)

    def _refuse(self, entry: Entry, refusal: MCPGateError, call: Call | None) -> Outcome:
        arguments = None if call is None else call.arguments
        self._note_if_possible(refused_row(entry, refusal, self._clock(), arguments))
        if isinstance(refusal, DeniedError) and refusal.decision.reason is not None:
            facts = structure(refusal.decision.reason, refusal.decision.trace)
            return Outcome(refusal.message, facts, is_error=True, exit_code=refusal.exit_code)
        return _failed(refusal)

    def _discover(self, toolset: Toolset, name: str, arguments: dict[str, Json]) -> Outcome:
        """A question about the app itself: nothing is sent for it."""
        try:
            self._check_guess(arguments)
            outcome = discover(toolset, name, arguments)
        except RefusedError as refusal:
            outcome = _failed(refusal)
        self._note_if_possible(discovery_row(toolset.app, name, self._clock(), refused=outcome.is_error))
        return self._clean(outcome)

    def _check_pace(self, entry: Entry, call: Call) -> None:
        rules = paced(entry.bound)
        with self._store.transaction() as transaction:
            spent = spending(entry, self._clock(), "", _same(entry, call), None, "", None)
            found = {tally: transaction.spent(tally, spent) for tally in tallies(rules, call)}
        _allowed(decide(rules, call, found.__getitem__))

    def _check_guess(self, arguments: dict[str, Json]) -> None:
        """Nothing that an agent gives is scrubbed in what it reads: by the mask it would learn, letter by
        letter, how much of a guess is right. Raises `ArgumentsError`."""
        if self._scrubber.shows(arguments):
            raise ArgumentsError(_GUESSED, "Leave it out: mcpgate adds it by itself.")

    def _note(self, row: Row) -> None:
        row = self._scrubbed(row)
        with self._store.transaction() as transaction:
            transaction.write(row)
        self._watch(row)

    def _note_if_possible(self, row: Row) -> None:
        """Write the row of a call that was not sent: it stays unsent, whether that can be written or not."""
        try:
            self._note(row)
        except Exception:  # noqa: BLE001, S110
            pass

    def _scrubbed(self, row: Row) -> Row:
        arguments = None if row.arguments is None else self._scrubber.tree(dict(row.arguments))
        return dataclasses.replace(row, request_id=self._scrubber.text(row.request_id), arguments=arguments)

    def _clean(self, outcome: Outcome) -> Outcome:
        """The scrubber stands at the way out, whatever came before; an error shows all that it says."""
        if outcome.is_error:
            # first, for a secret that is broken up by what does not show would be whole without it
            text, structured = visible(outcome.text), visible(outcome.structured)
            outcome = dataclasses.replace(outcome, text=text, structured=structured)
        text, note = self._scrubber.text(outcome.text), self._scrubber.text(outcome.note)
        structured = self._scrubber.tree(outcome.structured)
        return dataclasses.replace(outcome, text=text, structured=structured, note=note)


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
            "The same call made again within 24 hours is sent under the same "
            f"idempotency key ({started.key}), so that it cannot act twice."
        )
    return dataclasses.replace(outcome, note=" ".join(notes))


def _same(entry: Entry, call: Call) -> str:
    """What the same call is known by: its key says nothing of one on another account, or in the sandbox."""
    account = entry.grant.account
    where = [account.origin, account.name, entry.app.sandbox]
    return hash_of({"where": where, "arguments": call.arguments})


def _counted(plan: Plan, transaction: Transaction, spent: Spending) -> Plan:
    """A plan that was held against the ledger; raises `DeniedError`."""
    entry, call = plan.entry, plan.call
    # asked before the rules: what a rule raises denies by that rule, and a store that fails is no rule
    found = {tally: transaction.spent(tally, spent) for tally in tallies(entry.bound, call)}
    decision = decide(entry.bound, call, found.__getitem__)
    return dataclasses.replace(plan, decision=_allowed(decision))


def _allowed(decision: Decision) -> Decision:
    """The decision of a call that may go on; raises `DeniedError`."""
    if decision.reason is not None:
        raise DeniedError(explain(decision.reason, decision.trace), decision)
    return decision


def _moved(call: Call) -> tuple[int, str] | None:
    """What a call would move, where that is known."""
    try:
        return amount_of(call)
    except UndecidableError:
        return None
