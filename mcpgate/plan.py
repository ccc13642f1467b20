"""A call on its way: what was decided of it before it is sent, and what it is sent under. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mcpgate.arguments import hash_of
from mcpgate.errors import DeniedError
from mcpgate.policy.binding import Bound
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.decide import decide, explain, tallies
from mcpgate.policy.templates.money import amount_of
from mcpgate.toolset import Entry
from mcpgate.values import Decision, Fate, Finding, Json, Reply, Request, Tally


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that was decided and could be sent; its rows hold `args_hash`, and the arguments as `kept`."""

    entry: Entry
    call: Call
    decision: Decision
    request: Request
    args_hash: str
    kept: Mapping[str, Json] | None

    def unanswered(self, started: Started, problem: str, fate: Fate = "unknown") -> Reply:
        """What stands for its reply where sending broke."""
        return Reply(replace(self.request, key=started.key), fate, None, {}, None, problem)


@dataclass(frozen=True, slots=True)
class Started:
    """What a call goes under: its id, its idempotency key, and whether an earlier call had that key."""

    call: str
    key: str = ""
    repeated: bool = False
    reserved: bool = False


def check_denied(entry: Entry) -> None:
    """Raises `DeniedError` for a tool that is denied whatever it is given."""
    if entry.denied is not None:
        trace = tuple(step for step in entry.bound if isinstance(step, Finding))
        raise DeniedError(explain(entry.denied), Decision("deny", trace, entry.denied))


def allowed(decision: Decision) -> Decision:
    """The decision of a call that may go on; raises `DeniedError`."""
    if decision.reason is not None:
        raise DeniedError(explain(decision.reason, decision.trace), decision)
    return decision


def counted(bound: Bound, call: Call, spent: Callable[[Tally], int]) -> Decision:
    """The decision of a call that may go on by what the ledger tells as well; raises `DeniedError`."""
    # asked before the rules: what a rule raises denies by that rule, and a store that fails is no rule
    found = {tally: spent(tally) for tally in tallies(bound, call)}
    return allowed(decide(bound, call, found.__getitem__))


def same(entry: Entry, call: Call) -> str:
    """What the same call is known by: its key says nothing of one on another account, or in the sandbox."""
    account = entry.grant.account
    where = [account.origin, account.name, entry.app.sandbox]
    return hash_of({"where": where, "arguments": call.arguments})


def moved(call: Call) -> tuple[int, str] | None:
    """What a call would move, where that is known."""
    try:
        return amount_of(call)
    except UndecidableError:
        return None
