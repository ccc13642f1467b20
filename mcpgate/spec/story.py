"""One story file → a checked `Story`, or every fault of the file at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcpgate.spec.check import check_shape
from mcpgate.spec.yaml_text import load
from mcpgate.values import Json


@dataclass(frozen=True, slots=True)
class Case:
    """One call of a story, what the gate is expected to do with it, and by which rule."""

    tool: str
    arguments: dict[str, Json]
    expect: Literal["allow", "deny"]
    say: str = ""
    rule: str = ""
    shows_request: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """A story: the words given to `mcpgate run`, a policy to go with them, and the cases in order."""

    title: str
    run: tuple[str, ...]
    policy: Json
    cases: tuple[Case, ...]


def read_story(name: str, data: bytes) -> Story:
    """Read a story from its text. Raises `SpecError`."""
    document = load(name, data)
    check_shape(document, "story")
    document.finish()
    value = document.value
    cases = tuple(
        Case(
            tool=case["call"]["tool"],
            arguments=case["call"].get("arguments", {}),
            expect=case["expect"],
            say=" ".join(case.get("say", "").split()),
            rule=case.get("rule", ""),
            shows_request="show" in case,
        )
        for case in value["cases"]
    )
    return Story(value["demo"], tuple(value["run"]), value.get("policy"), cases)
