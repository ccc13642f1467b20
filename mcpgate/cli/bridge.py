"""`mcpgate run --url`: stdio here, an MCP server elsewhere, and nothing between but an app key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcpgate import __version__
from mcpgate.engine.endpoint import check_key, check_url
from mcpgate.engine.remote import Remote
from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.server.stdio import run
from mcpgate.vault.key_file import read_secret

KEY: Final = "MCPGATE_APP_KEY"
KEY_FILE: Final = "MCPGATE_APP_KEY_FILE"


def bridge(url: str) -> int:
    """Serve what a server elsewhere offers until the client leaves; raises `MCPGateError` before that."""
    check_url(url)
    remote = Remote(url, app_key(os.environ), Scrubber(), __version__)
    listing = asyncio.run(remote.open())
    return run(
        listing,
        lambda: remote,
        version=__version__,
        started=lambda _: remote.follow(),
    )


def app_key(environ: Mapping[str, str]) -> Secret:
    """The key of the app, from the environment or from the file that it names; raises `CredentialError`."""
    word, path = environ.get(KEY, ""), environ.get(KEY_FILE, "")
    if word and path:
        raise UsageError(f"{KEY} and {KEY_FILE} are both set.", "Set one of them.")
    if path:
        return check_key(_in_file(Path(path)), str(path))
    if word:
        return check_key(Secret(word), KEY)
    raise CredentialError(
        "There is no app key.",
        f"Set {KEY} to it where mcpgate is started, or {KEY_FILE} to a file that holds it.",
    )


def _in_file(path: Path) -> Secret:
    try:
        return read_secret(path, "app key")
    except CredentialError as error:
        hint = (
            f"{KEY_FILE} names a file of one's own, closed to others (chmod 600), with the key alone in it."
        )
        raise CredentialError(error.message, hint) from None
