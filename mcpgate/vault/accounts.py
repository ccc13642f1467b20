"""The accounts that were connected, and what each one's credential is bound to. No secret lies here."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcpgate import paths
from mcpgate.errors import CredentialError, UsageError
from mcpgate.values import Account, Connector

UNCHOSEN: Final = ""
"""The name of an account while nobody has named one: the environment's, else `default`."""
DEFAULT: Final = "default"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a credential is bound to: an account of a connector, its origins, its source and its settings.

    `source` is `shipped NAME`, `own NAME` or `file DIGEST`; `keyring` is where the secret is kept.
    """

    connector: str
    account: str
    origins: tuple[str, ...]
    source: str
    settings: Mapping[str, str]
    mode: str
    connected: str
    keyring: str

    def facts(self) -> dict[str, Any]:
        """The binding as JSON."""
        return {**dataclasses.asdict(self), "origins": list(self.origins), "settings": dict(self.settings)}

    def same_kind(self, connector: Connector) -> bool:
        """Whether a connector comes from where the connected one did: shipped, one's own, or a file."""
        return self.source.partition(" ")[0] == connector.source.kind

    def fault(self, account: Account) -> str:
        """Why an account is not the one that was connected; nothing where it is."""
        title, source = account.connector.title, source_of(account.connector)
        if (self.connector, self.account) != (account.connector.name, account.name):
            return f"belongs to {self.connector}/{self.account}"
        if self.source != source:
            was, now = self.source.partition(" ")[0], source.partition(" ")[0]
            if was == now == "file":
                return f"was connected for another version of {account.connector.source.path}"
            return f"was connected for {_KINDS[was]}, and this is {_KINDS[now]}"
        if self.origins != origins_of(account):
            return f"was connected for {', '.join(self.origins)}, and {title} now sends to {account.origin}"
        if self.settings != dict(account.settings):
            return f"was connected with {said(self.settings)}, and this is with {said(account.settings)}"
        return ""


_KINDS: Final = {"shipped": "the shipped connector", "own": "a connector of one's own", "file": "a file"}


def read_binding(value: Any) -> Binding:
    """A binding from its JSON; raises `ValueError` for anything else."""
    try:
        facts = {field.name: value[field.name] for field in dataclasses.fields(Binding)}
        binding = Binding(
            **{**facts, "origins": tuple(facts["origins"]), "settings": dict(facts["settings"])}
        )
    except (TypeError, KeyError) as error:
        raise ValueError("not a binding") from error
    if not isinstance(facts["origins"], list):
        raise ValueError("not a binding")
    texts = [*binding.origins, *binding.settings, *binding.settings.values()]
    texts += [facts[name] for name in facts if name not in ("origins", "settings")]
    if not all(isinstance(text, str) for text in texts) or binding.source.partition(" ")[0] not in _KINDS:
        raise ValueError("not a binding")
    return binding


def source_of(connector: Connector) -> str:
    """Where a connector is from: a known name, or the digest of a file given by path."""
    source = connector.source
    return f"{source.kind} {source.digest if source.kind == 'file' else connector.name}"


def origins_of(account: Account) -> tuple[str, ...]:
    """Every origin that the credential of an account is sent to, sorted."""
    return (account.origin,)


def said(settings: Mapping[str, str]) -> str:
    """Settings as people read them."""
    return ", ".join(f"{name}={text}" for name, text in sorted(settings.items())) or "no settings"


def check_name(name: str) -> str:
    """The name of an account, as it may be; raises `UsageError`."""
    if not _NAME.fullmatch(name):
        hint = "It has lower-case letters, digits, dots, hyphens and underscores, and at most 40 of them."
        raise UsageError(f"'{name[:80]}' cannot be the name of an account.", hint)
    return name


class Accounts:
    """The index of accounts: one file, which only its owner can read, and no secret in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[Binding, ...]:
        """Every account, by connector and name; raises `CredentialError` for a file that cannot be read."""
        fault = ""
        try:
            rows = json.loads(self._path.read_bytes())["accounts"]
            return tuple(sorted(map(read_binding, rows), key=lambda row: (row.connector, row.account)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        except (ValueError, KeyError, TypeError, RecursionError):
            fault = "is damaged"
        raise CredentialError(f"{self._path} {fault}.", "Mend or remove it, and connect the accounts again.")

    def find(self, connector: str, name: str) -> Binding | None:
        """One account, None where it was not connected."""
        found = (row for row in self.all() if (row.connector, row.account) == (connector, name))
        return next(found, None)

    def put(self, binding: Binding) -> None:
        """Write an account down, in place of the one of the same name."""
        self._write([*self._others(binding.connector, binding.account), binding])

    def drop(self, connector: str, name: str) -> None:
        """Forget an account."""
        self._write(self._others(connector, name))

    def _others(self, connector: str, name: str) -> list[Binding]:
        return [row for row in self.all() if (row.connector, row.account) != (connector, name)]

    def _write(self, rows: list[Binding]) -> None:
        text = json.dumps({"accounts": [row.facts() for row in rows]}, indent=1, ensure_ascii=False)
        fault = ""
        try:
            paths.write_private(os.fspath(self._path), text.encode())
        except OSError as error:
            fault = error.strerror or type(error).__name__
        if fault:
            raise CredentialError(f"{self._path} cannot be written: {fault}.", "Nothing was changed.")
