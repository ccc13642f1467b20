"""Apps, grants and freezes as they are kept, and as rows of the database.

What is read may have been written by anyone, so its types are looked at first.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpgate.errors import StoreError, UsageError
from mcpgate.store.app_key import is_past

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
RESERVED: Final = ("run", "probe")
OF_APP: Final = "name, created, expires, paused, discovery, sandbox, rules, subject"
OF_GRANT: Final = "app, connector, account, preset, settings, live, tools"


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """One connector granted to an app; connector and preset are names or absolute paths.

    `tools` has each tool's digest, as it was when the tool was enabled or first seen, and whether it is on:
    `{"digest": …, "on": …}`.
    """

    connector: str
    account: str
    preset: str
    settings: Mapping[str, str] = field(default_factory=dict)
    live: bool = False
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The connector's own name, also where it is given by a path: its tools' names begin with it."""
        return next(iter(self.tools), self.connector).partition("_")[0]


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy of an app's own: its name, and the whole text of its file."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class StoredApp:
    """An app without its key; `created` and `expires` are RFC 3339, and an empty `expires` is never."""

    name: str
    created: str = ""
    expires: str = ""
    paused: bool = False
    discovery: bool = False
    sandbox: bool = False
    rules: tuple[StoredPolicy, ...] = ()
    subject: str = ""
    grants: tuple[StoredGrant, ...] = ()

    def expired(self, now: float | None = None) -> bool:
        """Whether its key has ceased to count, now or at a moment in seconds since the epoch."""
        return is_past(self.expires, time.time() if now is None else now)


@dataclass(frozen=True, slots=True)
class Freeze:
    """What is frozen and since when; an empty name is all of its kind."""

    app: str
    connector: str
    effect: str
    since: str

    @property
    def what(self) -> str:
        """What is frozen, in words."""
        kinds = (("app", self.app), ("connector", self.connector), ("effect", self.effect))
        return ", ".join(f"{kind} {name}" for kind, name in kinds if name) or "everything"


def check_app_name(name: str) -> str:
    """The name of an app, as it may be; raises `UsageError`."""
    if name in RESERVED:
        raise UsageError(f"The name '{name}' is mcpgate's own.", "Give the app another.")
    if not _NAME.fullmatch(name):
        hint = "It has at most 40 lower-case letters, digits and hyphens, and begins with no hyphen: my-app."
        raise UsageError(f"'{name[:80]}' cannot be the name of an app.", hint)
    return name


def app_values(app: StoredApp) -> dict[str, Any]:
    """An app as the values of its row."""
    return {
        "name": app.name,
        "created": app.created,
        "expires": app.expires,
        "paused": int(app.paused),
        "discovery": int(app.discovery),
        "sandbox": int(app.sandbox),
        "rules": json.dumps([[policy.name, policy.text] for policy in app.rules]),
        "subject": app.subject,
    }


def grant_values(app: str, grant: StoredGrant) -> dict[str, Any]:
    """A grant as the values of its row."""
    return {
        "app": app,
        "connector": grant.connector,
        "account": grant.account,
        "preset": grant.preset,
        "settings": json.dumps(dict(grant.settings)),
        "live": int(grant.live),
        "tools": json.dumps({name: dict(kept) for name, kept in grant.tools.items()}),
    }


def app_of(row: Mapping[str, Any], grants: tuple[StoredGrant, ...]) -> StoredApp:
    """The app of a row; raises `StoreError`."""
    rules = _json(row, "rules")
    if not isinstance(rules, list) or not all(_is_texts(each) and len(each) == 2 for each in rules):
        raise _unreadable(row["name"])
    return StoredApp(
        name=row["name"],
        created=row["created"],
        expires=row["expires"],
        paused=bool(row["paused"]),
        discovery=bool(row["discovery"]),
        sandbox=bool(row["sandbox"]),
        rules=tuple(StoredPolicy(name, text) for name, text in rules),
        subject=row["subject"],
        grants=grants,
    )


def grant_of(row: Mapping[str, Any]) -> StoredGrant:
    """The grant of a row; raises `StoreError`."""
    settings, tools = _json(row, "settings"), _json(row, "tools")
    if not (
        isinstance(settings, dict)
        and _is_texts([*settings.values()])
        and isinstance(tools, dict)
        and all(_is_switch(kept) for kept in tools.values())
    ):
        raise _unreadable(row["app"])
    return StoredGrant(row["connector"], row["account"], row["preset"], settings, row["live"] == 1, tools)


def _json(row: Mapping[str, Any], column: str) -> Any:
    try:
        return json.loads(row[column])
    except (ValueError, TypeError, RecursionError):
        return None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_switch(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"digest", "on"}
        and isinstance(value["digest"], str)
        and isinstance(value["on"], bool)
    )


def _unreadable(app: Any) -> StoreError:
    hint = "Bring the database back from a copy."
    return StoreError(f"The app {app} in the database is not as it was written.", hint)
