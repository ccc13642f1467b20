"""Reads YAML 1.2 core scalars from hostile text, and knows where everything stood when a check fails.

Size, depth and alias expansion are bounded over the event stream first (the C loader crashes on 200,000 nested
brackets); positions are only looked up for a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import yaml

from mcpgate.errors import SpecError

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
_QUOTE_IT: Final = "a comma, bracket or colon broke an unquoted text? quote it"
_BROKEN_TEXT: Final = ("mapping values are not allowed", "did not find expected", "found character that cannot")
_TAG = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where (a path into the document, or a line and column) and what."""

    message: str
    path: Path = ()
    at_key: bool = False
    position: tuple[int, int] | None = None


@dataclass
class Document:
    """One YAML file: its `value`, and positions on demand."""

    name: str
    text: str
    value: Any = None
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Note a fault at a path; `at_key` points at the key instead of its value."""
        self.problems.append(Problem(message, path, at_key))

    def finish(self) -> None:
        """Raise one `SpecError` with every fault noted, in the order of the file, if there is any."""
        if not self.problems:
            return
        placed = sorted({(*self._position(problem), problem.message) for problem in self.problems})
        raise SpecError([f"{self.name}:{line}:{column}: {message}" for line, column, message in placed])

    def place(self, path: Path) -> str:
        """Where a path stands, as `file:line`."""
        return f"{self.name}:{self._position(Problem('', path))[0]}"

    def is_flow(self, path: Path) -> bool:
        """Whether the collection at a path is written in brackets or braces."""
        node = self._node(path)
        return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)

    def _position(self, problem: Problem) -> tuple[int, int]:
        if problem.position:
            return problem.position
        node = self._node(problem.path, problem.at_key)
        return (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1)

    @cached_property
    def _root(self) -> yaml.Node | None:
        return yaml.compose(self.text, Loader=CoreLoader)

    def _node(self, path: Path, at_key: bool = False) -> yaml.Node | None:
        node = self._root
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, yaml.MappingNode):
                pairs = [pair for pair in node.value if pair[0].value == str(step)]
                if not pairs:
                    return node
                node = pairs[-1][0] if at_key and last else pairs[-1][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                return node
        return node


class CoreLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with the scalars of YAML 1.2 and without merge keys; keys are texts and unique."""

    def construct_text_keys(self, node: yaml.MappingNode) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a text", problem_mark=key_node.start_mark)
            key = str(key_node.value)
            if key in result:
                found = Problem(f"the key '{key}' stands here twice", position=(line, column))
                self.__dict__.setdefault("found", []).append(found)
            result[key] = self.construct_object(value_node, deep=True)
        return result


def _text(loader: Any, node: yaml.ScalarNode) -> str:
    return str(node.value)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    base = {"0o": 8, "0x": 16}.get(text[:2])
    return int(text[2:], base) if base else int(text)


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    return float(node.value)


CoreLoader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("int", r"(?:[-+]?[0-9]{1,4000}|0o[0-7]+|0x[0-9a-fA-F]+)\Z", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", "-+0123456789."),
):
    CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)
CoreLoader.add_constructor(_TAG + "int", _integer)
CoreLoader.add_constructor(_TAG + "float", _number)
CoreLoader.add_constructor(_TAG + "str", _text)
CoreLoader.add_constructor(_TAG + "map", CoreLoader.construct_text_keys)


def load(name: str, data: bytes) -> Document:
    """Read one YAML file; `name` is what messages call it. Raises `SpecError`."""
    if len(data) > MAX_BYTES:
        raise SpecError([f"{name}:1:1: the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError([f"{name}:{line}:1: this is not UTF-8 text"]) from None
    document = Document(name, text)
    try:
        _check_events(text)
        loader = CoreLoader(text)
        try:
            document.value = loader.get_single_data()
            document.problems.extend(loader.__dict__.get("found", []))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = error.problem or error.context or "this is not YAML"
        if any(words in message for words in _BROKEN_TEXT):
            message += f"; {_QUOTE_IT}"
        raise SpecError([f"{name}:{line}:{column}: {message}"]) from None
    except yaml.YAMLError as error:
        raise SpecError([f"{name}:1:1: {str(error).splitlines()[0]}"]) from None
    if not isinstance(document.value, dict):
        raise SpecError([f"{name}:1:1: the file must be a mapping (`key: value` lines)"])
    return document


def _check_events(text: str) -> None:
    """Bound depth and alias expansion before anything recursive sees the text."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = documents = 0
    for event in yaml.parse(text, Loader=CoreLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _fault("a file holds one document; there is a second one here", event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _fault(f"the alias *{event.anchor} has no anchor before it", event)
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - start
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, total - 1))
                if len(open_nodes) > MAX_DEPTH:
                    raise _fault(f"nested more than {MAX_DEPTH} deep", event)
            elif event.anchor:
                sizes[event.anchor] = 1
        if total > MAX_NODES:
            raise _fault(f"more than {MAX_NODES:,} values, aliases expanded", event)


def _fault(message: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark
    return yaml.MarkedYAMLError(problem=message, problem_mark=mark)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or nothing."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
