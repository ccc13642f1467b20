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
the configuration has changed meanwhile. A lookup that is sent, and a call that acts and has started, go on
though their caller gives up; a read is given up then, and its row says so.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from mcpgate import answers
from mcpgate.activity import Row
from mcpgate.arguments import check_arguments, written
from mcpgate.discovery import DISCOVERY_NAMES, discover, listing_of
from mcpgate.engine.http import Backend
from mcpgate.errors import ArgumentsError, CredentialError, MCPGateError, RefusedError, StoreError
from mcpgate.journal import Journal
from mcpgate.lookup import look_up, request_said
from mcpgate.plan import Plan, Started, allowed, check_denied, counted, moved, same
from mcpgate.policy.call import Call
from mcpgate.policy.decide import asks_lookup, decide, paced
from mcpgate.records import spending, state_of
from mcpgate.secrets import Scrubber
from mcpgate.store import Store
from mcpgate.toolset import Entry, LiveToolset, Toolset
from mcpgate.values import Json, Outcome, Reply

_REUSE_SECONDS: Final = 24 * 3600.0
_GUESSED: Final = "The arguments hold what looks like a credential, which no call has to hold."
# a call that acts goes on without its caller, so it is counted here too, and not only where it came in
_MOST_UNDER_WAY: Final = 200
_FULL: Final = f"There are {_MOST_UNDER_WAY} calls under way: nothing was sent."
_SENDING: Final = "mcpgate itself failed while sending"

Result = TypeVar("Result")


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
        self._backend = backend
        self._store = store
        self._scrubber = scrubber
        self._clock = clock
        self._journal = Journal(store, scrubber, clock, watch)
        self._started: dict[asyncio.Task[Any], str] = {}

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
            looking_up = self.look_up(entry, call)
            if entry.lookup is not None:
                looking_up = self._shielded(looking_up)
            call, spent = await looking_up
            plan = self.decide(entry, call, spent)
            plan, started = self._start(plan, toolset.version)
        except _ChangedError:
            return await self.call(name, arguments)
        except (RefusedError, CredentialError, StoreError) as refusal:
            return self._refuse(entry, refusal, call)
        except Exception as error:  # noqa: BLE001  closed, whatever failed, and nothing of it is shown
            said = f"mcpgate itself failed ({type(error).__name__}), so nothing was sent."
            return self._refuse(entry, RefusedError(said), call)
        if not entry.acts:
            return answers.clean(await self._perform(plan, started), self._scrubber)
        outcome = await self._shielded(self._perform(plan, started), started.call)
        return answers.clean(outcome, self._scrubber)

    def check(self, entry: Entry, arguments: dict[str, Json]) -> Call:
        """Steps 1 and 2; raises `DeniedError` for a tool that is denied whatever it is given, and
        `ArgumentsError`."""
        check_denied(entry)
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
            self._journal.looked_up(entry, found.reply, found.seconds)
        return found.call, found.seconds

    def decide(self, entry: Entry, call: Call, spent: float = 0.0) -> Plan:
        """Steps 4 and 5, of a call on which `spent` seconds went already; raises `DeniedError`."""
        decision = allowed(decide(entry.bound, call))
        request = self._backend.prepare(entry.tool, call.arguments, entry.grant.account)
        if spent >= request.timeout:
            said = f"The lookup took all of the {request.timeout:g} s that a call may take: nothing was sent."
            raise RefusedError(said)
        left = round(request.timeout - spent, 3)
        request = dataclasses.replace(request, timeout=left, before=call.before, now=call.now)
        return Plan(entry, call, decision, request, *written(call.arguments, acts=entry.acts))

    def count(self, plan: Plan) -> Plan:
        """A plan that was held against the ledger, where nothing is entered; raises `DeniedError`."""
        entry, call = plan.entry, plan.call
        if not entry.counts:
            return plan
        with self._store.transaction() as transaction:
            spent = spending(entry, self._clock(), "", same(entry, call), moved(call), "", None)
            decision = counted(entry.bound, call, lambda tally: transaction.spent(tally, spent))
        return dataclasses.replace(plan, decision=decision)

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
        """Wait for the calls that act and have started, each bounded by its timeout."""
        while self._started:
            await asyncio.gather(*self._started, return_exceptions=True)

    async def close(self) -> None:
        """The same, and close every connection."""
        await self.finish()
        await self._backend.close()

    async def _shielded(self, step: Coroutine[Any, Any, Result], call: str = "") -> Result:
        """What goes on though its caller gives up, and is waited for at the end."""
        task = asyncio.ensure_future(step)
        self._started[task] = call
        task.add_done_callback(self._started.pop)
        return await asyncio.shield(task)

    async def _perform(self, plan: Plan, started: Started) -> Outcome:
        """Steps 7 to 9."""
        began = time.perf_counter()
        tool, account, unsent = plan.entry.tool, plan.entry.grant.account, None
        try:
            reply = await self._backend.send(plan.request, account, started.key)
        except CredentialError as error:
            unsent, reply = error, plan.unanswered(started, error.message, "failed")
        except Exception as error:  # noqa: BLE001  what it says may hold a secret
            reply = plan.unanswered(started, f"{_SENDING} ({type(error).__name__})")
        except BaseException:
            self._finish(plan, started, plan.unanswered(started, _SENDING), time.perf_counter() - began)
            raise
        try:
            self._finish(plan, started, reply, time.perf_counter() - began)
            if unsent is not None:
                return answers.refused(unsent)
            outcome = self._backend.shape(tool, reply, account, plan.entry.mask)
        except Exception as error:  # noqa: BLE001  the call was made: the agent has to know what became of it
            outcome = answers.broken(reply.fate, error)
        return answers.with_key(outcome, started, reply) if started.key and unsent is None else outcome

    def _start(self, plan: Plan, version: int) -> tuple[Plan, Started]:
        """Step 6; a read is entered only where a rule counts it, for it moves nothing.

        Raises `DeniedError` for what is spent already, and `_ChangedError`.
        """
        entry, call_id = plan.entry, str(uuid.uuid4())
        if not entry.acts and not entry.counts:
            return plan, Started(call_id)
        if entry.acts and len(self._started) >= _MOST_UNDER_WAY:
            raise RefusedError(_FULL, "Wait for their answers, then try again.")
        known_by = same(entry, plan.call)
        with self._store.transaction(durable=entry.acts) as transaction:
            if transaction.version() != version:
                raise _ChangedError
            now, key, earlier = self._clock(), "", None
            if entry.acts and plan.request.key_header:
                since, under_way = now - _REUSE_SECONDS, self._started.values()
                earlier = transaction.take_over(entry.app.name, entry.tool.name, known_by, since, under_way)
                key = earlier.key if earlier is not None else str(uuid.uuid4())
            spent = spending(entry, now, call_id, known_by, moved(plan.call), key, earlier)
            if entry.counts:
                decision = counted(entry.bound, plan.call, lambda tally: transaction.spent(tally, spent))
                plan = dataclasses.replace(plan, decision=decision)
            transaction.reserve(spent)
            started = Started(call_id, key, repeated=earlier is not None, reserved=True)
            if entry.acts:
                row = self._journal.row(plan, started, now)
                transaction.write(row)
        if entry.acts:
            self._journal.watch(row)
        return plan, started

    def _finish(self, plan: Plan, started: Started, reply: Reply, seconds: float) -> None:
        """Step 8."""
        row = self._journal.row(plan, started, self._clock(), reply, seconds)
        with self._store.transaction() as transaction:
            if started.reserved:
                state = state_of(reply.fate, acts=plan.entry.acts, repeated=started.repeated)
                transaction.settle(started.call, state)
            transaction.write(row)
        self._journal.watch(row)

    def _refuse(self, entry: Entry, refusal: MCPGateError, call: Call | None) -> Outcome:
        self._journal.refused(entry, refusal, None if call is None else call.arguments)
        return answers.clean(answers.refused(refusal), self._scrubber)

    def _discover(self, toolset: Toolset, name: str, arguments: dict[str, Json]) -> Outcome:
        """A question about the app itself: nothing is sent for it."""
        try:
            self._check_guess(arguments)
            outcome = discover(toolset, name, arguments)
        except RefusedError as refusal:
            outcome = answers.refused(refusal)
        self._journal.discovered(toolset.app, name, refused=outcome.is_error)
        return answers.clean(outcome, self._scrubber)

    def _check_pace(self, entry: Entry, call: Call) -> None:
        with self._store.transaction() as transaction:
            spent = spending(entry, self._clock(), "", same(entry, call), None, "", None)
            counted(paced(entry.bound), call, lambda tally: transaction.spent(tally, spent))

    def _check_guess(self, arguments: dict[str, Json]) -> None:
        """Nothing that an agent gives is scrubbed in what it reads: by the mask it would learn, letter by
        letter, how much of a guess is right. Raises `ArgumentsError`."""
        if self._scrubber.shows(arguments):
            raise ArgumentsError(_GUESSED, "Leave it out: mcpgate adds it by itself.")
