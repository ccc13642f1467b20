"""Apps that stay true to what they were made of: opened anew when the database or a file has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mcpgate import catalog, paths
from mcpgate.apps import App, frozen, switched_off
from mcpgate.cli.opening import (
    ACCOUNT_POLICY,
    Options,
    account_rules,
    connected,
    open_app,
    open_grant,
)
from mcpgate.cli.vaults import config
from mcpgate.errors import NotFoundError, UsageError
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.config import Config, StoredApp
from mcpgate.toolset import LiveToolset


class _Seen(list[Path]):
    """Files, each with what it was like when it was first noted, which is before it is read."""

    def __init__(self) -> None:
        super().__init__()
        self._stamps: dict[str, object] = {}

    def append(self, path: Path) -> None:
        name = os.fspath(path)
        self._stamps.setdefault(name, _stamp(name))
        super().append(path)

    def forget(self) -> None:
        self.clear()
        self._stamps.clear()

    def unchanged(self) -> bool:
        return {name: _stamp(name) for name in self._stamps} == self._stamps


def _never() -> bool:
    return False


def live_toolset(
    version: Callable[[], int], open_app: Callable[[list[Path]], App], expired: Callable[[], bool] = _never
) -> LiveToolset:
    """The toolset of an app that is opened anew whenever anything that it is made of has changed.

    `open_app` notes every file that goes in. An app that is `expired` is opened anew too, and says so then.
    """
    seen = _Seen()

    def build() -> App:
        seen.forget()
        seen.append(paths.home() / ACCOUNT_POLICY)
        return open_app(seen)

    return LiveToolset(version, build, lambda: seen.unchanged() and not expired())


def open_any(options: Options) -> App:
    """The app that the flags describe, or the stored one that they name."""
    if not options.app:
        return open_app(options)
    kept = config()
    return open_stored(find_stored(kept, options.app), kept, options.files)


def open_stored(stored: StoredApp, kept: Config, files: list[Path]) -> App:
    """An app as the database keeps it; every file that goes in is added to `files`.

    Raises what a connector, a preset or a rule that is not sound any more raises.
    """
    connectors = {grant.connector: catalog.load_connector(grant.connector, files) for grant in stored.grants}
    names = [connector.name for connector in connectors.values()]
    grants, off = [], []
    for grant in stored.grants:
        connector = connectors[grant.connector]
        preset = catalog.load_policy(grant.preset, "preset", files)
        row = None if stored.sandbox else connected(connector, grant.account)
        grants.append(
            open_grant(connector, grant.account, dict(grant.settings), preset, live=grant.live, row=row)
        )
        switches = switched_off(grant.tools, connector, stored.name)
        off += [switches] if switches is not None else []
    return App(
        name=stored.name,
        grants=tuple(grants),
        switches=(*frozen(kept.freezes(), stored.name, names), *off),
        account_rules=account_rules(kept.account_policy(), files),
        rules=tuple(
            catalog.read_kept_policy(f"app {stored.name}", rules.text, files) for rules in stored.rules
        ),
        discovery=stored.discovery,
        sandbox=stored.sandbox,
        subject=stored.subject,
    )


def find_stored(kept: Config, name: str) -> StoredApp:
    """An app of a name that a person gave; raises `NotFoundError`, and as `usable` does."""
    stored = kept.find(name)
    if stored is None:
        known = [each.name for each in kept.all()]
        hint = "See them all: mcpgate apps list"
        raise NotFoundError(f"There is no app '{name[:80]}'{did_you_mean(name[:80], known)}", hint)
    return usable(stored)


def usable(stored: StoredApp) -> StoredApp:
    """An app that may be used; raises `UsageError`."""
    name = stored.name
    if stored.paused:
        raise UsageError(f"The app {name} is paused.", f"A person resumes it: mcpgate apps resume {name}")
    if stored.expired():
        raise UsageError(
            f"The key of the app {name} has expired.", f"Make it anew: mcpgate apps rotate {name}"
        )
    return stored


def _stamp(name: str) -> object:
    try:
        found = os.stat(name)  # noqa: PTH116  asked before every call
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
