"""What is tried: calls, what they aim at, and what a rule forbids there. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from mcpgate.attack.placing import drop, put
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.values import Json, Rule, Tool

BEFORE: Final = "before"
Config: TypeAlias = Mapping[str, Any]
About: TypeAlias = Literal["number", "text", "list", "given", "absent", "money", "span", "time"]

ROWS: Final[Mapping[int, str]] = {
    0: "as it is, without a trick",
    1: "another type: number as text, 1e5, fraction, true, lists, objects",
    2: "numbers at the edge: negative, zero, huge, beyond 2^53, NaN, Infinity, -0",
    3: "another currency, or none",
    4: "left out: null, empty, in part",
    5: "many small calls",
    6: "another tool with the same effect",
    7: "other arguments: aliases, brackets, dots, other depths",
    8: "raw JSON: keys twice, escapes, NUL, BOM, surrogates, trailing data",
    9: "look-alikes: width, case, invisible, bidirectional, other alphabets, encodings",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A call as it is made: `before` is what the tool's lookup would answer, `now` the time of it."""

    tool: Tool
    arguments: Json
    before: Json = MISSING
    now: float = EXAMPLE_NOW

    def put(self, keys: Keys, value: Json) -> Shot:
        """The same call with another value at a field."""
        if keys[0] == BEFORE and self.tool.lookup is not None:
            before = {} if self.before is MISSING else self.before
            return dataclasses.replace(self, before=put(before, keys[1:], value, {}))
        return dataclasses.replace(self, arguments=put(self.arguments, keys, value, self.tool.schema))

    def drop(self, keys: Keys) -> Shot:
        """The same call without what stands at a field."""
        if keys[0] == BEFORE and self.tool.lookup is not None:
            return dataclasses.replace(self, before=drop(self.before, keys[1:]))
        return dataclasses.replace(self, arguments=drop(self.arguments, keys))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try; `line` is the whole line where it is not just the call, which is then what it stands for.

    With `two_readings` the line must not be taken at all: some parser reads the forbidden call in it.
    """

    row: int
    trick: str
    shot: Shot
    line: bytes = b""
    two_readings: bool = False

    def sent_line(self) -> bytes:
        """The line that a client would write."""
        return self.line or line_of(self.shot.tool.name, json.dumps(self.shot.arguments))


def line_of(name: str, arguments: str) -> bytes:
    """A call as a line of JSON-RPC, its arguments as they are spelled."""
    call = f'{{"name":{json.dumps(name)},"arguments":{arguments}}}'
    text = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{call}}}'
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that a rule forbids: a value at a field, and what has to stand beside it.

    A breach with a `trick` is tried as it is; one without is tried in every disguise as well.
    """

    keys: Keys
    value: Json
    beside: tuple[tuple[Keys, Json], ...] = ()
    row: int = 0
    trick: str = ""
    now: float | None = None

    def on(self, shot: Shot, value: Json = ...) -> Shot:
        """An honest call made forbidden, or with another value in its place."""
        for keys, other in self.beside:
            shot = shot.drop(keys) if other is MISSING else shot.put(keys, other)
        if self.now is not None:
            shot = dataclasses.replace(shot, now=self.now)
        if not self.keys:
            return shot
        placed = self.value if value is ... else value
        return shot.drop(self.keys) if placed is MISSING else shot.put(self.keys, placed)


@dataclass(frozen=True, slots=True)
class Target:
    """A rule on a tool that it reaches, and the fields that it looks at there."""

    rule: Rule
    tool: Tool
    spots: tuple[Keys, ...]
    block: bool

    @property
    def config(self) -> Config:
        """What the rule is configured with."""
        return self.rule.config


@dataclass(frozen=True, slots=True)
class Assault:
    """How the rules of one template are attacked: what they let pass, what they forbid, what breaks them."""

    about: About
    honest: Callable[[Target], Iterator[tuple[Keys, Json]]]
    forbidden: Callable[[Target], Iterator[Breach]]
    judge: Callable[[Target, Wire], str]
