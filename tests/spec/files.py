"""Connector files in the short: one complete file, of which a test replaces or adds the keys it is about."""

from __future__ import annotations

import re
from textwrap import dedent, indent

import pytest

from mcpgate.errors import SpecError
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy
from mcpgate.values import Connector, Policy, Source, Tool

_TOP = {"connector": "connector: shop", "base_url": "base_url: https://api.shop.example/v1"}
_TOOL = {
    "description": "description: Things.",
    "category": "category: read",
    "request": "request: GET /things",
}
_WRITE = {"category": "category: write", "request": "request: POST /things", "effects": "effects: []"}
_KEY = re.compile(r"^([A-Za-z$-][\w$-]*) *:", re.MULTILINE)


def text(top: str = "", tool: str = "", *, write: bool = False, name: str = "shop_get") -> str:
    """A connector file whose one tool is a read, or a write; the keys in `top` and `tool` replace its own."""
    own = {**_TOOL, **_WRITE} if write else _TOOL
    return f"{_merge(_TOP, top)}\ntools:\n  {name}:\n{indent(_merge(own, tool), '    ')}\n"


def _merge(own: dict[str, str], given: str) -> str:
    given = dedent(given).strip("\n")
    kept = [line for key, line in own.items() if key not in _KEY.findall(given)]
    return "\n".join([*kept, *([given] if given else [])])


def connector(file: str | bytes, name: str = "shop.yaml") -> Connector:
    """The connector that a file describes."""
    data = file.encode() if isinstance(file, str) else file
    return read_connector(name, data, Source("file", name, "digest"))


def tool(file: str) -> Tool:
    """The only tool of a file."""
    (found,) = connector(file).tools.values()
    return found


def problems(file: str | bytes) -> list[str]:
    """What is wrong with a connector file, each with its place."""
    with pytest.raises(SpecError) as caught:
        connector(file)
    return caught.value.problems


def faults(file: str | bytes) -> list[str]:
    """The same without the places."""
    return [_message(problem) for problem in problems(file)]


def policy(file: str) -> Policy:
    """The policy that a file describes."""
    return read_policy("rules.yaml", file.encode())


def policy_problems(file: str) -> list[str]:
    """What is wrong with a preset or policy file, each with its place."""
    with pytest.raises(SpecError) as caught:
        policy(file)
    return caught.value.problems


def _message(problem: str) -> str:
    match = re.fullmatch(r"[\w.]+:\d+:\d+: (.*)", problem)
    assert match, f"no place: {problem}"
    return match[1]
