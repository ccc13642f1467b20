"""`mcpgate policy import`: rules of the form {"template": …, "config": …} as a policy file on stdout."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mcpgate import catalog
from mcpgate.cli.console import plain
from mcpgate.errors import MCPGateError, SpecError, UsageError
from mcpgate.json_schema import compile_pattern
from mcpgate.policy.templates import TEMPLATES
from mcpgate.selectors import fault, matches, names_tools
from mcpgate.spec.check import shipped_schema
from mcpgate.spec.policy import read_policy
from mcpgate.spec.rules_json import ForeignRule, ForeignRules, read_rules
from mcpgate.spec.yaml_text import MAX_BYTES, did_you_mean
from mcpgate.values import Selector, Tool

_WIDTH: Final = 108
# what every reader of YAML, of whichever version, takes for this very text
_PLAIN: Final = re.compile(r"[A-Za-z_](?:[\w.,/@+*='() -]|:(?=\w))*(?<! )\Z", re.ASCII)
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
# a block has nothing to block in a tool without its field; a limit takes such a tool away
_FOR: Final[Mapping[bool, tuple[str, ...]]] = {True: ("read", "write", "delete"), False: ("write", "delete")}


def import_file(file: str, name: str, tools: Sequence[str]) -> int:
    """Print the policy file that a file of rules comes to; `-` is stdin. Raises `SpecError`."""
    for text in tools:
        wrong = fault(text)
        if wrong is not None:
            raise UsageError(f"--for {plain(text)}: {wrong[0]}{did_you_mean(text, wrong[1])}")
    wanted = shipped_schema("policy")["properties"]["policy"]
    if not compile_pattern(wanted["pattern"]).fullmatch(name):
        raise UsageError(f"--name {plain(name)}: {wanted['patternErrorMessage']}.")
    data = sys.stdin.buffer.read(MAX_BYTES + 1) if file == "-" else catalog.read_file(Path(file))
    file = "stdin" if file == "-" else plain(file)
    found = read_rules(file, data)
    if not found.rules:
        says = "every rule is switched off (enabled: false), so there is nothing left to import"
        raise SpecError([f"{file}: {says}"])
    policy = "\n".join(_policy(name, found.rules, tools)) + "\n"
    read_policy("the imported policy", policy.encode())
    for line in _notes(found, tools):
        print(plain(line), file=sys.stderr)
    print(policy, end="")
    return 0


def _policy(name: str, rules: Sequence[ForeignRule], tools: Sequence[str]) -> Iterator[str]:
    yield f"policy: {name}"
    yield "guardrails:" if rules else "guardrails: []"
    for rule in rules:
        if rule.told:
            yield f"  # {plain(rule.told)}"
        selectors = rule.tools or tuple(tools) or _FOR[TEMPLATES[rule.template].block]
        yield f"  - for: {_flow(selectors[0] if len(selectors) == 1 else selectors)}"
        yield from _lines(rule.template, rule.config, "    ")
        if rule.mode != "enforce":
            yield f"    mode: {rule.mode}"
        if rule.reason:
            yield f"    reason: {_scalar(rule.reason)}"


def _notes(found: ForeignRules, tools: Sequence[str]) -> Iterator[str]:
    if found.skipped:
        yield f"Left out, as it is switched off (enabled: false): {_several(found.skipped)}."
    unsaid = [] if tools else [rule for rule in found.rules if not rule.tools]
    for block, selectors in _FOR.items():
        places = [rule.place or "the rule" for rule in unsaid if TEMPLATES[rule.template].block is block]
        if places:
            but = "" if block else ", and a tool that has no such field is denied"
            yield f"No tools are named by {_several(places)}: for [{', '.join(selectors)}]{but}."
    if unsaid:
        yield "Say which tools are meant with --for TOOL."
    named = dict.fromkeys((*tools, *(text for rule in found.rules for text in rule.tools)))
    yield from _unknown([Selector(text) for text in named])


def _unknown(selectors: Sequence[Selector]) -> Iterator[str]:
    """The names and globs that are those of no tool of a connector that can be found by name."""
    named = [selector for selector in selectors if names_tools(selector)]
    tools = list(_known_tools()) if named else []
    for selector in named:
        if not any(matches(selector, tool) for tool in tools):
            near = did_you_mean(selector.text, [tool.name for tool in tools])
            yield f"No connector here has a tool called '{selector.text}'{near or '.'}"


def _known_tools() -> Iterator[Tool]:
    for name in catalog.names("connectors"):
        with suppress(MCPGateError):
            yield from catalog.load_connector(name).tools.values()


def _several(places: Sequence[str], most: int = 5) -> str:
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return ", ".join(places[:most]) + more


def _lines(key: str, value: Any, indent: str) -> Iterator[str]:
    """A key with its value, on one line where that has room for it."""
    line = f"{indent}{_scalar(key, flow=True)}: {_flow(value)}"
    if len(line) <= _WIDTH or not isinstance(value, list | dict):
        yield line
        return
    yield f"{indent}{_scalar(key, flow=True)}:"
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(name, inner, f"{indent}  ")
    else:
        yield from (f"{indent}  - {_flow(item)}" for item in value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_scalar(key, flow=True)}: {_flow(inner)}" for key, inner in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value, flow=True)


def _scalar(value: Any, *, flow: bool = False) -> str:
    """A scalar as YAML reads it back; a text is quoted where it could be taken for something else.

    What `plain` makes of a quoted text is what YAML takes for the same text.
    """
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.match(value) and value.lower() not in _WORDS and not (flow and "," in value):
        return value
    return plain(json.dumps(value, ensure_ascii=False))
