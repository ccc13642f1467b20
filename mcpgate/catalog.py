"""Finds connectors, presets and stories: shipped ones and a person's own by name, any by path.

A shipped name cannot be shadowed: a file of one's own with a shipped name is an error.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, Literal, TypeAlias

from mcpgate import paths
from mcpgate.errors import NotFoundError, SpecError
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy, unite
from mcpgate.spec.yaml_text import MAX_BYTES, did_you_mean
from mcpgate.values import Connector, Policy, Source

Room: TypeAlias = Literal["connectors", "presets"]
Kind: TypeAlias = Literal["preset", "policy"]
STORY: Final = ".demo.yaml"
_STORIES: Final = (STORY, ".test.yaml", ".test.yml")
_SUFFIXES: Final = (".yaml", ".yml")


def names(room: Room) -> dict[str, Path]:
    """Every name in a room with its file, shipped ones first; raises `SpecError` for a shadowed name."""
    shipped = {path.stem: path for path in _files(paths.shipped(room))}
    own: dict[str, Path] = {}
    for path in _files(paths.home() / room):
        if path.stem in shipped:
            hint = f"Give {path} another name; a shipped one cannot be replaced."
            raise SpecError([f"{path}:1:1: '{path.stem}' is the name of one of the shipped {room}"], hint)
        if path.stem in own:
            raise SpecError(
                [f"{path}:1:1: {own[path.stem].name} has the same name"], "Give one of them another."
            )
        own[path.stem] = path
    return shipped | own


def stories() -> list[Path]:
    """The shipped stories that `mcpgate demo` plays."""
    return sorted(paths.shipped("connectors").glob(f"*{STORY}"))


def load_connector(name: str, files: list[Path] | None = None) -> Connector:
    """A connector by name or path; its file is added to `files`. Raises `NotFoundError` or `SpecError`."""
    path, kind = _find("connectors", name)
    data = read_file(path, files)
    connector = read_connector(_shown(path), data, Source(kind, str(path), hashlib.sha256(data).hexdigest()))
    if kind != "file" and connector.name != path.stem:
        raise SpecError(
            [f"{_shown(path)}:1:1: connector '{connector.name}' lies in a file called '{path.name}'"]
        )
    return connector


def load_policy(name: str, kind: Kind, files: list[Path] | None = None) -> Policy:
    """A preset by name or path, or a policy file by path, with all it extends; raises as `load_connector`.

    Every file it comes from is added to `files`.
    """
    found: dict[str, Policy] = {}
    policy = _gather(name, kind, (), found, files)
    return unite(policy, [base for base in found.values() if base is not policy])


def read_kept_policy(label: str, text: str, files: list[Path] | None = None) -> Policy:
    """A policy that is kept as a text, with the presets that it extends by name; raises as `load_policy`."""
    policy = read_policy(label, text.encode())
    if policy.kind != "policy":
        raise SpecError([f"{label}:1:1: this is a {policy.kind}; a policy is wanted here"])
    found: dict[str, Policy] = {}
    for base in policy.extends:
        if is_path(base):
            hint = "What is kept apart from its file can extend a preset by its name only."
            raise SpecError([f"{label}:1:1: extends: {base} is a path"], hint)
        _gather(base, "preset", (), found, files)
    return unite(policy, list(found.values()))


def known_connector(name: str) -> Connector | None:
    """The shipped or own connector of a name, None where there is none."""
    return load_connector(name) if name in names("connectors") else None


def _gather(
    name: str, kind: Kind, chain: tuple[str, ...], found: dict[str, Policy], files: list[Path] | None
) -> Policy:
    """Read a policy and all it extends into `found`, by the real paths of their files, bases first."""
    path, found_as = _find("presets", name) if kind == "preset" else (Path(name), "file")
    real = os.path.realpath(path)
    if real in chain:
        names_in_chain = " → ".join(_shown(Path(each)) for each in (*chain, real))
        raise SpecError([f"{_shown(path)}:1:1: this extends itself: {names_in_chain}"])
    if real in found:
        return found[real]
    policy = read_policy(_shown(path), read_file(path, files))
    if policy.kind != kind:
        raise SpecError(
            [f"{_shown(path)}:1:1: this is a {policy.kind}; a {kind} is wanted here"],
            "A preset is given with --preset, a policy file with --policy; the first key says which it is.",
        )
    if found_as != "file" and policy.name != path.stem:
        raise SpecError([f"{_shown(path)}:1:1: {kind} '{policy.name}' lies in a file called '{path.name}'"])
    for base in policy.extends:
        try:
            _gather(_beside(path, base), "preset", (*chain, real), found, files)
        except NotFoundError as error:
            raise SpecError([f"{_shown(path)}:1:1: extends: {error.message}"], error.hint) from None
    found[real] = policy
    return policy


def _beside(path: Path, base: str) -> str:
    """A base that is a path counts from the file that extends it."""
    return str(path.parent / base) if is_path(base) else base


def _find(room: Room, name: str) -> tuple[Path, Literal["shipped", "own", "file"]]:
    if is_path(name):
        return Path(name), "file"
    known = names(room)
    if name not in known:
        what = room.removesuffix("s")
        hint = f"Known are: {', '.join(sorted(known))}. A file is given by its path, such as ./{name}.yaml."
        raise NotFoundError(f"There is no {what} '{name}'{did_you_mean(name, list(known))}", hint)
    path = known[name]
    return path, "shipped" if path.parent == paths.shipped(room) else "own"


def is_path(name: str) -> bool:
    """Whether a connector or preset is given by its path and not by its name."""
    return "/" in name or "\\" in name or name.endswith(_SUFFIXES)


def _files(folder: Path) -> list[Path]:
    found = (path for suffix in _SUFFIXES for path in folder.glob(f"*{suffix}"))
    return sorted(path for path in found if not path.name.endswith(_STORIES))


def read_file(path: Path, files: list[Path] | None = None) -> bytes:
    """The bytes of a file, no more than are too many; it is added to `files`. Raises `NotFoundError`."""
    if files is not None:
        files.append(path)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}", "Check the path.") from None


def _shown(path: Path) -> str:
    """A path as messages show it: from here when it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)
