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
            message = f"{name} holds spaces, line ends or characters that no key has."
            raise CredentialError(message, "Paste it again.")
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
    kinds = connector.auth.kinds if connector.auth is not None else ()
    for kind in kinds:
        if compile_pattern(kind.match).fullmatch(text):
            if kind.refuse:
                raise CredentialError(f"{name} is refused: {kind.refuse}", f"Set {name} to another one.")
            return kind
    if kinds and connector.auth is not None:
        message = f"{name} does not look like what {connector.title} calls: {connector.auth.label}."
        raise CredentialError(message, "Paste it again.")
    return Kind("")


def _check_place(known: Connector, account: Account, kind: Kind, name: str) -> None:
    """A file with a known name reaches the known origin in the known way, or loopback with a test key."""
    own = "/".join(str(known.base_url).split("/")[:3])
    here = "/".join(str(account.connector.base_url).split("/")[:3])
    if is_loopback(urlsplit(account.origin).hostname or "") and kind.mode == "test":
        return
    if own != here:
        fault = f"sends to {account.origin}: {name} goes only to {own} (a test key to loopback as well)"
    elif _travel(known) != _travel(account.connector):
        fault = f"sends {name} another way than that one does"
    else:
        return
    raise CredentialError(
        f"{account.connector.source.path} bears the name of the connector {known.name}, but {fault}.",
        "Give the file a connector name of its own.",
    )


def _travel(connector: Connector) -> object:
    """How a connector's secret travels, whatever it is called."""
    auth = connector.auth
    return auth and (auth.type, auth.name.lower(), auth.scheme, auth.username)
