"""From the flags of a command to an app, its toolset and its gateway."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcpgate import catalog, paths
from mcpgate.apps import App, Grant, frozen, open_account
from mcpgate.cli.vaults import Kept, read_kept
from mcpgate.errors import UsageError
from mcpgate.selectors import fault
from mcpgate.spec.yaml_text import did_you_mean
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Connector, Policy, Selector
from mcpgate.vault.binding import DEFAULT, UNCHOSEN, Binding, check_name, said, source_of
from mcpgate.vault.environment import is_set
from mcpgate.vault.kinds import connect_command

DEFAULT_PRESET = "read-only"
RUN = "run"
KEPT_POLICY = "the policy for every app"
ACCOUNT_POLICY = "policy.yaml"
_TAKEN_FOR_IT = (ACCOUNT_POLICY, "policy.yml")


@dataclass(frozen=True, slots=True)
class Options:
    """The flags that `run`, `tools` and `call` share, as they were typed.

    `app` names a stored app, which says all the rest. `alone` is no flag: neither the rules for every app nor
    connected accounts have a say then.
    """

    connectors: Sequence[str]
    presets: Sequence[str] = ()
    policies: Sequence[str] = ()
    only: Sequence[str] = ()
    without: Sequence[str] = ()
    settings: Sequence[str] = ()
    sandbox: bool = False
    live: bool = False
    accounts: Sequence[str] = ()
    alone: bool = False
    app: str = ""
    files: list[Path] = field(default_factory=list, compare=False)

    @property
    def says_more(self) -> bool:
        """Whether a flag says what may be done, or on which account."""
        lists = (self.presets, self.policies, self.only, self.without, self.settings, self.accounts)
        return any(lists) or self.sandbox or self.live


def open_toolset(options: Options) -> Toolset:
    """The toolset of the app that the flags describe; every file that goes in is noted in `options.files`."""
    return build_toolset(open_app(options))


def open_app(options: Options) -> App:
    """The app that the flags describe: it is called `run`, and has no key and no switches of its own."""
    connectors = [catalog.load_connector(name, options.files) for name in options.connectors]
    by_name = {connector.name: connector for connector in connectors}
    if len(by_name) < len(connectors):
        raise UsageError("The same connector was given twice.", "Give each connector once.")
    presets = _presets(options, list(by_name))
    chosen = _accounts(options, list(by_name))
    given = read_settings(options.settings, connectors)
    unconnected = options.alone or options.sandbox
    grants = tuple(
        open_grant(
            connector,
            chosen[name],
            given[name],
            presets[name],
            live=options.live,
            row=None if unconnected else connected(connector, chosen[name]),
        )
        for name, connector in by_name.items()
    )
    kept = Kept() if options.alone else read_kept()
    return App(
        name=RUN,
        grants=grants,
        switches=(*frozen(kept.freezes, RUN, list(by_name)), *_switches(options)),
        account_rules=() if options.alone else account_rules(kept.account_policy, options.files),
        rules=tuple(catalog.load_policy(path, "policy", options.files) for path in options.policies),
    )


def account_rules(kept: str, files: list[Path]) -> tuple[Policy, ...]:
    """The rules for every app: those of this person's folder, and those that the database keeps."""
    everywhere = account_policy(files)
    rules = () if everywhere is None else (everywhere,)
    return (*rules, catalog.read_kept_policy(KEPT_POLICY, kept, files)) if kept else rules


def account_policy(files: list[Path] | None = None) -> Policy | None:
    """The policy that holds for every app, where there is one; its file is added to `files`."""
    home = paths.home()
    try:
        names = os.listdir(home)  # noqa: PTH208  one that cannot be listed is not one without a policy
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = f"{ACCOUNT_POLICY} in it would hold for every app, so nothing runs without looking."
        raise UsageError(f"{home} cannot be read: {error.strerror}.", hint) from None
    for name in sorted(names):
        if name != ACCOUNT_POLICY and name.casefold() in _TAKEN_FOR_IT:
            says = f"{home / name} is not read: the rules for every app stand in {ACCOUNT_POLICY}."
            raise UsageError(says, "Rename it.")
    if ACCOUNT_POLICY not in names:
        return None
    return catalog.load_policy(str(home / ACCOUNT_POLICY), "policy", files)


def _presets(options: Options, connectors: list[str]) -> dict[str, Policy]:
    """The preset of each connector."""
    hint = "One preset for each connector; write a preset that extends both, or CONNECTOR=PRESET."
    chosen = by_connector("preset", options.presets, connectors, DEFAULT_PRESET, hint)
    loaded = {name: catalog.load_policy(name, "preset", options.files) for name in {*chosen.values()}}
    return {connector: loaded[name] for connector, name in chosen.items()}


def _accounts(options: Options, connectors: list[str]) -> dict[str, str]:
    """The account of each connector."""
    for text in options.accounts:
        check_name(text.rpartition("=")[2])
    hint = "One account for each connector: CONNECTOR=ACCOUNT."
    return by_connector("account", options.accounts, connectors, UNCHOSEN, hint)


def by_connector(
    flag: str, texts: Iterable[str], connectors: list[str], default: str, hint: str
) -> dict[str, str]:
    """What a flag gives to each connector: `--preset shop=read-only` for one, a bare name for the rest."""
    chosen: dict[str, str] = {}
    rest: list[str] = []
    for text in texts:
        connector, equals, name = text.partition("=")
        if not equals:
            rest.append(text)
        elif connector not in connectors:
            near = did_you_mean(connector, connectors)
            raise UsageError(f"--{flag} {text}: the connector '{connector}' is not run here{near}")
        elif connector in chosen:
            raise UsageError(f"--{flag} {text}: {connector} has a {flag} already ({chosen[connector]}).")
        else:
            chosen[connector] = name
    if len(rest) > 1:
        raise UsageError(f"Two {flag}s for the same connectors: {' and '.join(rest)}.", hint)
    return {connector: chosen.get(connector, rest[0] if rest else default) for connector in connectors}


def open_grant(
    connector: Connector,
    account: str,
    settings: dict[str, str],
    preset: Policy,
    *,
    live: bool,
    row: Binding | None,
) -> Grant:
    """A connector with its account; the row of a connected credential brings its settings and its ceiling."""
    opened = open_account(connector, _settings(connector, row, settings), account, live=live)
    return Grant(opened, preset, _ceiling(row))


def connected(connector: Connector, account: str) -> Binding | None:
    """What the credential is bound to that calls will get, where it is one that was connected."""
    from mcpgate.cli.vaults import sealed_vault

    if account == UNCHOSEN and is_set(os.environ, connector.name):
        return None
    row = sealed_vault().find(connector.name, account or DEFAULT)
    same = row is not None and row.source == source_of(connector, exact=bool(row.ceiling))
    return row if same else None


def _ceiling(row: Binding | None) -> Policy | None:
    """The most that a credential may be used for; the vault holds calls against it once more."""
    from mcpgate.vault.ceiling import ceiling_of

    return ceiling_of(row.ceiling) if row is not None and row.ceiling else None


def _settings(connector: Connector, row: Binding | None, given: dict[str, str]) -> dict[str, str]:
    """The settings that an account was connected with; flags may repeat them, and not change them."""
    if row is None:
        return given
    stored = {name: text for name, text in row.settings.items() if name in connector.settings}
    if {**stored, **given} != {**given, **stored}:
        flags = " ".join(f"--setting {name}={text}" for name, text in given.items())
        raise UsageError(
            f"{connector.name}/{row.account} was connected with {said(stored)}, and not with {said(given)}.",
            f"Connect that as an account of its own: {connect_command(connector)} --account NAME {flags}",
        )
    return {**given, **stored}


def read_settings(texts: Iterable[str], connectors: list[Connector]) -> dict[str, dict[str, str]]:
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
    return (Policy("flags --only and --without", "flags", "", only, without, ()),)
