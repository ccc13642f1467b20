"""Processes that make calls by one app on one database, as replicas of a server do, and are killed at it.

A process says over a pipe what it begins and what it was told of it; what it has begun when it is killed is
what nobody was told.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcpgate import catalog
from mcpgate.activity import Row
from mcpgate.apps import App, Grant, open_account
from mcpgate.engine.client import Client
from mcpgate.engine.http import HTTPBackend
from mcpgate.errors import CredentialError
from mcpgate.gateway import Gateway
from mcpgate.secrets import Scrubber
from mcpgate.spec.connector import read_connector
from mcpgate.spec.policy import read_policy
from mcpgate.store.activity_key import ActivityKey
from mcpgate.store.database import Database
from mcpgate.store.sql import SQLStore
from mcpgate.toolset import build_toolset
from mcpgate.values import Account, Request, Source

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

TOOL: Final = "till_pay"
CONNECTOR: Final = """
connector: till
base_url: http://127.0.0.1:{port}
idempotency: Idempotency-Key
timeout: {timeout}
tools:
  till_pay:
    description: Pay money out.
    category: write
    effects: [money_out]
    request: POST /payouts
    params:
      amount: {{ type: integer, minimum: 1, description: In cents. }}
      currency: {{ enum: [usd], description: The currency. }}
      order: What it is for.
    required: [amount, currency, order]
    money: {{ amount: amount, currency: currency }}
    fields: [id, amount]
"""
PURSE: Final = """
policy: purse
guardrails:
  - {{ for: effect:money_out, budget: {{ usd: {budget}, per: day }} }}
"""
# of the call that a lane is making, for its rows say nothing of lanes
_OUTCOMES: Final[ContextVar[list[str]]] = ContextVar("outcomes")
# every start looks after all that were started, and two threads would read the same end of one
_ALONE: Final = threading.Lock()


@dataclass(frozen=True)
class Site:
    """Where it happens: the database, the API's port, the budget, and seconds for a call."""

    database: str
    port: int
    budget: int
    timeout: float = 0.5

    def store(self) -> SQLStore:
        """The store of a process, with a key that all share."""
        return SQLStore(Database(self.database), lambda: ActivityKey(bytes(32)))

    def gateway(self, store: SQLStore, unopened: float = 0.0, seed: int = 0, **options: Any) -> Gateway:
        """The gateway of a process; of so many calls the credential cannot be opened."""
        chance = random.Random(seed)

        def no_credential(account: Account, request: Request) -> None:
            if chance.random() < unopened:
                raise CredentialError("The keyring is locked.")

        text = CONNECTOR.format(port=self.port, timeout=self.timeout)
        connector = read_connector("till.yaml", text.encode(), Source("file", "till.yaml", ""))
        purse = read_policy("purse.yaml", PURSE.format(budget=self.budget).encode())
        grant = Grant(open_account(connector, {}), catalog.load_policy("full-access", "preset"))
        backend = HTTPBackend(Client(no_credential, backoff=0.01))
        return Gateway(
            build_toolset(App("till", (grant,), rules=(purse,))), backend, store, Scrubber(), **options
        )


@dataclass(frozen=True)
class Work:
    """What a process is to do: so many calls at once on so many lanes, and first of all those `again`.

    `common` orders may be made by every process, at the same time.
    """

    name: str
    lanes: int
    calls: int
    most: int
    again: tuple[tuple[str, int], ...] = ()
    common: tuple[tuple[str, int], ...] = ()
    unopened: float = 0.03


@dataclass
class Told:
    """What a process has said: the orders it began, and what it was told of each, as often as it was."""

    begun: list[tuple[str, int]] = field(default_factory=list)
    ended: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def untold(self) -> list[tuple[str, int]]:
        """What was under way when it was killed."""
        left = Counter(order for order, _ in self.begun)
        left.subtract(order for order, _, _ in self.ended)
        return [(order, amount) for order, amount in dict.fromkeys(self.begun) if left[order] > 0]


class Process:
    """A process at work; what it says is read by a thread, so that it never waits for that."""

    def __init__(self, site: Site, work: Work) -> None:
        self.told = Told()
        self._listening, saying = _forking().Pipe(duplex=False)
        self._process = _forking().Process(target=_main, args=(site, work, saying), daemon=True)
        with _ALONE:
            self._process.start()
        saying.close()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End it with -9, wherever it is."""
        self._process.kill()
        self.wait()

    def wait(self, seconds: float = 60) -> None:
        """Let it come to its end."""
        self._thread.join(seconds)
        alive = self._thread.is_alive()
        if alive:
            self._process.kill()
        self._thread.join()
        with _ALONE:
            self._process.join()
            self.code = self._process.exitcode
        self._listening.close()
        assert not alive, "a process did not come to its end"

    def _listen(self) -> None:
        while True:
            try:
                kind, *said = self._listening.recv()
            except (EOFError, OSError):
                return
            if kind == "begin":
                self.told.begun.append((said[0], said[1]))
            else:
                self.told.ended.append((said[0], said[1], said[2]))


@contextmanager
def ready() -> Iterator[None]:
    """Have the process that makes the others load what they need."""
    _forking().set_forkserver_preload(["tests.standins.fire", "pytest"])
    yield


def _forking() -> ForkServerContext:
    """A fork is not safe in a process that has threads: they are forked off one that has none."""
    return multiprocessing.get_context("forkserver")


def _main(site: Site, work: Work, saying: Connection) -> None:
    asyncio.run(_work(site, work, saying))


async def _work(site: Site, work: Work, saying: Connection) -> None:
    chance = random.Random(work.name)

    def watch(row: Row) -> None:
        if row.kind == "finished":
            _OUTCOMES.get().append(row.outcome)

    store = site.store()
    gateway = site.gateway(store, work.unopened, seed=chance.randrange(2**32), watch=watch)
    again = list(work.again)
    made = 0

    def next_order() -> tuple[str, int]:
        nonlocal made
        # of those that were under way, all; of those that are unknown, some
        if again and (again[0] in work.again or chance.random() < 0.6):
            return again.pop(0)
        if work.common and chance.random() < 0.1:
            return chance.choice(work.common)
        made += 1
        return f"{work.name}-{made}", chance.randint(1, work.most)

    async def lane() -> None:
        for _ in range(work.calls):
            order, amount = next_order()
            saying.send(("begin", order, amount))
            outcomes: list[str] = []
            _OUTCOMES.set(outcomes)
            outcome = await gateway.call(TOOL, {"amount": amount, "currency": "usd", "order": order})
            fate = outcomes[0] if outcomes else "refused"
            saying.send(("end", order, fate, outcome.text[:200] if outcome.is_error else ""))
            if fate == "unknown" and chance.random() < 0.7:
                again.append((order, amount))

    await asyncio.gather(*(lane() for _ in range(work.lanes)))
    await gateway.close()
    store.close()


@dataclass
class Killing:
    """Processes that are at work together; each is killed so often, at random moments, and started again."""

    site: Site
    told: list[Told] = field(default_factory=list)
    killed: int = 0

    def run(self, works: Iterable[Work], kills: int, within: float, seed: int) -> None:
        """Every process in a thread of its own here, until its last incarnation has come to its end."""
        failures: list[BaseException] = []

        def see(work: Work, chance: random.Random) -> None:
            try:
                self._see(work, kills, within, chance)
            except BaseException as failure:
                failures.append(failure)

        threads = [
            threading.Thread(target=see, args=(work, random.Random(f"{seed} {work.name}"))) for work in works
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _see(self, work: Work, kills: int, within: float, chance: random.Random) -> None:
        again = work.again
        for incarnation in range(kills + 1):
            each = Work(
                f"{work.name}.{incarnation}",
                work.lanes,
                work.calls,
                work.most,
                again,
                work.common,
                work.unopened,
            )
            process = Process(self.site, each)
            self.told.append(process.told)
            if incarnation < kills:
                time.sleep(chance.uniform(0.05, within))
                process.kill()
                self.killed += process.code == -9
            else:
                process.wait()
                assert process.code == 0, f"a process ended with {process.code}"
            again = tuple(process.told.untold)


def database_of(folder: Path) -> str:
    """A database of its own."""
    return str(folder / "mcpgate.db")
