"""Records the cassettes: from the stand-ins, or with a test key from the API. `make record` runs it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.cassettes import ORIGINS, cassette, file_of
from tests.scenarios import LOCALSTRIPE, REAL, SCENARIOS, STATEFUL_MOCK, Scenario, Stage
from tests.standins import processes
from tests.standins.connectors import pointed_at
from tests.standins.gateway import InProcess
from tests.standins.library import Library

TEST_KEY = re.compile(r"(sk|rk)_test_\w+")


@contextmanager
def real_api() -> Iterator[str]:
    """The origin of the API itself."""
    yield ORIGINS[REAL]


SOURCES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    STATEFUL_MOCK: processes.stateful_mock,
    LOCALSTRIPE: processes.localstripe,
    REAL: real_api,
}


def record(scenario: Scenario, source: str, key: str) -> None:
    """Play a scenario against a fresh source and keep its cassette; where it fails the old one stays."""
    with tempfile.TemporaryDirectory() as folder, SOURCES[source]() as origin:
        draft = Path(folder) / "cassette.yaml"
        with (
            cassette(draft, source, record=True),
            InProcess(pointed_at(origin, Path(folder)), key, transport=Library()) as gateway,
        ):
            scenario.play(Stage(source, gateway, origin, key))
        kept = file_of(source, scenario.name)
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(draft.read_bytes())


def main() -> int:
    """Record every scenario that a source can answer; one that fails is told, and the rest goes on."""
    key = os.environ.get("MCPGATE_STRIPE_KEY", "").strip()
    if key and not TEST_KEY.fullmatch(key):
        print(
            "MCPGATE_STRIPE_KEY is not a test key (sk_test_… or rk_test_…), and nothing else records.",
            file=sys.stderr,
        )
        return 2
    sources = [REAL] if key else [STATEFUL_MOCK, LOCALSTRIPE]
    for missing in filter(
        None, [processes.node_missing("stripe-stateful-mock"), processes.localstripe_missing()]
    ):
        if not key:
            print(f"cannot record from every stand-in: {missing}", file=sys.stderr)
            return 1
    failed = 0
    for source in sources:
        for scenario in SCENARIOS.values():
            if source not in scenario.can:
                continue
            try:
                record(scenario, source, key or scenario.key)
                print(f"recorded {source}/{scenario.name}")
            except Exception as error:
                failed += 1
                print(f"FAILED   {source}/{scenario.name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
