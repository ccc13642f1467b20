"""The words of `mcpgate run` as a client's settings have them, read without the library for command lines.

That library takes more memory than the gateway. Whatever is out of the ordinary is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mcpgate.cli.opening import RUN, Options
from mcpgate.errors import UsageError

_APP: Final = "--app"
_GIVEN: Final = {
    "--preset": "presets",
    "-p": "presets",
    "--policy": "policies",
    "--only": "only",
    "--without": "without",
    "--setting": "settings",
    "--account": "accounts",
    _APP: "app",
}
_SWITCHES: Final = {"--sandbox": "sandbox", "--live": "live"}


def run_options(words: Sequence[str]) -> Options | None:
    """The flags of a `run` command; None for other words, and for those that need more than a look.

    Raises `UsageError` as `check_one` does.
    """
    if not words or words[0] != RUN:
        return None
    connectors: list[str] = []
    given: dict[str, Any] = {name: [] for name in _GIVEN.values()}
    switches = set()
    rest = iter(words[1:])
    for word in rest:
        flag, equals, value = word.partition("=")
        if word in _SWITCHES:
            switches.add(_SWITCHES[word])
        elif not word.startswith("-"):
            connectors.append(word)
        elif flag in _GIVEN and (flag.startswith("--") or not equals):
            value = value if equals else next(rest, "-")
            if value.startswith("-"):
                return None
            given[_GIVEN[flag]].append(value)
        else:
            return None
    apps = given.pop("app")
    if len(apps) > 1:
        return None
    options = Options(
        connectors, **given, sandbox="sandbox" in switches, live="live" in switches, app="".join(apps)
    )
    check_one(options)
    return options


def check_one(options: Options, url: str = "") -> None:
    """An app says all itself, and a server elsewhere too: flags beside them would seem to count."""
    given = bool(options.connectors) + bool(options.app) + bool(url)
    if given != 1:
        says = "Give one of these: connectors, --app NAME, --url URL."
        raise UsageError(says, "Such as: mcpgate run CONNECTOR --preset read-only")
    if not options.connectors and options.says_more:
        hint = "Change the app instead: mcpgate apps --help" if options.app else "Leave the flags out."
        raise UsageError("What it may do is said by the app, not by flags.", hint)
