"""What a rule sees and says: the call, a miss, and how values are told. Pure.

A check returns None when all is well, else a `Miss`. It raises `UndecidableError` when it cannot tell,
and the call is denied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from mcpgate.places import MISSING
from mcpgate.policy.texts import texts
from mcpgate.values import Json, Tool

Config: TypeAlias = Mapping[str, Json]


class UndecidableError(Exception):
    """A rule cannot be evaluated; its text says why, `field` where."""

    def __init__(self, says: str, field: str = "") -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True)
class Call:
    """One call as rules see it, its arguments canonical.

    `before` is the reply of the tool's lookup; `unknown` says why something does not stand there.
    `now` is seconds since the epoch; `settings` are those of the account.
    """

    tool: Tool
    arguments: Mapping[str, Json]
    before: Json = MISSING
    unknown: str = ""
    now: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """Each text in its arguments with its field, looked for once for all rules that ask."""
        return list(texts(self.arguments, [self.tool.schema]))


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a check says no: the sentence, what would pass, and the figures behind it."""

    says: str
    passes: str
    field: str = ""
    limit: Json = None
    value: Json = None


Check: TypeAlias = Callable[[Config, Call, list[Any]], "Miss | None"]


def shown(value: Json) -> str:
    """A value as messages show it, never at length."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
