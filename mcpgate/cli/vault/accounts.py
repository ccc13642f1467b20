"""`mcpgate accounts` and `mcpgate disconnect`: which credentials there are, without ever showing one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from mcpgate import catalog, saved
from mcpgate.apps import open_account
from mcpgate.cli.bridge import KEY as APP_KEY
from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.cli.vaults import note, sealed_vault
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
    scrubber, vault = Scrubber(), sealed_vault()
    connected = vault.all()
    # asked once: a passphrase is not to be typed for every account
    locked = _fault(vault.unlock) if connected else None
    rows = [_connected(row, vault, locked) for row in connected]
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
        for hint in dict.fromkeys(row["hint"] for row in rows if row["hint"]):
            print(plain(hint))


def disconnect_account(name: str, account: str) -> None:
    """Forget an account and its credential; raises `NotFoundError` where there is none."""
    connector = name if _CONNECTOR.fullmatch(name) else catalog.load_connector(name).name
    vault = sealed_vault()
    if not vault.remove(connector, check_name(account)):
        raise NotFoundError(f"There is no account {connector}/{account}.", "See them all: mcpgate accounts")
    saved.forget()
    note(f"disconnect {connector}/{account}", vault)
    print(f"Disconnected {connector}/{account}: its key is no longer in the vault.")
    print("The key itself is still valid: to end that, delete it where it was made.")
    if variable(connector) in os.environ:
        print(f"{variable(connector)} is still set.")


def _connected(row: Binding, vault: SealedVault, locked: CredentialError | None) -> dict[str, Any]:
    fault = locked or _fault(lambda: vault.open(row.connector, row.account))
    return {
        **row.facts(),
        "ceiling": _ceiling(row),
        "variable": None,
        "state": "closed" if fault else "sealed",
        "says": fault.message if fault else "sealed in the vault",
        "hint": fault.hint if fault else "",
    }


def _ceiling(row: Binding) -> str:
    """The name of the preset that is a ceiling."""
    try:
        return preset_of(row.ceiling).name if row.ceiling else ""
    except CredentialError:
        return "cannot be read"


def _fault(step: Callable[[], object]) -> CredentialError | None:
    try:
        step()
    except CredentialError as error:
        return error
    return None


def _variables(scrubber: Scrubber) -> Iterator[dict[str, Any]]:
    """The variables that are set; they go before the accounts called `default`."""
    for name in sorted(os.environ):
        found, text = _VARIABLE.fullmatch(name), os.environ[name].strip()
        if found is not None and text and name != APP_KEY:
            scrubber.learn(text)
            yield {
                "connector": found[1].lower(),
                "account": None,
                **_judged(found[1].lower(), name, text),
                "connected": None,
                "ceiling": "",
                "variable": name,
                "hint": "",
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
