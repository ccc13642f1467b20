"""What a secret is judged by, wherever it is kept: its kind, its mode, and the places it may go to."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from urllib.parse import urlsplit

from mcpgate.errors import CredentialError, LiveKeyError
from mcpgate.json_schema import compile_pattern
from mcpgate.spec.connector import is_loopback
from mcpgate.values import Account, Connector, Kind

Known = Callable[[str], Connector | None]
"""Finds the shipped or own connector of a name."""


def judge(text: str, account: Account, known: Known, *, what: str, another: str) -> Kind:
    """The kind of a secret that may go where the account sends it; raises `CredentialError`.

    A file given by path that bears a known name is held to that connector's kinds, and gets the secret only
    for that connector's origin or, if it is a test key, for loopback. Messages call the secret `what`;
    `another` says how to give another one.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        message = f"{what} holds spaces, line ends or characters that no key has."
        raise CredentialError(message, another)
    connector = account.connector
    namesake = known(connector.name) if connector.source.kind == "file" else None
    kind = _kind(namesake or connector, text, what, another)
    if namesake is not None:
        _check_place(namesake, account, kind, what)
    return kind


def check_mode(account: Account, what: str, *modes: str) -> None:
    """A live secret is for an account that was opened as live; raises `LiveKeyError`."""
    if "live" in modes and not account.live:
        raise LiveKeyError(
            f"{what} holds a live key, and live keys run only with --live.",
            "A person has to add --live where mcpgate is started, or use a test key.",
        )


def connect_command(connector: Connector, account: str = "default") -> str:
    """What a person types to connect an account."""
    words = [
        "mcpgate",
        "connect",
        connector.source.path if connector.source.kind == "file" else connector.name,
    ]
    return shlex.join(words + (["--account", account] if account != "default" else []))


def of_its_own(connector: Connector) -> str:
    """What is said where an account's name is taken by a connector from elsewhere."""
    return f"Connect this one under another name: {connect_command(connector)} --account NAME"


def _kind(connector: Connector, text: str, what: str, another: str) -> Kind:
    """The first kind that the secret matches in full."""
    auth = connector.auth
    kinds = auth.kinds if auth is not None else ()
    for kind in kinds:
        if compile_pattern(kind.match).fullmatch(text):
            if kind.refuse:
                raise CredentialError(f"{what} is refused: {kind.refuse}", another)
            return kind
    if kinds and auth is not None:
        message = f"{what} does not look like what {connector.title} calls: {auth.label}."
        raise CredentialError(message, another)
    return Kind("")


def _check_place(known: Connector, account: Account, kind: Kind, what: str) -> None:
    """A file with a known name reaches the known origin in the known way, or loopback with a test key."""
    own = "/".join(str(known.base_url).split("/")[:3])
    here = "/".join(str(account.connector.base_url).split("/")[:3])
    if is_loopback(urlsplit(account.origin).hostname or "") and kind.mode == "test":
        return
    if own != here:
        fault = f"sends to {account.origin}: {what} goes only to {own} (a test key to loopback as well)"
    elif _travel(known) != _travel(account.connector):
        fault = "sends the key another way than that one does"
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
