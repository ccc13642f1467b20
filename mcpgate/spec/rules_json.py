"""Rules of the form {"template": …, "config": …} in JSON → guardrails, or every fault at once. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from mcpgate.errors import SpecError
from mcpgate.policy.templates import TEMPLATES
from mcpgate.selectors import fault
from mcpgate.spec.check import check_shape, show
from mcpgate.spec.yaml_text import MAX_BYTES, MOST, Document, did_you_mean
from mcpgate.values import Json

MAX_DEPTH: Final = 64
_SAFE_INTEGER: Final = 2**53 - 1
_LONGEST_MESSAGE: Final = 400
_LISTS: Final = ("rules", "guardrails")
_TOOLS: Final = ("tools", "tool", "for")
_TOLD: Final = ("name", "description")
_KNOWN: Final = ("template", "config", *_TOOLS, "mode", "reason", *_TOLD, "enabled")


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """One rule as it was read; no `tools` where it names none, `told` what it says of itself to people."""

    place: str
    template: str
    config: Mapping[str, Json]
    tools: tuple[str, ...] = ()
    mode: str = ""
    reason: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class ForeignRules:
    """Every rule of a text, and the places of those that are switched off."""

    rules: tuple[ForeignRule, ...]
    skipped: tuple[str, ...]


Note = Callable[[str, str], None]


def read_rules(name: str, data: bytes) -> ForeignRules:
    """Read one rule, a list of them, or an object that holds the list. Raises `SpecError`."""
    faults: dict[str, None] = {}  # in order, each once

    def note(place: str, message: str) -> None:
        where = f"{name}: {place}: {message}" if place else f"{name}: {message}"
        shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in where)
        faults[shown if len(shown) <= _LONGEST_MESSAGE else shown[: _LONGEST_MESSAGE - 1] + "…"] = None

    value = _parse(name, data)
    for place, message in _unsafe(value, "", 1):
        note(place, message)
    rules: list[ForeignRule] = []
    skipped: list[str] = []
    for place, entry in _entries(value, note) if not faults else ():
        if isinstance(entry, dict) and entry.get("enabled") is False:
            skipped.append(place or "the rule")
        else:
            rules += _rule(place, entry, note)
    if faults:
        more = [f"{name}: and {len(faults) - MOST} more"] if len(faults) > MOST else []
        raise SpecError([*list(faults)[:MOST], *more])
    return ForeignRules(tuple(rules), tuple(skipped))


class _Object(dict[str, Any]):
    """An object that remembers a key that stands in it twice."""

    twice: str | None = None


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found.twice = next(key for key in keys if keys.count(key) > 1)
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _parse(name: str, data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise SpecError([f"{name}: this has more than {MAX_BYTES:,} bytes; no more are read"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError([f"{name}: this is not UTF-8 text"]) from None
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise SpecError([f"{name}:{error.lineno}:{error.colno}: this is no JSON ({error.msg})"]) from None
    except RecursionError:
        raise SpecError([f"{name}: nested more than {MAX_DEPTH} deep"]) from None
    except ValueError as error:
        raise SpecError([f"{name}: {str(error)[:_LONGEST_MESSAGE]}"]) from None


def _unsafe(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    """What two readers of the same text could take for different things."""
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        yield place, f"nested more than {MAX_DEPTH} deep"
    elif isinstance(value, _Object):
        if value.twice is not None:
            yield place, f"the key '{value.twice}' stands here twice"
        for key, inner in value.items():
            yield from _unsafe(inner, _at(place, key), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unsafe(inner, _at(place, index), depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, "this number is too large"
    elif isinstance(value, int) and abs(value) > _SAFE_INTEGER:
        yield place, "this number is beyond ±(2^53 - 1), which JSON cannot carry safely"
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        yield place, "this text holds half of a surrogate pair"


def _entries(value: Any, note: Note) -> Iterator[tuple[str, Any]]:
    """Each rule with its place."""
    if isinstance(value, dict) and "template" in value:
        yield "", value
        return
    place, entries = "", value
    if isinstance(value, dict):
        keys = [key for key in _LISTS if key in value]
        if len(keys) != 1:
            note(
                "", 'these are no rules: write {"template": …, "config": …}, or a list of them under "rules"'
            )
            return
        place, entries = keys[0], value[keys[0]]
        for key in value:
            if key not in _LISTS:
                note(key, f"unknown key '{key}'{did_you_mean(key, _LISTS)}")
    if not isinstance(entries, list):
        note(place, f"expected a list of rules, found {show(entries)}")
    elif not entries:
        note(place, "there is no rule here")
    else:
        yield from ((_at(place, index), entry) for index, entry in enumerate(entries))


def _rule(place: str, entry: Any, note: Note) -> list[ForeignRule]:
    """The rule, if there is nothing wrong with it that keeps it from being one."""
    if not isinstance(entry, dict):
        note(place, f"expected a rule, found {show(entry)}")
        return []
    for key in entry:
        if key not in _KNOWN:
            near = did_you_mean(key, _KNOWN) or f"; known here: {', '.join(_KNOWN)}"
            note(_at(place, key), f"unknown key '{key}'{near}")
    if not isinstance(entry.get("enabled", True), bool):
        note(_at(place, "enabled"), f"expected true or false, found {show(entry['enabled'])}")
    template = entry.get("template")
    tools = _tools(place, entry, note)
    told = [_text(place, entry, key, note) for key in _TOLD]
    if not isinstance(template, str) or template not in TEMPLATES:
        note(_at(place, "template"), _no_template(template))
        return []
    rule = ForeignRule(
        place,
        template,
        entry.get("config", {}),
        tools,
        entry.get("mode", "enforce"),
        _text(place, entry, "reason", note),
        ": ".join(text for text in told if text),
    )
    _check(rule, note)
    return [rule]


def _no_template(template: Any) -> str:
    if not isinstance(template, str):
        return "a rule says its template, such as max_value"
    return f"there is no template {show(template)}{did_you_mean(template, list(TEMPLATES))}"


def _check(rule: ForeignRule, note: Note) -> None:
    """Hold a rule against the schema of policy files, and what its template finds wrong with its figures."""
    entry = {"for": "write", rule.template: rule.config, "mode": rule.mode}
    document = Document(rule.place, "", {"policy": "imported", "guardrails": [entry]})
    check_shape(document, "policy")
    for problem in document.problems:
        key, *rest = problem.path[2:]
        place = _at(rule.place, "config" if key == rule.template else key)
        for step in rest:
            place = _at(place, step)
        note(place, problem.message)
    if not document.problems:
        wrong = TEMPLATES[rule.template].fault(rule.config)
        if wrong:
            note(_at(rule.place, "config"), wrong)


def _tools(place: str, entry: Mapping[str, Any], note: Note) -> tuple[str, ...]:
    keys = [key for key in _TOOLS if key in entry]
    if len(keys) > 1:
        note(_at(place, keys[1]), f"{keys[0]} says already which tools the rule is for")
    if not keys:
        return ()
    given, where = entry[keys[0]], _at(place, keys[0])
    texts: Sequence[Any] = given if isinstance(given, list) else [given]
    if not texts:
        note(where, "this must not be empty")
    for index, text in enumerate(texts):
        here = _at(where, index) if isinstance(given, list) else where
        if not isinstance(text, str):
            note(here, f"expected a tool, found {show(text)}")
        elif wrong := fault(text):
            note(here, wrong[0] + did_you_mean(text, wrong[1]))
    return tuple(text for text in texts if isinstance(text, str))


def _text(place: str, entry: Mapping[str, Any], key: str, note: Note) -> str:
    text = entry.get(key)
    if text is not None and not isinstance(text, str):
        note(_at(place, key), f"expected a text, found {show(text)}")
    return " ".join(text.split()) if isinstance(text, str) else ""


def _at(place: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{place}[{step}]"
    return f"{place}.{step}" if place else step
