"""MCP over stdin and stdout. The first answers are given before asyncio, let alone the engine, is imported.

Every client starts the server each time it opens, and asks for the tools long before it calls one.
"""

from __future__ import annotations

import os
import sys

from mcpgate.server.lines import Lines
from mcpgate.server.messages import Call, Conversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgate.server.connection import Caller, Connection
    from mcpgate.server.messages import Listing

_CHUNK = 64 * 1024


def run(
    listing: Listing,
    load: Callable[[], Caller],
    *,
    version: str,
    started: Callable[[Connection], None] | None = None,
) -> int:
    """Serves until the client leaves or a signal comes; returns the exit code.

    `load` makes what carries out calls, in a thread, once the tools have been listed or a call comes.
    `started` is handed the connection, whose `list_changed` announces other tools.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        print("mcpgate waits here for an MCP client; Ctrl-C ends it.", file=sys.stderr)
    try:
        source, sink = _claim()
        lines = Lines()
        conversation = Conversation(listing, version)
        left = _first_answers(conversation, lines, source, sink)
        if left is None:
            return 0

        import asyncio

        from mcpgate.server.connection import Connection

        async def carry_on() -> tuple[int, bool]:
            connection = Connection(conversation, load, source, sink)
            if started:
                started(connection)
            return await connection.serve(lines, *left), connection.loading

        code, loading = asyncio.run(carry_on())
    except KeyboardInterrupt:
        return 130
    except ConnectionError:  # nobody reads the answers any longer
        return 0
    except OSError as problem:
        print(f"mcpgate: {problem.strerror}", file=sys.stderr)
        return 1
    if loading:
        os._exit(code)  # a thread in the middle of an import can be neither stopped nor waited for
    return code


def _claim() -> tuple[int, int]:
    """Takes the wire away from everyone else: a stray print goes to stderr, a child reads nothing."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


def _first_answers(
    conversation: Conversation, lines: Lines, source: int, sink: int
) -> tuple[list[bytes | None], Call | None] | None:
    """Answers until the tools are listed or a call comes; gives what is left to do, or None at the end."""
    data = b"\n"
    while data:
        data = os.read(source, _CHUNK)
        unread = iter(lines.feed(data or b"\n"))
        for line in unread:
            step = conversation.receive(line)
            if isinstance(step, bytes):
                _write(sink, step)
            if isinstance(step, Call):
                return list(unread), step
            if conversation.in_use:
                return list(unread), None
    return None


def _write(sink: int, line: bytes) -> None:
    while line:
        line = line[os.write(sink, line) :]
