"""The vault on the command line: set it up, look at it, and rotate its key."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mcpgate.cli.console import plain, print_json
from mcpgate.cli.vaults import database, note, sealed_vault
from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.vault import os_keyring
from mcpgate.vault.environment import variable
from mcpgate.vault.rows import Record
from mcpgate.vault.sealed_vault import SealedVault

_KEPT: Final[Mapping[str, str]] = {
    "keyring": "in the {keyring}",
    "passphrase": "derived from a passphrase",
    "file": "in the file {path}",
    "environment": "in the variable {variable}",
}
_WITHOUT: Final[Mapping[str, str]] = {
    "keyring": "",
    "passphrase": "Without it nothing opens. A server that a client starts cannot ask for it:"
    " set MCPGATE_PASSPHRASE_FILE there, to a file that only you can read.",
    "file": "Without that file nothing opens: keep a copy of it, apart from the database.",
    "environment": "Without it nothing opens: it has to be set wherever mcpgate is started.",
}
_AT_NEXT_CALL: Final = "Servers that run use it from their next call."
_SERVERS: Final[Mapping[str, str]] = {
    "keyring": _AT_NEXT_CALL,
    "passphrase": "Servers that run need the new passphrase: change the file that"
    " MCPGATE_PASSPHRASE_FILE names, or start them again with MCPGATE_PASSPHRASE.",
    "file": _AT_NEXT_CALL,
    "environment": "Servers that run need that variable: start them again with it.",
}
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONNECTORS_VARIABLE: Final = re.compile(r"MCPGATE_[A-Z][A-Z0-9]*_KEY")


def set_up(keyring: bool, passphrase: bool, key_file: str, key_env: str) -> None:
    """Set the vault up with the keeper that was named, else with the keyring."""
    chosen = _chosen(keyring, passphrase, key_file, key_env) or ("keyring", {})
    if chosen[0] == "keyring" and os_keyring.find_keyring() is None:
        raise no_keyring()
    record = sealed_vault().set_up(*chosen)
    say(f"The vault is set up: its master key is {kept(record)}.", _WITHOUT[record.provider])
    say("Next: mcpgate connect CONNECTOR")


def ensure_set_up(vault: SealedVault, connector: str = "") -> Record:
    """The vault's record; where there is none, one with the keyring. Raises `CredentialError` without one."""
    record = vault.record()
    if record is None and os_keyring.find_keyring() is None:
        raise no_keyring(connector)
    return record or vault.set_up("keyring", {})


def no_keyring(connector: str = "") -> CredentialError:
    """What is said where there is no vault and no keyring: exactly what to type."""
    # apart from the database: a backup of the one folder has not both
    file = shlex.quote(str(Path.home() / ".mcpgate.key"))
    hint = "Say once where the key to the vault is kept, then do this again:"
    hint += f"\n  mcpgate init --key-file {file}\n    a new file that only you can read"
    hint += "\n  mcpgate init --passphrase\n    typed, or from MCPGATE_PASSPHRASE or MCPGATE_PASSPHRASE_FILE"
    hint += "\n  mcpgate init --key-env MCPGATE_VAULT\n    a variable with 32 random bytes in base64"
    if connector:
        name = variable(connector)
        hint += "\nOr do without a vault, and give the key in the environment:"
        hint += f"\n  read -rs {name} && export {name}"
    if sys.platform not in ("darwin", "win32"):
        hint += f"\nOr get a keyring, and log in again:\n  {os_keyring.INSTALL}"
    return CredentialError("There is no vault yet, and no keyring of this system can be used.", hint)


def show_status(*, as_json: bool) -> int:
    """Print where the key is kept and what it opens; 0 when it opens the vault."""
    vault = sealed_vault()
    record, rows = vault.record(), vault.all()
    fault = _first_fault(vault, record)
    facts: dict[str, Any] = {
        "database": database().address,
        "kept": kept(record) if record else None,
        "provider": record.provider if record else None,
        "key": record.id if record else None,
        "since": record.made if record else None,
        "credentials": [f"{row.connector}/{row.account}" for row in rows],
        "opens": fault is None,
        "says": fault.message if fault else "",
        "hint": fault.hint if fault else "",
    }
    if as_json:
        print_json(facts)
    else:
        since = f", since {record.made[:10]}" if record else ""
        say(
            f"Database     {facts['database']}",
            f"Master key   {facts['kept'] or 'none yet'}{since}",
            f"Credentials  {', '.join(facts['credentials']) or 'none yet'}",
            f"Opens        {'yes' if fault is None else f'no: {fault.message}'}",
            *(f"             {line}" for line in facts["hint"].splitlines()),
        )
    return 0 if fault is None else CredentialError.exit_code


def _first_fault(vault: SealedVault, record: Record | None) -> MCPGateError | None:
    """Why the vault, or a credential in it, does not open; None where all do."""
    if record is None and not vault.all():
        found = os_keyring.find_keyring()
        if found is None:
            return no_keyring()
        made = f"The first connect makes one, with the {found.name}: mcpgate connect CONNECTOR"
        return CredentialError("There is no vault yet.", made)
    try:
        vault.unlock()
        for _ in vault.opened():
            pass
    except MCPGateError as error:
        return error
    return None


def rotate(keyring: bool, passphrase: bool, key_file: str, key_env: str) -> None:
    """Rotate to the keeper that was named, else to a new key of the same keeper."""
    vault = sealed_vault()
    record = vault.record()
    if record is None:
        raise CredentialError("There is no vault yet.", "Set one up: mcpgate init")
    chosen = _chosen(keyring, passphrase, key_file, key_env)
    if chosen is None and record.provider not in ("keyring", "passphrase"):
        hint = "Name another: --key-file PATH, --key-env NAME, --keyring or --passphrase."
        raise UsageError(f"The master key is {kept(record)}, which mcpgate does not change.", hint)
    provider, place = chosen or (record.provider, {})
    count = vault.rotate(provider, place)
    now = vault.record()
    assert now is not None
    note(f"vault rotate: the master key is {kept(now)}", vault)
    what = f"{count} credential{'' if count == 1 else 's'}"
    say(f"Rotated: {what} under a new master key, which is {kept(now)}.", *_after(record, now))


def _after(before: Record, now: Record) -> Iterator[str]:
    """What a person has to know once the master key is another."""
    given = [name for name in os.environ if name in ("MCPGATE_PASSPHRASE", "MCPGATE_PASSPHRASE_FILE")]
    new = {"MCPGATE_NEW_PASSPHRASE", "MCPGATE_NEW_PASSPHRASE_FILE"} & os.environ.keys()
    if before.provider == now.provider == "passphrase" and given and not new:
        yield f"The passphrase is still that of {given[0]}; for another one set MCPGATE_NEW_PASSPHRASE."
    else:
        yield _SERVERS[now.provider]
    if now.provider != before.provider:
        yield _WITHOUT[now.provider]
    if before.provider in ("file", "environment"):
        yield f"The old key, {kept(before)}, opens only older copies of the database: remove both."


def kept(record: Record) -> str:
    """Where a master key is kept, in words."""
    return _KEPT.get(record.provider, record.provider).format(**record.place)


def _chosen(
    keyring: bool, passphrase: bool, key_file: str, key_env: str
) -> tuple[str, dict[str, str]] | None:
    """The keeper that the flags name, None for none; raises `UsageError` for two, or a useless variable."""
    named: list[tuple[str, dict[str, str]]] = []
    named += [("keyring", {})] if keyring else []
    named += [("passphrase", {})] if passphrase else []
    named += [("file", {"path": str(Path(key_file).expanduser().absolute())})] if key_file else []
    named += [("environment", {"variable": key_env})] if key_env else []
    if len(named) > 1:
        raise UsageError("The master key is kept in one place.", "Give one of these flags.")
    if key_env:
        _check_variable(key_env)
    return named[0] if named else None


def _check_variable(name: str) -> None:
    """A variable that can hold the master key, and does; raises `UsageError`."""
    if not _VARIABLE.fullmatch(name):
        # the key may have been pasted where the name belongs, so it is not repeated
        raise UsageError("What --key-env was given is no name of a variable.", "Such as: MCPGATE_VAULT")
    if _CONNECTORS_VARIABLE.fullmatch(name):
        what = f"{name} would be the key of a connector, and be sent to its API."
        raise UsageError(what, "Name another variable, such as MCPGATE_VAULT.")
    if not os.environ.get(name, "").strip():
        hint = f'Set it, and keep a copy of it: export {name}="$(openssl rand -base64 32)"'
        raise UsageError(f"{name} is not set here.", hint)


def say(*lines: str) -> None:
    """Print lines for a person, empty ones left out."""
    for line in filter(None, lines):
        print(plain(line))
