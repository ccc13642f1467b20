"""The decision: every rule evaluated, deny wins, and what cannot be decided is denied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mcpgate.places import MISSING
from mcpgate.policy.binding import Bound, BoundRule
from mcpgate.policy.checks import Call, Miss, UndecidableError
from mcpgate.policy.fields import read_field
from mcpgate.values import Decision, Finding


def decide(bound: Bound, call: Call) -> Decision:
    """Hold a call against everything bound to its tool; the first finding that is no allow is the reason."""
    trace = tuple(finding for step in bound for finding in _evaluate(step, call))
    reason = next((finding for finding in trace if finding.verdict in ("deny", "ask")), None)
    if not trace:
        # no layer spoke: nothing allowed this call
        reason = Finding("app", "default", "deny", f"nothing allows {call.tool.name}")
        return Decision("deny", (reason,), reason)
    verdict = reason.verdict if reason else "allow"
    assert verdict != "observe"
    return Decision(verdict, trace, reason)


def explain(finding: Finding) -> str:
    """A denial in words: which rule, which value, what would pass, and the reason its author gave."""
    sentence = f"Denied by {finding.rule}: {finding.says}."
    if finding.verdict == "ask":
        sentence = f"Denied by {finding.rule}, which asks a person first (approvals are not built yet): {finding.says}."
    parts = [sentence, f"Passes: {finding.passes}." if finding.passes else "", finding.reason]
    return " ".join(part for part in parts if part)


def structure(finding: Finding) -> dict[str, Any]:
    """The same denial as `structuredContent`."""
    facts = {
        "denied": True,
        "rule": finding.rule,
        "layer": finding.layer,
        "field": finding.field,
        "limit": finding.limit,
        "value": finding.value,
        "passes": finding.passes,
        "reason": finding.reason,
    }
    return {key: value for key, value in facts.items() if value not in ("", None)}


def _evaluate(step: Finding | BoundRule, call: Call) -> Iterator[Finding]:
    if isinstance(step, Finding):
        yield step
        return
    try:
        miss = _check(step, call)
    except UndecidableError as error:
        miss = Miss(f"{error}, and what cannot be decided is denied", "")
    except Exception as error:  # noqa: BLE001  a rule that fails denies, whatever failed
        miss = Miss(f"the rule failed ({type(error).__name__}), and what cannot be decided is denied", "")
    yield _finding(step, miss)


def _check(step: BoundRule, call: Call) -> Miss | None:
    config = step.rule.config
    if step.template.looks_at == "call":
        return step.template.check(config, call, [])
    for field, keys in step.fields:
        miss = _check_field(step, {**config, "field": field}, keys, call)
        if miss is not None:
            return miss
    return None


def _check_field(step: BoundRule, config: Mapping[str, Any], keys: tuple[str, ...], call: Call) -> Miss | None:
    found = read_field(call.arguments, keys)
    values = [value for value in found if value is not MISSING]
    if len(values) < len(found) and not step.template.block and step.rule.when_missing == "deny":
        field = config["field"]
        return Miss(f"{field} is missing, and {step.rule.template} guards it", f"give {field}", field)
    return step.template.check(config, call, values)


def _finding(step: BoundRule, miss: Miss | None) -> Finding:
    rule = step.rule
    if miss is None:
        fields = ", ".join(field for field, _ in step.fields)
        return Finding(step.layer, rule.template, "allow", f"{fields or 'the call'} passes", step.source, fields)
    verdict = {"enforce": "deny", "observe": "observe", "ask": "ask"}[rule.mode]
    return Finding(
        step.layer,
        rule.template,
        verdict,  # type: ignore[arg-type]
        miss.says,
        step.source,
        miss.field,
        miss.limit,
        miss.value,
        miss.passes,
        rule.reason,
    )
