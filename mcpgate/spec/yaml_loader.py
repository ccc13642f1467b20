"""YAML 1.2 core scalars from hostile text, and the complaints of the YAML library in plain words.

Depth and aliases are bounded over the event stream, before anything recursive sees the text: the C loader
crashes on 200,000 nested brackets.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
_LONGEST_NUMBER: Final = 24
_LARGEST: Final = 2**64
_TAG: Final = "tag:yaml.org,2002:"
_TOO_LARGE: Final = "a number of this size is not read; if it is a text, quote it"
# what the library says → what a person can use
_PLAIN: Final = (
    ("mapping values are not", "a colon stands where no key can be; if it belongs to a text, quote it"),
    (
        "expected ','",
        "a comma, bracket or colon broke an unquoted text (quote it), or a bracket is not closed",
    ),
    (
        "expected key",
        "this fits nothing above it: mend the indentation, or if it belongs to a text, quote it",
    ),
    ("expected '-'", "this line is no item of the list above it: mend the indentation, or begin it with -"),
    ("expected ':'", "a key has no ':' after it; if this belongs to a text, quote it"),
    ("expected node content", "a bracket or comma stands where a value has to be; if it is a text, quote it"),
    ("expected alphabetic", "a text cannot start with * or &; quote it"),
    ("unknown escape", "in double quotes a backslash is doubled; in single quotes it is itself"),
    ("block sequence entries", "a list item stands where none can be; begin it on a line of its own"),
)


class CoreLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with the scalars of YAML 1.2; keys are texts and unique, and none of them merges.

    `found` holds the faults that do not end the reading, each with its line and column.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.found: list[tuple[str, int, int]] = []

    def construct_text_keys(self, node: yaml.MappingNode) -> dict[str, Any]:
        """A mapping whose keys are the texts that were written."""
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault("a key must be a text", key_node)
            key = str(key_node.value)
            if key == "<<":
                self._note("merge keys (<<) are not part of YAML 1.2; write the keys out", key_node)
                continue
            if key in result:
                self._note(f"the key '{key}' stands here twice", key_node)
            result[key] = self.construct_object(value_node, deep=True)
        return result

    def _note(self, message: str, node: yaml.Node) -> None:
        self.found.append((message, node.start_mark.line + 1, node.start_mark.column + 1))


def _text(loader: Any, node: yaml.ScalarNode) -> str:
    return str(node.value)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    if len(text) > _LONGEST_NUMBER:
        raise _fault(_TOO_LARGE, node)
    base = {"0o": 8, "0x": 16}.get(text[:2])
    number = int(text[2:], base) if base else int(text)
    if abs(number) >= _LARGEST:
        raise _fault(_TOO_LARGE, node)
    return number


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    number = float(node.value)
    if not math.isfinite(number):
        raise _fault(_TOO_LARGE, node)
    return number


CoreLoader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", "-+0123456789."),
):
    CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)
CoreLoader.add_constructor(_TAG + "int", _integer)
CoreLoader.add_constructor(_TAG + "float", _number)
CoreLoader.add_constructor(_TAG + "str", _text)
CoreLoader.add_constructor(_TAG + "map", CoreLoader.construct_text_keys)


def check_events(text: str) -> None:
    """Bound the depth and the number of values, aliases expanded; raises `yaml.MarkedYAMLError`.

    Tags are refused too: a text needs none, and nothing else may be made from a file.
    """
    anchors: dict[str, tuple[int, int]] = {}
    open_nodes: list[tuple[str | None, int]] = []
    heights = [0]
    total = documents = 0
    for event in yaml.parse(text, Loader=CoreLoader):
        reach = 0
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _fault("a file holds one document; there is a second one here", event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise _fault(
                    f"no anchor &{event.anchor} is closed before this; if it is a text, quote it", event
                )
            size, reach = anchors[event.anchor]
            total += size
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_nodes.pop()
            reach = heights.pop() + 1
            if anchor:
                anchors[anchor] = (total - start, reach)
        elif isinstance(event, yaml.NodeEvent):
            _check_node(event, anchors, open_nodes)
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, total - 1))
                heights.append(0)
            elif event.anchor:
                anchors[event.anchor] = (1, 0)
        heights[-1] = max(heights[-1], reach)
        if len(open_nodes) + reach > MAX_DEPTH:
            raise _fault(f"nested more than {MAX_DEPTH} deep", event)
        if total > MAX_NODES:
            raise _fault(f"more than {MAX_NODES:,} values, aliases expanded", event)


def _check_node(event: Any, anchors: dict[str, Any], open_nodes: list[tuple[str | None, int]]) -> None:
    if event.tag is not None:
        raise _fault("tags (!) are not read; if it is a text, quote it", event)
    if event.anchor and (event.anchor in anchors or any(anchor == event.anchor for anchor, _ in open_nodes)):
        raise _fault(f"the anchor &{event.anchor} is given a second time", event)


def explain(error: yaml.YAMLError, text: str) -> tuple[str, int, int]:
    """What is wrong with a text that is no YAML, with its line and column."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode("utf-8", "ignore")
        line_start = before.rfind("\n") + 1
        message = f"the character U+{ord(text[len(before)]):04X} cannot stand in YAML"
        return message, before.count("\n") + 1, len(before) - line_start + 1
    assert isinstance(error, yaml.MarkedYAMLError)
    problem = error.problem or ""
    mark: Any = error.problem_mark or error.context_mark
    if "cannot start any token" in problem:
        char = text[mark.index : mark.index + 1]
        problem = f"a text cannot start with {char}; quote it"
        if char == "\t":
            problem = "YAML is indented with spaces, not tabs"
    elif "unexpected end of stream" in problem and error.context_mark:
        problem, mark = "the quote that opens here is not closed", error.context_mark
    else:
        problem = next((plain for words, plain in _PLAIN if words in problem), problem or str(error.context))
    return problem, mark.line + 1, mark.column + 1


def _fault(message: str, place: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark
    return yaml.MarkedYAMLError(problem=message, problem_mark=mark)
