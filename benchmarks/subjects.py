"""Who is measured. One more peer is one more entry here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

from benchmarks import install
from benchmarks.goals import BALANCE, BARE, CUSTOMERS, FASTMCP, GATE, SDK, SERVED, STRIPE, TOOLBOX
from benchmarks.servers import Answering, Http, Server, Stdio, free_port
from benchmarks.site import GATE as PROGRAM
from benchmarks.site import KEY, Site

VAULTED: Final = "mcpgate, account in its vault"
HERE: Final = Path(__file__).parent / "peers"


def _at_once() -> str:
    return ""


def _plainly(site: Site) -> Mapping[str, str]:
    return site.env


def _no_key(site: Site) -> str:
    return ""


@dataclass(frozen=True)
class Subject:
    """A server: how it is started, what it calls the two tools, and how it is installed.

    `command` is given the site, and the port to listen on where it is served over HTTP; `install` says why it
    cannot be, and `typed` is the command of a cold start, where that is another.
    """

    name: str
    wire: Literal["stdio", "HTTP"]
    command: Callable[[Site, int], Sequence[str]]
    environment: Callable[[Site], Mapping[str, str]] = _plainly
    install: Callable[[], str] = _at_once
    key: Callable[[Site], str] = _no_key
    path: str = "/mcp"
    tools: Mapping[str, str] = field(default_factory=lambda: {BALANCE: BALANCE, CUSTOMERS: CUSTOMERS})
    typed: Callable[[Site], Sequence[str]] | None = None

    def start(self, site: Site) -> tuple[Running[Server], dict[str, Any]]:
        """The server, started and greeted, and what it has listed."""
        server: Stdio | Http
        folder, env = site.folder, self.environment(site)
        if self.wire == "stdio":
            server = Stdio(self.command(site, 0), env, folder)
        else:
            port, key = free_port(), self.key(site)
            url = f"http://127.0.0.1:{port}{self.path}"
            server = Http(self.command(site, port), env, folder, url, key)
        try:
            listed = server.open()
        except BaseException:
            server.close()
            raise
        return Running(self.name, server, self.tools), listed

    def spawn(self, site: Site) -> tuple[Stdio, dict[str, Any]]:
        """The same as a person types it, over stdio."""
        command = self.typed(site) if self.typed is not None else self.command(site, 0)
        server = Stdio(command, self.environment(site), site.folder)
        return server, server.open()


Found = TypeVar("Found", bound=Answering, covariant=True)


@dataclass(frozen=True)
class Running(Generic[Found]):
    """What answers, and what it calls the two tools."""

    name: str
    server: Found
    tools: Mapping[str, str] = field(default_factory=lambda: {BALANCE: BALANCE, CUSTOMERS: CUSTOMERS})


def _run(connector: str, rules: str) -> list[str]:
    return [str(PROGRAM), "run", connector, "--preset", "transact", "--policy", rules]


def _toolbox(site: Site, *more: str) -> list[str]:
    return [str(install.toolbox_program()), "--config", site.toolbox, "--disable-version-check", *more]


def _own(name: str) -> Callable[[Site, int], list[str]]:
    return lambda site, _: [sys.executable, str(HERE / name), site.listing, str(site.api)]


def _fastmcp(site: Site, port: int) -> list[str]:
    given = [str(port)] if port else []
    return [str(install.PYTHON), str(HERE / "fastmcp_server.py"), site.openapi, str(site.api), *given]


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
    Subject(BARE, "stdio", _own("bare_loop.py")),
    Subject(TOOLBOX, "stdio", lambda site, _: _toolbox(site, "--stdio"), install=install.toolbox),
    Subject(
        STRIPE,
        "stdio",
        lambda _, __: [
            "node",
            "--require",
            str(HERE / "stripe_here.cjs"),
            str(install.STRIPE),
            "--tools=all",
            f"--api-key={KEY}",
        ],
        install=install.stripe,
        tools={BALANCE: "retrieve_balance", CUSTOMERS: "list_customers"},
    ),
    Subject(SDK, "stdio", _own("sdk_server.py")),
    Subject(FASTMCP, "stdio", _fastmcp, install=install.fastmcp),
    Subject(
        SERVED,
        "HTTP",
        lambda _, port: [str(PROGRAM), "serve", "--port", str(port)],
        lambda site: site.vaulted,
        key=lambda site: site.app_key,
    ),
    Subject(TOOLBOX, "HTTP", lambda site, port: _toolbox(site, "--port", str(port)), install=install.toolbox),
    Subject(FASTMCP, "HTTP", _fastmcp, install=install.fastmcp),
)


def grown(name: str, connector: Callable[[Site], str], rules: Callable[[Site], str]) -> Subject:
    """mcpgate over stdio with another connector or other rules."""
    home = "".join(letter for letter in name if letter.isalnum())
    return Subject(
        name, "stdio", lambda site, _: _run(connector(site), rules(site)), lambda site: site.home(home)
    )
