"""An HTTP library as the transport of a client: where a test or a cassette stands in for the network."""

from __future__ import annotations

import httpx2

from mcpgate.engine.body import Body
from mcpgate.engine.transport import Attempt, BrokenError, Message, Received, UnsentError


class Library:
    """Sends with the library, through a transport of its own or one that only pretends to be one."""

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport or httpx2.AsyncHTTPTransport()

    async def exchange(self, message: Message, attempt: Attempt) -> Received:
        """Send a message and receive the whole reply."""
        request = httpx2.Request(
            message.method,
            message.origin + message.target,
            headers=list(message.headers),
            content=message.body,
        )
        attempt.sent = True
        try:
            response = await self._transport.handle_async_request(request)
            attempt.status = response.status_code
            body = Body(response.headers.get("content-encoding", ""))
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            async for chunk in response.stream:
                body.add(chunk)
            await response.aclose()
        except httpx2.ConnectError as error:
            raise UnsentError(str(error)) from None
        except httpx2.TransportError as error:
            raise BrokenError(type(error).__name__) from None
        headers = {name.lower(): text for name, text in response.headers.items()}
        return Received(response.status_code, headers, *body.end(whole=True))

    def warm(self, origin: str) -> None:
        """Nothing has to be made."""

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()
