"""`mcpgate apps`: apps are made, changed and taken away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcpgate import catalog, saved
from mcpgate.apps import seen
from mcpgate.cli.apps.kept import (
    as_kept,
    change,
    differences,
    found,
    grant_of,
    opened,
    says,
)
from mcpgate.cli.asking import agree
from mcpgate.cli.console import print_json
from mcpgate.cli.opening import DEFAULT_PRESET, Options, by_connector, read_settings
from mcpgate.cli.vault.vault import say
from mcpgate.cli.vaults import config
from mcpgate.errors import NotFoundError, UsageError
from mcpgate.secrets import Secret
from mcpgate.spec.policy import read_policy
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.app_key import expiry
from mcpgate.store.config import StoredApp, StoredGrant, StoredPolicy, check_app_name
from mcpgate.toolset import Toolset
from mcpgate.vault.binding import UNCHOSEN, check_name


@dataclass(frozen=True, slots=True)
class AppOptions:
    """The flags of an app that are no grant's, as they were typed."""

    rules: Sequence[str] = ()
    discovery: bool = False
    sandbox: bool = False
    expires: str = ""


def create(name: str, options: Options, own: AppOptions, *, as_json: bool) -> None:
    """Make an app, and print its key: the one time that it is shown."""
    kept = config()
    app = StoredApp(
        name=check_app_name(name),
        expires=expiry(own.expires, time.time()),
        discovery=own.discovery,
        sandbox=own.sandbox,
        rules=_rules(own.rules),
        grants=_grants(options),
    )
    toolset = opened(app, kept)
    key = kept.create(app, says(f"apps create {name}", differences(StoredApp(name), app)))
    saved.forget()
    if as_json:
        print_json({"app": name, "key": key.reveal(), "expires": app.expires or None})
    else:
        say(f"Created {name}: {_listed(toolset)}.", *_until(app))
        say_key(key)
        say(f"Without a server, and without the key, a client on this machine runs: mcpgate run --app {name}")


def say_key(key: Secret) -> None:
    """Print a key the one time that it is shown, and how it is used."""
    say("Its key, which is shown this once and kept as a hash only:", "")
    print(f"\n  {key.reveal()}\n")
    say("A client sends it to mcpgate serve in a header, never in a URL: Authorization: Bearer KEY")


def grant(
    name: str,
    connector: str,
    preset: str,
    account: str,
    settings: Sequence[str],
    *,
    live: bool | None,
) -> None:
    """Grant a connector to an app, or change the grant that it has, as far as the flags say."""
    kept = config()
    app = found(kept, name)
    before = grant_of(app, connector)
    loaded = catalog.load_connector(as_kept(connector) if before is None else before.connector)
    given = read_settings(settings, [loaded])[loaded.name]
    if account:
        check_name(account)
    if before is None:
        start = StoredGrant(as_kept(connector), UNCHOSEN, DEFAULT_PRESET, {}, False, seen(loaded))
    else:
        start = before
    made = replace(
        start,
        account=account or start.account,
        preset=as_kept(preset) if preset else start.preset,
        settings={**start.settings, **given},
        live=start.live if live is None else live,
    )
    others = [each for each in app.grants if each is not before]
    after = replace(app, grants=tuple(sorted((*others, made), key=lambda each: each.connector)))
    toolset = opened(after, kept)
    lines = list(differences(app, after))
    if not lines:
        say(f"{name} has that grant already.")
        return
    change(kept, app, after, f"apps grant {name} {loaded.name}")
    say(*lines, f"{name} has {_listed(toolset)}.")


def revoke(name: str, connector: str) -> None:
    """Take a connector from an app."""
    kept = config()
    app = found(kept, name)
    gone = grant_of(app, connector)
    if gone is None:
        near = did_you_mean(connector, [each.name for each in app.grants])
        raise NotFoundError(f"{name} has no connector '{connector}'{near}")
    after = replace(app, grants=tuple(each for each in app.grants if each is not gone))
    change(kept, app, after, f"apps revoke {name} {gone.name}")
    say(f"{name} has {gone.name} no longer.")


def add_rules(name: str, file: str) -> None:
    """Add a policy file to the rules of an app; one of the same name takes its place."""
    kept = config()
    app = found(kept, name)
    made = rules_of(file)
    after = replace(app, rules=(*(each for each in app.rules if each.name != made.name), made))
    lines = list(differences(app, after))
    opened(after, kept)
    if not lines:
        say(f"{name} has these rules already.")
        return
    change(kept, app, after, f"apps rules add {name} {made.name}")
    say(*lines, f"{made.name} holds for {name} from its next call.")


def remove_rules(name: str, policy: str) -> None:
    """Take a policy from the rules of an app."""
    kept = config()
    app = found(kept, name)
    left = tuple(each for each in app.rules if each.name != policy)
    if left == app.rules:
        near = did_you_mean(policy, [each.name for each in app.rules])
        raise NotFoundError(f"{name} has no rules '{policy}'{near}", f"See: mcpgate apps rules show {name}")
    change(kept, app, replace(app, rules=left), f"apps rules remove {name} {policy}")
    say(f"{policy} no longer holds for {name}.")


def show_rules(name: str) -> None:
    """Print the rules of an app, text for text."""
    app = found(config(), name)
    texts = [each.text.rstrip("\n") for each in app.rules]
    say(*texts or [f"{name} has no rules of its own."])


def rotate(name: str, expires: str, *, as_json: bool) -> None:
    """Give an app another key; the old one is refused from then on."""
    kept = config()
    app = found(kept, name)
    now = time.time()
    after = replace(app, expires=expiry(expires, now)) if expires else app
    if after.expired(now):
        hint = "Say until when the new one counts: --expires 90d, or never."
        raise UsageError(f"The key of {name} has expired, and so would the new one.", hint)
    with kept.changing() as changes:
        if after != app:
            changes.replace(app, after, f"apps rotate {name}, expires {after.expires or 'never'}")
        key = changes.rotate(name)
    if as_json:
        print_json({"app": name, "key": key.reveal(), "expires": after.expires or None})
    else:
        say(f"{name} has another key; the one before is refused from now on.", *_until(after))
        say_key(key)


def pause(name: str, *, paused: bool) -> None:
    """Refuse an app's calls for now, or no longer."""
    kept = config()
    app = found(kept, name)
    if app.paused == paused:
        say(f"{name} is {'paused already' if paused else 'not paused'}.")
        return
    change(kept, app, replace(app, paused=paused), f"apps {'pause' if paused else 'resume'} {name}")
    say(f"{name} is paused: its key is refused." if paused else f"{name} goes on.")


def delete(name: str, *, yes: bool) -> None:
    """Delete an app; what it did stays in the activity, and what it spent in the ledger."""
    kept = config()
    app = found(kept, name)
    agree(f"Delete {name} and its key for good?", yes=yes)
    kept.delete(app)
    saved.forget()
    say(f"Deleted {name}: its key is refused from now on. What it did stays in the activity.")


def rules_of(file: str) -> StoredPolicy:
    """A policy file as rules that are kept apart from it; raises `SpecError`."""
    data = catalog.read_file(Path(file))
    read_policy(file, data)  # what is no text is told first
    return kept_rules(file, data.decode("utf-8-sig"))


def kept_rules(label: str, text: str) -> StoredPolicy:
    """A policy's text as it is kept: its last line has an end, which tells a text from a path."""
    whole = text if text.endswith("\n") else f"{text}\n"
    return StoredPolicy(catalog.read_kept_policy(label, whole).name, whole)


def _rules(files: Sequence[str]) -> tuple[StoredPolicy, ...]:
    made = tuple(map(rules_of, files))
    names = [each.name for each in made]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise UsageError(f"Two of the rules are called {twice}.", "Give one of them another name.")
    return made


def _grants(options: Options) -> tuple[StoredGrant, ...]:
    """The grants that flags describe."""
    paths = [as_kept(name) for name in options.connectors]
    connectors = [catalog.load_connector(path) for path in paths]
    names = [connector.name for connector in connectors]
    if len(set(names)) < len(names):
        raise UsageError("The same connector was given twice.", "Give each connector once.")
    hint = "One for each connector: CONNECTOR="
    presets = by_connector("preset", options.presets, names, DEFAULT_PRESET, f"{hint}PRESET.")
    accounts = by_connector("account", options.accounts, names, UNCHOSEN, f"{hint}ACCOUNT.")
    for account in filter(None, accounts.values()):
        check_name(account)
    settings = read_settings(options.settings, connectors)
    made = [
        StoredGrant(
            connector=path,
            account=accounts[connector.name],
            preset=as_kept(presets[connector.name]),
            settings=settings[connector.name],
            live=options.live,
            tools=seen(connector),
        )
        for path, connector in zip(paths, connectors, strict=True)
    ]
    return tuple(sorted(made, key=lambda each: each.connector))


def _listed(toolset: Toolset) -> str:
    listed = sum(entry.denied is None for entry in toolset.entries.values())
    return f"{listed} of {len(toolset.entries)} tools"


def _until(app: StoredApp) -> Sequence[str]:
    return (f"It expires at {app.expires}.",) if app.expires else ()
