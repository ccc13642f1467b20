"""`mcpgate run`: one app over stdin and stdout."""

from __future__ import annotations

from collections.abc import Sequence

from mcpgate import __version__, saved
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.cli.vaults import open_vault
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.sandbox import sandbox_transport
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Toolset
from mcpgate.values import Account, Request


def serve(words: Sequence[str], options: Options) -> int:
    """Serve until the client leaves; the listing is saved, so that the next start finds it."""
    from mcpgate.server.stdio import run

    toolset = open_toolset(options)
    listing = toolset.listing()
    saved.save(words, (str(path.absolute()) for path in options.files), listing)
    return run(listing, lambda: build_gateway(options, toolset), version=__version__)  # type: ignore[arg-type]


def open_gateway(options: Options) -> Gateway:
    """The gateway of the app that the flags describe."""
    return build_gateway(options, open_toolset(options))


def build_gateway(options: Options, toolset: Toolset) -> Gateway:
    """The gateway of a toolset: over the network with a credential, or over the sandbox with none."""
    scrubber = Scrubber()
    if options.sandbox:
        connectors = [grant.connector for grant in toolset.app.grants]
        client = Client(_no_credential, sandbox_transport(connectors))
    else:
        client = Client(open_vault(scrubber).open)
    return Gateway(toolset, HTTPBackend(client), MemoryStore(), scrubber)


def _no_credential(account: Account, request: Request) -> Secret | None:
    return None
