"""`mcpgate doctor`: what of a set-up is in order, and for each fault the command that mends it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import stat
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

from mcpgate import __version__, catalog, paths
from mcpgate.apps import App, Grant
from mcpgate.cli.console import plain, print_json, stdout
from mcpgate.cli.doctor_keys import Finding, vault_and_credentials
from mcpgate.cli.live import open_stored
from mcpgate.cli.opening import account_policy
from mcpgate.cli.vaults import config, database
from mcpgate.clients.config_file import open_config
from mcpgate.clients.entry import is_own
from mcpgate.clients.table import CLIENTS, config_path, is_installed
from mcpgate.errors import MCPGateError, SpecError
from mcpgate.secrets import Scrubber
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Policy, Selector

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READS: Final = Policy("reads", "preset", "", (Selector("read"),), (), ())
_MARKS: Final = {"ok": ("✓", "green"), "note": ("–", "yellow"), "fault": ("✗", "red")}


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
    yield from vault_and_credentials(scrubber, offline=offline, live=live)
    yield from _apps()
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
    open_to_others = [path for path in (folder, *sorted(folder.glob("*.db*"))) if _is_open(path)]
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


def _apps() -> Iterator[Finding]:
    """Every app, and whether it opens; what keeps several from it is told once."""
    if not database().exists():
        return
    good: list[str] = []
    faults: dict[tuple[str, str], list[str]] = {}
    try:
        kept = config()
        stored = kept.all()
        for app in stored:
            try:
                build_toolset(open_stored(app, kept, []))
                good.append(app.name)
            except MCPGateError as error:
                faults.setdefault((error.message, error.hint), []).append(app.name)
    except MCPGateError as error:
        yield Finding("app", "fault", error.message, error.hint)
        return
    for (message, hint), names in faults.items():
        first = message.splitlines()[0]
        mend = hint or f"Correct it, then look again: mcpgate apps show {shlex.quote(names[0])}"
        yield Finding("app", "fault", f"{', '.join(names)} cannot be opened: {first}", mend)
    for app in stored:
        if app.paused:
            yield Finding("app", "note", f"{app.name} is paused", f"mcpgate apps resume {app.name}")
        if app.expired():
            yield Finding(
                "app", "note", f"the key of {app.name} has expired", f"mcpgate apps rotate {app.name}"
            )
    if good:
        yield Finding("app", "ok", ", ".join(good))


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
