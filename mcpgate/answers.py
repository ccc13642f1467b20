"""What an agent reads of a call that was refused or broke, and the last look at all that it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from mcpgate.engine.hygiene import visible
from mcpgate.errors import DeniedError, MCPGateError, StoreError
from mcpgate.plan import Started
from mcpgate.policy.decide import structure
from mcpgate.secrets import Scrubber
from mcpgate.values import Fate, Outcome, Reply

_UNWRITTEN: Final = "its row could not be written, which a person has to look at: mcpgate doctor"
_BROKEN: Final[Mapping[Fate, str]] = {
    "succeeded": "The call succeeded, but mcpgate itself failed after it ({}): look at what it did.",
    "failed": "The call failed, and mcpgate itself failed after it ({}).",
    "unknown": "mcpgate itself failed after the call ({}): whether it was carried out is not known.",
}


def refused(refusal: MCPGateError) -> Outcome:
    """A call that was not sent: why, and of a denial what would pass."""
    if isinstance(refusal, DeniedError) and refusal.decision.reason is not None:
        facts = structure(refusal.decision.reason, refusal.decision.trace)
        return Outcome(refusal.message, facts, is_error=True, exit_code=refusal.exit_code)
    text = f"{refusal.message} {refusal.hint}".strip()
    facts = {"error": refusal.message, "hint": refusal.hint}
    said = {name: fact for name, fact in facts.items() if fact}
    return Outcome(text, said, is_error=True, exit_code=refusal.exit_code)


def broken(fate: Fate, error: Exception) -> Outcome:
    """A call that was made, after which mcpgate itself failed: what became of it has to be known."""
    what = _UNWRITTEN if isinstance(error, StoreError) else type(error).__name__
    return refused(MCPGateError(_BROKEN[fate].format(what)))


def with_key(outcome: Outcome, started: Started, reply: Reply) -> Outcome:
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
    return dataclasses.replace(outcome, note=" ".join(notes)) if notes else outcome


def clean(outcome: Outcome, scrubber: Scrubber) -> Outcome:
    """The scrubber stands at the way out, whatever came before; an error shows all that it says."""
    text, structured = outcome.text, outcome.structured
    if outcome.is_error:
        # first, for a secret that is broken up by what does not show would be whole without it
        text, structured = visible(text), visible(structured)
    said = scrubber.text(text), scrubber.tree(structured), scrubber.text(outcome.note)
    if said == (outcome.text, outcome.structured, outcome.note):
        return outcome
    text, structured, note = said
    return dataclasses.replace(outcome, text=text, structured=structured, note=note)
