"""`mcpgate connect`: take a credential from a person, prove it, and keep it for where it may go."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import warnings
from collections.abc import Sequence

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli.console import plain
from mcpgate.cli.opening import DEFAULT_PRESET, connected_vault, open_accounts, read_settings
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Connector, Outcome
from mcpgate.vault.accounts import DEFAULT, Binding, check_name, said
from mcpgate.vault.chosen import is_set
from mcpgate.vault.environment import variable
from mcpgate.vault.keyring_vault import KeyringVault
from mcpgate.vault.kinds import judge, of_its_own
from mcpgate.vault.os_keyring import UNLOCK

_LONGEST = 64 * 1024


def connect_account(name: str, account: str, from_env: str, settings: Sequence[str], *, probe: bool) -> None:
    """Connect an account; whatever goes wrong, nothing is kept and what was there before stays."""
    connector = catalog.load_connector(name)
    if connector.auth is None:
        raise UsageError(f"{connector.title} needs no credential.", f"Run it: mcpgate run {name}")
    earlier = open_accounts().find(connector.name, check_name(account))
    if earlier is not None and not earlier.same_kind(connector):
        what = f"{connector.name}/{account} is the account of a connector from elsewhere ({earlier.source})."
        raise UsageError(what, of_its_own(connector))
    stored = dict(earlier.settings) if earlier is not None else {}
    given = read_settings(settings, [connector])[connector.name]
    stored = {setting: text for setting, text in stored.items() if setting in connector.settings}
    scrubber = Scrubber()
    try:
        opened = open_account(connector, {**stored, **given}, account, live=True)
        _connect(opened, connected_vault(scrubber), scrubber, from_env, earlier, probe=probe)
    except MCPGateError as error:
        # the scrubber stands at this way out as well
        error.message, error.hint = scrubber.text(error.message), scrubber.text(error.hint)
        raise


def _connect(
    account: Account,
    vault: KeyringVault,
    scrubber: Scrubber,
    from_env: str,
    earlier: Binding | None,
    *,
    probe: bool,
) -> None:
    connector = account.connector
    assert connector.auth is not None
    _show(account, _keyring_name(vault, connector))
    text, what = _read(connector.auth.label, from_env)
    scrubber.learn(text)
    kind = judge(text, account, catalog.known_connector, what=what, another="Give another one.")
    if kind.mode:
        _say(f"It is a {kind.mode} key.")
    if kind.caution:
        _say(f"Caution: {kind.caution}")
    secret = Secret(text)
    _say(_prove(account, secret, scrubber) if probe else "It was not tried (--no-probe).")
    vault.keep(account, secret, kind.mode)
    if earlier is not None:
        _say(f"The one that was connected on {earlier.connected[:10]} is replaced.")
    for line in _next(account, kind.mode):
        _say(line)


def _keyring_name(vault: KeyringVault, connector: Connector) -> str:
    """The keyring that will be used; without one a person is told what to type instead."""
    try:
        return vault.keyring().name
    except CredentialError as error:
        name = variable(connector.name)
        lines = [f"Use the variable: read -rs {name} && export {name}"]
        if sys.platform not in ("win32", "darwin"):
            lines += [
                "Or get a Secret Service: sudo apt install gnome-keyring dbus-user-session, log in again,",
                f"and without a desktop unlock it: {UNLOCK}",
            ]
        hint = "\n".join(lines)
    raise CredentialError(error_text, hint)


def _show(account: Account, keyring: str) -> None:
    """What is being connected, and where its credential will go."""
    connector, auth = account.connector, account.connector.auth
    assert auth is not None
    source = connector.source
    sources = {
        "shipped": "shipped with mcpgate",
        "own": f"your own, {source.path}",
        "file": f"the file {source.path} (sha256 {source.digest[:16]}…)",
    }
    _say(f"{connector.title}: {auth.label}")
    lines = [
        ("Found at", auth.help),
        ("Goes to", f"{account.origin} and nowhere else"),
        ("Connector", f"{connector.name}, {sources[source.kind]}"),
        ("Settings", said(account.settings) if account.settings else ""),
        ("Kept in", f"{keyring}, as {connector.name}/{account.name}"),
    ]
    for label, text in lines:
        if text:
            _say(f"  {label:<11}{text}")


def _read(label: str, from_env: str) -> tuple[str, str]:
    """The secret, and what messages call it: from a variable, a hidden prompt, or the one line of stdin."""
    if from_env:
        text, what = os.environ.get(from_env, ""), from_env
    elif sys.stdin is not None and sys.stdin.isatty():
        text, what = _prompt(label), "What was typed"
    else:
        text, what = sys.stdin.read(_LONGEST) if sys.stdin is not None else "", "What stdin holds"
    text = text.strip()
    if not text:
        raise UsageError(f"{what} is empty." if text or from_env else "Nothing was given.", "Nothing was kept.")
    return text, what
