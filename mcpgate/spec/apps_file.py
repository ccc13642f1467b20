"""One file of apps → checked specifications, or every fault of the file at once; and back to YAML."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from mcpgate.errors import SpecError
from mcpgate.spec.check import check_shape
from mcpgate.spec.policy import read_policy
from mcpgate.spec.yaml_loader import CoreLoader
from mcpgate.spec.yaml_text import Document, Path, Problem, load

_BLOCK: Final = re.compile(r".*[|][-+]?\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class GrantSpec:
    """A connector for an app, as a file says; the tools of `without` are switched off."""

    connector: str
    preset: str
    account: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    live: bool = False
    without: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A policy of an app's own: the path of its file, or its text. `origin` is `file:line`."""

    path: str = ""
    text: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """An app as a file says; `origin` is `file:line`."""

    name: str
    grants: tuple[GrantSpec, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    discovery: bool = False
    sandbox: bool = False
    paused: bool = False
    expires: str = ""
    origin: str = ""


def read_apps(name: str, data: bytes) -> tuple[AppSpec, ...]:
    """Read a file of apps from its text; `name` is what messages call it. Raises `SpecError`."""
    document = load(name, data)
    check_shape(document, "apps")
    given = document.value.get("apps")
    apps = tuple(
        _app(document, ("apps", app), app, spec)
        for app, spec in (given.items() if isinstance(given, dict) else ())
        if document.sound("apps", app)
    )
    document.finish()
    return apps


def _app(document: Document, path: Path, name: str, spec: Mapping[str, Any]) -> AppSpec:
    grants = tuple(
        _grant(document, (*path, "grants", index), each) for index, each in enumerate(spec["grants"])
    )
    names = [grant.connector for grant in grants]
    for index, connector in enumerate(names):
        if connector in names[:index]:
            document.add((*path, "grants", index), f"{connector} stands here twice; one account of each")
    return AppSpec(
        name=name,
        grants=grants,
        rules=tuple(
            _rule(document, (*path, "rules", index), text) for index, text in enumerate(spec.get("rules", ()))
        ),
        discovery=spec.get("discovery", False),
        sandbox=spec.get("sandbox", False),
        paused=spec.get("paused", False),
        expires=spec.get("expires", ""),
        origin=document.place(path),
    )


def _grant(document: Document, path: Path, spec: Mapping[str, Any]) -> GrantSpec:
    return GrantSpec(
        connector=spec["connector"],
        preset=spec["preset"],
        account=spec.get("account", ""),
        settings=spec.get("settings", {}),
        live=spec.get("live", False),
        without=tuple(spec.get("without", ())),
        origin=document.place(path),
    )


def _rule(document: Document, path: Path, text: str) -> RuleSpec:
    """A text without a line end is a path, but for one that is a policy by itself."""
    origin = document.place(path)
    if "\n" not in text and not text.startswith("policy:"):
        return RuleSpec(path=text, origin=origin)
    lines = document.text.splitlines()
    line = int(origin.rpartition(":")[2])
    indent = ""
    if _BLOCK.fullmatch(lines[line - 1]) and line < len(lines):
        # the text in its own lines and columns, so that its faults keep their places
        indent = lines[line][: len(lines[line]) - len(lines[line].lstrip(" "))]
        line += 1
    placed = "\n" * (line - 1) + textwrap.indent(text, indent)
    try:
        policy = read_policy(document.name, placed.encode())
    except SpecError as error:
        for problem in error.problems:
            found, column, message = problem.removeprefix(f"{document.name}:").split(":", 2)
            document.problems.append(Problem(message.strip(), position=(int(found), int(column))))
    else:
        if policy.kind != "policy":
            document.add(path, f"this is a {policy.kind}; a policy is wanted here (policy: NAME)")
    return RuleSpec(text=text, origin=origin)


class _Dumper(yaml.SafeDumper):
    """Writes texts so that they are read as texts, by YAML 1.1 and 1.2; long ones as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists stand further in than the key above them."""
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
for _first, _resolvers in CoreLoader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _resolvers:
        _Dumper.add_implicit_resolver(_tag, _pattern, [_first])


def write_apps(apps: Sequence[AppSpec]) -> str:
    """A file that `read_apps` reads back as these apps; what is as it is by default is left out."""
    tree = {"apps": {app.name: _tree_of_app(app) for app in apps}}
    texts = [rule.text for app in apps for rule in app.rules]
    # what does not show itself is written as escapes
    visible = all(line.isprintable() for text in texts for line in text.splitlines())
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=visible, width=100)


def _tree_of_app(app: AppSpec) -> dict[str, Any]:
    told = {
        "grants": [_tree_of_grant(grant) for grant in app.grants],
        "rules": [rule.text or rule.path for rule in app.rules],
        "discovery": app.discovery,
        "sandbox": app.sandbox,
        "paused": app.paused,
        "expires": app.expires,
    }
    return {key: value for key, value in told.items() if value or key == "grants"}


def _tree_of_grant(grant: GrantSpec) -> dict[str, Any]:
    told = {
        "connector": grant.connector,
        "preset": grant.preset,
        "account": grant.account,
        "settings": dict(grant.settings),
        "live": grant.live,
        "without": list(grant.without),
    }
    return {key: value for key, value in told.items() if value}
