"""An export: every credential of a vault in one file, sealed under a passphrase of its own."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Iterable
from typing import Any, Final

from mcpgate.errors import CredentialError
from mcpgate.secrets import Secret
from mcpgate.vault.binding import Binding
from mcpgate.vault.providers import derive
from mcpgate.vault.sealed_vault import Kept
from mcpgate.vault.sealing import BrokenSealError, Sealed, seal, unseal

_FORMAT: Final = "mcpgate export 1"
_ID: Final = "export"


def pack(kept: Iterable[Kept], passphrase: Secret) -> bytes:
    """Every credential with what it is bound to, sealed; the file can be kept where the passphrase is not."""
    rows = [
        {**each.binding.facts(), "secrets": {name: text.reveal() for name, text in each.secrets.items()}}
        for each in kept
    ]
    salt = os.urandom(16)
    box = seal(derive(_ID, passphrase, salt), _FORMAT.encode(), json.dumps(rows).encode())
    bundle = {
        "format": _FORMAT,
        "salt": _text(salt),
        "wrapped": _text(box.wrapped),
        "sealed": _text(box.sealed),
    }
    return json.dumps(bundle, indent=1).encode() + b"\n"


def unpack(data: bytes, passphrase: Secret) -> list[tuple[Binding, dict[str, Secret]]]:
    """The credentials of an export; raises `CredentialError` for another passphrase or a changed file."""
    bundle = _read(data)
    try:
        master = derive(_ID, passphrase, bundle["salt"])
        rows = json.loads(unseal(master, _FORMAT.encode(), Sealed(bundle["wrapped"], bundle["sealed"])))
        return [_credential(row) for row in rows]
    except BrokenSealError:
        pass
    raise CredentialError(
        "The export does not open: another passphrase, or the file was changed.", "Try again."
    )


def _credential(row: dict[str, Any]) -> tuple[Binding, dict[str, Secret]]:
    secrets = {name: Secret(text) for name, text in row["secrets"].items()}
    facts = {field.name: row[field.name] for field in dataclasses.fields(Binding)}
    return Binding(**{**facts, "origins": tuple(facts["origins"])}), secrets


def _read(data: bytes) -> dict[str, bytes]:
    fault = "this is no export of mcpgate"
    try:
        bundle = json.loads(data)
        if bundle["format"] == _FORMAT:
            names = ("salt", "wrapped", "sealed")
            return {name: base64.b64decode(bundle[name], validate=True) for name in names}
        fault = f"its format is {str(bundle['format'])[:40]}, and this mcpgate reads {_FORMAT}"
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise CredentialError(f"The export cannot be read: {fault}.", "It is made by: mcpgate vault export FILE")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
