"""`mcpgate doctor`, on a healthy set-up and on broken ones."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run
from tests.standins.connectors import pointed_at
from tests.standins.keyring import MemoryBackend
from tests.standins.loopback import Loopback, Reply

MASTER = base64.b64encode(bytes(range(32))).decode()
PASSPHRASE = "correct horse battery"
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


# --- the vault -------------------------------------------------------------------------------------------


def sql(home: Path, statement: str) -> None:
    """Changes the database behind mcpgate's back."""
    with sqlite3.connect(home / "mcpgate.db") as database:
        database.execute(statement)
    database.close()


def test_a_vault_that_opens_is_in_order(
    connect: Run, mcpgate: Run, tmp_path: Path, scripted: Callable[..., Loopback], home: Path
) -> None:
    note = findings(mcpgate("doctor", "--offline", "--json"))["vault"]
    assert [each["says"] for each in note] == ["there is none yet: connect makes one with the Test keyring"]
    server = scripted(Reply(200, b'{"available":[]}'))
    (home / "connectors").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    text = pointed_at(server.url, tmp_path).read_text()
    (home / "connectors" / "till.yaml").write_text(text.replace("stripe", "till"))
    (tmp_path / "own.yaml").write_text("preset: own\nallow: [till_create_customer]\n")
    connect("till", "--no-probe", key=KEY)
    connect("till", "--no-probe", "--account", "narrow", "--allow", str(tmp_path / "own.yaml"), key=KEY)
    connect(str(tmp_path / "stripe.yaml"), "--no-probe", key=KEY)
    connect("stripe", "--no-probe", "--account", "live", key="rk_live_" + "canary" * 4)
    ran = mcpgate("doctor", "--json")
    assert ran.code == 0
    found = findings(ran)
    assert [each["says"] for each in found["vault"]] == ["opens with the master key in the Test keyring"]
    says = [each["says"] for each in found["credential"]]
    assert says[0].startswith("stripe/default opens, for a connector file with the sha256 ")
    assert says[1:] == [
        "stripe/live is a live key, not tried: mcpgate doctor --live",
        f"till/default works: {server.url} answered till_get_balance",
        "till/narrow is there (its ceiling leaves no call to try it with)",
    ]
    assert "canary" not in ran.out


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize(
    ("keeper", "broken", "says", "mend"),
    [
        (
            "--key-file key",
            "file gone",
            "The key file {folder}/key cannot be read: No such file",
            "Bring it back",
        ),
        (
            "--key-file key",
            "file open",
            "The key file {folder}/key is open to other",
            "chmod 600 {folder}/key",
        ),
        ("--key-file key", "file other", "The key in the key file is not the vault's.", "Nothing was"),
        ("--key-env VAULT", "unset", "The vault is locked: VAULT is not set.", "Set VAULT where"),
        ("--key-env VAULT", "other", "The key in the environment is not the vault's.", "Nothing was"),
        (
            "--passphrase",
            "unset",
            "The vault is locked: its passphrase is not given.",
            "MCPGATE_PASSPHRASE_FILE",
        ),
        ("--passphrase", "other", "The passphrase is not the vault's.", "Nothing was opened"),
    ],
)
def test_a_vault_that_does_not_open_is_one_fault_with_its_remedy(
    keeper: str,
    broken: str,
    says: str,
    mend: str,
    connect: Run,
    mcpgate: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAULT", MASTER)
    monkeypatch.setenv("MCPGATE_PASSPHRASE", PASSPHRASE)
    assert mcpgate("init", *keeper.split()).code == 0
    connect("stripe", "--no-probe", key=KEY)
    connect("stripe", "--no-probe", "--account", "work", key=KEY)
    assert mcpgate("doctor", "--offline").code == 0
    if broken == "file gone":
        (tmp_path / "key").unlink()
    elif broken == "file open":
        (tmp_path / "key").chmod(0o644)
    elif broken == "file other":
        (tmp_path / "key").write_text(MASTER)
    else:
        other = base64.b64encode(bytes(range(1, 33))).decode()
        monkeypatch.setenv("VAULT", other if broken == "other" else "")
        monkeypatch.setenv("MCPGATE_PASSPHRASE", "no horse battery" if broken == "other" else "")
    ran = mcpgate("doctor", "--offline", "--json")
    assert ran.code == 1
    (fault,) = [each for each in json.loads(ran.out) if each["state"] == "fault"]
    assert fault["about"] == "vault"
    assert says.format(folder=tmp_path) in fault["says"]
    assert mend.format(folder=tmp_path) in fault["mend"]


def test_a_keyring_that_has_lost_the_key_is_a_fault(
    connect: Run, mcpgate: Run, keyring: MemoryBackend
) -> None:
    connect("stripe", "--no-probe", key=KEY)
    keyring.kept.clear()
    ran = mcpgate("doctor", "--offline")
    assert ran.code == 1
    assert "✗ vault       The master key is no longer in the Test keyring." in ran.out
    assert "mcpgate vault import FILE" in ran.out
    assert "1 to mend." in ran.out


@pytest.mark.parametrize(
    ("statement", "says", "mend"),
    [
        (
            "UPDATE credential SET ceiling = '' WHERE account = 'work'",
            "The credential stripe/work is not as it was sealed: its row was changed.",
            "mcpgate connect stripe --account work",
        ),
        (
            "DELETE FROM credential WHERE account = 'work'",
            "The vault is not as it was left",
            "Bring the database back",
        ),
        (
            "UPDATE credential SET account = 'home' WHERE account = 'work'",
            "The vault is not as it was left",
            "Bring the database back",
        ),
        ("DELETE FROM master_key", "The vault has lost the record of its master key.", "Bring the database"),
    ],
)
def test_rows_that_were_tampered_with_are_one_fault_with_its_remedy(
    statement: str, says: str, mend: str, connect: Run, mcpgate: Run, home: Path
) -> None:
    for name in ("default", "work"):
        connect("stripe", "--no-probe", "--account", name, "--allow", "read-only", key=KEY)
    sql(home, statement)
    ran = mcpgate("doctor", "--offline", "--json")
    assert ran.code == 1
    (fault,) = [each for each in json.loads(ran.out) if each["state"] == "fault"]
    assert (fault["about"], says in fault["says"], mend in fault["mend"]) == ("vault", True, True)


def test_an_old_row_that_was_put_back_is_a_fault(connect: Run, mcpgate: Run, home: Path) -> None:
    connect("stripe", "--no-probe", key=KEY)
    sql(home, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home / "mcpgate.db", home / "old.db")
    connect("stripe", "--no-probe", key=KEY)
    sql(home, "DELETE FROM credential")
    with sqlite3.connect(home / "mcpgate.db") as database:
        database.execute("ATTACH ? AS old", (str(home / "old.db"),))
        database.execute("INSERT INTO credential SELECT * FROM old.credential")
    database.close()
    (home / "old.db").unlink()
    ran = mcpgate("doctor", "--offline")
    assert ran.code == 1
    assert "✗ vault       The vault is not as it was left" in ran.out
    assert "✓ credential" not in ran.out


@pytest.mark.usefixtures("headless")
def test_a_passphrase_is_typed_once_and_what_servers_need_is_noted(
    connect: Run, mcpgate: Run, typed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_PASSPHRASE", PASSPHRASE)
    mcpgate("init", "--passphrase")
    connect("stripe", "--no-probe", key=KEY)
    connect("stripe", "--no-probe", "--account", "work", key=KEY)
    monkeypatch.delenv("MCPGATE_PASSPHRASE")
    ran = typed("doctor", "--offline", answers=(PASSPHRASE,))
    assert ran.code == 0, ran.out
    assert ran.out.count("(not shown): ") == 1
    assert "✓ credential  stripe/work is there (not tried)" in ran.out
    note = "a server that a client starts needs MCPGATE_PASSPHRASE or MCPGATE_PASSPHRASE_FILE"
    assert note in ran.out


# --- apps ------------------------------------------------------------------------------------------------


def test_every_app_is_opened(mcpgate: Run, home: Path, tmp_path: Path) -> None:
    till = tmp_path / "till.yaml"
    till.write_text(pointed_at("http://127.0.0.1:9", tmp_path).read_text().replace("stripe", "till"))
    for name, connector in (
        ("billing", "stripe"),
        ("desk", str(till)),
        ("shop", str(till)),
        ("away", "stripe"),
    ):
        ran = mcpgate("apps", "create", name, "--connector", connector, "--preset", "read-only", "--sandbox")
        assert ran.code == 0, ran.err
    found = findings(mcpgate("doctor", "--offline", "--json"))["app"]
    assert [(each["state"], each["says"]) for each in found] == [("ok", "away, billing, desk, shop")]
    till.write_text("connector: [")
    mcpgate("apps", "pause", "away")
    sql(home, "UPDATE app SET expires = '2020-01-01T00:00:00+00:00' WHERE name = 'billing'")
    ran = mcpgate("doctor", "--offline", "--json")
    assert ran.code == 1
    fault, *others = findings(ran)["app"]
    assert fault["state"] == "fault"
    assert fault["says"].startswith(f"desk, shop cannot be opened: {till}")
    assert fault["mend"]
    assert [(each["state"], each["says"], each["mend"]) for each in others] == [
        ("note", "away is paused", "mcpgate apps resume away"),
        ("note", "the key of billing has expired", "mcpgate apps rotate billing"),
        ("ok", "away, billing", ""),
    ]
    till.unlink()
    (gone, *_) = findings(mcpgate("doctor", "--offline", "--json"))["app"]
    assert ("cannot be read" in gone["says"], bool(gone["mend"])) == (True, True)


# --- clients ---------------------------------------------------------------------------------------------


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
