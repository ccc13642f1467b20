"""Takes the body of a reply as it comes: unpacked, and never past the limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

MAX_REPLY_BYTES: Final = 5 * 1024 * 1024
CUT_OFF: Final = "it was cut off"
_TOO_LARGE: Final = f"with more than {MAX_REPLY_BYTES // 1024 // 1024} MiB"
_PIECE: Final = 65536


class Body:
    """A body on its way; `fault` says what is wrong with it, after which no more of it is wanted."""

    def __init__(self, encoding: str) -> None:
        packed = encoding.lower()
        self.fault = ""
        if packed not in ("", "identity", "gzip", "x-gzip"):
            self.fault = f"it is packed as {packed}, which was not asked for"
        self._unpacker = zlib.decompressobj(wbits=31) if packed.endswith("gzip") else None
        self._body = bytearray()
        self._came = 0

    def add(self, chunk: bytes) -> None:
        """Take what has come, unless something is wrong already."""
        if self.fault:
            return
        self._came += len(chunk)
        try:
            for piece in _unpack(self._unpacker, chunk) if self._unpacker else (chunk,):
                self._body += piece
                if max(self._came, len(self._body)) > MAX_REPLY_BYTES:
                    self.fault = _TOO_LARGE
                    del self._body[MAX_REPLY_BYTES:]
                    return
        except zlib.error:
            self.fault = "its gzip is broken"
            self._body.clear()

    def end(self, *, whole: bool) -> tuple[bytes, str]:
        """The body as far as it came, and what is wrong with it; `whole` if the sender said that it ended."""
        # an empty body may be marked as packed
        complete = whole and (self._unpacker is None or self._unpacker.eof or not self._came)
        return bytes(self._body), self.fault or ("" if complete else CUT_OFF)


def _unpack(unpacker: Any, chunk: bytes) -> Iterator[bytes]:
    """The chunk unpacked, a piece at a time, so that a small one that unpacks to a huge one is never held."""
    while chunk:
        yield unpacker.decompress(chunk, _PIECE)
        chunk = unpacker.unconsumed_tail
    if unpacker.unused_data:
        raise zlib.error("more after the end")
