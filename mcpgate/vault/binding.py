"""What a credential is bound to: an account, its origins, source and settings, and at most so much use."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpgate.errors import UsageError
from mcpgate.values import Account, Connector

UNCHOSEN: Final = ""
"""The name of an account while nobody has named one: the environment's, else `default`."""
DEFAULT: Final = "default"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a credential is bound to: an account of a connector, its origins, its source and its settings.

    `source` is `shipped NAME`, `own NAME` or `file DIGEST`; `ceiling` is the document of the preset that says
    the most it may be used for, empty where nothing was said. Under a ceiling one's own connector is bound to
    its content too, for what a tool is stands there.
    """

    connector: str
    account: str
    origins: tuple[str, ...]
    source: str
    settings: Mapping[str, str]
    mode: str
    connected: str
    ceiling: str = ""

    def facts(self) -> dict[str, Any]:
        """The binding as JSON."""
        return {**dataclasses.asdict(self), "origins": list(self.origins), "settings": dict(self.settings)}

    def same_kind(self, connector: Connector) -> bool:
        """Whether a connector comes from where the connected one did: shipped, one's own, or a file."""
        return self.source.partition(" ")[0] == connector.source.kind

    def fault(self, account: Account) -> str:
        """Why an account is not the one that was connected; nothing where it is."""
        title, source = account.connector.title, source_of(account.connector, exact=bool(self.ceiling))
        if (self.connector, self.account) != (account.connector.name, account.name):
            return f"belongs to {self.connector}/{self.account}"
        if self.source != source:
            was, now = self.source.partition(" ")[0], source.partition(" ")[0]
            if was == now:
                return f"was connected for another version of {account.connector.source.path}"
            return f"was connected for {_KINDS.get(was, 'something else')}, and this is {_KINDS[now]}"
        if self.origins != origins_of(account):
            return f"was connected for {', '.join(self.origins)}, and {title} now sends to {account.origin}"
        if self.settings != dict(account.settings):
            return f"was connected with {said(self.settings)}, and this is with {said(account.settings)}"
        return ""


_KINDS: Final = {"shipped": "the shipped connector", "own": "a connector of one's own", "file": "a file"}


def source_of(connector: Connector, *, exact: bool = False) -> str:
    """Where a connector is from: a known name, with the digest of one's own where it is to be exact, or the
    digest of a file given by path."""
    source = connector.source
    if source.kind == "file":
        return f"file {source.digest}"
    digest = f" {source.digest}" if exact and source.kind == "own" else ""
    return f"{source.kind} {connector.name}{digest}"


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
