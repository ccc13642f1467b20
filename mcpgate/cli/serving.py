"""`mcpgate run`, and the gateways of apps however they are served."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from mcpgate import __version__, saved
from mcpgate.activity import Row
from mcpgate.apps import App
from mcpgate.cli.live import find_stored, live_toolset, open_any, open_stored, usable
from mcpgate.cli.opening import Options, open_toolset
from mcpgate.cli.vaults import config, open_vault, sealed_vault, sql_store
from mcpgate.discovery import listing_of
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.engine.sandbox import SandboxTransport
from mcpgate.errors import MCPGateError, NotFoundError, UsageError
from mcpgate.gateway import Gateway, unwatched
from mcpgate.secrets import Scrubber, Secret
from mcpgate.store.config import StoredApp
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Toolset, build_toolset
from mcpgate.values import Account, Request


def serve(words: Sequence[str], options: Options) -> int:
    """Serve until the client leaves; the listing is saved, so that the next start finds it."""
    from mcpgate.server.stdio import run

    files: list[Path] = []
    toolset = build_toolset(open_any(dataclasses.replace(options, files=files)))
    listing = listing_of(toolset)
    saved.save(words, (str(path.absolute()) for path in files), listing)
    return run(listing, lambda: open_gateway(options), version=__version__)  # type: ignore[arg-type]


def open_gateway(options: Options) -> Gateway:
    """The gateway of the app that the flags describe or name."""
    if options.sandbox and not options.app:
        return build_gateway(options, open_toolset(options))
    served = Served()
    if options.app:
        gateway = served.gateway(find_stored(served.config, options.app))
    else:
        gateway = served.open(lambda files: open_any(dataclasses.replace(options, files=files)))
    # an app that cannot be used is told to whoever calls, and may be mended by then
    with suppress(MCPGateError):
        served.warm(gateway.toolset.app)
    settle()
    return gateway


def settle() -> None:
    """What is loaded by now stays: garbage is looked for outside of it, and not at every other call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


class Served:
    """What all apps of a process share: the database, the client with its connections, and the scrubber."""

    def __init__(self) -> None:
        sealed = sealed_vault()
        self.config = config()
        self.store = sql_store(sealed)
        self._scrubber = Scrubber()
        self._vault = open_vault(self._scrubber, sealed)
        self._client = Client(self._vault.open, at_once=self._vault.open_at_once)
        # a person may have to type a passphrase: now, and not while calls wait
        self.store.recorder()

    def gateway(self, stored: StoredApp, watch: Callable[[Row], None] = unwatched) -> Gateway:
        """The gateway of a stored app; one for trying things is answered by a sandbox of its own."""
        transport = SandboxTransport() if stored.sandbox else None
        latest = [stored]

        def open_it(files: list[Path]) -> App:
            found = self.config.find(stored.name)
            if found is None:
                # an agent reads this: it names no other app
                raise NotFoundError(
                    f"There is no app {stored.name} any more.", "A person made or deleted it."
                )
            latest[0] = usable(found)
            if found.sandbox is not stored.sandbox:
                # its calls would go where the app was at home before: to the real API, or to the samples
                what = f"The app {stored.name} was moved {'into' if found.sandbox else 'out of'} the sandbox."
                raise UsageError(what, "A person has to start mcpgate again.")
            app = open_stored(latest[0], self.config, files)
            if transport is not None:
                transport.answer_for([grant.connector for grant in app.grants])
            return app

        toolset = live_toolset(self.store.version, open_it, lambda: latest[0].expired())
        client = Client(no_credential, transport) if transport is not None else self._client
        return Gateway(toolset, HTTPBackend(client), self.store, self._scrubber, watch=watch)

    def warm(self, app: App) -> None:
        """Make what the first call of an app would wait for, while its client is still reading the list."""
        if app.sandbox:
            return
        self._client.warm(grant.account.origin for grant in app.grants)
        for grant in app.grants:
            # what is wrong with a credential is told by the call that needs it
            with suppress(MCPGateError):
                self._vault.check(grant.account)

    def open(self, open_it: Callable[[list[Path]], App]) -> Gateway:
        """The gateway of an app that is opened anew whenever anything it is made of has changed."""
        toolset = live_toolset(self.store.version, open_it)
        return Gateway(toolset, HTTPBackend(self._client), self.store, self._scrubber)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
        self.store.close()


def build_gateway(options: Options, toolset: Toolset) -> Gateway:
    """The gateway of a toolset that stays what it is, and of a store that ends with it."""
    scrubber = Scrubber()
    if options.sandbox:
        connectors = [grant.connector for grant in toolset.app.grants]
        client = Client(no_credential, SandboxTransport(connectors))
    else:
        client = Client(open_vault(scrubber).open)
    return Gateway(toolset, HTTPBackend(client), MemoryStore(), scrubber)


def no_credential(account: Account, request: Request) -> Secret | None:
    """The sandbox asks for none."""
    return None
