"""Finds connectors, presets and stories: shipped ones and a person's own by name, any by path.

A shipped name cannot be shadowed: a file of one's own with a shipped name is an error.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Literal, TypeAlias

from mcpgate import paths
from mcpgate.errors import MCPGateError, NotFoundError, SpecError
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy, unite
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.values import Connector, Policy, Source

Room: TypeAlias = Literal["connectors", "presets"]
Kind: TypeAlias = Literal["preset", "policy"]
STORY: Final = ".demo.yaml"
_SUFFIXES: Final = (".yaml", ".yml")


def names(room: Room) -> dict[str, Path]:
    """Every name in a room with its file, shipped ones first; raises `SpecError` for a shadowed name."""
    found = {path.stem: path for path in _files(paths.shipped(room))}
    for path in _files(paths.home() / room):
        if path.stem in found:
            hint = f"Give {path} another name; a shipped one cannot be replaced."
            raise SpecError([f"{path}:1:1: '{path.stem}' is the name of one of the shipped {room}"], hint)
        found[path.stem] = path
    return found


def stories() -> list[Path]:
    """The shipped stories that `mcpgate demo` plays."""
    return sorted(paths.shipped("connectors").glob(f"*{STORY}"))


def load_connector(name: str, files: list[Path] | None = None) -> Connector:
    """A connector by name or path; its file is added to `files`. Raises `NotFoundError` or `SpecError`."""
    path, kind = _find("connectors", name)
    data = read_file(path, files)
    connector = read_connector(_shown(path), data, Source(kind, str(path), hashlib.sha256(data).hexdigest()))
    if kind != "file" and connector.name != path.stem:
        raise SpecError([f"{_shown(path)}:1:1: connector '{connector.name}' lies in a file called '{path.name}'"])
    return connector


def load_policy(name: str, kind: Kind, files: list[Path] | None = None) -> Policy:
    """A preset by name or path, or a policy file by path, with all it extends; raises as `load_connector`.

    Every file it comes from is added to `files`.
    """
    return _load_policy(name, kind, (), files)


def known_connector(name: str) -> Connector | None:
    """The shipped or own connector of a name, None where there is none."""
    return load_connector(name) if name in names("connectors") else None


def _load_policy(name: str, kind: Kind, chain: tuple[str, ...], files: list[Path] | None) -> Policy:
    path, found_as = _find("presets", name) if kind == "preset" else (Path(name), "file")
    if str(path) in chain:
        raise SpecError([f"{_shown(path)}:1:1: this extends itself: {' → '.join((*chain, str(path)))}"])
    policy = read_policy(_shown(path), read_file(path, files))
    if policy.kind != kind:
        raise SpecError(
            [f"{_shown(path)}:1:1: this is a {policy.kind}; a {kind} is wanted here"],
            "A preset is given with --preset, a policy file with --policy; the first key says which it is.",
        )
    if found_as != "file" and policy.name != path.stem:
        raise SpecError([f"{_shown(path)}:1:1: {kind} '{policy.name}' lies in a file called '{path.name}'"])
    bases = [_load_policy(_beside(path, base), "preset", (*chain, str(path)), files) for base in policy.extends]
    return unite(policy, bases)


def _beside(path: Path, base: str) -> str:
    """A base that is a path counts from the file that extends it."""
    return str(path.parent / base) if _is_path(base) else base


def _find(room: Room, name: str) -> tuple[Path, Literal["shipped", "own", "file"]]:
    if _is_path(name):
        return Path(name), "file"
    known = names(room)
    if name not in known:
        what = room.removesuffix("s")
        hint = f"Known are: {', '.join(sorted(known))}. A file is given by its path, such as ./{name}.yaml."
        raise NotFoundError(f"There is no {what} '{name}'{did_you_mean(name, list(known))}", hint)
    path = known[name]
    return path, "shipped" if path.parent == paths.shipped(room) else "own"


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.endswith(_SUFFIXES)


def _files(folder: Path) -> list[Path]:
    found = (path for suffix in _SUFFIXES for path in folder.glob(f"*{suffix}"))
    return sorted(path for path in found if not path.name.endswith(STORY))


def read_file(path: Path, files: list[Path] | None = None) -> bytes:
    """The bytes of a file, which is added to `files`; raises `NotFoundError`."""
    if files is not None:
        files.append(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}", "Check the path.") from None


def _shown(path: Path) -> str:
    """A path as messages show it: from here when it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)


def load_all() -> tuple[list[Connector], list[MCPGateError]]:
    """Every connector that can be found by name, and the errors of those that do not load."""
    connectors: list[Connector] = []
    errors: list[MCPGateError] = []
    for name in names("connectors"):
        try:
            connectors.append(load_connector(name))
        except MCPGateError as error:
            errors.append(error)
    return connectors, errors
