"""Looks at the arguments and imports only what that command needs."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; whatever goes wrong is said without a traceback."""
    words = sys.argv[1:] if words is None else words
    try:
        if words[:1] == ["run"]:
            from mcpgate import saved

            listing = saved.find(words)
            if listing is not None:
                return _serve(words, listing)
        from mcpgate.cli.execution import execute

        return execute(words)
    except KeyboardInterrupt:
        return 130


def _serve(words: Sequence[str], listing: dict[str, object]) -> int:
    """Serve a saved listing at once; everything else is read while the client is reading."""
    from mcpgate import __version__
    from mcpgate.server.stdio import run

    def load() -> object:
        from mcpgate.cli.execution import gateway_of

        return gateway_of(words)

    return run(listing, load, version=__version__)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
