"""`mcpgate init`: where the key to the vault is kept, chosen once."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, Ran, Run, kept, leaks
from tests.standins.keyring import MemoryBackend

PASSPHRASE = "correct horse battery"
MASTER = base64.b64encode(bytes(range(32))).decode()
FLAGS = {
    "keyring": ("--keyring",),
    "passphrase": ("--passphrase",),
    "file": ("--key-file", "keys/master.key"),
    "environment": ("--key-env", "VAULT"),
}


@pytest.fixture(autouse=True)
def given(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to work in, and what the passphrase and the variable are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCPGATE_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("VAULT", MASTER)


def first(ran: Ran) -> str:
    return ran.err.partition("\n")[0]


@pytest.mark.parametrize(
    ("keeper", "where", "told"),
    [
        ("keyring", "in the Test keyring", ""),
        ("passphrase", "derived from a passphrase", "set MCPGATE_PASSPHRASE_FILE there"),
        ("file", "in the file {folder}/keys/master.key", "keep a copy of it, apart from the database"),
        ("environment", "in the variable VAULT", "it has to be set wherever mcpgate is started"),
    ],
)
def test_a_vault_is_set_up_once_with_each_keeper(
    keeper: str, where: str, told: str, connect: Run, mcpgate: Run, tmp_path: Path, home: Path
) -> None:
    where = where.format(folder=tmp_path)
    ran = mcpgate("init", *FLAGS[keeper])
    assert (ran.code, ran.err) == (0, "")
    assert f"The vault is set up: its master key is {where}." in ran.out
    assert told in ran.out
    assert ran.out.endswith("Next: mcpgate connect CONNECTOR\n")
    for again in ((), *FLAGS.values()):
        refused = mcpgate("init", *again)
        assert refused.code == 2
        assert first(refused).startswith("The vault was set up already, on 20")
        assert "To change where it is kept: mcpgate vault rotate" in refused.err
    connected = connect("stripe", "--no-probe")
    assert f"in the vault whose key is {where}" in connected.out
    assert kept() == {"stripe/default": KEY}
    status = json.loads(mcpgate("vault", "status", "--json").out)
    assert (status["provider"], status["kept"], status["opens"]) == (keeper, where, True)
    assert leaks(home, ran, connected) == leaks(home, key=PASSPHRASE) == leaks(home, key=MASTER) == []


def test_a_key_file_is_made_for_its_owner_alone_or_taken_as_it_is(mcpgate: Run, tmp_path: Path) -> None:
    assert mcpgate("init", *FLAGS["file"]).code == 0
    file = tmp_path / "keys" / "master.key"
    assert len(base64.b64decode(file.read_bytes())) == 32
    assert sys.platform == "win32" or (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    (tmp_path / "home" / "mcpgate.db").unlink()
    before = file.read_bytes()
    assert mcpgate("init", *FLAGS["file"]).code == 0
    assert file.read_bytes() == before


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize(
    ("words", "code", "says", "hint"),
    [
        ("--keyring --passphrase", 2, "The master key is kept in one place.", "Give one of these flags."),
        ("--key-file a --key-env VAULT", 2, "The master key is kept in one place.", ""),
        ("", 4, "There is no vault yet, and no keyring of this system can be used.", "init --key-file"),
        ("--keyring", 4, "There is no vault yet, and no keyring of this system", "init --passphrase"),
        ("--key-env UNSET", 2, "UNSET is not set here.", 'export UNSET="$(openssl rand -base64 32)"'),
        (
            "--key-env MCPGATE_SHOP_KEY",
            2,
            "MCPGATE_SHOP_KEY would be the key of a connector",
            "MCPGATE_VAULT",
        ),
        (f"--key-env {MASTER}", 2, "What --key-env was given is no name of a variable.", "MCPGATE_VAULT"),
        ("--key-env SHORT", 4, "What is in SHORT is not a master key.", "openssl rand -base64 32"),
        ("--key-file garbage", 4, "garbage is not a master key.", "openssl rand -base64 32"),
        ("--key-file loose", 4, "loose is open to other users.", "chmod 600 "),
        ("--key-file garbage/key", 2, "garbage/key cannot be made: ", "Name another path."),
        ("--passphrase", 2, "The passphrase has 5 characters, and 12 are the least.", "random words"),
    ],
)
def test_what_cannot_keep_a_key_is_told_and_nothing_is_set_up(
    words: str,
    code: int,
    says: str,
    hint: str,
    mcpgate: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHORT", "c2hvcnQ=")
    monkeypatch.setenv("MCPGATE_PASSPHRASE", "short")
    monkeypatch.delenv("UNSET", raising=False)
    (tmp_path / "garbage").write_text("garbage")
    (tmp_path / "garbage").chmod(0o600)
    (tmp_path / "loose").write_text(MASTER)
    (tmp_path / "loose").chmod(0o644)
    ran = mcpgate("init", *words.split())
    assert (ran.code, ran.out) == (code, "")
    assert says in first(ran)
    assert hint in ran.err
    assert MASTER not in ran.err
    assert json.loads(mcpgate("vault", "status", "--json").out)["provider"] is None


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ((PASSPHRASE, PASSPHRASE), 0, "its master key is derived from a passphrase"),
        ((PASSPHRASE, "another horse battery"), 2, "The two passphrases are not the same."),
    ],
)
def test_a_passphrase_may_be_typed(
    answers: tuple[str, ...], code: int, says: str, typed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCPGATE_PASSPHRASE")
    ran = typed("init", "--passphrase", answers=answers)
    assert ran.code == code, ran.out
    assert says in ran.out
    assert [answer for answer in answers if answer in ran.out] == []


def test_a_passphrase_may_come_from_a_file(
    connect: Run, mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    file.chmod(0o600)
    monkeypatch.delenv("MCPGATE_PASSPHRASE")
    monkeypatch.setenv("MCPGATE_PASSPHRASE_FILE", str(file))
    assert mcpgate("init", "--passphrase").code == 0
    assert connect("stripe", "--no-probe").code == 0
    file.chmod(0o644)
    ran = mcpgate("vault", "status")
    assert ran.code == 4
    assert f"The passphrase file {file} is open to other users." in ran.out
    assert f"chmod 600 {file}" in ran.out
    file.unlink()
    assert "cannot be read: No such file or directory." in mcpgate("vault", "status").out
    # the same passphrase, wherever it comes from
    monkeypatch.delenv("MCPGATE_PASSPHRASE_FILE")
    monkeypatch.setenv("MCPGATE_PASSPHRASE", PASSPHRASE)
    assert kept() == {"stripe/default": KEY}


def test_with_a_keyring_nobody_hears_of_init(connect: Run, keyring: MemoryBackend) -> None:
    ran = connect("stripe", "--no-probe")
    assert ran.code == 0
    assert "init" not in ran.out + ran.err
    assert len(keyring.kept) == 1
