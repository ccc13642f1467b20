"""The vault on the command line: export it into a file, and import one."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Final

from mcpgate import catalog, paths, saved
from mcpgate.cli.asking import ask_secret
from mcpgate.cli.vault.vault import ensure_set_up, no_keyring, say
from mcpgate.cli.vaults import note, sealed_vault
from mcpgate.errors import UsageError
from mcpgate.secrets import Secret
from mcpgate.vault import os_keyring
from mcpgate.vault.export import pack, unpack
from mcpgate.vault.providers import check_passphrase

_PASSPHRASE: Final = "MCPGATE_EXPORT_PASSPHRASE"  # noqa: S105  a name


def export_to(file: str) -> None:
    """Write an export; a file that is there already is not replaced."""
    path, vault, fault = Path(file), sealed_vault(), ""
    if path.exists():
        raise UsageError(f"{path} is there already.", "Name another file.")
    rows = list(vault.opened())
    if not rows:
        raise UsageError("There is nothing in the vault to export.", "See: mcpgate vault status")
    passphrase = _passphrase(new=True)
    try:
        paths.write_private(str(path.absolute()), pack(rows, passphrase))
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault:
        raise UsageError(f"{path} cannot be written: {fault}.", "Name another file.")
    names = ", ".join(f"{each.binding.connector}/{each.binding.account}" for each in rows)
    note(f"vault export: {names}", vault)
    say(f"Exported {names} to {path}. Whoever has that file and the passphrase has the keys.")
    say(f"Take it in elsewhere: mcpgate vault import {shlex.quote(path.name)}")


def import_from(file: str) -> None:
    """Take an export in, all or nothing."""
    data = catalog.read_file(Path(file))
    vault = sealed_vault()
    if vault.record() is None and os_keyring.find_keyring() is None:
        raise no_keyring()
    rows = unpack(data, _passphrase(new=False))
    ensure_set_up(vault)
    there = {f"{binding.connector}/{binding.account}": binding.ceiling for binding in vault.all()}
    for binding, _ in rows:
        name = f"{binding.connector}/{binding.account}"
        if there.get(name) and there[name] != binding.ceiling:
            # an older copy would lift what was lowered since, and nobody would have pasted a key
            hint = f"Nothing was taken in. To have the export's: mcpgate disconnect {binding.connector}"
            hint += f" --account {binding.account}, then import again."
            raise UsageError(f"{name} has another ceiling here than in the export.", hint)
    vault.keep_all(rows)
    # what is offered hangs on the ceilings that came in
    saved.forget()
    names = [f"{binding.connector}/{binding.account}" for binding, _ in rows]
    note(f"vault import: {', '.join(names)}", vault)
    replaced = [name for name in names if name in there]
    say(f"Imported {', '.join(names)}.")
    if replaced:
        say(f"This replaces what was connected before as {', '.join(replaced)}.")


def _passphrase(*, new: bool) -> Secret:
    given = os.environ.get(_PASSPHRASE, "")
    if not given and (sys.stdin is None or not sys.stdin.isatty()):
        hint = f"Type it at a terminal, or set {_PASSPHRASE}."
        raise UsageError("The passphrase of the export is not given.", hint)
    passphrase = Secret(given) if given else ask_secret("Passphrase of the export (not shown): ")
    if new:
        check_passphrase(passphrase)
    if new and not given and passphrase.reveal() != ask_secret("The same again: ").reveal():
        raise UsageError("The two passphrases are not the same.", "Nothing was written. Try again.")
    return passphrase
