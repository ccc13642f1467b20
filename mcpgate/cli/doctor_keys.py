"""The part of `mcpgate doctor` that looks at the vault, and tries the credentials in it and in variables."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mcpgate import catalog
from mcpgate.apps import App, Grant, open_account
from mcpgate.cli.opening import DEFAULT_PRESET
from mcpgate.cli.vault.probing import probe
from mcpgate.cli.vault.vault import kept
from mcpgate.cli.vaults import connected_vault, open_vault, sealed_vault
from mcpgate.errors import LiveKeyError, MCPGateError
from mcpgate.secrets import Scrubber
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Connector, Policy
from mcpgate.vault import Vault, os_keyring
from mcpgate.vault.binding import UNCHOSEN
from mcpgate.vault.ceiling import ceiling_of
from mcpgate.vault.environment import is_set, variable
from mcpgate.vault.kinds import connect_command
from mcpgate.vault.sealed_vault import SealedVault

_WANTED: Final = {
    "passphrase": "MCPGATE_PASSPHRASE or MCPGATE_PASSPHRASE_FILE",
    "environment": "{variable}",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: in order, worth a note, or a fault; `mend` is what a person types."""

    about: str
    state: Literal["ok", "note", "fault"]
    says: str
    mend: str = ""


def vault_and_credentials(scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    """Look at the vault, and try every credential; a live one only with `live`."""
    # one for all, so that a passphrase is asked for once
    vault = sealed_vault()
    opens = yield from _vault(vault)
    if opens:
        yield from _connected(vault, scrubber, offline=offline, live=live)
    yield from _variables(scrubber, offline=offline, live=live)


def _vault(vault: SealedVault) -> Generator[Finding, None, bool]:
    """The vault, and whether its master key opens it; true where the credentials can be looked at."""
    try:
        record, rows = vault.record(), vault.all()
        if record is None and not rows:
            found = os_keyring.find_keyring()
            where = f"connect makes one with the {found.name}" if found else "mcpgate init makes one"
            yield Finding("vault", "note", f"there is none yet: {where}")
            return True
        vault.unlock()
    except MCPGateError as error:
        yield Finding("vault", "fault", error.message, error.hint)
        return False
    assert record is not None
    yield Finding("vault", "ok", f"opens with the master key {kept(record)}")
    wanted = _WANTED.get(record.provider, "").format(**record.place)
    if wanted:
        yield Finding("vault", "note", f"a server that a client starts needs {wanted} in its environment")
    return True


def _connected(vault: SealedVault, scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    """Every account that was connected, tried with the connector's probe."""
    rows = vault.all()
    for row in rows:
        about = f"{row.connector}/{row.account}"
        try:
            vault.open(row.connector, row.account)
        except MCPGateError as error:
            yield Finding("vault", "fault", error.message, error.hint)
            continue
        if row.source.startswith("file"):
            digest = row.source.partition(" ")[2][:12]
            says = f"{about} opens, for a connector file with the sha256 {digest}… (not tried)"
            yield Finding("credential", "ok", says)
            continue
        try:
            connector = catalog.load_connector(row.connector)
            account = open_account(connector, dict(row.settings), row.account, live=live)
            ceiling = ceiling_of(row.ceiling) if row.ceiling else None
        except MCPGateError as error:
            yield Finding("credential", "fault", f"{about}: {error.message}", error.hint)
            continue
        mend = connect_command(connector, account.name)
        yield _tried(account, about, connected_vault(scrubber, vault), mend, scrubber, ceiling, offline)
    if not rows and not _set_variables():
        says = "none is connected; without one, --sandbox works: mcpgate connect CONNECTOR"
        yield Finding("credential", "note", says)


def _set_variables() -> list[str]:
    """The connectors whose variable is set."""
    return [name for name in catalog.names("connectors") if is_set(os.environ, name)]


def _variables(scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    """Every variable that is set, tried with the connector's probe."""
    for name in _set_variables():
        yield from _variable(name, scrubber, offline=offline, live=live)


def _variable(name: str, scrubber: Scrubber, *, offline: bool, live: bool) -> Iterator[Finding]:
    try:
        account = open_account(catalog.load_connector(name), {}, UNCHOSEN, live=live)
    except MCPGateError as error:
        yield Finding("credential", "note", f"{variable(name)} is set, but: {error.message}")
        return
    mend = f"Set {variable(name)} to another key, or unset it."
    yield _tried(account, variable(name), open_vault(scrubber), mend, scrubber, None, offline)


def _tried(
    account: Account,
    about: str,
    vault: Vault,
    mend: str,
    scrubber: Scrubber,
    ceiling: Policy | None,
    offline: bool,
) -> Finding:
    connector = account.connector
    try:
        vault.check(account)
        if offline or not _has_probe(connector):
            return Finding("credential", "ok", f"{about} is there (not tried)")
        if not _may_be_tried(account, ceiling):
            return Finding(
                "credential", "ok", f"{about} is there (its ceiling leaves no call to try it with)"
            )
        outcome = asyncio.run(probe(account, vault.open, scrubber))
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


def _may_be_tried(account: Account, ceiling: Policy | None) -> bool:
    """Whether the ceiling of an account lets its probe pass."""
    grant = Grant(account, catalog.load_policy(DEFAULT_PRESET, "preset"), ceiling)
    return build_toolset(App("doctor", (grant,))).entries[_probe_name(account.connector)].denied is None


def _probe_name(connector: Connector) -> str:
    return connector.auth.probe if connector.auth is not None else ""
