"""One story file → a checked `Story`, or every fault of the file at once: a demo, or tests of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import yaml

from mcpgate.errors import SpecError
from mcpgate.places import MISSING
from mcpgate.policy.templates import TEMPLATES
from mcpgate.spec.check import check_shape
from mcpgate.spec.policy import read_policy
from mcpgate.spec.yaml_loader import CoreLoader
from mcpgate.spec.yaml_text import Document, Path, Problem, did_you_mean, load
from mcpgate.values import Fate, Json, Policy

# what denies without being a guardrail
_OTHER_RULES = ("preset", "policy", "flags", "arguments")


@dataclass(frozen=True, slots=True)
class Case:
    """One call of a story, what the gate is expected to do with it, and by which rule.

    `before` is what the tool's lookup would answer, `at` the moment in seconds since the epoch, `outcome`
    what becomes of the call if it is allowed; for tests, for a demo asks the sandbox and the clock.
    `origin` is where it was written (`file:line`).
    """

    tool: str
    arguments: dict[str, Json]
    expect: Literal["allow", "deny"]
    say: str = ""
    rule: str = ""
    shows_request: bool = False
    before: Json = MISSING
    at: float | None = None
    outcome: Fate = "succeeded"
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A story: the words given to `mcpgate run`, a policy to go with them, and the cases in order.

    The policy is one written in place, or stands in a `policy_file`. `origin` is where the words stand.
    """

    title: str
    kind: Literal["demo", "test"]
    run: tuple[str, ...]
    policy: Policy | None
    policy_file: str
    cases: tuple[Case, ...]
    origin: str = ""


def read_story(name: str, data: bytes) -> Story:
    """Read a story from its text; what `extends` names is still to be resolved. Raises `SpecError`."""
    document = load(name, data)
    check_shape(document, "story")
    value: dict[str, Any] = document.value
    if ("demo" in value) == ("test" in value):
        document.add((), "say what this file is: `demo: TITLE` or `test: TITLE`, one of them")
    given = value.get("policy")
    policy = _policy_in_place(document) if isinstance(given, dict) and document.sound("policy") else None
    everywhere = _moment(document, ("at",), value.get("at"))
    entries = value.get("cases")
    cases = tuple(
        _case(document, ("cases", index), entry, everywhere)
        for index, entry in enumerate(entries if isinstance(entries, list) else ())
        if document.sound("cases", index)
    )
    document.finish()
    return Story(
        title=value.get("demo") or value["test"],
        kind="demo" if "demo" in value else "test",
        run=tuple(value["run"]),
        policy=policy,
        policy_file=given if isinstance(given, str) else "",
        cases=cases,
        origin=document.place(("run",)),
    )


def _case(document: Document, path: Path, entry: dict[str, Any], everywhere: float | None) -> Case:
    rule, expect = entry.get("rule", ""), entry["expect"]
    known = [*TEMPLATES, *_OTHER_RULES]
    if rule and expect == "allow":
        document.add((*path, "rule"), "what is allowed is denied by no rule; leave it out")
    elif rule and rule not in known:
        document.add((*path, "rule"), f"there is no rule '{rule}'{did_you_mean(rule, known)}")
    if "outcome" in entry and expect == "deny":
        document.add((*path, "outcome"), "what is denied is not made, so nothing becomes of it; leave it out")
    return Case(
        tool=entry["call"]["tool"],
        arguments=entry["call"].get("arguments", {}),
        expect=expect,
        say=" ".join(entry.get("say", "").split()),
        rule=rule,
        shows_request="show" in entry,
        before=entry.get("before", MISSING),
        at=_moment(document, (*path, "at"), entry["at"]) if "at" in entry else everywhere,
        outcome=entry.get("outcome", "succeeded"),
        origin=document.place(path),
    )


def _moment(document: Document, path: Path, text: str | None) -> float | None:
    if text is None or not document.sound(*path):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        document.add(path, f"'{text}' is no moment that there is")
        return None


def _policy_in_place(document: Document) -> Policy | None:
    """The policy, read from its part of the text, so that its rules and faults keep their places."""
    try:
        policy = read_policy(document.name, _text_of(document.text, "policy").encode())
    except SpecError as error:
        for problem in error.problems:
            line, column, message = problem.removeprefix(f"{document.name}:").split(":", 2)
            document.problems.append(Problem(message.strip(), position=(int(line), int(column))))
        return None
    if policy.kind == "preset":
        document.add(("policy",), "a preset has a file of its own, named here or in run with --preset")
    return policy


def _text_of(text: str, key: str) -> str:
    """The text of a key's value alone, on its own lines and columns."""
    root = yaml.compose(text, Loader=CoreLoader)
    assert isinstance(root, yaml.MappingNode)
    node = next(value for name, value in root.value if name.value == key)
    start: yaml.Mark = node.start_mark
    end: yaml.Mark = node.end_mark
    return "\n" * start.line + " " * start.column + text[start.index : end.index]
