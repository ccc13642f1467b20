"""Reads the body of a reply as it comes: unpacked, and never past the limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import httpx2

MAX_REPLY_BYTES: Final = 5 * 1024 * 1024
CUT_OFF: Final = "it was cut off"
_PIECE: Final = 65536


async def receive(response: httpx2.Response) -> tuple[bytes, str]:
    """The body as far as it came, and what is wrong with it."""
    encoding = response.headers.get("content-encoding", "").lower()
    if encoding not in ("", "identity", "gzip"):
        return b"", f"it is packed as {encoding}, which was not asked for"
    unpacker = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body, came = bytearray(), 0
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    try:
        async for chunk in response.stream:
            came += len(chunk)
            for piece in _unpack(unpacker, chunk) if unpacker else (chunk,):
                body += piece
                if max(came, len(body)) > MAX_REPLY_BYTES:
                    return bytes(
                        body[:MAX_REPLY_BYTES]
                    ), f"with more than {MAX_REPLY_BYTES // 1024 // 1024} MiB"
    except zlib.error:
        return b"", "its gzip is broken"
    except httpx2.TransportError:
        return bytes(body), CUT_OFF
    # an empty body may be marked as packed
    return bytes(body), "" if not unpacker or unpacker.eof or not came else CUT_OFF


def _unpack(unpacker: Any, chunk: bytes) -> Iterator[bytes]:
    """The chunk unpacked, a piece at a time, so that a small one that unpacks to a huge one is never held."""
    while chunk:
        yield unpacker.decompress(chunk, _PIECE)
        chunk = unpacker.unconsumed_tail
    if unpacker.unused_data:
        raise zlib.error("more after the end")
