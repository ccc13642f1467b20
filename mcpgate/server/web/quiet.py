"""What the libraries log, without what they say: their messages and tracebacks may hold arguments or keys."""

from __future__ import annotations

import logging
import sys
from typing import Final

LIBRARIES: Final = ("asyncio", "mcp", "sse_starlette", "starlette", "uvicorn")


class Discreet(logging.Handler):
    """Writes where a record comes from and the kind of its exception to stderr, and nothing of its text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        kind = record.exc_info[0] if record.exc_info else None
        said = f" ({kind.__name__})" if kind else ""
        line = f"mcpgate: {record.levelname.lower()} in {record.name}, line {record.lineno}{said}"
        try:
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):  # stderr is closed
            pass


def quiet() -> None:
    """Lets warnings and errors of the libraries be noticed, and no more."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.handlers = [Discreet()]
