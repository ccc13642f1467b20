"""Asks a person for a secret, without showing what is typed."""

from __future__ import annotations

import getpass
import warnings

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
