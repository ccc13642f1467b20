"""The HTTP kind of backend: the seam of three behind which a call leaves mcpgate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from mcpgate.engine import request, response
from mcpgate.engine.client import Client
from mcpgate.places import Place
from mcpgate.values import Account, Json, Outcome, Reply, Request, Tool


class Backend(Protocol):
    """Where a call goes: `prepare` and `shape` are pure, `send` opens the credential itself."""

    def prepare(self, tool: Tool, arguments: Mapping[str, Json], account: Account) -> Request:
        """Build what would be sent; raises `ArgumentsError`."""
        ...

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        """Send it, under an idempotency key where it takes one; raises `CredentialError` before that."""
        ...

    def shape(self, tool: Tool, reply: Reply, account: Account, mask: tuple[Place, ...] = ()) -> Outcome:
        """Make of the reply what the agent reads, without what is masked."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class HTTPBackend:
    """An API over HTTP, as its connector describes it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def prepare(self, tool: Tool, arguments: Mapping[str, Json], account: Account) -> Request:
        """The HTTP request of a call; knows no secret."""
        return request.build(account, tool, arguments)

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        """Send it; the credential is opened and added in the client, and nowhere else."""
        if key and request.key_header:
            request = dataclasses.replace(request, key=key)
        return await self._client.send(request, account)

    def shape(self, tool: Tool, reply: Reply, account: Account, mask: tuple[Place, ...] = ()) -> Outcome:
        """The projected result without what is masked, or an error with advice."""
        return response.shape(account.connector, tool, reply, mask)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
