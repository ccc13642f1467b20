"""Names in a policy that nothing here bears: of tools, and of what is masked in replies. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from mcpgate.places import Place
from mcpgate.policy.fields import Keys
from mcpgate.policy.lint.judged import Judged
from mcpgate.selectors import matches, names_tools
from mcpgate.values import Json, Selector, Tool

_INDEX = re.compile(r"-?\d+\Z")


def unborne(judged: Judged) -> Iterator[Selector]:
    """Each tool name or glob of a policy that no tool here bears, once."""
    policy = judged.policy
    own = [rule for rule in policy.rules if rule.policy == policy.name]
    selectors = [*(policy.allow or ()), *policy.deny, *(each for rule in own for each in rule.selectors)]
    tools = [held.tool for held in judged.every]
    for selector in dict.fromkeys(selectors):
        if names_tools(selector) and not any(matches(selector, tool) for tool in tools):
            yield selector


def unmasked(judged: Judged) -> Iterator[tuple[Place, list[str]]]:
    """Each masked place that is in no reply here, and every name that is in one.

    Where a reply is neither cut to fields nor has a sample, nobody knows what stands in it.
    """
    replies = [set(_shown(held.tool)) for held in judged.allowed if held.tool.reply == "json"]
    if not replies or not all(replies):
        return
    paths = set().union(*replies)
    names = sorted({key for path in paths for key in path})
    for place in judged.policy.mask:
        # a number picks from a list, and the ways here lead through lists
        keys = tuple(key for key in place.keys if not _INDEX.match(key))
        if not any(_leads_through(path, keys) for path in paths):
            yield place, names


def nearest(word: str, known: Iterable[str]) -> str:
    """The word that was meant, where one is near; else nothing."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def _shown(tool: Tool) -> Iterator[Keys]:
    """The ways to what a tool's reply shows: by its fields, and in its sample."""
    yield from (place.keys for place in tool.fields or ())
    yield from _ways(tool.sample)


def _ways(value: Json) -> Iterator[Keys]:
    if isinstance(value, list):
        for item in value:
            yield from _ways(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (key,)
            yield from ((key, *way) for way in _ways(item))


def _leads_through(path: Keys, keys: Keys) -> bool:
    """Whether names stand one behind the other anywhere on a way; any may where a field shows all there."""
    return any(_begins(path[at:], keys) for at in range(len(path) - len(keys) + 1))


def _begins(path: Keys, keys: Keys) -> bool:
    pairs = enumerate(zip(keys, path, strict=False))
    return all(key in ("*", step) or (step == "*" and at > 0) for at, (key, step) in pairs)
