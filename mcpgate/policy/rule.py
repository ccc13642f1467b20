"""One rule, bound to a tool, and held against a call; what cannot be decided is denied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from mcpgate.places import MISSING
from mcpgate.policy.call import Call, Config, Miss, UndecidableError
from mcpgate.policy.fields import Keys, subschemas
from mcpgate.policy.reading import Reading, read, readings
from mcpgate.policy.templates import TEMPLATES
from mcpgate.policy.templates.memory import window_of
from mcpgate.policy.templates.money import amount_of, asks_before
from mcpgate.policy.templates.template import LooksAt, Template
from mcpgate.policy.texts import texts
from mcpgate.values import Finding, Mode, Rule, Tally, Tool

LayerName: TypeAlias = Literal["app", "account", "ceiling", "preset", "rules"]
Look: TypeAlias = tuple[Config, list[Any]]
Spent: TypeAlias = Callable[[Tally], int]

_CLOSED: Final = "and what cannot be decided is denied"
_SCALAR: Final = (str, int, float)
_LONGEST: Final = 64 * 1024
_ENDS: Final[Mapping[LooksAt, int]] = {"span": 2}
_VERDICTS: Final[Mapping[Mode, Literal["deny", "observe", "ask"]]] = {
    "enforce": "deny",
    "observe": "observe",
    "ask": "ask",
}


def _nothing(tally: Tally) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule that reaches a tool: its template, what it looks at there, and what it says when all is well."""

    layer: LayerName
    rule: Rule
    template: Template
    readings: tuple[Reading, ...]
    lacking: str
    configs: tuple[Config, ...]
    passing: Finding
    straight: Keys

    @property
    def closed(self) -> bool:
        """Whether what is missing is denied."""
        return not self.template.block and self.rule.when_missing == "deny"

    def asks_before(self, call: Call) -> bool:
        """Whether it cannot be evaluated without the reply of the tool's lookup."""
        if call.tool.lookup is None:
            return False
        if self.template.looks_at == "money":
            return asks_before(call)
        return any(reading.in_before for reading in self.readings)


def bind_rule(layer: LayerName, rule: Rule, tool: Tool) -> BoundRule:
    """A rule with all that is the same for each call of a tool."""
    found, lacking = readings(rule, tool)
    configs = tuple({**rule.config, "field": reading.field} for reading in found)
    fields = ", ".join(reading.field for reading in found)
    source = f"{rule.policy} ({rule.origin})"
    template = TEMPLATES[rule.template]
    what = fields or "the call"
    if template.seconds is not None:
        what = f"with all of the last {window_of(rule.config)}, {what}"
    passing = Finding(layer, rule.template, "allow", f"{what} passes", source, fields)
    one = template.looks_at in ("values", "field", "fields") and len(found) == 1 and not lacking
    straight = found[0].straight if one else ()
    return BoundRule(layer, rule, template, found, lacking, configs, passing, straight)


def tally_of(bound: BoundRule, call: Call) -> Tally | None:
    """What a counting rule asks of the ledger, None for one that does not count; raises `UndecidableError`.

    A counter belongs to the layer that holds the rule: those for everyone count across apps, an app's own
    across its connectors, a preset's under its grant.
    """
    seconds = bound.template.seconds
    if seconds is None:
        return None
    return Tally(
        seconds(bound.rule.config),
        bound.rule.selectors,
        grant=call.tool.connector if bound.layer in ("preset", "ceiling") else "",
        everyone=bound.layer in ("account", "ceiling"),
        identical=bound.template.identical,
        currency=amount_of(call)[1] if bound.template.looks_at == "money" else "",
    )


def evaluate(bound: BoundRule, call: Call, spent: Spent = _nothing) -> Finding:
    """What a rule says of a call and of what was spent before it; it never raises."""
    try:
        miss = _miss(bound, call, spent)
    except UndecidableError as error:
        # the author's reason is about the limit, which was not looked at
        miss = Miss(f"{error}, {_CLOSED}", "", field=error.field)
        return _against(bound, miss, reason="")
    except _MissingError as error:
        miss = error.miss
    except Exception as error:  # noqa: BLE001  a rule that fails denies, whatever failed
        miss = Miss(f"the rule failed ({type(error).__name__}), {_CLOSED}", "")
    if miss is None:
        return bound.passing
    return _against(bound, miss, bound.rule.reason)


def _against(bound: BoundRule, miss: Miss, reason: str) -> Finding:
    return Finding(
        bound.layer,
        bound.rule.template,
        _VERDICTS[bound.rule.mode],
        miss.says,
        bound.passing.source,
        miss.field,
        miss.limit,
        miss.value,
        miss.passes,
        reason,
    )


class _MissingError(Exception):
    """A field that a limit guards is not there."""

    def __init__(self, miss: Miss) -> None:
        super().__init__(miss.says)
        self.miss = miss


def _miss(bound: BoundRule, call: Call, spent: Spent) -> Miss | None:
    """The first thing that a rule finds wrong with a call."""
    check = bound.template.check
    tally = tally_of(bound, call)
    if tally is not None:
        return check(bound.rule.config, call, [spent(tally)])
    if bound.straight:
        # most rules look at one value of one field: the shortest way to it
        value: Any = call.arguments
        for key in bound.straight:
            value = value.get(key, MISSING) if isinstance(value, dict) else None
        if isinstance(value, _SCALAR):
            return check(bound.configs[0], call, [value])
        if value is MISSING and not bound.closed:
            return check(bound.configs[0], call, [])
    for config, values in _LOOKS[bound.template.looks_at](bound, call):
        miss = check(config, call, values)
        if miss is not None:
            return miss
    return None


def _look_at_call(bound: BoundRule, call: Call) -> Iterable[Look]:
    return ((bound.rule.config, []),)


def _look_at_fields(bound: BoundRule, call: Call) -> Iterable[Look]:
    if bound.lacking:
        _must_have(bound, call)
    opened = bound.template.looks_at == "values"
    if len(bound.readings) == 1:
        return ((bound.configs[0], _given(bound, bound.readings[0], call, opened)),)
    pairs = zip(bound.readings, bound.configs, strict=True)
    return ((config, _given(bound, reading, call, opened)) for reading, config in pairs)


def _look_at_texts(bound: BoundRule, call: Call) -> Iterable[Look]:
    """Each text at the field; where none is named, each text there is."""
    if not bound.readings:
        for field, text in call.texts:
            yield _look_at_text(bound, field, text)
    for reading in bound.readings:
        values = _given(bound, reading, call, False)
        if not values:
            continue
        schemas = [schema for keys in reading.places for schema in subschemas(call.tool.schema, keys)]
        for value in values:
            for field, text in texts(value, schemas, reading.field):
                yield _look_at_text(bound, field, text)


def _look_at_text(bound: BoundRule, field: str, text: str) -> Look:
    if bound.template.block and len(text) > _LONGEST:
        # searching takes time with the length, and everyone waits for it
        raise UndecidableError(f"{field} has more than {_LONGEST:,} characters to look through", field)
    return {**bound.rule.config, "field": field}, [text]


def _look_at_span(bound: BoundRule, call: Call) -> Iterable[Look]:
    """What stands at the start with what stands at the end; without both there is no span."""
    _must_have(bound, call)
    ends = []
    for reading in bound.readings:
        values, missing = read(reading, call, opened=False, nulls=False)
        if missing and bound.closed:
            raise _missing(bound, reading, call)
        if missing and values:
            says = f"{reading.field} is missing in part, so it is not known which start and end pair up"
            raise UndecidableError(says, reading.field)
        ends.append(values)
    if len(ends) == 2 and all(ends):
        field = " to ".join(reading.field for reading in bound.readings)
        yield {**bound.rule.config, "field": field}, ends


def _must_have(bound: BoundRule, call: Call) -> None:
    """A limit without its field denies the tool at once; one that only observes says so at each call."""
    if bound.closed and bound.lacking and len(bound.readings) < _ENDS.get(bound.template.looks_at, 1):
        says = f"{call.tool.name} has no {bound.lacking}, which {bound.rule.template} must guard"
        raise _MissingError(Miss(says, ""))


def _given(bound: BoundRule, reading: Reading, call: Call, opened: bool) -> list[Any]:
    """What stands at a reading; where it is missing, a limit does not let it pass."""
    values, missing = read(reading, call, opened=opened, nulls=bound.template.block)
    if missing and bound.closed:
        raise _missing(bound, reading, call)
    return values


def _missing(bound: BoundRule, reading: Reading, call: Call) -> _MissingError:
    told = reading.in_before and call.tool.lookup is not None
    where = " in the reply of the lookup" if told else ""
    says = f"{reading.field} is missing{where}, and {bound.rule.template} guards it"
    return _MissingError(Miss(says, "" if told else f"give {reading.field}", reading.field))


_LOOKS: Final[Mapping[LooksAt, Callable[[BoundRule, Call], Iterable[Look]]]] = {
    "values": _look_at_fields,
    "field": _look_at_fields,
    "fields": _look_at_fields,
    "texts": _look_at_texts,
    "span": _look_at_span,
    "call": _look_at_call,
    "money": _look_at_call,
    "tool": _look_at_call,
}
