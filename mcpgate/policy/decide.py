"""The decision: every rule evaluated, deny wins, and only the preset allows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from mcpgate.policy.binding import Bound
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.rule import BoundRule, Spent, evaluate, tally_of
from mcpgate.values import Decision, Finding, Json, Tally

_LONGEST_FACT: Final = 400


def decide(bound: Bound, call: Call, spent: Spent | None = None) -> Decision:
    """Hold a call against everything bound to its tool; the first finding that denies is the reason.

    `spent` tells what counting rules ask of the ledger; without it the call is looked at alone.
    """
    asked = () if spent is None else (spent,)
    trace = [step if isinstance(step, Finding) else evaluate(step, call, *asked) for step in bound]
    if not any(_allows(finding) for finding in trace):
        trace.append(Finding("preset", "preset", "deny", f"no preset allows {call.tool.name}"))
    against = [finding for finding in trace if finding.verdict in ("deny", "ask")]
    if not against:
        return Decision("allow", tuple(trace))
    reason = next((finding for finding in against if finding.verdict == "deny"), against[0])
    return Decision(reason.verdict, tuple(trace), reason)  # type: ignore[arg-type]


def _allows(finding: Finding) -> bool:
    return finding.layer == finding.rule == "preset" and finding.verdict == "allow"


def counts(bound: Bound) -> bool:
    """Whether a rule counts over the ledger."""
    return any(not isinstance(step, Finding) and step.template.seconds is not None for step in bound)


def paced(bound: Bound) -> Bound:
    """Of what is bound, all that is settled, and the rules that count calls: nothing has to be looked up."""
    return tuple(step for step in bound if isinstance(step, Finding) or _counts_calls(step))


def _counts_calls(step: BoundRule) -> bool:
    return step.template.seconds is not None and step.template.looks_at == "call"


def tallies(bound: Bound, call: Call) -> set[Tally]:
    """What the rules that count ask of the ledger; one that cannot tell will deny by itself."""
    found: set[Tally] = set()
    for step in bound:
        try:
            tally = None if isinstance(step, Finding) else tally_of(step, call)
        except UndecidableError:
            continue
        found |= {tally} if tally is not None else set()
    return found


def asks_lookup(bound: Bound, call: Call) -> bool:
    """Whether a rule needs what only the tool's lookup can tell."""
    return any(not isinstance(step, Finding) and step.asks_before(call) for step in bound)


def explain(finding: Finding, trace: Iterable[Finding] = ()) -> str:
    """A denial in words: which rule, which value, what would pass, and the reason its author gave."""
    asks = ", which asks a person first (approvals are not built yet)" if finding.verdict == "ask" else ""
    parts = [f"Denied by {finding.rule}{asks}: {finding.says}."]
    passes = _passes(finding, trace)
    parts += [f"Passes: {passes}."] if passes else []
    return " ".join([*parts, finding.reason]).strip()


def structure(finding: Finding, trace: Iterable[Finding] = ()) -> dict[str, Any]:
    """The same denial as `structuredContent`."""
    facts = {
        "denied": True,
        "rule": finding.rule,
        "field": finding.field,
        "limit": finding.limit,
        "value": _brief(finding.value),
        "passes": _passes(finding, trace),
        "reason": finding.reason,
    }
    return {key: value for key, value in facts.items() if value not in ("", None)}


def _passes(finding: Finding, trace: Iterable[Finding]) -> str:
    """What would pass the rule and each other one that denies as well."""
    others = (other.passes for other in trace if other.verdict in ("deny", "ask"))
    return " and ".join(dict.fromkeys(filter(None, (finding.passes, *others))))


def _brief(value: Json) -> Json:
    """The value, or the beginning of its text: what an agent sent is not sent back at any length."""
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _LONGEST_FACT else text[:_LONGEST_FACT] + "…"
