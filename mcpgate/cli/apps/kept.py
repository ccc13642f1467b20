"""What the commands about apps share: finding one, opening one, telling what differs, and asking first."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mcpgate import catalog, saved
from mcpgate.apps import switch_of
from mcpgate.cli.live import open_stored
from mcpgate.errors import NotFoundError
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.config import Config, StoredApp, StoredGrant
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Connector, Tool
from mcpgate.vault.binding import said


def found(config: Config, name: str) -> StoredApp:
    """The app of a name; raises `NotFoundError`."""
    app = config.find(name)
    if app is None:
        near = did_you_mean(name[:80], [each.name for each in config.all()])
        raise NotFoundError(f"There is no app '{name[:80]}'{near}", "See them all: mcpgate apps list")
    return app


def opened(app: StoredApp, config: Config) -> Toolset:
    """The toolset of an app, with everything in it checked; raises what does not fit."""
    return build_toolset(open_stored(app, config, []))


def by_policy(app: StoredApp, config: Config) -> Toolset:
    """The toolset of an app as if every tool were switched on."""
    made = open_stored(app, config, [])
    left = tuple(policy for policy in made.switches if policy.kind != "switches")
    return build_toolset(replace(made, switches=left))


def change(config: Config, before: StoredApp, after: StoredApp, command: str) -> None:
    """Keep an app that was changed, write down by what command and how, and drop its saved listings."""
    config.replace(before, after, says(command, differences(before, after)))
    saved.forget()


def says(command: str, lines: Iterable[str]) -> str:
    """What a person did, for the activity: the command, and what it changed in a word each."""
    told = "; ".join(line for line in lines if not line.startswith(" "))
    return f"{command}: {told}" if told else command


def as_kept(name: str) -> str:
    """A connector or preset as it is kept: a name, or a path that counts from anywhere."""
    return os.path.abspath(name) if catalog.is_path(name) else name  # noqa: PTH100  links stay


def grant_of(app: StoredApp, connector: str) -> StoredGrant | None:
    """The grant of a connector, by its name or its path."""
    return next((each for each in app.grants if as_kept(connector) in (each.connector, each.name)), None)


def connector_of(grant: StoredGrant) -> Connector:
    """The connector of a grant."""
    return catalog.load_connector(grant.connector)


def switched(grant: StoredGrant, connector: Connector, changed: Mapping[str, bool]) -> StoredGrant:
    """A grant with some of its tools switched on or off; one that is on is on as it is now."""
    from mcpgate.apps import digest_of

    tools = {
        **grant.tools,
        **{
            name: {"digest": digest_of(connector, connector.tools[name]), "on": on}
            for name, on in changed.items()
        },
    }
    return replace(grant, tools=tools)


def state_of(grant: StoredGrant, connector: Connector, tool: Tool) -> str:
    """`on`, `off`, `new` or `changed`."""
    return switch_of(grant.tools, connector, tool)


def differences(before: StoredApp, after: StoredApp) -> Iterator[str]:
    """What changes from one state of an app to another, a line each; nothing where nothing does."""
    for what in ("expires", "paused", "discovery", "sandbox"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            yield f"~ {what}: {_shown(was)} → {_shown(now)}" if before.created else f"+ {what}: {_shown(now)}"
    old, new = ({grant.connector: grant for grant in app.grants} for app in (before, after))
    yield from (f"- grant {_told(grant)}" for name, grant in old.items() if name not in new)
    for name, grant in new.items():
        if name in old:
            yield from _grant_differences(old[name], grant)
        else:
            off = [tool for tool, kept in grant.tools.items() if not kept["on"]]
            yield f"+ grant {_told(grant)}" + (f", without {', '.join(off)}" if off else "")
    rules, then = ({rules.name: rules.text for rules in app.rules} for app in (before, after))
    yield from (f"- rules {name}" for name in rules if name not in then)
    yield from (f"+ rules {name}, sha256 {_digest(then[name])}" for name in then if name not in rules)
    for name in then:
        if name in rules and rules[name] != then[name]:
            yield f"~ rules {name}, sha256 {_digest(rules[name])} → {_digest(then[name])}"
            yield from (f"  {line}" for line in text_differences(rules[name], then[name]))


def text_differences(before: str, after: str) -> Iterator[str]:
    """The lines that differ between two texts, with those around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return (line for line in lines if not line.startswith(("---", "+++")))


def _grant_differences(before: StoredGrant, after: StoredGrant) -> Iterator[str]:
    for what in ("account", "preset", "live"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            yield f"~ {after.name}, {what}: {_shown(was)} → {_shown(now)}"
    if dict(before.settings) != dict(after.settings):
        yield f"~ {after.name}, settings: {said(before.settings)} → {said(after.settings)}"
    for tool, kept in after.tools.items():
        was_kept = before.tools.get(tool)
        if was_kept is None or was_kept != kept:
            same = was_kept is not None and was_kept["digest"] == kept["digest"]
            was = "new" if was_kept is None else "off" if not was_kept["on"] else "on" if same else "changed"
            yield f"~ {tool}: {was} → {'on' if kept['on'] else 'off'}"


def _told(grant: StoredGrant) -> str:
    account = f", account {grant.account}" if grant.account else ""
    settings = f", {said(grant.settings)}" if grant.settings else ""
    return f"{grant.connector}: preset {grant.preset}{account}{settings}{', live' if grant.live else ''}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value or "none")
