"""Asks a person: for a secret, without showing what is typed, or whether to go on."""

from __future__ import annotations

import getpass
import sys
import warnings

from mcpgate.cli.console import plain
from mcpgate.errors import UsageError
from mcpgate.secrets import Secret


def ask_secret(prompt: str) -> Secret:
    """What a person types at a terminal that can hide it; raises `UsageError` at one that cannot."""
    fault = ""
    with warnings.catch_warnings():
        # where the terminal cannot hide it, getpass would warn and show it
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return Secret(getpass.getpass(prompt))
        except EOFError:
            return Secret("")
        except getpass.GetPassWarning:
            fault = "This terminal would show what is typed."
    raise UsageError(fault, "Give it on stdin or in the environment.")


def agree(question: str, *, yes: bool) -> None:
    """Go on if a person at a terminal says so, or `yes` is given; raises `UsageError` otherwise."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("Nothing was done: nobody is here to be asked.", "To do it without asking: --yes")
    try:
        answer = input(plain(f"{question} [y/N] "))
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("Nothing was done.")
