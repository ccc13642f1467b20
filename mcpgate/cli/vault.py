"""The vault on the command line: set it up, look at it, rotate its key, export and import it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mcpgate import catalog, paths
from mcpgate.cli.asking import ask_secret
from mcpgate.cli.console import plain, print_json
from mcpgate.cli.vaults import database, sealed_vault
from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault import os_keyring
from mcpgate.vault.environment import variable
from mcpgate.vault.export import pack, unpack
from mcpgate.vault.rows import Record
from mcpgate.vault.sealed_vault import SealedVault

_KEPT: Final[Mapping[str, str]] = {
    "keyring": "in the {keyring}",
    "passphrase": "derived from a passphrase",
    "file": "in the file {path}",
    "environment": "in the variable {variable}",
}
_EXPORT_PASSPHRASE: Final = "MCPGATE_EXPORT_PASSPHRASE"  # noqa: S105  a name


def set_up(keyring: bool, passphrase: bool, key_file: str, key_env: str) -> None:
    """Set the vault up with the keeper that was named, else with the keyring."""
    chosen = _chosen(keyring, passphrase, key_file, key_env) or ("keyring", {})
    if chosen[0] == "keyring" and os_keyring.find_keyring() is None:
        raise no_keyring()
    record = sealed_vault().set_up(*chosen)
    print(plain(f"The vault is set up: its master key is kept {kept(record)}."))
    print("Next: mcpgate connect CONNECTOR")


def ensure_set_up(vault: SealedVault, connector: str = "") -> Record:
    """The vault's record; where there is none, one with the keyring. Raises `CredentialError` without one."""
    record = vault.record()
    if record is None and os_keyring.find_keyring() is None:
        raise no_keyring(connector)
    return record or vault.set_up("keyring", {})


def no_keyring(connector: str = "") -> CredentialError:
    """What is said where there is no vault and no keyring: exactly what to type."""
    file = Path(paths.home_folder()) / "master.key"
    hint = "Choose once where the key to the vault is kept:"
    hint += f"\n  mcpgate init --key-file {file}\n    a file that only you can read"
    hint += "\n  mcpgate init --passphrase\n    asked at each start, or from MCPGATE_PASSPHRASE"
    hint += "\n  mcpgate init --key-env NAME\n    a variable with 32 random bytes in base64"
    if connector:
        name = variable(connector)
        hint += f"\nOr give the key without a vault:\n  read -rs {name} && export {name}"
    if sys.platform not in ("darwin", "win32"):
        hint += f"\nOr get a keyring, and log in again:\n  {os_keyring.INSTALL}"
    return CredentialError("There is no vault yet, and no keyring of this system can be used.", hint)


def show_status(*, as_json: bool) -> int:
    """Print where the key is kept and what it opens; 0 when it opens the vault."""
    vault = sealed_vault()
    record, fault, hint = vault.record(), "", ""
    rows = vault.all()
    try:
        vault.unlock()
        for row in rows:
            vault.open(row.connector, row.account)
    except MCPGateError as error:
        fault, hint = error.message, error.hint
    facts: dict[str, Any] = {
        "database": database().address,
        "kept": kept(record) if record else None,
        "provider": record.provider if record else None,
        "key": record.id if record else None,
        "since": record.made if record else None,
        "credentials": [f"{row.connector}/{row.account}" for row in rows],
        "opens": not fault,
        "says": fault,
        "hint": hint,
    }
    if as_json:
        print_json(facts)
    else:
        print(plain(f"Database     {facts['database']}"))
        print(
            plain(
                f"Master key   {facts['kept'] or 'none yet'}{f', since {record.made[:10]}' if record else ''}"
            )
        )
        print(plain(f"Credentials  {', '.join(facts['credentials']) or 'none'}"))
        print(plain(f"Opens        {'yes, every one' if not fault else f'no: {fault}'}"))
        if hint:
            print(plain(f"             {hint}"))
    return CredentialError.exit_code if fault else 0


def rotate(keyring: bool, passphrase: bool, key_file: str, key_env: str) -> None:
    """Rotate to the keeper that was named, else to a new key of the same keeper."""
    vault = sealed_vault()
    record = vault.record()
    if record is None:
        raise CredentialError("There is no vault yet.", "Set one up: mcpgate init")
    chosen = _chosen(keyring, passphrase, key_file, key_env)
    if chosen is None and record.provider not in ("keyring", "passphrase"):
        hint = "Name another: --key-file PATH, --key-env NAME, --keyring or --passphrase."
        raise UsageError(f"The master key is kept {kept(record)}, which mcpgate does not change.", hint)
    provider, place = chosen or (record.provider, {})
    count = vault.rotate(provider, place)
    now = vault.record()
    assert now is not None
    what = f"{count} credential{'' if count == 1 else 's'}"
    print(plain(f"Rotated: {what} under a new master key, which is kept {kept(now)}."))
    if record.provider in ("file", "environment"):
        print(plain(f"The old one opens nothing any more; it was kept {kept(record)}."))


def export_to(file: str) -> None:
    """Write an export; a file that is there already is not replaced."""
    path, vault = Path(file), sealed_vault()
    if path.exists():
        raise UsageError(f"{path} is there already.", "Name another file.")
    kept_rows = list(vault.opened())
    if not kept_rows:
        raise UsageError("There is nothing in the vault to export.", "See: mcpgate vault status")
    passphrase = _export_passphrase(new=True)
    paths.write_private(str(path.absolute()), pack(kept_rows, passphrase))
    names = ", ".join(f"{each.binding.connector}/{each.binding.account}" for each in kept_rows)
    print(plain(f"Exported {names} to {path}. Whoever has that file and the passphrase has the keys."))


def import_from(file: str) -> None:
    """Take an export in, all or nothing."""
    data = catalog.read_file(Path(file))
    vault = sealed_vault()
    ensure_set_up(vault)
    rows = unpack(data, _export_passphrase(new=False))
    vault.keep_all(rows)
    names = ", ".join(f"{binding.connector}/{binding.account}" for binding, _ in rows)
    print(plain(f"Imported {names}."))


def kept(record: Record) -> str:
    """Where a master key is kept, in words."""
    return _KEPT[record.provider].format(**record.place)


def _chosen(
    keyring: bool, passphrase: bool, key_file: str, key_env: str
) -> tuple[str, dict[str, str]] | None:
    """The keeper that the flags name, None for none; raises `UsageError` for two."""
    named: list[tuple[str, dict[str, str]]] = []
    named += [("keyring", {})] if keyring else []
    named += [("passphrase", {})] if passphrase else []
    named += [("file", {"path": str(Path(key_file).absolute())})] if key_file else []
    named += [("environment", {"variable": key_env})] if key_env else []
    if len(named) > 1:
        raise UsageError("The master key is kept in one place.", "Give one of these flags.")
    return named[0] if named else None


def _export_passphrase(*, new: bool) -> Secret:
    given = os.environ.get(_EXPORT_PASSPHRASE, "")
    if given:
        return Secret(given)
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "The passphrase of the export is not given.", f"Set {_EXPORT_PASSPHRASE}, or type it."
        )
    typed = ask_secret("Passphrase of the export (not shown): ")
    if new and typed.reveal() != ask_secret("The same again: ").reveal():
        raise UsageError("The two passphrases are not the same.", "Type them again.")
    return typed
