"""What a sandbox keeps at one path: the items of its samples, and those created since."""

from __future__ import annotations

import hashlib
import re
import string
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from mcpgate.places import MISSING
from mcpgate.sandbox.nesting import overlay
from mcpgate.values import Json, Tool

Item: TypeAlias = dict[str, Json]
Path: TypeAlias = tuple[str, str]

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# up to the last sign that is no letter or digit; where there is none, the letters it begins with
_PREFIX: Final = re.compile(r"(?:.*[^0-9A-Za-z]|[a-z]+(?![a-z])|[A-Z]+(?![A-Z]))?(?=.)", re.DOTALL)
_WORDS: Final = re.compile(r"[_-]|(?<=[a-z])(?=[A-Z])")
_HEX: Final = "0123456789abcdef"
_ALPHABETS: Final = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_SHORTEST: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """What a tool does to the collection at a path; `name` is its placeholder for one item."""

    role: Literal["create", "list", "item", "none"]
    path: Path = ("", "")
    name: str = ""


@dataclass
class Collection:
    """Items by their identity, oldest first; `key` is the member that identifies one."""

    key: str
    items: dict[str, Item] = field(default_factory=dict)
    _samples: dict[str, Item] = field(default_factory=dict)
    _created: int = 0

    def seed(self, item: Item) -> None:
        """Keep an item of a sample; where two samples show the same one, what the later says counts."""
        name = str(item[self.key])
        self._samples[name] = {**self._samples.pop(name, {}), **item}
        self.items = dict(self._samples)

    def newest(self) -> list[Item]:
        """Every item, newest first."""
        return list(reversed(self.items.values()))

    def model(self, sample: Json) -> Item | None:
        """What a new item begins as: the tool's own sample, or where it has none an item of another's."""
        if sample is None:
            return next(reversed(self._samples.values()))
        return sample if isinstance(sample, dict) and _names(sample.get(self.key)) else None

    def create(self, model: Item, sent: Item) -> Item:
        """Keep what was sent over a model, under a fresh identity that looks like the model's."""
        self._created += 1
        while str(identity := fresh(model[self.key], self._created)) in self.items:
            self._created += 1
        self.items[str(identity)] = {**overlay(model, sent), self.key: identity}
        return self.items[str(identity)]

    def change(self, name: str, sent: Item) -> None:
        """Put what was sent over an item, except its identity."""
        item = self.items[name]
        self.items[name] = {**overlay(item, sent), self.key: item[self.key]}

    def delete(self, name: str, sample: Json) -> None:
        """Put what the sample of a deletion changes over an item; without a sample it is gone."""
        item = self.items[name]
        if not isinstance(sample, dict):
            del self.items[name]
            return
        # what the sample only repeats of its own item, such as whose it is, is no part of the deletion
        before = self._samples.get(str(sample.get(self.key)), {})
        changed = {member: value for member, value in sample.items() if before.get(member, MISSING) != value}
        self.items[name] = {**item, **changed, self.key: item[self.key]}


def gather(tools: Iterable[Tool]) -> dict[Path, Collection]:
    """The collections of an API with what its samples hold of them, those of lists as the newest."""
    parts = [(part_of(tool), tool) for tool in tools]
    homes = {part.path for part, _ in parts if part.role in ("create", "list")}
    collections: dict[Path, Collection] = {}
    for role in ("item", "create", "list"):
        for part, tool in parts:
            if part.role != role or part.path not in homes:
                continue
            names = [other.name for other, _ in parts if other.role == "item" and other.path == part.path]
            for item in _examples(part, tool):
                key = collections[part.path].key if part.path in collections else identity(item, names)
                if _names(item.get(key)):
                    collections.setdefault(part.path, Collection(key)).seed(item)
    return collections


def part_of(tool: Tool) -> Part:
    """What a tool does to a collection, by the shape of its path; a setting in it is no placeholder."""
    segments = [segment for segment in tool.request.path if segment.parts]
    given = [n for n, segment in enumerate(segments) if set(segment.names) & set(tool.schema["properties"])]
    if tool.graphql:
        return Part("none")
    if not given:
        path = tool.connector, "/".join(map(str, segments))
        if tool.request.method == "POST" and tool.category == "write":
            return Part("create", path)
        return (
            Part("list", path) if tool.request.method == "GET" and lists(tool) is not None else Part("none")
        )
    if given != [len(segments) - 1]:
        return Part("none")
    last = str(segments[-1])
    ending = last[last.index("}") + 1 :]
    return Part("item", (tool.connector, "/".join(map(str, segments[:-1])) + ending), segments[-1].names[0])


def lists(tool: Tool) -> tuple[str, ...] | None:
    """Where a tool's reply has its list, None where it has none; without pagination its sample shows it."""
    if tool.pagination is not None:
        return tool.pagination.items.keys if tool.pagination.items is not None else ()
    sample = inside(tool)
    if sample is None or isinstance(sample, list):
        return ()
    members = sample.items() if isinstance(sample, dict) and "id" not in sample else ()
    named = [name for name, member in members if isinstance(member, list)]
    return (named[0],) if len(named) == 1 else None


def inside(tool: Tool) -> Json:
    """A tool's sample, unwrapped; None where it has none."""
    found = tool.sample if tool.unwrap is None else tool.unwrap.first(tool.sample)
    return None if found is MISSING else found


def items_of(tool: Tool) -> list[Json]:
    """The items in the sample of a list."""
    found = inside(tool)
    for key in lists(tool) or ():
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


def identity(item: Item, names: Iterable[str] = ()) -> str:
    """The member that identifies an item: the one that its placeholder is called after, or its id."""
    members = {_plain(member): member for member in item}
    wanted = [word for name in names for word in (_plain(name), _plain(_WORDS.split(name)[-1]))]
    wanted += ["id", *(f"{_plain(name)}id" for name in names)]
    found = [members[word] for word in wanted if word in members and _names(item[members[word]])]
    return found[0] if found else ""


def fresh(model: Json, number: int) -> Json:
    """The identity of a new item by its number: it looks like the model, and is the same in every run."""
    if isinstance(model, int):
        return model + number
    digest = hashlib.shake_256(f"{model} {number}".encode()).digest(max(len(model), 16))
    if _UUID.fullmatch(model):
        return str(uuid.UUID(bytes=digest[:16], version=4))
    prefix = _PREFIX.match(model)
    lead = prefix[0] if prefix else ""
    rest = model[len(lead) :]
    if set(rest) <= set(string.digits):
        return f"{lead}{int(rest) + number:0{len(rest)}}"
    alphabets = (_HEX,) if set(rest) <= set(_HEX) else _ALPHABETS
    signs = zip(rest.ljust(_SHORTEST, "a"), digest, strict=False)
    return lead + "".join(_like_sign(sign, byte, alphabets) for sign, byte in signs)


def _like_sign(sign: str, byte: int, alphabets: Iterable[str]) -> str:
    return next((alphabet[byte % len(alphabet)] for alphabet in alphabets if sign in alphabet), sign)


def _examples(part: Part, tool: Tool) -> list[Item]:
    """The items that a tool's sample shows, oldest first."""
    if part.role == "list":
        shown = list(reversed(items_of(tool)))
    else:
        shows_item = part.role == "create" or (tool.request.method == "GET" and tool.pagination is None)
        shown = [inside(tool)] if shows_item else []
    return [item for item in shown if isinstance(item, dict)]


def _names(value: Json) -> bool:
    """Whether a value can name an item."""
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _plain(name: str) -> str:
    return re.sub("[_-]", "", name).lower()
