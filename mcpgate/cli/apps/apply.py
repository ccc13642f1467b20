"""`mcpgate apps apply` and `export`: apps as code, all or nothing, with the differences told first."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mcpgate import catalog, saved
from mcpgate.apps import seen, switch_of
from mcpgate.cli.apps.apps import kept_rules, rules_of
from mcpgate.cli.apps.kept import (
    connector_of,
    differences,
    found,
    opened,
    says,
)
from mcpgate.cli.asking import agree
from mcpgate.cli.console import print_json
from mcpgate.cli.vault.vault import say
from mcpgate.cli.vaults import config
from mcpgate.errors import NotFoundError, SpecError, UsageError
from mcpgate.secrets import Secret
from mcpgate.spec.apps_file import AppSpec, GrantSpec, RuleSpec, read_apps, write_apps
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.store.app_key import parse_moment
from mcpgate.store.config import Config, StoredApp, StoredGrant, StoredPolicy
from mcpgate.values import Connector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """What applying a file does to one app: made where there is no `before`, deleted without `after`."""

    before: StoredApp | None
    after: StoredApp | None

    @property
    def name(self) -> str:
        """The app's name."""
        app = self.after or self.before
        assert app is not None
        return app.name

    @property
    def kind(self) -> str:
        """What becomes of the app."""
        return "create" if self.before is None else "delete" if self.after is None else "change"

    def lines(self) -> Iterator[str]:
        """The step as people read it."""
        if self.after is None:
            yield f"- {self.name}: deleted, its key is refused from then on"
            return
        yield f"{'+' if self.before is None else '~'} {self.name}"
        before = self.before or StoredApp(self.name)
        yield from (f"    {line}" for line in differences(before, self.after))


def apply(file: str, *, yes: bool, prune: bool, as_json: bool) -> None:
    """Make the apps what a file says, after showing what that changes; keys of new apps are shown once."""
    kept = config()
    specs = read_apps(file, catalog.read_file(Path(file)))
    there = {app.name: app for app in kept.all()}
    wanted = [_wanted(spec, there.get(spec.name), Path(file)) for spec in specs]
    for spec, app in zip(specs, wanted, strict=True):
        _check(spec, app, kept)
    steps = list(_steps(wanted, there, prune=prune))
    notes = [note for app in wanted for note in _notes(app)]
    if not as_json:
        say(*(line for step in steps for line in step.lines()), *notes)
    if steps:
        if as_json and not yes:
            raise UsageError("With --json nobody is asked.", "To do it without asking: --yes")
        agree("Apply this?", yes=yes)
    keys = _apply(steps, kept, Path(file).name)
    if as_json:
        print_json(
            {
                "steps": [{"app": step.name, "does": step.kind, "says": [*step.lines()]} for step in steps],
                "keys": {name: key.reveal() for name, key in keys.items()},
                "notes": notes,
            }
        )
        return
    if not steps:
        say("Nothing to do.")
        return
    say(f"Applied: {', '.join(f'{step.kind}d {step.name}' for step in steps)}.")
    if keys:
        say("The keys of the new apps, which are shown this once and kept as hashes only:")
        print("".join(f"\n  {name}  {key.reveal()}" for name, key in keys.items()) + "\n")


def export(names: Sequence[str]) -> None:
    """Print apps as a file that `apply` takes; every one where none is named."""
    kept = config()
    apps = [found(kept, name) for name in names] or kept.all()
    print(write_apps([_spec(app) for app in apps]), end="")


def _apply(steps: Iterable[Step], kept: Config, file: str) -> dict[str, Secret]:
    """Every step in one transaction, and the keys of the apps that it makes."""
    keys: dict[str, Secret] = {}
    with kept.changing() as changes:
        for step in steps:
            before = step.before or StoredApp(step.name)
            told = differences(before, step.after) if step.after is not None else ()
            what = says(f"apps apply {file}, {step.kind} {step.name}", told)
            if step.after is None:
                assert step.before is not None
                changes.delete(step.before, what)
            elif step.before is None:
                keys[step.name] = changes.create(step.after, what)
            else:
                changes.replace(step.before, step.after, what)
    saved.forget()
    return keys


def _steps(wanted: Iterable[StoredApp], there: dict[str, StoredApp], *, prune: bool) -> Iterator[Step]:
    left = dict(there)
    for app in wanted:
        before = left.pop(app.name, None)
        if before is None or list(differences(before, app)):
            yield Step(before, app)
    if prune:
        yield from (Step(app, None) for app in left.values())


def _wanted(spec: AppSpec, before: StoredApp | None, file: Path) -> StoredApp:
    """An app as a file wants it; what the file does not say of it stays as it is."""
    start = before or StoredApp(spec.name)
    grants = [_grant(grant, start, file) for grant in spec.grants]
    rules = tuple(_rule(rule, file) for rule in spec.rules)
    names = [each.name for each in rules]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise SpecError([f"{spec.origin}: two of the rules of {spec.name} are called {twice}"])
    return dataclasses.replace(
        start,
        grants=tuple(sorted(grants, key=lambda each: each.connector)),
        rules=rules,
        discovery=spec.discovery,
        sandbox=spec.sandbox,
        paused=spec.paused,
        expires=parse_moment(spec.expires),
    )


def _grant(spec: GrantSpec, app: StoredApp, file: Path) -> StoredGrant:
    name = _from(file, spec.connector)
    connector = _told(spec.origin, lambda: catalog.load_connector(name))
    before = next((each for each in app.grants if each.connector == name), None)
    for tool in spec.without:
        if tool not in connector.tools:
            near = did_you_mean(tool, list(connector.tools))
            raise SpecError([f"{spec.origin}: {connector.name} has no tool '{tool}'{near}"])
    made = StoredGrant(
        name,
        spec.account,
        _from(file, spec.preset),
        dict(spec.settings),
        spec.live,
        seen(connector, spec.without) if before is None else before.tools,
    )
    if before is None:
        return made
    return dataclasses.replace(made, tools={**before.tools, **_switched(spec, before, connector)})


def _switched(spec: GrantSpec, grant: StoredGrant, connector: Connector) -> dict[str, dict[str, Any]]:
    """The tools of a grant that a file switches.

    Their digests stay: one that is new or was changed is off until somebody enables it by its name.
    """
    on = {name: name not in spec.without for name in connector.tools}
    states = {name: switch_of(grant.tools, connector, tool) for name, tool in connector.tools.items()}
    turned = [name for name, state in states.items() if (state, on[name]) in (("on", False), ("off", True))]
    return {name: {**grant.tools[name], "on": on[name]} for name in turned}


def _rule(rule: RuleSpec, file: Path) -> StoredPolicy:
    if rule.text:
        return kept_rules(rule.origin, rule.text)
    return _told(rule.origin, lambda: rules_of(str(file.parent / rule.path)))


def _from(file: Path, name: str) -> str:
    """A name, or a path that counts from the file it stands in."""
    return os.path.abspath(file.parent / name) if catalog.is_path(name) else name  # noqa: PTH100


def _told(origin: str, step: Callable[[], T]) -> T:
    """A step whose fault is told with the place in the file that asked for it."""
    try:
        return step()
    except SpecError as error:
        raise SpecError([f"{origin}: {problem}" for problem in error.problems], error.hint) from None
    except (NotFoundError, UsageError) as error:
        raise SpecError([f"{origin}: {error.message}"], error.hint) from None


def _check(spec: AppSpec, app: StoredApp, kept: Config) -> None:
    """Open an app, so that nothing is kept that does not open."""
    _told(spec.origin, lambda: opened(app, kept))


def _notes(app: StoredApp) -> Iterator[str]:
    """The tools that stay off until a person has looked at them."""
    for grant in app.grants:
        connector = connector_of(grant)
        states = {name: switch_of(grant.tools, connector, tool) for name, tool in connector.tools.items()}
        waiting = [f"{name} ({state})" for name, state in states.items() if state in ("new", "changed")]
        if waiting:
            yield f"Off until somebody enables it (mcpgate apps enable {app.name} TOOL): {', '.join(waiting)}"


def _spec(app: StoredApp) -> AppSpec:
    return AppSpec(
        name=app.name,
        grants=tuple(map(_grant_spec, app.grants)),
        rules=tuple(RuleSpec(text=rules.text) for rules in app.rules),
        discovery=app.discovery,
        sandbox=app.sandbox,
        paused=app.paused,
        expires=app.expires,
    )


def _grant_spec(grant: StoredGrant) -> GrantSpec:
    """A grant as a file says it; of its tools, all that are off."""
    connector = connector_of(grant)
    states = {name: switch_of(grant.tools, connector, tool) for name, tool in connector.tools.items()}
    off = tuple(name for name, state in states.items() if state != "on")
    return GrantSpec(grant.connector, grant.preset, grant.account, grant.settings, grant.live, off)
