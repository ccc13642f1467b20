"""What arrives: a request read as a lenient server would read it, by the fields of the tool. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from mcpgate.attack.lenient import decoded, letters
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys, member
from mcpgate.spec.templates import whole_placeholder
from mcpgate.values import Account, Json, Placeholder, Request, Template, Tool

_INDEX: Final = re.compile(r"-?\d+\Z")


class Text(str):
    """A value of a form, a query or an address, whose type the wire does not tell."""

    __slots__ = ()


class Members(dict[str, list[Any]]):
    """An object in which a key may stand more than once."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One request, with the answer of its lookup and the time of the call."""

    tool: Tool
    request: Request
    roots: Mapping[str, list[Any]]
    lists: str = ""
    before: Json = MISSING
    now: float = 0.0
    free: frozenset[str] = field(default_factory=frozenset)

    def at(self, keys: Keys) -> list[Any]:
        """All that arrives at a field; `MISSING` for each spot where it should stand and does not."""
        if keys[0] == "before" and self.tool.lookup is not None:
            return list(_leaves(_walk(_node(self.before), keys[1:], {})))
        schema = next(iter(member(self.tool.schema, keys[0])), {})
        roots = self.roots.get(keys[0]) or [MISSING]
        return [
            piece
            for root in roots
            for leaf in _leaves(_walk(root, keys[1:], schema))
            for piece in self._pieces(leaf, keys)
        ]

    def whole(self, keys: Keys) -> list[Any]:
        """The same, lists and objects left whole."""
        schema = next(iter(member(self.tool.schema, keys[0])), {})
        roots = self.roots.get(keys[0]) or [MISSING]
        repeated = [*roots] if len(roots) > 1 and all(isinstance(root, Text) for root in roots) else None
        if repeated and len(keys) == 1:
            return [repeated]
        return [node for root in roots for node in _walk(root, keys[1:], schema)]

    def texts(self) -> Iterator[str]:
        """Every text in every argument, and the keys that an agent made up."""
        for name, roots in self.roots.items():
            schema = next(iter(member(self.tool.schema, name)), {})
            for root in roots:
                yield from _texts(root, schema)

    def _pieces(self, leaf: Any, keys: Keys) -> list[Any]:
        """A list that was written as one text, entry by entry."""
        if self.lists != "comma" or not isinstance(leaf, Text) or "," not in leaf:
            return [leaf]
        return [Text(piece) for piece in leaf.split(",")]


def read_wire(request: Request, account: Account, before: Json, now: float) -> Wire:
    """Read a request by the names of the tool's arguments."""
    tool, url = request.tool, urlsplit(request.url)
    query = _form(url.query)
    body = _body(request)
    roots: dict[str, list[Any]] = {}
    for name in tool.schema.get("properties", {}):
        found = [*_in_query(tool, name, query), *_in_body(tool, name, body)]
        found += _in_path(tool, name, url.path.removeprefix(urlsplit(account.base_url).path.rstrip("/")))
        found += _in_headers({**account.connector.headers, **tool.headers}, name, request)
        if found:
            roots[name] = found
    return Wire(tool, request, roots, account.connector.lists, before, now)


def _in_query(tool: Tool, name: str, query: Members) -> Iterator[Any]:
    if name in tool.query:
        yield from _named(query, tool.query[name])
    for wire, template in tool.request.query:
        for value in _named(query, wire):
            yield from _cut(template, name, value)


def _in_body(tool: Tool, name: str, body: Any) -> Iterator[Any]:
    if tool.graphql and isinstance(body, Members):
        body = next(iter(body.get("variables", [])), Members())
    if name in tool.body and isinstance(body, Members):
        yield from _named(body, tool.body[name])
    for keys in _spots_in(tool.body_tree, name):
        yield from (node for node in _walk(body, keys, {}) if node is not MISSING)


def _in_path(tool: Tool, name: str, path: str) -> Iterator[Any]:
    pattern = "".join("/" + _pattern(segment, name) for segment in tool.request.path)
    match = re.fullmatch(pattern, path) if name in tool.request.names else None
    if match and "value" in match.groupdict():
        yield Text(decoded(match["value"]))


def _in_headers(templates: Mapping[str, Template], name: str, request: Request) -> Iterator[Any]:
    for header, template in templates.items():
        if name in template.names:
            found = (text for key, text in request.headers if key.lower() == header.lower())
            yield from (cut for text in found for cut in _cut(template, name, Text(text)))


def _cut(template: Template, name: str, value: Any) -> Iterator[Any]:
    """What stands in a text in the place of one placeholder."""
    if name not in template.names:
        return
    if len(template.parts) == 1 or not isinstance(value, str):
        yield value
        return
    match = re.fullmatch(_pattern(template, name, "(?s:.*)"), value)
    yield Text(match["value"]) if match else value


def _pattern(template: Template, name: str, anything: str = "[^/]*") -> str:
    made, named = "", False
    for part in template.parts:
        if not isinstance(part, Placeholder):
            made += re.escape(part)
            continue
        inner = ".*" if part.slashes else anything
        made += f"(?P<value>{inner})" if part.name == name and not named else inner
        named = named or part.name == name
    return made


def _spots_in(tree: Any, name: str, keys: Keys = ()) -> Iterator[Keys]:
    if isinstance(tree, dict | list):
        for key, inner in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _spots_in(inner, name, (*keys, str(key)))
    elif whole_placeholder(tree) == name:
        yield keys


# --- reading ---------------------------------------------------------------------------------------------


def _body(request: Request) -> Any:
    if request.body is None:
        return Members()
    text = request.body.decode("utf-8", "replace")
    kind = next((text for name, text in request.headers if name.lower() == "content-type"), "")
    if "form" in kind:
        return _form(text)
    return json.loads(text, object_pairs_hook=_members)


def _members(pairs: list[tuple[str, Any]]) -> Members:
    made = Members()
    for key, value in pairs:
        made.setdefault(key, []).append(value)
    return made


def _node(value: Any) -> Any:
    return MISSING if value is MISSING else json.loads(json.dumps(value), object_pairs_hook=_members)


def _form(text: str) -> Members:
    """A form as a lenient server nests it: `a[b][0]=c`, whatever brackets there are."""
    made = Members()
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        keys = [key for key in re.split(r"[\[\]]", name) if key] or [name]
        node = made
        for key in keys[:-1]:
            inner = node.setdefault(key, [])
            if not inner or not isinstance(inner[-1], Members):
                inner.append(Members())
            node = inner[-1]
        node.setdefault(keys[-1], []).append(Text(value))
    return _merged(made)


def _merged(node: Members) -> Members:
    """Objects of one name made one; a value beside them, as in `a[b]=1&a[]=2`, is a member without a name."""
    for key, values in node.items():
        objects = [value for value in values if isinstance(value, Members)]
        if not objects:
            continue
        one = Members()
        for value in values:
            for name, inner in value.items() if isinstance(value, Members) else [("", [value])]:
                one.setdefault(name, []).extend(inner)
        node[key] = [_merged(one)]
    return node


def _named(node: Members, key: str, *, exact: bool = False) -> list[Any]:
    """What stands under a key, or under one that a lenient server takes for it."""
    if exact:
        return list(node.get(key, []))
    return [value for other, values in node.items() if _key(other) == _key(key) for value in values]


def _key(name: str) -> str:
    return re.sub(r"[\s_-]", "", letters(decoded(name).split("\0")[0]))


def _walk(node: Any, keys: Keys, schema: Any) -> Iterator[Any]:
    """Each thing at a field, through lists; keys that the schema names are found in other spellings too."""
    if not keys or node is MISSING:
        yield node
        return
    key, rest = keys[0], keys[1:]
    if isinstance(node, Members) and node and all(map(_INDEX.match, node)) and not _INDEX.match(key):
        node = [value for values in node.values() for value in values]
    if isinstance(node, list):
        yield from _walk_list(node, keys, schema)
        return
    if not isinstance(node, Members):
        yield MISSING
        return
    named = isinstance(schema, Mapping) and key in schema.get("properties", {})
    found = [value for values in node.values() for value in values] if key == "*" else []
    found = found or _named(node, key, exact=not named)
    inner = next(iter(member(schema, key)), {}) if isinstance(schema, Mapping) else {}
    for value in found or [MISSING]:
        yield from _walk(value, rest, inner)


def _walk_list(node: list[Any], keys: Keys, schema: Any) -> Iterator[Any]:
    inner = schema.get("items", {}) if isinstance(schema, Mapping) else {}
    key, rest = keys[0], keys[1:]
    if _INDEX.match(key):
        picked = [node[int(key)]] if -len(node) <= int(key) < len(node) else [MISSING]
        for item in picked:
            yield from _walk(item, rest, inner)
        return
    for item in node or [MISSING]:
        yield from _walk(item, rest if key == "*" else keys, inner)


def _leaves(nodes: Iterator[Any]) -> Iterator[Any]:
    """The values themselves, lists opened; null and an empty list are nothing."""
    for node in nodes:
        if isinstance(node, Members) and node and all(map(_INDEX.match, node)):
            node = [value for values in node.values() for value in values]
        if isinstance(node, list):
            yield from _leaves(iter(node)) if node else iter([MISSING])
        else:
            yield MISSING if node is None else node


def _texts(node: Any, schema: Any) -> Iterator[str]:
    if isinstance(node, Members):
        named = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
        for key, values in node.items():
            if key not in named and not _INDEX.match(key):
                yield key
            inner = next(iter(member(schema, key)), {}) if isinstance(schema, Mapping) else {}
            for value in values:
                yield from _texts(value, inner)
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item, schema.get("items", {}) if isinstance(schema, Mapping) else {})
    elif node is not None and node is not MISSING:
        yield node if isinstance(node, str) else json.dumps(node)
