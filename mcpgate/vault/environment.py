"""Credentials from the environment: `MCPGATE_<CONNECTOR>_KEY`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from mcpgate.errors import CredentialError
from mcpgate.json_schema import compile_pattern
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import is_loopback
from mcpgate.values import Account, Connector, Kind


def variable(connector: str) -> str:
    """The environment variable that holds a connector's key."""
    return f"MCPGATE_{connector.upper()}_KEY"


class EnvironmentVault:
    """Opens credentials that lie in environment variables.

    `known` finds the shipped or own connector of a name: a file given by path that bears such a name gets the
    credential only for that connector's origin or, if it is a test key, for loopback.
    """

    def __init__(
        self, environ: Mapping[str, str], known: Callable[[str], Connector | None], scrubber: Scrubber
    ) -> None:
        self._environ = environ
        self._known = known
        self._scrubber = scrubber

    def open(self, account: Account) -> Secret | None:
        """The secret of an account, checked for kind, mode and place; raises `CredentialError`."""
        connector = account.connector
        if connector.auth is None:
            return None
        name = variable(connector.name)
        text = self._environ.get(name, "").strip()
        if not text:
            hint = f"A person has to set {name} to it where mcpgate is started, and start it again."
            where = f" It is found at {connector.auth.help}." if connector.auth.help else ""
            raise CredentialError(f"There is no credential for {connector.title}.", hint + where)
        self._scrubber.learn(text)
        if not text.isascii() or not text.isprintable() or " " in text:
            raise CredentialError(f"{name} holds spaces, line ends or characters that no key has.", "Paste it again.")
        known = self._known(connector.name) if connector.source.kind == "file" else None
        kind = _kind(known or connector, name, text)
        if known is not None:
            _check_place(known, account, kind, name)
        if kind.mode == "live" and not account.live:
            raise CredentialError(
                f"{name} holds a live key, and live keys run only with --live.",
                "A person has to add --live where mcpgate is started, or use a test key.",
            )
        return Secret(text)


def _kind(connector: Connector, name: str, text: str) -> Kind:
    """The first kind that the secret matches in full; raises `CredentialError` where none does."""
    assert connector.auth is not None
    kinds = connector.auth.kinds
    for kind in kinds:
        if compile_pattern(kind.match).fullmatch(text):
            if kind.refuse:
                raise CredentialError(f"{name} is refused: {kind.refuse}", f"Set {name} to another one.")
            return kind
    if kinds:
        label = connector.auth.label
        raise CredentialError(f"{name} does not look like what {connector.title} calls: {label}.", "Paste it again.")
    return Kind("")


def _check_place(known: Connector, account: Account, kind: Kind, name: str) -> None:
    """A file that bears a known name reaches the known origin, or loopback with a test key."""
    own = str(known.base_url).split("/")[:3]
    here = str(account.connector.base_url).split("/")[:3]
    if own == here and known.auth == account.connector.auth:
        return
    if is_loopback(urlsplit(account.origin).hostname or "") and kind.mode == "test":
        return
    raise CredentialError(
        f"{account.connector.source.path} bears the name of the connector {known.name}, but sends to {account.origin}: "
        f"{name} goes only to {'/'.join(own)} (a test key to loopback as well).",
        "Give the file a connector name of its own.",
    )
