"""What a policy says it reaches, read from its words and not from what was bound. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from mcpgate.attack.attempt import BEFORE, Target
from mcpgate.policy.fields import Keys, choices, has_field, split_field
from mcpgate.policy.templates import TEMPLATES
from mcpgate.values import Policy, Rule, Selector, Tool

_FREE: Final = "note"
_MOST_TEXTS: Final = 12


def takes_in(selector: Selector, tool: Tool) -> bool:
    """Whether a selector means a tool."""
    kind, colon, effect = selector.text.partition(":")
    if colon:
        return kind == "effect" and effect in set(tool.effects)
    return selector.text == tool.category or fnmatchcase(tool.name, selector.text)


def is_denied(policy: Policy, tool: Tool) -> bool:
    """Whether a policy takes a tool away by its `allow` and `deny` alone."""
    if _any(policy.deny, tool):
        return True
    return not _any(policy.allow, tool) if policy.allow is not None else policy.kind == "preset"


def _any(selectors: Iterable[Selector], tool: Tool) -> bool:
    return any(takes_in(selector, tool) for selector in selectors)


def reaches(rule: Rule, tool: Tool) -> bool:
    """Whether a rule is for a tool."""
    return _any(rule.selectors, tool)


def by_effect(rule: Rule) -> bool:
    """Whether a rule says what it is for by what tools do, and not by their names."""
    return any(selector.text.startswith("effect:") or "_" not in selector.text for selector in rule.selectors)


def target_of(rule: Rule, tool: Tool) -> Target:
    """A rule on a tool, with the fields that it looks at."""
    found = tuple(keys for keys in _spots(rule, tool) if _stands(tool, keys))
    return Target(rule, tool, found, TEMPLATES[rule.template].block)


def takes_away(rule: Rule, tool: Tool) -> bool:
    """Whether a rule has to deny a tool whatever it is given: it deletes, or lacks what a limit guards."""
    template = TEMPLATES[rule.template]
    if template.looks_at == "tool":
        return tool.category == "delete"
    if counts_calls(rule):
        return not rule.config["max"]
    if template.block or (rule.when_missing == "allow" and template.looks_at != "money"):
        return False
    if template.looks_at == "money":
        return tool.money is None
    if template.looks_at == "call" or (template.looks_at == "texts" and "field" not in rule.config):
        return False
    wanted = list(_spots(rule, tool))
    return not wanted or not all(_stands(tool, keys) for keys in wanted)


def counts(rule: Rule) -> bool:
    """Whether a rule is about many calls together."""
    return TEMPLATES[rule.template].seconds is not None


def counts_calls(rule: Rule) -> bool:
    """Whether it is about how many there are, and not about what they move."""
    return counts(rule) and TEMPLATES[rule.template].looks_at == "call"


def _spots(rule: Rule, tool: Tool) -> Iterator[Keys]:
    template, config = TEMPLATES[rule.template], rule.config
    if template.looks_at == "money" and tool.money is not None:
        yield from (place.keys for place in (*tool.money.amount, *tool.money.currency))
    elif template.looks_at == "fields":
        yield from map(split_field, config["fields"])
    elif template.looks_at == "span":
        for end in ("start", "end"):
            yield from _named_or_role(config.get(end, ""), end, tool)
    elif template.looks_at in ("values", "field", "texts"):
        found = list(_named_or_role(config.get("field", ""), template.role, tool))
        yield from found
        if not found and template.looks_at == "texts":
            yield from list(text_fields(tool.schema))[:_MOST_TEXTS]


def _named_or_role(field: str, role: str, tool: Tool) -> Iterator[Keys]:
    if field:
        yield split_field(field)
    else:
        yield from (place.keys for place in tool.roles.get(role, ()))


def _stands(tool: Tool, keys: Keys) -> bool:
    return has_field(tool.schema, keys) or (keys[0] == BEFORE and tool.lookup is not None)


def text_fields(schema: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Every field in which an agent words a text itself."""
    if not isinstance(schema, Mapping):
        return
    types = schema.get("type", "")
    is_text = "string" in ([types] if isinstance(types, str) else types)
    if keys and is_text and not schema.keys() & {"enum", "const", "pattern", "format"}:
        yield keys
    for name, inner in schema.get("properties", {}).items():
        yield from text_fields(inner, (*keys, name))
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from text_fields(schema["additionalProperties"], (*keys, _FREE))
    yield from text_fields(schema.get("items"), keys)
    for choice in choices(schema):
        yield from text_fields(choice, keys)


def guarded_currencies(rules: Iterable[Rule], tool: Tool) -> frozenset[str] | None:
    """The currencies that some rule on a tool names; None where no rule does."""
    named: set[str] = set()
    found = False
    for rule in rules:
        if rule.mode == "observe" or not reaches(rule, tool) or tool.money is None:
            continue
        if TEMPLATES[rule.template].looks_at == "money":
            found, named = (
                True,
                named | {name for name, limit in rule.config.items() if isinstance(limit, int)},
            )
        elif rule.template == "allow_values" and rule.when_missing == "deny" and _is_currency(rule, tool):
            found, named = True, named | set(map(str, rule.config["values"]))
    return frozenset(named) if found else None


def _is_currency(rule: Rule, tool: Tool) -> bool:
    places = tool.money.currency if tool.money is not None else ()
    return split_field(rule.config["field"]) in [place.keys for place in places]
