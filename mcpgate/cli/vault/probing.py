"""A connector's probe: one read that proves a credential, the whole way that every call goes."""

from __future__ import annotations

from collections.abc import Callable

from mcpgate import catalog
from mcpgate.apps import App, Grant
from mcpgate.cli.opening import DEFAULT_PRESET
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber, Secret
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Outcome, Request


async def probe(
    account: Account, open_credential: Callable[[Account, Request], Secret | None], scrubber: Scrubber
) -> Outcome:
    """Call the probe of an account's connector; raises `CredentialError` where there is no credential."""
    auth = account.connector.auth
    assert auth is not None
    toolset = build_toolset(App("probe", (Grant(account, catalog.load_policy(DEFAULT_PRESET, "preset")),)))
    gateway = Gateway(toolset, HTTPBackend(Client(open_credential)), MemoryStore(), scrubber)
    try:
        return await gateway.call(auth.probe, {})
    finally:
        await gateway.close()
