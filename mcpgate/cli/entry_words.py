"""From the flags of `mcpgate install` to the words of an entry, and what may not stand in one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from mcpgate.cli.console import plain
from mcpgate.cli.opening import Options
from mcpgate.clients.entry import Entry
from mcpgate.clients.table import Client
from mcpgate.errors import UsageError
from mcpgate.json_schema import compile_pattern
from mcpgate.toolset import Toolset

_SECRET_NAME: Final = re.compile(r"MCPGATE_\w*(KEY|PASSPHRASE|VAULT)")
_LEAST_SECRET: Final = 6
# a kind that takes these takes names and paths too, so it tells nothing
_PLAIN_WORDS: Final = [letter * length for letter in "a0" for length in range(1, 129)]
_FLAGS: Final = {
    "presets": "--preset",
    "policies": "--policy",
    "only": "--only",
    "without": "--without",
    "settings": "--setting",
    "accounts": "--account",
}


def words_of(options: Options) -> tuple[str, ...]:
    """The words of the `mcpgate run` that the options describe, from any working directory."""
    if options.app:
        return ("run", "--app", options.app)
    words = ["run", *(_absolute(name, options) for name in options.connectors)]
    for field, flag in _FLAGS.items():
        for text in getattr(options, field):
            connector, equals, path = text.partition("=")
            named = field == "presets" and equals
            words += [flag, f"{connector}={_absolute(path, options)}" if named else _absolute(text, options)]
    return (*words, *(["--sandbox"] if options.sandbox else []), *(["--live"] if options.live else []))


def _absolute(text: str, options: Options) -> str:
    """The absolute path of what was read as a file of that path; a name as it is."""
    return str(Path(text).absolute()) if Path(text) in options.files else text


def refuse_secrets(toolset: Toolset, texts: tuple[str, ...]) -> None:
    """No secret gets into a client's file: none from the environment, none that looks like one."""
    held = [text.strip() for name, text in os.environ.items() if _SECRET_NAME.fullmatch(name)]
    auths = [grant.connector.auth for grant in toolset.app.grants]
    kinds = [compile_pattern(kind.match) for auth in auths if auth is not None for kind in auth.kinds]
    matches = [kind for kind in kinds if not any(kind.fullmatch(word) for word in _PLAIN_WORDS)]
    for text in texts:
        parts = {text, text.rpartition("=")[2]}
        if any(len(secret) >= _LEAST_SECRET and secret in text for secret in held) or any(
            match.fullmatch(part) for match in matches for part in parts
        ):
            hint = "Keys do not belong into a client's file. Keep it with: mcpgate connect"
            raise UsageError("One of the values is a key. Nothing was written.", hint)


def refuse_variables(client: Client, entry: Entry) -> None:
    """No text that the client would read as something else."""
    for text in entry.texts:
        if client.expands and re.search(client.expands, text):
            raise UsageError(
                f"{client.title} would replace a part of {text} by a variable.", "Use a path without a $."
            )
        if not text.isprintable():
            raise UsageError(f"{plain(ascii(text))} cannot be written into a configuration.")
