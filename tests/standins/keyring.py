"""Keyrings that are no system's: one in memory, which fails as a test says, and one that processes share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

Step = Callable[[Any], object]


class MemoryBackend(KeyringBackend):
    """Keeps texts in `kept`; `on` may hold what happens first when one is to be got, set or deleted.

    With `forgets` it takes what it is given without a word and keeps nothing, as a null keyring does.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.on: dict[str, Step] = {}
        self.forgets = False

    def get_password(self, service: str, username: str) -> str | None:
        self._step("get", "")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._step("set", password)
        if not self.forgets:
            self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._step("delete", "")
        if (service, username) not in self.kept:
            raise PasswordDeleteError
        del self.kept[service, username]

    def _step(self, name: str, text: str) -> None:
        if name in self.on:
            self.on[name](text)


class FolderBackend:
    """Keeps each text in a file of a folder, whole or not at all, for processes that share a keyring."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder

    def names(self) -> list[str]:
        """The names that something is kept under."""
        return sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))

    def get_password(self, service: str, username: str) -> str | None:
        try:
            return (self._folder / username).read_text()
        except FileNotFoundError:
            return None

    def set_password(self, service: str, username: str, password: str) -> None:
        draft = self._folder / f".{username}.{os.getpid()}"
        draft.write_text(password)
        draft.replace(self._folder / username)

    def delete_password(self, service: str, username: str) -> None:
        (self._folder / username).unlink(missing_ok=True)
