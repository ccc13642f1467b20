"""One YAML file as a `Document`: its value, and every fault found in it with the place where it stands.

Positions are looked up only when a check has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import yaml

from mcpgate.errors import SpecError
from mcpgate.spec.yaml_loader import CoreLoader, check_events, explain

MAX_BYTES: Final = 1024 * 1024
MOST: Final = 100
_LONGEST_MESSAGE: Final = 400

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
    _pairs: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = field(default_factory=dict, repr=False)

    def add(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Note a fault at a path; `at_key` points at the key instead of its value."""
        self.problems.append(Problem(message, path, at_key))

    def sound(self, *path: str | int) -> bool:
        """Whether no fault is noted at a path or below it."""
        return not any(problem.path[: len(path)] == path for problem in self.problems)

    def finish(self) -> None:
        """Raise one `SpecError` with every fault noted, in the order of the file, if there is any."""
        if self.problems:
            placed = sorted({(*self._position(problem), problem.message) for problem in self.problems})
            if len(placed) > MOST:
                line, column, _ = placed[MOST]
                placed[MOST:] = [(line, column, f"and {len(placed) - MOST} more from here on")]
            raise SpecError([_line(self.name, *fault) for fault in placed])

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
            if isinstance(node, yaml.MappingNode):
                pair = self._pairs_of(node).get(str(step))
                if pair is None:
                    return node
                node = pair[0] if at_key and depth == len(path) - 1 else pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                return node
        return node

    def _pairs_of(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if id(node) not in self._pairs:
            self._pairs[id(node)] = {pair[0].value: pair for pair in node.value}
        return self._pairs[id(node)]


def load(name: str, data: bytes) -> Document:
    """Read one YAML file; `name` is what messages call it. Raises `SpecError`."""
    if len(data) > MAX_BYTES:
        raise SpecError([f"{name}:1:1: the file has more than {MAX_BYTES:,} bytes; no more are read"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError([f"{name}:{line}:1: this is not UTF-8 text"]) from None
    document = Document(name, text)
    try:
        check_events(text)
        loader = CoreLoader(text)
        try:
            document.value = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        message, line, column = explain(error, text)
        raise SpecError([_line(name, line, column, message)]) from None
    if not isinstance(document.value, dict):
        raise SpecError([f"{name}:1:1: the file must be a mapping (`key: value` lines)"])
    document.problems.extend(Problem(said, position=(line, column)) for said, line, column in loader.found)
    return document


def _line(name: str, line: int, column: int, message: str) -> str:
    """One fault as it is told: what the file says is shown without control characters, never at length."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in message)
    clipped = shown if len(shown) <= _LONGEST_MESSAGE else shown[: _LONGEST_MESSAGE - 1] + "…"
    return f"{name}:{line}:{column}: {clipped}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or nothing."""
    import difflib

    spelled = {other.casefold(): other for other in known}
    folded = word.casefold()
    near = difflib.get_close_matches(folded, spelled, n=1, cutoff=0.6)
    near = near or [other for other in spelled if len(folded) > 2 and other.startswith(folded)]
    return f"; did you mean '{spelled[near[0]]}'?" if near else ""
