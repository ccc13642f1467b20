"""Adds the credential to a request, last of all. The secret exists only here and in the bytes that are sent."""

from __future__ import annotations

import base64
from urllib.parse import quote

from mcpgate.secrets import Secret
from mcpgate.values import Account, Auth, Placeholder, Request


def authorize(
    request: Request, account: Account, secret: Secret | None
) -> tuple[str, list[tuple[str, str]]]:
    """The URL and headers to send, with the credential in them when there is one."""
    headers = list(request.headers)
    auth = account.connector.auth
    if auth is None or secret is None:
        return request.url, headers
    text = secret.reveal()
    if auth.type == "query":
        joint = "&" if "?" in request.url else "?"
        return f"{request.url}{joint}{quote(auth.name, safe='')}={quote(text, safe='')}", headers
    headers.append(_header(auth, account, text))
    return request.url, headers


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
