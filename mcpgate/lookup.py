"""Step 3 of a call: what a rule needs and the arguments do not say is asked of the API first."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

from mcpgate.engine.http import Backend
from mcpgate.errors import ArgumentsError, CredentialError
from mcpgate.places import MISSING
from mcpgate.policy.call import Call
from mcpgate.policy.decide import asks_lookup
from mcpgate.toolset import Entry
from mcpgate.values import Json, Reply, Tool


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A call with `before`, or with why that is not known; `reply` is None where nothing was asked.

    `seconds` is what it took.
    """

    call: Call
    reply: Reply | None = None
    seconds: float = 0.0


async def look_up(entry: Entry, call: Call, backend: Backend) -> LookedUp:
    """Ask a tool's lookup, only where a rule needs it; where it does not tell, that rule denies.

    Raises `CredentialError`.
    """
    lookup = entry.lookup
    if lookup is None or not asks_lookup(entry.bound, call):
        return LookedUp(call)
    given = {**entry.grant.account.settings, **call.arguments}
    absent = [name for name in lookup.request.names if given.get(name) is None]
    if absent:
        unknown = f"it is looked up by {' and '.join(absent)}, so give that"
        return LookedUp(dataclasses.replace(call, unknown=unknown))
    began, reply = time.perf_counter(), None
    before: Json = MISSING
    try:
        request = backend.prepare(lookup, call.arguments, entry.grant.account)
        request = dataclasses.replace(request, purpose="lookup")
        reply = await backend.send(request, entry.grant.account, "")
        problem, before = _without_excerpt(reply), reply.body
        if problem:
            facts = backend.shape(lookup, reply, entry.grant.account).structured or {}
            problem += f": {facts['hint'].strip(' .')}" if "hint" in facts else ""
    except CredentialError:
        raise
    except ArgumentsError as error:
        problem = f"{error.message} {error.hint}".strip(" .")
    except Exception as error:  # noqa: BLE001  what it says may hold a secret
        problem = f"mcpgate itself failed ({type(error).__name__})"
    told = dataclasses.replace(call, before=before, unknown=f"{request_said(lookup)} does not tell it")
    if problem:
        told = dataclasses.replace(call, unknown=f"{request_said(lookup)} failed ({problem})")
    return LookedUp(told, reply, time.perf_counter() - began)


def request_said(lookup: Tool) -> str:
    """A lookup as it is told: `GET /charges/{charge}`."""
    return "GET " + "/".join(map(str, ("", *lookup.request.path)))


def _without_excerpt(reply: Reply) -> str:
    """What is wrong with a reply, without the beginning of what came: a lookup is the rules' alone."""
    return reply.problem if reply.status is None else reply.problem.partition(": ")[0]
