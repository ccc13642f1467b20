"""Who is measured. One more peer is one more entry here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks import contextforge, install
from benchmarks.answers import BALANCE, CUSTOMERS, Answering
from benchmarks.goals import (
    BARE,
    CONTEXTFORGE,
    FASTMCP,
    GATE,
    SDK,
    SDK_ALONE,
    SERVED,
    STRIPE,
    TOOLBOX,
    TUNED,
    VAULTED,
)
from benchmarks.over_http import Http, free_port
from benchmarks.over_stdio import Stdio
from benchmarks.site import GATE as PROGRAM
from benchmarks.site import KEY, Site

HERE: Final = Path(__file__).parent / "peers"
NAMES: Final = {BALANCE: BALANCE, CUSTOMERS: CUSTOMERS}


def _at_once() -> str:
    return ""


def _plainly(site: Site) -> Mapping[str, str]:
    return site.env


def _no_key(site: Site) -> str:
    return ""


def _usual(site: Site) -> str:
    return "/mcp"


@dataclass(frozen=True)
class Subject:
    """A server: how it is started, what it calls the two tools, and how it is installed.

    `command` is given the site, and the port to listen on where it is served over HTTP; `install` says why it
    cannot be; `typed` is the command of a cold start, where that is another; `asks` is off where it does not
    call the API; `slow` is who is left out of a quick look, for it takes half a minute to set up.
    """

    name: str
    wire: Literal["stdio", "HTTP"]
    command: Callable[[Site, int], Sequence[str]]
    environment: Callable[[Site], Mapping[str, str]] = _plainly
    install: Callable[[], str] = _at_once
    key: Callable[[Site], str] = _no_key
    path: Callable[[Site], str] = _usual
    tools: Mapping[str, str] = field(default_factory=lambda: NAMES)
    typed: Callable[[Site], Sequence[str]] | None = None
    asks: bool = True
    slow: bool = False

    def start(self, site: Site, command: Sequence[str] | None = None) -> tuple[Running, dict[str, Any]]:
        """The server, started and greeted, and what it has listed."""
        server: Stdio | Http
        env, port = self.environment(site), 0 if self.wire == "stdio" else free_port()
        command = command or self.command(site, port)
        if self.wire == "stdio":
            server = Stdio(command, env, site.folder)
        else:
            server = Http(command, env, site.folder, port, self.path(site), self.key(site))
        try:
            listed = server.open()
        except BaseException:
            server.close()
            raise
        return Running(self.name, server, self.tools, self.asks, server.version), listed

    def spawn(self, site: Site) -> Running:
        """The same as a person types it."""
        return self.start(site, self.typed(site) if self.typed is not None else None)[0]


@dataclass(frozen=True)
class Running:
    """What answers, and what it calls the two tools."""

    name: str
    server: Answering
    tools: Mapping[str, str] = field(default_factory=lambda: NAMES)
    asks: bool = True
    version: str = ""


def _run(connector: str, rules: str) -> list[str]:
    return [str(PROGRAM), "run", connector, "--preset", "transact", "--policy", rules]


def _toolbox(site: Site, *more: str) -> list[str]:
    return [str(install.toolbox_program()), "--config", site.toolbox, "--disable-version-check", *more]


def _own(name: str, site: Site, api: str, port: int) -> list[str]:
    return [sys.executable, str(HERE / name), site.listing, api, *([str(port)] if port else [])]


def _fastmcp(site: Site, port: int, *more: str) -> list[str]:
    given = [str(port)] if port else []
    return [str(install.FASTMCP), str(HERE / "fastmcp_server.py"), site.openapi, *given, *more]


def _stripe(site: Site, _: int) -> list[str]:
    here = str(HERE / "stripe_here.cjs")
    return ["node", "--require", here, str(install.STRIPE), "--tools=all", f"--api-key={KEY}"]


SUBJECTS: Final = (
    Subject(
        GATE,
        "stdio",
        lambda site, _: _run(site.connector, site.rules(10)),
        lambda site: site.home("run"),
        typed=lambda _: [str(PROGRAM), "run", "stripe", "--preset", "transact"],
    ),
    Subject(
        VAULTED, "stdio", lambda site, _: _run(site.connector, site.rules(10)), lambda site: site.vaulted
    ),
    Subject(BARE, "stdio", lambda site, _: _own("bare_loop.py", site, str(site.api), 0)),
    Subject(TOOLBOX, "stdio", lambda site, _: _toolbox(site, "--stdio"), install=install.toolbox),
    Subject(
        STRIPE,
        "stdio",
        _stripe,
        install=install.stripe,
        tools={BALANCE: "retrieve_balance", CUSTOMERS: "list_customers"},
    ),
    Subject(SDK, "stdio", lambda site, _: _own("sdk_server.py", site, str(site.api), 0)),
    Subject(SDK_ALONE, "stdio", lambda site, _: _own("sdk_server.py", site, site.replies, 0), asks=False),
    Subject(FASTMCP, "stdio", _fastmcp, install=install.fastmcp),
    Subject(
        SERVED,
        "HTTP",
        lambda _, port: [str(PROGRAM), "serve", "--port", str(port)],
        lambda site: site.vaulted,
        key=lambda site: site.app_key,
    ),
    Subject(TOOLBOX, "HTTP", lambda site, port: _toolbox(site, "--port", str(port)), install=install.toolbox),
    Subject(SDK, "HTTP", lambda site, port: _own("sdk_server.py", site, str(site.api), port)),
    Subject(
        SDK_ALONE, "HTTP", lambda site, port: _own("sdk_server.py", site, site.replies, port), asks=False
    ),
    Subject(FASTMCP, "HTTP", _fastmcp, install=install.fastmcp),
    Subject(TUNED, "HTTP", lambda site, port: _fastmcp(site, port, "tuned"), install=install.fastmcp),
    Subject(
        CONTEXTFORGE,
        "HTTP",
        lambda _, port: contextforge.command(port),
        lambda site: site.contextforge.env,
        install=install.contextforge,
        key=lambda site: site.contextforge.token,
        path=lambda site: site.contextforge.path,
        tools={tool: tool.replace("_", "-") for tool in NAMES},
        slow=True,
    ),
)


def grown(name: str, connector: Callable[[Site], str], rules: Callable[[Site], str]) -> Subject:
    """mcpgate over stdio with another connector or other rules."""
    home = "".join(letter for letter in name if letter.isalnum())
    return Subject(
        name, "stdio", lambda site, _: _run(connector(site), rules(site)), lambda site: site.home(home)
    )
