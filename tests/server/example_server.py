"""The real wire with a shop behind it, whose calls do what a test's arguments ask for.

`python -m tests.server.example_server [--load SECONDS] [--broken] [--refused] [--large] [--modules]`
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mcpgate.server.stdio import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mcpgate.server.connection import Connection
    from mcpgate.server.messages import Listing
    from mcpgate.values import Outcome

SECRET = "sk_do_not_tell"
LISTING: Listing = json.loads(Path(__file__).with_name("listing.json").read_text())
LARGE: Listing = {**LISTING, "tools": LISTING["tools"] * 300}


class Shop:
    """Carries out calls in memory; a started call is shielded, as the gateway's are."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.started: set[Any] = set()

    def listing(self) -> None:
        """Nobody looks: this server says itself what it offers."""

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        import asyncio

        from mcpgate.errors import MCPGateError, UnknownToolError
        from mcpgate.values import Outcome

        if name not in {tool["name"] for tool in LISTING["tools"]}:
            raise UnknownToolError(f"No tool is called {name}", "Ask for the list.")
        match arguments:
            case {"sleep": seconds}:
                try:
                    await asyncio.sleep(seconds)
                except asyncio.CancelledError:
                    print("stopped", file=sys.stderr, flush=True)
                    raise
            case {"start": seconds}:
                task = asyncio.create_task(self.settle(seconds))
                self.started.add(task)
                await asyncio.shield(task)
            case {"refuse": message}:
                raise MCPGateError(message, "Ask a person.")
            case {"break": _}:
                raise ValueError(f"cannot open {SECRET}")
            case {"deny": reason}:
                return Outcome("Denied.", {"denied": reason, "at": [1, None]}, is_error=True)
            case {"odd": _}:
                return Outcome("", {"what": {1, 2}})
            case {"half": _}:
                return Outcome("half of a pair: \ud83d, a separator: \u2028, a line\nfeed")
            case {"print": text}:
                print(text)
                print(text, file=sys.__stdout__, flush=True)
                os.write(1, text.encode() + b"\n")
                child = await asyncio.create_subprocess_exec("sh", "-c", f"cat && echo {text}")
                return Outcome(f"the child ended with {await child.wait()}")
            case {"rename": title}:
                changed = json.loads(json.dumps(LISTING))
                changed["tools"][0]["title"] = title
                assert self.connection
                self.connection.list_changed(changed)
            case {"large": size}:
                return Outcome("x" * size)
        return Outcome(json.dumps({"tool": name, **arguments}, ensure_ascii=False, separators=(",", ":")))

    async def settle(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)
        print("settled", file=sys.stderr, flush=True)

    async def close(self) -> None:
        import asyncio

        if self.started:
            await asyncio.wait(self.started)
        print("closed", file=sys.stderr, flush=True)


def main() -> int:
    flags = sys.argv[1:]
    shop = Shop()

    def started(connection: Connection) -> None:
        shop.connection = connection

    def load() -> Shop:
        import time

        print("loading", file=sys.stderr, flush=True)
        if "--load" in flags:
            time.sleep(float(flags[flags.index("--load") + 1]))
        if "--broken" in flags:
            raise ImportError(f"no module {SECRET}")
        if "--refused" in flags:
            from mcpgate.errors import CredentialError

            raise CredentialError("There is no credential.", "Ask a person to connect.")
        return shop

    if "--modules" in flags:
        write = os.write

        def spy(descriptor: int, data: Any) -> int:
            if b'"tools":[' in data:
                write(2, " ".join(sorted(sys.modules)).encode() + b"\n")
            return write(descriptor, data)

        os.write = spy
    return run(LARGE if "--large" in flags else LISTING, load, version="1.2.3", started=started)


if __name__ == "__main__":
    sys.exit(main())
