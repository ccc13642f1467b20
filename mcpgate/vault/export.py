"""An export: every credential of a vault in one file, sealed under a passphrase of its own."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault.binding import Binding, check_name
from mcpgate.vault.providers import check_passphrase, derive
from mcpgate.vault.sealed_vault import Kept
from mcpgate.vault.sealing import BrokenSealError, MasterKey, Sealed, seal, unseal

_FORMAT: Final = "mcpgate export 1"
_ID: Final = "export"
_SALT_BYTES: Final = 16

Credential = tuple[Binding, Mapping[str, Secret]]


def pack(kept: Iterable[Kept], passphrase: Secret) -> bytes:
    """Every credential with what it is bound to, sealed; the file can be kept where the passphrase is not.

    Raises `UsageError` for a passphrase that is too short for that.
    """
    check_passphrase(passphrase)
    salt = os.urandom(_SALT_BYTES)
    box = seal(derive(_ID, passphrase, salt), _FORMAT.encode(), _document(kept))
    bundle = {
        "format": _FORMAT,
        "salt": _text(salt),
        "wrapped": _text(box.wrapped),
        "sealed": _text(box.sealed),
    }
    return json.dumps(bundle, indent=1).encode() + b"\n"


def unpack(data: bytes, passphrase: Secret) -> list[Credential]:
    """The credentials of an export; raises `CredentialError` for another passphrase or a changed file."""
    salt, box = _read(data)
    document = _opened(derive(_ID, passphrase, salt), box)
    if document is None:
        fault = "The export does not open: another passphrase, or the file was changed."
        raise CredentialError(fault, "Try again.")
    credentials = _credentials(document)
    if credentials is None:
        fault = "The export opens, but what is in it is not what this mcpgate writes."
        raise CredentialError(fault, "Import it with the version that has made it.")
    return credentials


def _opened(master: MasterKey, box: Sealed) -> Secret | None:
    try:
        return unseal(master, _FORMAT.encode(), box)
    except BrokenSealError:
        return None


def _document(kept: Iterable[Kept]) -> Secret:
    rows = [
        {**each.binding.facts(), "secrets": {name: text.reveal() for name, text in each.secrets.items()}}
        for each in kept
    ]
    return Secret(json.dumps(rows))


def _credentials(document: Secret) -> list[Credential] | None:
    """What a document says, None where it is not as `_document` writes it: nothing is raised from here."""
    try:
        return [_credential(row) for row in json.loads(document.reveal())]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError):
        return None


def _credential(row: dict[str, Any]) -> Credential:
    facts = {field.name: row[field.name] for field in dataclasses.fields(Binding)}
    origins, settings, secrets = tuple(facts.pop("origins")), dict(facts.pop("settings")), row["secrets"]
    texts = [*facts.values(), *origins, *settings, *settings.values(), *secrets, *secrets.values()]
    if not secrets or not all(isinstance(text, str) for text in texts):
        raise TypeError
    check_name(facts["account"])
    binding = Binding(**facts, origins=origins, settings=settings)
    return binding, {name: Secret(text) for name, text in secrets.items()}


def _read(data: bytes) -> tuple[bytes, Sealed]:
    fault = "this is no export of mcpgate"
    try:
        bundle = json.loads(data)
        if bundle["format"] != _FORMAT:
            fault = f"its format is {str(bundle['format'])[:40]}, and this mcpgate reads {_FORMAT}"
        else:
            salt, wrapped, sealed = (
                base64.b64decode(bundle[name], validate=True) for name in ("salt", "wrapped", "sealed")
            )
            if len(salt) == _SALT_BYTES:
                return salt, Sealed(wrapped, sealed)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise CredentialError(f"The export cannot be read: {fault}.", "It is made by: mcpgate vault export FILE")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
