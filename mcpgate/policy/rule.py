"""One rule, bound to a tool, and held against a call; what cannot be decided is denied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from mcpgate.places import MISSING
from mcpgate.policy.checks import Call, Miss, UndecidableError
from mcpgate.policy.fields import Keys, is_missing, read_field
from mcpgate.policy.templates import Template
from mcpgate.values import Finding, Mode, Rule

LayerName: TypeAlias = Literal["app", "account", "preset", "rules"]

_CLOSED: Final = "and what cannot be decided is denied"
_VERDICTS: Final[Mapping[Mode, Literal["deny", "observe", "ask"]]] = {
    "enforce": "deny",
    "observe": "observe",
    "ask": "ask",
}


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule that reaches a tool: its template, and each field it looks at as keys."""

    layer: LayerName
    rule: Rule
    template: Template
    fields: tuple[tuple[str, Keys], ...]

    @property
    def source(self) -> str:
        """The policy and the place the rule was written at."""
        return f"{self.rule.policy} ({self.rule.origin})"


def evaluate(bound: BoundRule, call: Call) -> Finding:
    """What a rule says of a call; it never raises."""
    try:
        miss = _check(bound, call)
    except UndecidableError as error:
        miss = Miss(f"{error}, {_CLOSED}", "", field=error.field)
    except Exception as error:  # noqa: BLE001  a rule that fails denies, whatever failed
        miss = Miss(f"the rule failed ({type(error).__name__}), {_CLOSED}", "")
    rule = bound.rule
    if miss is None:
        fields = ", ".join(field for field, _ in bound.fields)
        says = f"{fields or 'the call'} passes"
        return Finding(bound.layer, rule.template, "allow", says, bound.source, fields)
    return Finding(
        bound.layer,
        rule.template,
        _VERDICTS[rule.mode],
        miss.says,
        bound.source,
        miss.field,
        miss.limit,
        miss.value,
        miss.passes,
        rule.reason,
    )


def _check(bound: BoundRule, call: Call) -> Miss | None:
    if bound.template.looks_at in ("tool", "money"):
        return bound.template.check(bound.rule.config, call, [])
    for field, keys in bound.fields:
        miss = _check_field(bound, {**bound.rule.config, "field": field}, keys, call)
        if miss is not None:
            return miss
    return None


def _check_field(bound: BoundRule, config: Mapping[str, Any], keys: Keys, call: Call) -> Miss | None:
    """A block sees whatever is sent, be it null or an empty list; a limit takes these as missing."""
    found = read_field(call.arguments, keys, opened=bound.template.looks_at == "values")
    if bound.template.block:
        return bound.template.check(config, call, [value for value in found if value is not MISSING])
    values = [value for value in found if not is_missing(value)]
    if len(values) < len(found) and bound.rule.when_missing == "deny":
        field = config["field"]
        return Miss(f"{field} is missing, and {bound.rule.template} guards it", f"give {field}", field)
    return bound.template.check(config, call, values)
