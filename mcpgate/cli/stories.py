"""Opens what a story runs, paths counted from its file, and decides its cases one after the other.

Neither a credential, nor the account-wide policy, nor the network has a say in what becomes of a story.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import typer

from mcpgate import catalog
from mcpgate.cli.commands import app
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.cli.serving import build_gateway, no_credential
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.errors import (
    ArgumentsError,
    DeniedError,
    NotFoundError,
    SpecError,
    UnknownToolError,
    UsageError,
)
from mcpgate.gateway import Gateway
from mcpgate.places import MISSING
from mcpgate.secrets import Scrubber
from mcpgate.spec.policy import read_policy, unite
from mcpgate.spec.story import Case, Story, read_story
from mcpgate.spec.yaml_text import load
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Finding, Policy, Reply


@dataclass(frozen=True, slots=True)
class Opened:
    """A story with the gateway it runs, and every file that went into it."""

    story: Story
    gateway: Gateway
    files: tuple[Path, ...]

    def results(self) -> Iterator[Result]:
        """What the gate does with each case after the ones before it, of which nothing is sent."""
        rehearsal = Rehearsal(self.gateway.toolset)
        for case in self.story.cases:
            yield rehearsal.decide_case(case)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case: the rule that denied it, in words, and the trace."""

    case: Case
    came: Literal["allow", "deny"]
    rule: str = ""
    says: str = ""
    trace: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it came as the case expects."""
        return self.came == self.case.expect and self.case.rule in ("", self.rule)


def open_story(file: Path) -> Opened:
    """Read a story and open what it runs, in the sandbox; raises `SpecError` or `NotFoundError`."""
    data = catalog.read_file(file)
    story = read_story(str(file), data)
    place = load(str(file), data).place
    options = _options(story, file.parent)
    with _told_at(place(("policy",))):
        options = _with_policy_file(story, options, file.parent)
    with _told_at(story.origin):
        toolset = open_toolset(options)
    if story.policy is not None:
        with _told_at(place(("policy", "extends"))):
            policy = _resolved(story.policy, file)
        with _told_at(story.origin):
            toolset = _with_policy(toolset, policy)
    faults = list(_faults(story, toolset))
    if faults:
        raise SpecError(faults)
    return Opened(story, build_gateway(options, toolset), tuple(options.files))


@contextmanager
def _told_at(place: str) -> Iterator[None]:
    """Tells with a place of the story what it names and is not there, or cannot be used."""
    try:
        yield
    except (NotFoundError, UsageError) as error:
        raise SpecError([f"{place}: {error.message}"], error.hint) from None


class Rehearsal(Gateway):
    """A gateway that sends nothing: a case says the time, what a lookup tells, and what becomes of it."""

    def __init__(self, toolset: Toolset) -> None:
        self._now = 0.0
        backend = HTTPBackend(Client(no_credential))
        super().__init__(toolset, backend, MemoryStore(), Scrubber(), lambda: self._now)

    def decide_case(self, case: Case) -> Result:
        """What the gate does with a case, with those in the ledger that it let pass before."""
        entry = self.toolset.find(case.tool)
        try:
            call = replace(self.check(entry, case.arguments), before=case.before, now=case.at)
            if entry.lookup is not None and case.before is MISSING:
                call = replace(call, unknown="nothing is looked up in a test, and this case says no `before`")
            self._now = self._now if case.at is None else case.at
            plan, started = self._start(self.decide(entry, call), self.toolset.version)
        except DeniedError as error:
            reason = error.decision.reason
            return Result(case, "deny", reason.rule if reason else "", error.message, error.decision.trace)
        except ArgumentsError as error:
            return Result(case, "deny", "arguments", error.message)
        self._finish(plan, started, Reply(plan.request, case.outcome, None, {}, None), 0.0)
        return Result(case, "allow", trace=plan.decision.trace)


def said_call(case: Case) -> str:
    """A call as it is told: `shop_pay(amount=4200, currency=usd)`."""
    told = (
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in case.arguments.items()
    )
    return f"{case.tool}({', '.join(told)})"


def _options(story: Story, folder: Path) -> Options:
    """The flags of `run`, with each path counted from the folder."""
    found: list[Options] = []
    try:
        app(["run", *story.run], prog_name="mcpgate", standalone_mode=False, obj=found.append)
    except typer.TyperException as error:
        raise SpecError([f"{story.origin}: run: {error.format_message()}"]) from None
    if not found:
        raise SpecError([f"{story.origin}: run: these words run nothing"])
    options = found[0]
    return replace(
        options,
        connectors=[_beside(folder, name) for name in options.connectors],
        presets=[_beside_named(folder, text) for text in options.presets],
        policies=[_joined(folder, path) for path in options.policies],
        sandbox=True,
        alone=True,
    )


def _beside_named(folder: Path, text: str) -> str:
    """The same for a preset, which may be given for one connector: `shop=./till.yaml`."""
    connector, equals, name = text.partition("=")
    return f"{connector}={_beside(folder, name)}" if equals else _beside(folder, text)


def _beside(folder: Path, name: str) -> str:
    return _joined(folder, name) if catalog.is_path(name) else name


def _joined(folder: Path, path: str) -> str:
    # pathlib would make a name of ./shop
    return os.path.join(folder, path)  # noqa: PTH118


def _with_policy_file(story: Story, options: Options, folder: Path) -> Options:
    """The options with the file that the story names, as a policy or as the preset."""
    if not story.policy_file:
        return options
    path = _joined(folder, story.policy_file)
    if read_policy(path, catalog.read_file(Path(path))).kind == "preset":
        return replace(options, presets=[*options.presets, path])
    return replace(options, policies=[*options.policies, path])


def _resolved(policy: Policy, file: Path) -> Policy:
    """A policy that was written in place, with all that it extends."""
    bases = [catalog.load_policy(_beside(file.parent, base), "preset") for base in policy.extends]
    return unite(policy, bases)


def _with_policy(toolset: Toolset, policy: Policy) -> Toolset:
    app = toolset.app
    return build_toolset(replace(app, rules=(*app.rules, policy)))


def _faults(story: Story, toolset: Toolset) -> Iterator[str]:
    """Cases that no tool can answer."""
    for case in story.cases:
        try:
            entry = toolset.find(case.tool)
        except UnknownToolError as error:
            yield f"{case.origin}: {error.message}"
        else:
            if case.before is not MISSING and entry.lookup is None:
                yield f"{case.origin}: before: {case.tool} looks nothing up"
