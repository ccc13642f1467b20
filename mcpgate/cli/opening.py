"""From the flags of a command to an app, its toolset and its gateway."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.errors import UsageError
from mcpgate.policy.selectors import fault
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Connector, Policy, Selector

DEFAULT_PRESET = "read-only"


@dataclass(frozen=True, slots=True)
class Options:
    """The flags that `run`, `tools` and `call` share, as they were typed."""

    connectors: tuple[str, ...]
    presets: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    sandbox: bool = False
    live: bool = False
    files: list[Path] = field(default_factory=list, compare=False)


def open_toolset(options: Options) -> Toolset:
    """The toolset of the app that the flags describe; every file that goes in is noted in `options.files`."""
    connectors = [catalog.load_connector(name, options.files) for name in options.connectors]
    by_name = {connector.name: connector for connector in connectors}
    if len(by_name) < len(connectors):
        raise UsageError("The same connector was given twice.", "Give each connector once.")
    presets = _presets(options, list(by_name))
    settings = _settings(options.settings, connectors)
    grants = tuple(
        Grant(open_account(connector, settings[name], live=options.live), presets[name])
        for name, connector in by_name.items()
    )
    return build_toolset(
        App(
            name="run",
            grants=grants,
            switches=_switches(options),
            rules=tuple(catalog.load_policy(path, "policy", options.files) for path in options.policies),
        )
    )


def _presets(options: Options, connectors: list[str]) -> dict[str, Policy]:
    """The preset of each connector: `--preset github=read-only` for one, a bare name for the rest."""
    chosen: dict[str, str] = {}
    rest: list[str] = []
    for text in options.presets:
        connector, equals, preset = text.partition("=")
        if not equals:
            rest.append(text)
        elif connector not in connectors:
            near = did_you_mean(connector, connectors)
            raise UsageError(f"--preset {text}: the connector '{connector}' is not run here{near}")
        elif connector in chosen:
            raise UsageError(f"--preset {text}: {connector} has a preset already ({chosen[connector]}).")
        else:
            chosen[connector] = preset
    if len(rest) > 1:
        hint = "One preset for each connector; write a preset that extends both, or CONNECTOR=PRESET."
        raise UsageError(f"Two presets for the same connectors: {' and '.join(rest)}.", hint)
    default = rest[0] if rest else DEFAULT_PRESET
    loaded = {
        name: catalog.load_policy(name, "preset", options.files) for name in {*chosen.values(), default}
    }
    return {connector: loaded[chosen.get(connector, default)] for connector in connectors}


def _settings(texts: Iterable[str], connectors: list[Connector]) -> dict[str, dict[str, str]]:
    """`NAME=VALUE` for every connector that has the setting, `CONNECTOR.NAME=VALUE` for one."""
    found: dict[str, dict[str, str]] = {connector.name: {} for connector in connectors}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--setting {text}: write NAME=VALUE.")
        owner, dot, own_name = name.partition(".")
        takers = [connector for connector in connectors if connector.name == owner] if dot else connectors
        name = own_name if dot else name
        takers = [connector for connector in takers if name in connector.settings]
        if not takers:
            known = [setting for connector in connectors for setting in connector.settings]
            raise UsageError(
                f"--setting {text}: there is no setting '{name}' here{did_you_mean(name, known)}"
            )
        for connector in takers:
            found[connector.name][name] = value
    return found


def _switches(options: Options) -> tuple[Policy, ...]:
    """`--only` and `--without` as the first layer."""
    for flag, texts in (("--only", options.only), ("--without", options.without)):
        for text in texts:
            wrong = fault(text)
            if wrong is not None:
                raise UsageError(f"{flag} {text}: {wrong[0]}{did_you_mean(text, wrong[1])}")
    if not options.only and not options.without:
        return ()
    only = tuple(Selector(text, "--only") for text in options.only) or None
    without = tuple(Selector(text, "--without") for text in options.without)
    return (Policy("--only and --without", "flags", "", only, without, ()),)
