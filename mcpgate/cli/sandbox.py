"""`mcpgate sandbox`: a stand-in API on loopback, made from a connector."""

from __future__ import annotations

from mcpgate import catalog
from mcpgate.cli.console import plain
from mcpgate.sandbox.server import parse_faults, serve


def run_sandbox(name: str, port: int, fault: str) -> None:
    """Serve the sandbox of one connector until it is stopped."""
    connector = catalog.load_connector(name)
    faults = parse_faults(fault)

    def ready(address: str) -> None:
        print(f"{plain(connector.title)} sandbox: {address}")
        print("It knows the samples and whatever is written to it, until it ends. Any key will do.")
        if faults:
            print(f"Requests meet in turn: {', '.join(faults)}.")
        print("Stop it with Ctrl-C.", flush=True)

    serve(connector, port, faults, ready)
