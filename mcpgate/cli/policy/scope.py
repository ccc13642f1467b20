"""From the files that are to be looked at to the toolset in which each of them is judged.

A file is judged as it stands: the account-wide policy does not count here, and no account is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcpgate import catalog
from mcpgate.apps import App, Grant
from mcpgate.cli.opening import by_connector
from mcpgate.errors import SpecError, UsageError
from mcpgate.spec.policy import read_policy
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import CATEGORIES, Account, Connector, Policy, Selector

EVERYTHING: Final = Policy(
    "everything", "preset", "", tuple(Selector(category) for category in CATEGORIES), (), ()
)
_HINT: Final = "Name the connector that the file is for: --on CONNECTOR."


@dataclass(frozen=True, slots=True)
class Scope:
    """A file, the policy in it, and the toolset in which it is judged.

    A preset is judged as itself, a policy file as an app's own rules on top of a preset.
    """

    file: str
    policy: Policy
    toolset: Toolset


def open_scopes(files: Sequence[str], on: Sequence[str], presets: Sequence[str]) -> list[Scope]:
    """The scope of each file: paths, or names of presets; raises `SpecError`, `NotFoundError`, `UsageError`.

    Without `on` it is judged on the connectors whose tools it names, else on every one that it fits. Without
    `presets` a policy file stands on everything allowed, so that every route is looked at.
    """
    policies = {file: _load(file) for file in files}
    if presets and all(policy.kind == "preset" for policy in policies.values()):
        hint = "Leave --preset out; it is for policy files (policy: NAME), which stand on a preset."
        raise UsageError("--preset: a preset is looked at as it is, not on top of another.", hint)
    return [_scope(file, policy, on, presets) for file, policy in policies.items()]


def _load(file: str) -> Policy:
    if file in catalog.names("presets") or not Path(file).is_file():
        return catalog.load_policy(file, "preset")
    path = file if "/" in file or "\\" in file else f"./{file}"
    kind = read_policy(file, catalog.read_file(Path(file))).kind
    return catalog.load_policy(path, "preset" if kind == "preset" else "policy")


def _scope(file: str, policy: Policy, on: Sequence[str], presets: Sequence[str]) -> Scope:
    names = on or _named(policy, catalog.names("connectors"))
    connectors = [catalog.load_connector(name) for name in names] or _fitting(policy)
    return Scope(file, policy, _toolset(policy, connectors, presets))


def _named(policy: Policy, connectors: Iterable[str]) -> list[str]:
    """The connectors whose tools a policy selects by name."""
    selectors = [*(policy.allow or ()), *policy.deny]
    selectors += [selector for rule in policy.rules for selector in rule.selectors]
    texts = [selector.text for selector in selectors]
    return [name for name in connectors if any(text.startswith(f"{name}_") for text in texts)]


def _fitting(policy: Policy) -> list[Connector]:
    """Every known connector on which a policy can be loaded; raises where there is none."""
    faults: list[SpecError] = []
    found: list[Connector] = []
    for name in catalog.names("connectors"):
        connector = catalog.load_connector(name)
        try:
            _toolset(policy, [connector], ())
        except SpecError as fault:
            faults.append(fault)
        else:
            found.append(connector)
    if not found and faults:
        nearest = min(faults, key=lambda fault: len(fault.problems))
        raise SpecError(nearest.problems, _HINT)
    return found


def _toolset(policy: Policy, connectors: Sequence[Connector], presets: Sequence[str]) -> Toolset:
    under = _presets(policy, [connector.name for connector in connectors], presets)
    grants = tuple(Grant(_account(connector), under[connector.name]) for connector in connectors)
    return build_toolset(App("policy", grants, rules=() if policy.kind == "preset" else (policy,)))


def _presets(policy: Policy, connectors: list[str], presets: Sequence[str]) -> Mapping[str, Policy]:
    """The preset of each connector."""
    if policy.kind == "preset":
        return dict.fromkeys(connectors, policy)
    hint = "One preset for each connector; write a preset that extends both, or CONNECTOR=PRESET."
    chosen = by_connector("preset", presets, connectors, "", hint)
    loaded = {name: catalog.load_policy(name, "preset") for name in {*chosen.values()} if name}
    return {connector: loaded.get(name, EVERYTHING) for connector, name in chosen.items()}


def _account(connector: Connector) -> Account:
    """An account that nothing is sent by: settings as they are by default, the address not filled in."""
    settings = {name: schema["default"] for name, schema in connector.settings.items() if "default" in schema}
    return Account(connector, str(connector.base_url), "", settings)
