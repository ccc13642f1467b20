"""Adds the credential to a request, last of all: the secret exists only here and in what is sent."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote

from mcpgate.secrets import Secret
from mcpgate.values import Account, Auth, Placeholder, Request


def authorize(request: Request, account: Account, secret: Secret | None) -> tuple[str, list[tuple[str, str]]]:
    """The URL and headers to send, with the credential in them when there is one."""
    headers = list(request.headers)
    auth = account.connector.auth
    if auth is None or secret is None:
        return request.url, headers
    text = secret.reveal()
    if auth.type == "query":
        joint = "&" if "?" in request.url else "?"
        return f"{request.url}{joint}{quote(auth.name, safe='')}={quote(text, safe='')}", headers
    return request.url, with_header(headers, *_header(auth, account, text))


def with_header(headers: Iterable[tuple[str, str]], name: str, text: str) -> list[tuple[str, str]]:
    """The headers with this one, and no other of its name."""
    return [*(pair for pair in headers if pair[0].lower() != name.lower()), (name, text)]


def _header(auth: Auth, account: Account, text: str) -> tuple[str, str]:
    if auth.type == "basic":
        user = "" if auth.username is None else _username(auth, account)
        pair = f"{text}:" if auth.username is None else f"{user}:{text}"
        return "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"
    value = f"{auth.scheme} {text}" if auth.scheme else text
    return ("Authorization" if auth.type == "bearer" else auth.name), value


def _username(auth: Auth, account: Account) -> str:
    assert auth.username is not None
    return "".join(
        account.settings[part.name] if isinstance(part, Placeholder) else part for part in auth.username.parts
    )
