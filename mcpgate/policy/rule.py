"""One rule, bound to a tool, and held against a call; what cannot be decided is denied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from mcpgate.policy.call import Call, Miss, UndecidableError
from mcpgate.policy.fields import subschemas
from mcpgate.policy.reading import Reading, read
from mcpgate.policy.templates.money import asks_before
from mcpgate.policy.templates.template import Template
from mcpgate.policy.texts import texts
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
    """A rule that reaches a tool: its template, and what it looks at there."""

    layer: LayerName
    rule: Rule
    template: Template
    readings: tuple[Reading, ...]

    @property
    def source(self) -> str:
        """The policy and the place the rule was written at."""
        return f"{self.rule.policy} ({self.rule.origin})"

    def asks_before(self, call: Call) -> bool:
        """Whether it cannot be evaluated without the reply of the tool's lookup."""
        if call.tool.lookup is None:
            return False
        if self.template.looks_at == "money":
            return asks_before(call)
        return any(reading.in_before for reading in self.readings)


def evaluate(bound: BoundRule, call: Call) -> Finding:
    """What a rule says of a call; it never raises."""
    try:
        miss = next(_misses(bound, call), None)
    except UndecidableError as error:
        miss = Miss(f"{error}, {_CLOSED}", "", field=error.field)
    except Exception as error:  # noqa: BLE001  a rule that fails denies, whatever failed
        miss = Miss(f"the rule failed ({type(error).__name__}), {_CLOSED}", "")
    rule = bound.rule
    if miss is None:
        fields = ", ".join(reading.field for reading in bound.readings)
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


def _misses(bound: BoundRule, call: Call) -> Iterator[Miss]:
    """Each thing that a rule finds wrong with a call, looked for one after the other."""
    template, config, looks_at = bound.template, bound.rule.config, bound.template.looks_at
    found: list[tuple[str, list[Any]]] = []
    if looks_at in ("call", "money", "tool"):
        found = [("", [])]
    elif looks_at == "texts" and not bound.readings:
        found = [(field, [text]) for field, text in texts(call.arguments, [call.tool.schema])]
    for reading in bound.readings:
        values, missing = read(reading, call, opened=looks_at == "values", nulls=template.block)
        if missing and not template.block and bound.rule.when_missing == "deny":
            says = f"{reading.field} is missing, and {bound.rule.template} guards it"
            yield Miss(says, f"give {reading.field}", reading.field)
        if looks_at == "texts":
            found += _texts(reading, values, call)
        else:
            found.append((reading.field, values))
    if looks_at == "span":
        whole = all(values for _, values in found)
        found = [(" to ".join(field for field, _ in found), [values for _, values in found])] if whole else []
    for field, values in found:
        miss = template.check({**config, "field": field} if field else config, call, values)
        if miss is not None:
            yield miss


def _texts(reading: Reading, values: list[Any], call: Call) -> Iterator[tuple[str, list[Any]]]:
    schemas = [schema for keys in reading.places for schema in subschemas(call.tool.schema, keys)]
    for value in values:
        yield from ((field, [text]) for field, text in texts(value, schemas, reading.field))
