"""Selectors: a category, `effect:NAME`, or a tool name or glob."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Final

from mcpgate.values import CATEGORIES, EFFECTS, Selector, Tool

_EFFECT: Final = "effect:"
_GLOB: Final = re.compile(r"[a-z0-9_*?]*[_*][a-z0-9_*?]*\Z")


def matches(selector: Selector, tool: Tool) -> bool:
    """Whether a selector takes in a tool."""
    return takes_in(selector, tool.name, tool.category, tool.effects)


def takes_in(selector: Selector, name: str, category: str, effects: Collection[str]) -> bool:
    """Whether a selector takes in a tool of that name, category and effects."""
    text = selector.text
    if text in CATEGORIES:
        return category == text
    if text.startswith(_EFFECT):
        return text.removeprefix(_EFFECT) in effects
    return fnmatchcase(name, text)


def first_match(selectors: Iterable[Selector], tool: Tool) -> Selector | None:
    """The first selector that takes in a tool."""
    return next((selector for selector in selectors if matches(selector, tool)), None)


def names_tools(selector: Selector) -> bool:
    """Whether a selector is a tool name or glob, which has to match something."""
    return selector.text not in CATEGORIES and not selector.text.startswith(_EFFECT)


def fault(text: str) -> tuple[str, list[str]] | None:
    """What is wrong with a selector's text, and the words it may have meant; None when it is one."""
    if text in CATEGORIES:
        return None
    if text.startswith(_EFFECT):
        effect = text.removeprefix(_EFFECT)
        if effect in EFFECTS:
            return None
        return f"'{effect}' is no effect", [_EFFECT + name for name in EFFECTS]
    if _GLOB.match(text):
        return None
    return f"'{text}' is no category, effect:NAME, tool name or glob", [*CATEGORIES]
