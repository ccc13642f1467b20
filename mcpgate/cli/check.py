"""`mcpgate check`: every fault of YAML files, with its place."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mcpgate import catalog
from mcpgate.cli.console import plain
from mcpgate.errors import MCPGateError
from mcpgate.places import Place
from mcpgate.spec.story import read_story
from mcpgate.spec.yaml_text import load
from mcpgate.values import Connector, Json, Tool


def check_files(files: Sequence[str]) -> int:
    """Check each file as what its first keys say it is; 0 when all are good."""
    code = 0
    for file in files:
        try:
            for line in _check(file):
                print(plain(line))
        except MCPGateError as error:
            code = max(code, error.exit_code)
            print(plain(error.message), file=sys.stderr)
            if error.hint:
                print(plain(error.hint), file=sys.stderr)
    return code


def _check(file: str) -> Iterator[str]:
    data = catalog.read_file(Path(file))
    keys = load(file, data).value
    given = file if "/" in file or "\\" in file else f"./{file}"
    if keys.keys() & {"demo", "test"}:
        # first, because a story holds a policy of its own
        story = read_story(file, data)
        what = "story" if story.kind == "demo" else "test"
        yield f"{file}: {what}, {_count(story.cases, 'case')}"
    elif "preset" in keys or "policy" in keys:
        policy = catalog.load_policy(given, "preset" if "preset" in keys else "policy")
        yield f"{file}: {policy.kind} {policy.name}, {_count(policy.rules, 'guardrail')}"
    else:
        connector = catalog.load_connector(given)
        yield f"{file}: connector {connector.name}, {_count(connector.tools, 'tool')}"
        for warning in _warnings(connector):
            yield f"{file}: warning: {warning}"


def _count(things: Collection[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _warnings(connector: Connector) -> Iterator[str]:
    for tool in connector.tools.values():
        if tool.sample is not None:
            for field in _not_in_sample(tool):
                yield f"{tool.name}: the field '{field}' is not in its sample"


def _not_in_sample(tool: Tool) -> Iterator[str]:
    value = tool.sample
    if tool.unwrap is not None:
        value = tool.unwrap.first(value)
    if tool.pagination is not None and tool.pagination.items is not None:
        value = tool.pagination.items.first(value)
    for field in tool.fields or ():
        if _lacks(value, field.keys):
            yield field.text


def _lacks(value: Json, keys: tuple[str, ...]) -> bool:
    """Whether an object on the way has no such key; null, text and empty lists on the way tell nothing."""
    if not keys or keys[0] == "*":
        return False
    if isinstance(value, list):
        picks = keys[0].removeprefix("-").isdigit()
        items = Place("", keys[:1]).all(value) if picks else value
        return any(_lacks(item, keys[1:] if picks else keys) for item in items)
    return isinstance(value, dict) and (keys[0] not in value or _lacks(value[keys[0]], keys[1:]))
