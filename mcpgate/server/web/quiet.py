"""What the libraries log, without what they say: their messages and tracebacks may hold arguments or keys."""

from __future__ import annotations

import logging
import sys
from typing import Final

AGAIN_AFTER: Final = 60.0
LIBRARIES: Final = ("asyncio", "mcp", "sse_starlette", "starlette", "uvicorn")


class Discreet(logging.Handler):
    """Writes where a record comes from and the kind of its exception to stderr, and nothing of its text.

    The same line comes once a minute at most: whoever opens connections must not fill the log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line, unless it was written just now."""
        kind = record.exc_info[0] if record.exc_info else None
        said = f" ({kind.__name__})" if kind else ""
        line = f"mcpgate: {record.levelname.lower()} in {record.name}, line {record.lineno}{said}"
        before = self._written.get(line)
        # a clock that was put back must not silence it
        if before is not None and 0 <= record.created - before < AGAIN_AFTER:
            return
        self._written[line] = record.created
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
