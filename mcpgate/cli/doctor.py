"""`mcpgate doctor`: what of a set-up is in order, and for each fault the command that mends it."""

from __future__ import annotations

import asyncio
import os
import platform
import shlex
import shutil
import stat
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from mcpgate import __version__, catalog, paths
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli.console import plain, print_json, stdout
from mcpgate.cli.opening import account_policy, connected_vault, open_accounts, open_vault
from mcpgate.cli.probing import probe
from mcpgate.clients.config_file import open_config
from mcpgate.clients.entry import is_own
from mcpgate.clients.table import CLIENTS, config_path, is_installed
from mcpgate.errors import LiveKeyError, MCPGateError, SpecError
from mcpgate.secrets import Scrubber
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Connector, Policy, Selector
from mcpgate.vault import os_keyring
from mcpgate.vault.accounts import UNCHOSEN
from mcpgate.vault.chosen import is_set
from mcpgate.vault.environment import variable
from mcpgate.vault.kinds import connect_command

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READS: Final = Policy("reads", "preset", "", (Selector("read"),), (), ())
_MARKS: Final = {"ok": ("✓", "green"), "note": ("–", "yellow"), "fault": ("✗", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: in order, worth a note, or a fault; `mend` is what a person types."""

    about: str
    state: Literal["ok", "note", "fault"]
    says: str
    mend: str = ""


def examine(*, offline: bool, live: bool, as_json: bool) -> int:
    """Look at everything and print it; 1 when there is a fault. A live key is tried only with `live`."""
    scrubber = Scrubber()
    found: list[Finding] = []
    for finding in _findings(scrubber, offline=offline, live=live):
        found.append(finding)
        if not as_json:
            _show(finding, scrubber)
    faults = sum(finding.state == "fault" for finding in found)
    if as_json:
        print_json(scrubber.tree([_facts(finding) for finding in found]))
    elif faults:
        stdout().print(f"\n{faults} to mend.", style="red")
    else:
        else_ = " else" if any(finding.state == "note" and finding.mend for finding in found) else ""
        stdout().print(f"\nEverything{else_} is in order.", style="green")
    return 1 if faults else 0


def _findings(scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    yield Finding("mcpgate", "ok", f"{__version__} on Python {platform.python_version()}, {sys.executable}")
    yield from _home()
    shadowed = yield from _files()
    if shadowed:
        # nothing can be found by name, so all that follows would be told wrongly
        return
    yield from _keyring()
    yield from _credentials(scrubber, offline=offline, live=live)
    yield from _clients()


def _home() -> Iterator[Finding]:
    """The person's own folder and what lies in it, closed to others."""
    folder = paths.home()
    if not folder.exists():
        if os.environ.get("MCPGATE_HOME"):
            lost = "no rules for every app, no accounts and no connectors of your own hold"
            says = f"MCPGATE_HOME names {folder}, and there is no such folder: {lost}"
            yield Finding("home", "note", says, f"mkdir -m 700 {shlex.quote(str(folder))}, or correct it")
        else:
            yield Finding("home", "ok", f"{folder} does not exist yet, and need not")
        return
    open_to_others = [path for path in (folder, *sorted(folder.glob("*.json"))) if _is_open(path)]
    for path in open_to_others:
        mode = "go-rwx"
        yield Finding(
            "home", "fault", f"{path} is open to other users", f"chmod {mode} {shlex.quote(str(path))}"
        )
    if not open_to_others:
        yield Finding("home", "ok", f"{folder}, closed to others")


def _is_open(path: Path) -> bool:
    return sys.platform != "win32" and bool(path.stat().st_mode & _OTHERS)


def _files() -> Generator[Finding, None, bool]:
    """Connectors and presets that can be found by name, and whether each loads; true where none can be."""
    shadowed = False
    for room in ("connectors", "presets"):
        good: list[str] = []
        try:
            for name, path in catalog.names(room).items():
                try:
                    if room == "connectors":
                        catalog.load_connector(name)
                    else:
                        catalog.load_policy(name, "preset")
                    good.append(name)
                except MCPGateError as error:
                    first = error.message.splitlines()[0]
                    yield Finding(room, "fault", first, f"mcpgate check {shlex.quote(str(path))}")
        except MCPGateError as error:
            shadowed = True
            yield Finding(room, "fault", error.message, error.hint)
        if good:
            yield Finding(room, "ok", ", ".join(good))
    yield from _account_policy([] if shadowed else list(catalog.names("connectors")))
    return shadowed


def _account_policy(connectors: list[str]) -> Iterator[Finding]:
    """The rules for every app; where they cannot be read, or do not fit a connector, it does not run."""
    try:
        policy = account_policy()
    except MCPGateError as error:
        yield Finding("policy", "fault", error.message.splitlines()[0], error.hint)
        return
    if policy is None:
        return
    faults: dict[str, list[str]] = {}
    for name in connectors:
        for problem in _problems(policy, name):
            faults.setdefault(problem, []).append(name)
    for problem, names in faults.items():
        yield Finding("policy", "fault", problem, f"Correct it: until then {', '.join(names)} does not run.")
    if not faults:
        rules = f"{len(policy.rules)} guardrail{'' if len(policy.rules) == 1 else 's'}"
        yield Finding("policy", "ok", f"{policy.name} holds for every app, {rules}")


def _problems(policy: Policy, name: str) -> list[str]:
    """What is wrong with a policy on a connector, whose settings need not be known."""
    try:
        connector = catalog.load_connector(name)
    except MCPGateError:
        return []
    grant = Grant(Account(connector, str(connector.base_url), "", {}), _READS)
    try:
        build_toolset(App("doctor", (grant,), account_rules=(policy,)))
    except SpecError as error:
        return error.problems
    return []


def _keyring() -> Iterator[Finding]:
    found = os_keyring.find_keyring()
    if found is not None:
        yield Finding("keyring", "ok", found.name)
    elif any(row.keyring for row in _rows()):
        yield Finding(
            "keyring", "fault", "none can be used here, and accounts are kept in one", _hint_of_keyring()
        )
    else:
        yield Finding("keyring", "note", "none can be used here; keys come from the environment")


def _hint_of_keyring() -> str:
    try:
        connected_vault(Scrubber()).keyring(_rows()[0].connector)
    except MCPGateError as error:
        return error.hint
    return ""


def _rows() -> Any:
    try:
        return open_accounts().all()
    except MCPGateError:
        return ()


def _credentials(scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    """Every account and every variable that is set, tried with the connector's probe."""
    try:
        rows = open_accounts().all()
    except MCPGateError as error:
        yield Finding("credential", "fault", error.message, error.hint)
        rows = ()
    for row in rows:
        where = row.source.partition(" ")[2] if row.source.startswith("file") else row.connector
        about = f"{row.connector}/{row.account}"
        if row.source.startswith("file"):
            yield Finding(
                "credential", "note", f"{about} belongs to a connector given by path: {where[:12]}…"
            )
            continue
        try:
            connector = catalog.load_connector(row.connector)
            account = open_account(connector, dict(row.settings), row.account, live=live)
        except MCPGateError as error:
            yield Finding("credential", "fault", f"{about}: {error.message}", error.hint)
            continue
        yield _tried(account, about, scrubber, offline=offline)
    for name in catalog.names("connectors"):
        if is_set(os.environ, name):
            yield from _variable(name, scrubber, offline=offline, live=live)
    if not rows and not any(is_set(os.environ, name) for name in catalog.names("connectors")):
        yield Finding(
            "credential", "note", "none is connected; without one, --sandbox works: mcpgate connect NAME"
        )


def _variable(name: str, scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    try:
        account = open_account(catalog.load_connector(name), {}, UNCHOSEN, live=live)
    except MCPGateError as error:
        yield Finding("credential", "note", f"{variable(name)} is set, but: {error.message}")
        return
    yield _tried(account, variable(name), scrubber, offline=offline)


def _tried(account: Account, about: str, scrubber: Scrubber, *, offline: bool) -> Finding:
    connector = account.connector
    mend = connect_command(connector, account.name)
    vault = open_vault(scrubber) if about == variable(connector.name) else connected_vault(scrubber)
    if about == variable(connector.name):
        mend = f"Set {about} to another key, or unset it."
    try:
        secret = vault.open(account)
        if offline or not _has_probe(connector):
            return Finding("credential", "ok", f"{about} is there (not tried)")
        outcome = asyncio.run(probe(account, lambda _: secret, scrubber))
    except LiveKeyError:
        return Finding("credential", "note", f"{about} is a live key, not tried: mcpgate doctor --live")
    except MCPGateError as error:
        says = error.message if about in error.message else f"{about}: {error.message}"
        return Finding("credential", "fault", says, mend)
    if not outcome.is_error:
        return Finding(
            "credential", "ok", f"{about} works: {account.origin} answered {_probe_name(connector)}"
        )
    status = (outcome.structured or {}).get("status")
    if status in (401, 403):
        return Finding("credential", "fault", f"{about} is refused by {account.origin}: {outcome.text}", mend)
    return Finding("credential", "fault", f"{about}: {outcome.text}", "Try again when the network is there.")


def _has_probe(connector: Connector) -> bool:
    return connector.auth is not None and bool(connector.auth.probe)


def _probe_name(connector: Connector) -> str:
    return connector.auth.probe if connector.auth is not None else ""


def _clients() -> Iterator[Finding]:
    """The clients of this machine, and whether what each starts still starts."""
    there = False
    for client in CLIENTS:
        path = config_path(client, sys.platform, os.environ, str(Path.home()))
        if not path.exists() and not is_installed(client, sys.platform, os.environ, str(Path.home())):
            continue
        there = True
        try:
            servers = {
                name: value for name, value in open_config(client, path).servers.items() if is_own(value)
            }
        except MCPGateError as error:
            yield Finding("client", "fault", f"{client.title}: {error.message}", error.hint)
            continue
        if not servers:
            yield Finding(
                "client", "note", f"{client.title} does not run mcpgate: mcpgate install {client.name}"
            )
        for name, value in servers.items():
            fault = _start_fault(value)
            if fault:
                mend = f"mcpgate install {client.name} … --name {shlex.quote(name)} --write"
                yield Finding("client", "fault", f"{client.title}, server {name}: {fault}", mend)
            else:
                yield Finding("client", "ok", f"{client.title} runs mcpgate as {name}")
    if not there:
        yield Finding("client", "note", "no MCP client that mcpgate knows is here")


def _start_fault(value: dict[str, Any]) -> str:
    """Why an entry would not start, or nothing."""
    from mcpgate.cli.execution import gateway_of

    command, arguments = str(value["command"]), [str(word) for word in value["args"]]
    if shutil.which(command) is None:
        return f"{command} is not there any more"
    words = arguments[arguments.index("run") :]
    try:
        gateway_of(words)
    except MCPGateError as error:
        return error.message.splitlines()[0]
    except Exception as error:  # noqa: BLE001  whatever the command line says of these words
        return f"the words {shlex.join(words)} are not accepted ({type(error).__name__})"
    return ""


def _show(finding: Finding, scrubber: Scrubber) -> None:
    mark, style = _MARKS[finding.state]
    console = stdout()
    text = plain(scrubber.text(f"{mark} {finding.about:<11} {finding.says}"))
    console.print(text, style=style, highlight=False, soft_wrap=True)
    if finding.mend:
        for line in plain(scrubber.text(finding.mend)).splitlines():
            console.print(f"  {'':<11} → {line}", highlight=False, soft_wrap=True)


def _facts(finding: Finding) -> dict[str, str]:
    return {"about": finding.about, "state": finding.state, "says": finding.says, "mend": finding.mend}
