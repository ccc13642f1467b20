"""Every cassette is replayed: mcpgate still sends what was recorded, and makes the same of the replies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from vcr.errors import CannotOverwriteExistingCassetteException

from mcpgate import catalog
from tests.cassettes import FOLDER, ORIGINS, cassette, file_of
from tests.scenarios import GOOD_KEY, LOCALSTRIPE, REAL, REFUSED_KEY, SCENARIOS, STATEFUL_MOCK, Stage
from tests.standins.connectors import pointed_at
from tests.standins.gateway import InProcess
from tests.standins.library import Library

NOWHERE = "http://127.0.0.1:9"
FILES = sorted(FOLDER.glob("*/*.yaml"))
IDS = [f"{path.parent.name}/{path.stem}" for path in FILES]


@cache
def replay(path: Path) -> frozenset[str]:
    """Play a scenario with nothing but its cassette behind it; gives the tools that were called."""
    source, scenario = path.parent.name, SCENARIOS[path.stem]
    with (
        TemporaryDirectory() as folder,
        cassette(path, source) as tape,
        InProcess(pointed_at(NOWHERE, Path(folder)), scenario.key, transport=Library()) as gateway,
    ):
        scenario.play(Stage(source, gateway, NOWHERE, scenario.key))
        assert tape.all_played, "the scenario no longer asks for everything that was recorded"
        return frozenset(row.tool for row in gateway.store.rows)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_cassette_replays(path: Path) -> None:
    assert replay(path)


def test_between_them_the_stand_ins_answer_every_tool() -> None:
    called = set().union(*(replay(path) for path in FILES if path.parent.name != REAL))
    assert called == set(catalog.load_connector("stripe").tools)


@pytest.mark.parametrize("source", [STATEFUL_MOCK, LOCALSTRIPE])
def test_every_scenario_a_stand_in_can_answer_is_recorded(source: str) -> None:
    wanted = {name for name, scenario in SCENARIOS.items() if source in scenario.can}
    assert {path.stem for path in FILES if path.parent.name == source} == wanted


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_cassette_says_what_it_was_recorded_from_and_holds_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    source = path.parent.name
    assert source in SCENARIOS[path.stem].can
    assert f"`{source}/`" in (FOLDER / "README.md").read_text(encoding="utf-8")
    addresses = re.findall(r"^    uri: (\S+?://[^/]+)/", text, re.MULTILINE)
    assert set(addresses) == {ORIGINS[source]}
    assert not re.search(r"\b[spr]k_(test|live)_\w|whsec_\w|127\.0\.0\.1|localhost", text)
    for word in ("authorization", "bearer", "cookie", "idempotency-key", GOOD_KEY, REFUSED_KEY):
        assert word not in text.lower(), word


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("stripe_get_customer", {"customer": "cus_another"}),
        ("stripe_list_customers", {"limit": 2}),
        ("stripe_create_customer", {"description": ""}),
    ],
)
def test_what_was_not_recorded_is_not_answered(
    tool: str, arguments: dict[str, object], tmp_path: Path
) -> None:
    path = file_of(STATEFUL_MOCK, "no_such_customer")
    with (
        cassette(path, STATEFUL_MOCK),
        InProcess(pointed_at(NOWHERE, tmp_path), GOOD_KEY, transport=Library()) as gateway,
    ):
        answer = gateway.call(tool, **arguments)
    assert answer.is_error
    assert CannotOverwriteExistingCassetteException.__name__ in answer.text


@pytest.mark.parametrize("key", ["sk_live_" + "a1" * 8, "rk_live_" + "a1" * 8, "pk_test_abcdefgh", "x"])
def test_nothing_is_recorded_with_a_key_that_is_not_a_test_key(key: str) -> None:
    environment = {**os.environ, "MCPGATE_STRIPE_KEY": key}
    command = [sys.executable, "-m", "tests.record"]
    done = subprocess.run(
        command,
        env=environment,
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "not a test key" in done.stderr
    assert key not in done.stdout + done.stderr or key == "x"
