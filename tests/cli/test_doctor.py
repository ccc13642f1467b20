"""`mcpgate doctor`, on a healthy set-up and on broken ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.standins.connectors import pointed_at
from tests.standins.loopback import Loopback, Reply

Run = Callable[..., Ran]
KEY = "sk_test_" + "canary" * 4


@pytest.fixture(autouse=True)
def bare(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder with no client in it, and a PATH on which none is found."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def findings(ran: Ran) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(ran.out):
        found.setdefault(finding["about"], []).append(finding)
    return found


def test_a_new_machine_is_in_order(mcpgate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCPGATE_HOME")
    ran = mcpgate("doctor", "--offline")
    assert ran.code == 0
    assert "Everything is in order." in ran.out
    found = findings(mcpgate("doctor", "--offline", "--json"))
    assert found["connectors"][0]["says"] == "stripe"
    assert found["presets"][0]["says"] == "full-access, read-only, transact"
    assert found["credential"][0]["state"] == "note"
    assert found["client"][0]["says"] == "no MCP client that mcpgate knows is here"


def test_a_home_that_is_not_there_is_said(mcpgate: Run, home: Path) -> None:
    ran = mcpgate("doctor", "--offline")
    assert ran.code == 0
    assert f"– home        MCPGATE_HOME names {home}, and there is no such folder: no rules" in ran.out
    assert f"→ mkdir -m 700 {home}, or correct it" in ran.out
    assert "Everything else is in order." in ran.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_each_fault_comes_with_the_command_that_mends_it(mcpgate: Run, home: Path) -> None:
    for room in ("connectors", "presets"):
        (home / room).mkdir(parents=True)
        (home / room / "broken.yaml").write_text("x: y\n")
    home.chmod(0o755)
    ran = mcpgate("doctor", "--offline")
    assert ran.code == 1
    assert "3 to mend." in ran.out
    assert f"→ chmod go-rwx {home}" in ran.out
    assert f"→ mcpgate check {home}/connectors/broken.yaml" in ran.out
    assert f"→ mcpgate check {home}/presets/broken.yaml" in ran.out
    assert "✓ connectors  stripe" in ran.out
    home.chmod(0o700)
    (home / "connectors" / "broken.yaml").unlink()
    (home / "presets" / "broken.yaml").unlink()
    assert mcpgate("doctor", "--offline").code == 0


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("pk_test_abcdef", "MCPGATE_STRIPE_KEY is refused: This is a publishable key."),
        ("nonsense", "MCPGATE_STRIPE_KEY does not look like"),
    ],
)
def test_a_key_of_the_wrong_kind_is_a_fault(
    mcpgate: Run, monkeypatch: pytest.MonkeyPatch, key: str, says: str
) -> None:
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", key)
    ran = mcpgate("doctor", "--offline", "--json")
    assert ran.code == 1
    (finding,) = findings(ran)["credential"]
    assert says in finding["says"]
    assert finding["mend"] == "Set MCPGATE_STRIPE_KEY to another key, or unset it."


@pytest.mark.parametrize(
    ("reply", "state", "says"),
    [
        (Reply(200, b'{"available":[]}'), "ok", "works"),
        (
            Reply(401, b'{"error":{"message":"Invalid API Key provided: %s"}}' % KEY.encode()),
            "fault",
            "refused",
        ),
        (Reply(503), "fault", "503"),
    ],
)
def test_credentials_are_tried_with_the_probe(
    mcpgate: Run,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scripted: Callable[..., Loopback],
    reply: Reply,
    state: str,
    says: str,
) -> None:
    server = scripted(*([reply] * 3 if reply.status == 503 else [reply]))
    text = pointed_at(server.url, tmp_path).read_text().replace("stripe", "till")
    (home / "connectors").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    (home / "connectors" / "till.yaml").write_text(text)
    monkeypatch.setenv("MCPGATE_TILL_KEY", KEY)
    ran = mcpgate("doctor", "--json")
    (finding,) = findings(ran)["credential"]
    assert (finding["state"], says in finding["says"]) == (state, True)
    assert "canary" not in ran.out + ran.err


def test_a_client_whose_entry_does_not_start_is_a_fault(mcpgate: Run, tmp_path: Path) -> None:
    folder = tmp_path / "user" / ".cursor"
    folder.mkdir(parents=True)
    assert mcpgate("install", "cursor", "stripe", "--sandbox", "--write").code == 0
    found = findings(mcpgate("doctor", "--offline", "--json"))["client"]
    assert [finding["state"] for finding in found] == ["ok"]
    file = folder / "mcp.json"
    file.write_text(file.read_text().replace('"stripe",', '"strype",'))
    ran = mcpgate("doctor", "--offline", "--json")
    assert ran.code == 1
    (finding,) = findings(ran)["client"]
    assert "There is no connector 'strype'" in finding["says"]
    assert finding["mend"].startswith("mcpgate install cursor")
