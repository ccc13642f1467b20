"""Runs localstripe on 127.0.0.1 and a free port, which it prints; to be run as a process of its own.

localstripe's own command listens on all interfaces and keeps its state in a file that every instance shares.
It is under the GPL: it is started here, never imported by anything that is tested or shipped.
"""

import builtins
import os
import runpy
import socket
import sys
from typing import Any

STATE_FILE = "/tmp/localstripe.pickle"


class LoopbackSocket(socket.socket):
    """A socket that can listen on nothing but loopback, and says its port once it does."""

    def __init__(self, family: int = socket.AF_INET, *rest: Any, **named: Any) -> None:
        super().__init__(socket.AF_INET if family == socket.AF_INET6 else family, *rest, **named)

    def bind(self, address: Any) -> None:
        """Bind to 127.0.0.1 whatever the address says."""
        super().bind(("127.0.0.1", address[1]))

    def listen(self, *backlog: int) -> None:
        """Listen, and print the port."""
        super().listen(*backlog)
        print(self.getsockname()[1], flush=True)


plain_open = builtins.open


def open_without_state(file: Any, *rest: Any, **named: Any) -> Any:
    """Open a file; the one with localstripe's state goes nowhere."""
    return plain_open(os.devnull if file == STATE_FILE else file, *rest, **named)


if __name__ == "__main__":
    socket.socket = LoopbackSocket  # type: ignore[misc]
    builtins.open = open_without_state
    sys.argv = ["localstripe", "--port", "0", "--from-scratch"]
    runpy.run_module("localstripe.server", run_name="__main__")
