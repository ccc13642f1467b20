"""`mcpgate vault`: status, rotate, export and import, and a server whose vault does not open."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, Run, kept, leaks
from tests.standins.connectors import pointed_at
from tests.standins.keyring import MemoryBackend
from tests.standins.loopback import Loopback
from tests.standins.stdio import StdioServer

OTHER = "rk_test_other"
PASSPHRASE, NEW = "correct horse battery", "another horse battery"
EXPORT = "a passphrase for the export"
MASTER = base64.b64encode(bytes(range(32))).decode()
FLAGS = {
    "keyring": ("--keyring",),
    "passphrase": ("--passphrase",),
    "file": ("--key-file", "one.key"),
    "environment": ("--key-env", "ONE"),
}
OTHERS = {**FLAGS, "file": ("--key-file", "two.key"), "environment": ("--key-env", "TWO")}


@pytest.fixture(autouse=True)
def given(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to work in, and what passphrases and variables are."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "MCPGATE_PASSPHRASE": PASSPHRASE,
        "MCPGATE_EXPORT_PASSPHRASE": EXPORT,
        "ONE": MASTER,
        "TWO": base64.b64encode(bytes(range(1, 33))).decode(),
    }.items():
        monkeypatch.setenv(name, text)


# --- status ----------------------------------------------------------------------------------------------


def test_status_before_there_is_a_vault(
    mcpgate: Run, keyring: MemoryBackend, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = mcpgate("vault", "status")
    assert (ran.code, home.exists()) == (4, False)
    assert "There is no vault yet." in ran.out
    assert "The first connect makes one, with the Test keyring: mcpgate connect CONNECTOR" in ran.out
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: None)
    ran = mcpgate("vault", "status", "--json")
    assert (ran.code, json.loads(ran.out)["opens"]) == (4, False)
    assert "mcpgate init --key-file " in json.loads(ran.out)["hint"]


def test_status_says_what_is_where_and_whether_it_opens(
    connect: Run, mcpgate: Run, tmp_path: Path, home: Path
) -> None:
    mcpgate("init", *FLAGS["file"])
    connect("stripe", "--no-probe")
    connect("stripe", "--no-probe", "--account", "work")
    ran = mcpgate("vault", "status")
    assert ran.code == 0
    lines = dict(line.split(maxsplit=1) for line in ran.out.replace("Master key", "Master").splitlines())
    assert lines["Database"] == str(home / "mcpgate.db")
    assert lines["Master"].startswith(f"in the file {tmp_path}/one.key, since 20")
    assert lines["Credentials"] == "stripe/default, stripe/work"
    assert lines["Opens"] == "yes"
    (tmp_path / "one.key").rename(tmp_path / "moved.key")
    ran = mcpgate("vault", "status", "--json")
    facts = json.loads(ran.out)
    assert (ran.code, facts["opens"]) == (4, False)
    assert f"The key file {tmp_path}/one.key cannot be read: No such file" in facts["says"]
    assert facts["hint"]
    (tmp_path / "moved.key").rename(tmp_path / "one.key")
    assert mcpgate("vault", "status").code == 0


# --- rotation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", OTHERS)
@pytest.mark.parametrize("before", FLAGS)
def test_rotation_from_each_keeper_to_each(
    before: str, after: str, connect: Run, mcpgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mcpgate("init", *FLAGS[before]).code == 0
    connect("stripe", "--no-probe")
    connect("stripe", "--no-probe", "--account", "work", "--allow", "transact", key=OTHER)
    monkeypatch.setenv("MCPGATE_NEW_PASSPHRASE", NEW)
    ran = mcpgate("vault", "rotate", *OTHERS[after])
    assert (ran.code, ran.err) == (0, "")
    assert "Rotated: 2 credentials under a new master key, which is " in ran.out
    assert ("The old key, in the " in ran.out) == (before in ("file", "environment"))
    monkeypatch.delenv("MCPGATE_NEW_PASSPHRASE")
    monkeypatch.setenv("MCPGATE_PASSPHRASE", NEW)
    assert kept() == {"stripe/default": KEY, "stripe/work": OTHER}
    assert {row["ceiling"] for row in json.loads(mcpgate("accounts", "--json").out)} == {"", "transact"}


def test_without_flags_a_keyring_stays_and_a_file_is_not_changed(
    connect: Run, mcpgate: Run, keyring: MemoryBackend
) -> None:
    connect("stripe", "--no-probe")
    before = dict(keyring.kept)
    assert mcpgate("vault", "rotate").code == 0
    assert kept() == {"stripe/default": KEY}
    assert len(keyring.kept) == 1
    assert keyring.kept != before
    assert mcpgate("vault", "rotate", *FLAGS["file"]).code == 0
    assert keyring.kept == {}
    ran = mcpgate("vault", "rotate")
    assert ran.code == 2
    assert ", which mcpgate does not change." in ran.err
    assert "Name another: --key-file PATH" in ran.err


@pytest.mark.parametrize(
    ("before", "words", "code", "says"),
    [
        (None, "", 4, "There is no vault yet."),
        ("file", "--key-file one.key", 2, "That is the key that the vault has already."),
        ("environment", "--key-env ONE", 2, "That is the key that the vault has already."),
        ("file", "--key-file two.key --keyring", 2, "The master key is kept in one place."),
        ("file", "--key-env UNSET", 2, "UNSET is not set here."),
        ("file", "--key-file one.key/x", 2, "one.key/x cannot be made"),
    ],
)
def test_a_rotation_that_cannot_be_changes_nothing(
    before: str | None, words: str, code: int, says: str, connect: Run, mcpgate: Run, keyring: MemoryBackend
) -> None:
    if before:
        mcpgate("init", *FLAGS[before])
        connect("stripe", "--no-probe")
    state = json.loads(mcpgate("vault", "status", "--json").out)
    ran = mcpgate("vault", "rotate", *words.split())
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert json.loads(mcpgate("vault", "status", "--json").out) == state
    assert keyring.kept == {}


def test_a_rotation_is_typed_as_a_person_would(
    connect: Run, mcpgate: Run, typed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mcpgate("init", *FLAGS["passphrase"])
    connect("stripe", "--no-probe")
    monkeypatch.delenv("MCPGATE_PASSPHRASE")
    wrong = typed("vault", "rotate", answers=("no horse battery",))
    assert wrong.code == 4
    assert "The passphrase is not the vault's." in wrong.out
    ran = typed("vault", "rotate", answers=(PASSPHRASE, NEW, NEW))
    assert ran.code == 0, ran.out
    assert "Rotated: 1 credential under a new master key" in ran.out
    assert [text for text in (PASSPHRASE, NEW) if text in ran.out] == []
    monkeypatch.setenv("MCPGATE_PASSPHRASE", NEW)
    assert kept() == {"stripe/default": KEY}


def test_the_same_passphrase_is_told(connect: Run, mcpgate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    mcpgate("init", *FLAGS["passphrase"])
    told = "The passphrase is still that of MCPGATE_PASSPHRASE; for another one set MCPGATE_NEW_PASSPHRASE."
    assert told in mcpgate("vault", "rotate").out
    monkeypatch.setenv("MCPGATE_NEW_PASSPHRASE", NEW)
    assert told not in mcpgate("vault", "rotate").out


def test_a_server_that_runs_uses_the_new_key_from_its_next_call(
    connect: Run, mcpgate: Run, capture: Loopback, tmp_path: Path, home: Path
) -> None:
    mcpgate("init", *FLAGS["file"])
    file = str(pointed_at(capture.url, tmp_path))
    connect(file, "--no-probe")
    with StdioServer(file, home=home) as server:
        assert not server.call("stripe_get_balance").is_error
        ran = mcpgate("vault", "rotate", *OTHERS["file"])
        assert "Servers that run use it from their next call." in ran.out
        (tmp_path / "one.key").unlink()
        assert not server.call("stripe_get_balance").is_error
    assert [request.headers["authorization"] for request in capture.requests] == [f"Bearer {KEY}"] * 2


# --- export and import -----------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on everything is done on another machine."""
    return lambda: monkeypatch.setenv("MCPGATE_HOME", str(tmp_path / "elsewhere"))


def test_an_export_is_taken_in_elsewhere(
    connect: Run, mcpgate: Run, elsewhere: Callable[[], None], tmp_path: Path, home: Path
) -> None:
    mcpgate("init", *FLAGS["file"])
    connect("stripe", "--no-probe")
    connect("stripe", "--no-probe", "--account", "work", "--allow", "read-only", key=OTHER)
    bound = json.loads(mcpgate("accounts", "--json").out)
    ran = mcpgate("vault", "export", "out.mcpgate")
    assert ran.code == 0
    assert "Exported stripe/default, stripe/work to out.mcpgate. Whoever has that file" in ran.out
    assert "Take it in elsewhere: mcpgate vault import out.mcpgate" in ran.out
    assert (tmp_path / "out.mcpgate").stat().st_mode & 0o777 == 0o600
    assert leaks(tmp_path, ran) == leaks(tmp_path, ran, key=EXPORT) == []
    elsewhere()
    taken = mcpgate("vault", "import", "out.mcpgate")
    assert (taken.code, taken.out) == (0, "Imported stripe/default, stripe/work.\n")
    assert kept() == {"stripe/default": KEY, "stripe/work": OTHER}
    assert json.loads(mcpgate("accounts", "--json").out) == bound
    assert "8 of 15 tools" in mcpgate("tools", "stripe", "-p", "full-access", "--account", "work").out


def test_an_import_replaces_accounts_of_the_same_name_and_says_so(
    connect: Run, mcpgate: Run, elsewhere: Callable[[], None]
) -> None:
    connect("stripe", "--no-probe")
    mcpgate("vault", "export", "out.mcpgate")
    elsewhere()
    connect("stripe", "--no-probe", key=OTHER)
    connect("stripe", "--no-probe", "--account", "work", key=OTHER)
    ran = mcpgate("vault", "import", "out.mcpgate")
    assert ran.out == (
        "Imported stripe/default.\nThis replaces what was connected before as stripe/default.\n"
    )
    assert kept() == {"stripe/default": KEY, "stripe/work": OTHER}


def test_a_saved_listing_does_not_outlive_an_import(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, elsewhere: Callable[[], None], tmp_path: Path
) -> None:
    mcpgate("init", *FLAGS["file"])
    connect("stripe", "--no-probe", "--allow", "read-only")
    mcpgate("vault", "export", "out.mcpgate")
    elsewhere()
    mcpgate("init", *OTHERS["file"])
    connect("stripe", "--no-probe")
    with StdioServer("stripe", "-p", "full-access", home=tmp_path / "elsewhere") as server:
        assert len(server.tools()) == 15
    mcpgate("vault", "import", "out.mcpgate")
    with StdioServer("stripe", "-p", "full-access", home=tmp_path / "elsewhere") as server:
        assert len(server.tools()) == 8


def test_an_import_lifts_no_ceiling(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, tmp_path: Path
) -> None:
    mcpgate("init", *FLAGS["file"])
    connect("stripe", "--no-probe")
    mcpgate("vault", "export", "old.mcpgate")
    connect("stripe", "--no-probe", "--allow", "read-only", key=OTHER)
    ran = mcpgate("vault", "import", "old.mcpgate")
    assert ran.code == 2
    assert "stripe/default has another ceiling here than in the export." in ran.err
    assert kept() == {"stripe/default": OTHER}


def test_the_passphrase_of_an_export_may_be_typed(
    connect: Run, mcpgate: Run, typed: Run, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mcpgate("init", *FLAGS["file"])
    connect("stripe", "--no-probe")
    monkeypatch.delenv("MCPGATE_EXPORT_PASSPHRASE")
    short = typed("vault", "export", "out.mcpgate", answers=("short",))
    assert (short.code, "12 are the least" in short.out) == (2, True)
    refused = typed("vault", "export", "out.mcpgate", answers=(EXPORT, PASSPHRASE))
    assert refused.code == 2
    assert "The two passphrases are not the same." in refused.out
    assert not Path("out.mcpgate").exists()
    ran = typed("vault", "export", "out.mcpgate", answers=(EXPORT, EXPORT))
    assert ran.code == 0, ran.out
    elsewhere()
    mcpgate("init", *OTHERS["file"])
    taken = typed("vault", "import", "out.mcpgate", answers=(EXPORT,))
    assert taken.code == 0, taken.out
    assert EXPORT not in ran.out + taken.out
    assert kept() == {"stripe/default": KEY}


@pytest.mark.parametrize(
    ("file", "passphrase", "code", "says"),
    [
        (
            "out.mcpgate",
            PASSPHRASE,
            4,
            "The export does not open: another passphrase, or the file was changed.",
        ),
        ("changed", EXPORT, 4, "The export does not open: another passphrase, or the file was changed."),
        ("salted", EXPORT, 4, "The export does not open: another passphrase, or the file was changed."),
        ("short", EXPORT, 4, "The export cannot be read: this is no export of mcpgate."),
        ("later", EXPORT, 4, "The export cannot be read: its format is mcpgate export 9"),
        ("garbage", EXPORT, 4, "The export cannot be read: this is no export of mcpgate."),
        ("nowhere", EXPORT, 3, "nowhere cannot be read: No such file or directory"),
        ("out.mcpgate", "", 2, "The passphrase of the export is not given."),
    ],
)
def test_an_import_that_does_not_open_changes_nothing(
    file: str,
    passphrase: str,
    code: int,
    says: str,
    connect: Run,
    mcpgate: Run,
    give: Callable[[str], None],
    elsewhere: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect("stripe", "--no-probe")
    mcpgate("vault", "export", "out.mcpgate")
    text = Path("out.mcpgate").read_text()
    bundle = json.loads(text)
    for name, member in {"changed": "sealed", "salted": "salt"}.items():
        raw = bytearray(base64.b64decode(bundle[member]))
        raw[-1] ^= 1
        Path(name).write_text(json.dumps({**bundle, member: base64.b64encode(raw).decode()}))
    Path("short").write_text(text[:-20])
    Path("later").write_text(text.replace("mcpgate export 1", "mcpgate export 9"))
    Path("garbage").write_bytes(b"\xff\x00[]")
    elsewhere()
    monkeypatch.setenv("MCPGATE_EXPORT_PASSPHRASE", passphrase)
    give("")
    ran = mcpgate("vault", "import", file)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert not (tmp_path / "elsewhere").exists(), "no vault is made for nothing"
    connect("stripe", "--no-probe", key=OTHER)
    assert mcpgate("vault", "import", file).code == code
    assert kept() == {"stripe/default": OTHER}


@pytest.mark.parametrize(
    ("file", "passphrase", "code", "says"),
    [
        ("there", EXPORT, 2, "there is there already."),
        ("there/out", EXPORT, 2, "there/out cannot be written: "),
        ("out", "short", 2, "The passphrase has 5 characters, and 12 are the least."),
        ("out", "", 2, "The passphrase of the export is not given."),
    ],
)
def test_an_export_that_cannot_be_written_is_told(
    file: str,
    passphrase: str,
    code: int,
    says: str,
    connect: Run,
    mcpgate: Run,
    give: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = mcpgate("vault", "export", "out")
    assert (ran.code, "There is nothing in the vault to export." in ran.err) == (2, True)
    connect("stripe", "--no-probe")
    Path("there").write_text("mine")
    monkeypatch.setenv("MCPGATE_EXPORT_PASSPHRASE", passphrase)
    give("")
    ran = mcpgate("vault", "export", file)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert Path("there").read_text() == "mine"
    assert not Path("out").exists()


@pytest.mark.usefixtures("headless")
def test_an_import_without_a_vault_and_a_keyring_says_what_to_type(mcpgate: Run) -> None:
    Path("out.mcpgate").write_text("{}")
    ran = mcpgate("vault", "import", "out.mcpgate")
    assert (ran.code, ran.out) == (4, "")
    assert "mcpgate init --key-file " in ran.err


# --- what does not open ----------------------------------------------------------------------------------


def test_nothing_is_asked_over_stdio(
    connect: Run, mcpgate: Run, capture: Loopback, tmp_path: Path, home: Path
) -> None:
    mcpgate("init", *FLAGS["passphrase"])
    file = str(pointed_at(capture.url, tmp_path))
    connect(file, "--no-probe")
    # StdioServer takes every line of stdout for an answer of the protocol
    with StdioServer(file, home=home) as server:
        assert len(server.tools()) == 8
        answer = server.call("stripe_get_balance")
        assert answer.is_error
        assert answer.text.count("\n") == 0
        assert "The vault is locked: its passphrase is not given. Set MCPGATE_PASSPHRASE, or" in answer.text
        assert "assphrase" not in server.errors()
    assert capture.requests == []


def test_a_row_that_was_changed_is_told_and_connecting_again_mends_it(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, home: Path
) -> None:
    connect("stripe", "--no-probe", "--allow", "read-only")
    connect("stripe", "--no-probe", "--account", "work")
    with sqlite3.connect(home / "mcpgate.db") as database:
        database.execute("UPDATE credential SET ceiling = '' WHERE account = 'default'")
    database.close()
    for words in (("vault", "status"), ("accounts",), ("vault", "export", "out")):
        ran = mcpgate(*words)
        assert "The credential stripe/default is not as it was sealed: its row was changed." in " ".join(
            (ran.out + ran.err).split()
        )
    ran = mcpgate("call", "stripe_create_customer", "name=Jenny", "-p", "full-access")
    assert ran.code == 4
    assert "Connect it again: mcpgate connect stripe" in ran.out
    connect("stripe", "--no-probe", "--allow", "read-only", key=OTHER)
    assert kept() == {"stripe/default": OTHER, "stripe/work": KEY}
