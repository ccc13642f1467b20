"""Where a person's own files lie: `$MCPGATE_HOME`, else the platform's own user folders, closed to others.

The saved toolset is looked for before the first answer, so this module imports next to nothing.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def home() -> Path:
    """The folder of the person's own connectors and presets; it may not exist yet."""
    from pathlib import Path

    return Path(home_folder())


def home_folder() -> str:
    """The same as text."""
    return _own_folder() or _platform_folder("XDG_CONFIG_HOME", ".config", "Application Support")


def cache_folder() -> str:
    """The folder of what can be made again, as text; it may not exist yet."""
    own = _own_folder()
    return os.path.join(own, "cache") if own else _platform_folder("XDG_CACHE_HOME", ".cache", "Caches")


def shipped(kind: str) -> Path:
    """The folder of shipped `connectors` or `presets`: inside the wheel, or at the root of a checkout."""
    from pathlib import Path

    package = Path(__file__).parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def write_private(path: str, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all; every folder it needs is made 0700."""
    make_private(os.path.dirname(path))
    draft = f"{path}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(draft, path)


def make_private(folder: str) -> None:
    """Make a folder that only its owner can read, and those above; `os.makedirs` leaves them open."""
    above = os.path.dirname(folder)
    if above == folder or os.path.isdir(folder):
        return
    make_private(above)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass


def _own_folder() -> str:
    chosen = os.environ.get("MCPGATE_HOME", "")
    return os.path.abspath(os.path.expanduser(chosen)) if chosen else ""


def _platform_folder(variable: str, unix: str, mac: str) -> str:
    """The user's folder by the XDG Base Directory specification, or the platform's own custom."""
    user = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(
            os.environ.get("LOCALAPPDATA") or os.path.join(user, "AppData", "Local"), "mcpgate"
        )
    if sys.platform == "darwin":
        return os.path.join(user, "Library", mac, "mcpgate")
    chosen = os.environ.get(variable, "")
    return os.path.join(chosen if os.path.isabs(chosen) else os.path.join(user, unix), "mcpgate")
