"""The saved toolset: what `run` lists, kept from the last time so that the first answer needs no YAML.

It serves listing only. Decisions always come from the sources, so a poisoned file lifts no rule. It counts as
long as mcpgate's version and every file that went in are the same.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256

from mcpgate import __version__, paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_ROOMS = ("connectors", "presets")
_PREFIX = "toolset-"
_POLICY = ("policy.yaml", "policy.yml")


def find(words: Sequence[str]) -> dict[str, Any] | None:
    """The listing saved for these command-line words, or None when there is none that still holds."""
    try:
        with open(_path(words), "rb") as file:
            saved = json.loads(file.read())
        listing: dict[str, Any] = saved["listing"]
        same = (
            all(_digest(path) == digest for path, digest in saved["files"])
            and saved["own"] == _own_names()
            and saved["keys"] == _keys()
        )
        return listing if same and isinstance(listing["tools"], list) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def save(words: Sequence[str], files: Iterable[str], listing: dict[str, Any]) -> None:
    """Keep a listing for the next start; a folder that cannot be written to is no reason to fail."""
    try:
        digests = [[path, _digest(path)] for path in files]
        saved = {"files": digests, "own": _own_names(), "keys": _keys(), "listing": listing}
        text = json.dumps(saved, ensure_ascii=False, separators=(",", ":"))
        paths.write_private(_path(words), text.encode())
    except OSError:
        pass


def forget() -> None:
    """Drop every saved listing: what is offered may have changed with a credential."""
    folder = paths.cache_folder()
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if name.startswith(_PREFIX):
            try:
                os.unlink(os.path.join(folder, name))
            except OSError:
                pass


def _path(words: Sequence[str]) -> str:
    key = json.dumps([__version__, os.getcwd(), paths.home_folder(), *words])
    return os.path.join(paths.cache_folder(), f"{_PREFIX}{sha256(key.encode()).hexdigest()[:32]}.json")


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return sha256(file.read()).hexdigest()


def _own_names() -> list[str]:
    """The person's own files by name: one more may shadow a shipped name, or hold rules for every app."""
    home = paths.home_folder()
    there = os.listdir(home) if os.path.isdir(home) else []
    found = sorted(name for name in there if name.casefold() in _POLICY)
    for room in _ROOMS:
        folder = os.path.join(paths.home_folder(), room)
        if os.path.isdir(folder):
            found += [f"{room}/{name}" for name in sorted(os.listdir(folder))]
    return found


def _keys() -> list[str]:
    """The variables that hold keys, by name: such a key has no ceiling, one that was connected may have."""
    names = (name for name in os.environ if name.startswith("MCPGATE_") and name.endswith("_KEY"))
    return sorted(name for name in names if os.environ[name].strip())
