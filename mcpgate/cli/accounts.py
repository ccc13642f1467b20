"""`mcpgate accounts` and `mcpgate disconnect`: which credentials there are, without ever showing one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from mcpgate import catalog, saved
from mcpgate.apps import open_account
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.vaults import sealed_vault
from mcpgate.errors import CredentialError, MCPGateError, NotFoundError
from mcpgate.secrets import Scrubber
from mcpgate.vault.binding import Binding, check_name, said
from mcpgate.vault.ceiling import preset_of
from mcpgate.vault.environment import variable
from mcpgate.vault.kinds import judge
from mcpgate.vault.sealed_vault import SealedVault

_CONNECTOR: Final = re.compile(r"[a-z][a-z0-9]*")
_HEADINGS: Final = ["Account", "Mode", "Goes to", "Connector", "Settings", "At most", "Connected", "Key"]
_VARIABLE: Final = re.compile(r"MCPGATE_([A-Z][A-Z0-9]*)_KEY")


def show_accounts(*, as_json: bool) -> None:
    """Print every account that was connected and every variable that is set, or the same facts as JSON."""
    scrubber = Scrubber()
    vault = sealed_vault()
    rows = [_connected(row, vault) for row in vault.all()]
    rows += _variables(scrubber)
    rows = scrubber.tree(rows)
    if as_json:
        print_json(rows)
    elif not rows:
        print("No account is connected. Connect one: mcpgate connect CONNECTOR")
    else:
        columns = [_HEADINGS, *map(_cells, rows)]
        used = [column for column in zip(*columns, strict=True) if any(column[1:])]
        shown = table(*(column[0] for column in used))
        for cells in list(zip(*used, strict=True))[1:]:
            shown.add_row(*(plain(cell) or "–" for cell in cells))
        stdout().print(shown)


def disconnect_account(name: str, account: str) -> None:
    """Forget an account and its credential; raises `NotFoundError` where there is none."""
    connector = name if _CONNECTOR.fullmatch(name) else catalog.load_connector(name).name
    if not sealed_vault().remove(connector, check_name(account)):
        raise NotFoundError(f"There is no account {connector}/{account}.", "See them all: mcpgate accounts")
    saved.forget()
    print(f"Disconnected {connector}/{account}: its key is no longer in the vault.")
    if variable(connector) in os.environ:
        print(f"{variable(connector)} is still set.")


def _connected(row: Binding, vault: SealedVault) -> dict[str, Any]:
    state, says = "sealed", "sealed in the vault"
    try:
        vault.open(row.connector, row.account)
    except CredentialError as error:
        state, says = "closed", error.message
    ceiling = preset_of(row.ceiling).name if row.ceiling else ""
    return {**row.facts(), "ceiling": ceiling, "variable": None, "state": state, "says": says}


def _variables(scrubber: Scrubber) -> Iterator[dict[str, Any]]:
    """The variables that are set; they go before the accounts called `default`."""
    for name in sorted(os.environ):
        found, text = _VARIABLE.fullmatch(name), os.environ[name].strip()
        if found is not None and text:
            scrubber.learn(text)
            yield {
                "connector": found[1].lower(),
                "account": None,
                **_judged(found[1].lower(), name, text),
                "connected": None,
                "ceiling": "",
                "variable": name,
            }


def _judged(connector: str, name: str, text: str) -> dict[str, Any]:
    """What can be told of a variable's key without sending it anywhere."""
    facts: dict[str, Any] = {"origins": [], "source": "", "settings": {}, "mode": "", "state": "set"}
    try:
        known = catalog.known_connector(connector)
        if known is None:
            return {**facts, "says": f"in {name}"}
        facts |= {"source": f"{known.source.kind} {known.name}", "says": f"in {name}, goes first"}
        account = open_account(known, {}, live=True)
        facts["origins"] = [account.origin]
        facts["mode"] = judge(text, account, catalog.known_connector, what=name, another="").mode
    except CredentialError as error:
        facts |= {"state": "refused", "says": error.message}
    except MCPGateError:
        pass  # its settings are given when it is run
    return facts


def _cells(row: dict[str, Any]) -> list[str]:
    """One row of the table; a column that is empty in every row is left out."""
    kind, _, what = row["source"].partition(" ")
    return [
        f"{row['connector']}/{row['account']}" if row["account"] else row["connector"],
        row["mode"],
        ", ".join(row["origins"]),
        f"{kind} {what[:12]}…" if kind == "file" else kind,
        said(row["settings"]) if row["settings"] else "",
        row["ceiling"],
        (row["connected"] or "")[:10],
        row["says"],
    ]
