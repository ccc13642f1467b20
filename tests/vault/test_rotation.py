"""Rotation: whatever stops it, or runs beside it, there is one key and every credential opens with it."""

from __future__ import annotations

import base64
import functools
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpgate.errors import CredentialError, MCPGateError, StoreError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.database import Database
from mcpgate.vault.providers import PLACES, FileProvider
from mcpgate.vault.sealed_vault import SealedVault
from mcpgate.vault.sealing import MasterKey, Sealed, unseal
from tests.vault.vaults import CANARY, Rig, binding, one_line, secret

FORKS: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
FORKS.set_forkserver_preload([__name__])
SECONDS = 60
MANY = [binding(f"a{number:02}") for number in range(30)]
ALL = {f"shop/{each.account}": f"{CANARY}-{each.account}" for each in MANY}
KILLS = 50


def key_file(rig: Rig, name: str) -> dict[str, str]:
    return {"path": str(rig.folder / name)}


def run(target: Callable[..., None], *arguments: Any) -> Any:
    process = FORKS.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def refused(act: Callable[[], object], kind: type[MCPGateError] = CredentialError) -> str:
    with pytest.raises(kind) as caught:
        act()
    return one_line(caught.value)


# --- one after the other ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("to", PLACES)
@pytest.mark.parametrize("since", PLACES)
def test_from_every_keeper_to_every_other(since: str, to: str, rigged: Rig) -> None:
    vault = rigged.set_up(since, *MANY[:3])
    was = vault.record()
    sealed = sorted((row["id"], row["sealed"]) for row in rigged.rows())
    place = {**rigged.places[to]}
    if since == to == "file":
        place = key_file(rigged, "new.key")
    elif since == to == "environment":
        place = {"variable": "NEW"}
        rigged.environ["NEW"] = base64.b64encode(os.urandom(32)).decode()
    assert vault.rotate(to, place) == 3
    now = rigged.vault().record()
    assert was is not None
    assert now is not None
    assert (now.provider, now.id == was.id) == (to, False)
    assert {row["key_id"] for row in rigged.rows()} == {now.id}
    assert sorted((row["id"], row["sealed"]) for row in rigged.rows()) == sealed
    # in a keyring there is the key that opens, and no other
    assert rigged.backend.names() == ([f"master key {now.id}"] if to == "keyring" else [])
    expected = {name: text for name, text in ALL.items() if name < "shop/a03"}
    assert rigged.opens() == expected
    assert secret(vault.open("shop", "a00")) == f"{CANARY}-a00"


@pytest.mark.usefixtures("quick")
def test_a_new_passphrase_opens_and_the_old_one_does_not(rigged: Rig) -> None:
    vault = rigged.set_up("passphrase", *MANY[:1])
    rigged.environ["MCPGATE_NEW_PASSPHRASE"] = "another one of words"
    vault.rotate("passphrase", {})
    assert refused(lambda: rigged.vault().open("shop", "a00")) == "The passphrase is not the vault's."
    rigged.environ["MCPGATE_PASSPHRASE"] = rigged.environ.pop("MCPGATE_NEW_PASSPHRASE")
    assert len(rigged.opens()) == 1


@pytest.mark.parametrize("copied", [False, True])
def test_the_same_key_is_refused_wherever_it_lies(copied: bool, rigged: Rig) -> None:
    vault = rigged.set_up("file", *MANY[:1])
    file = Path(rigged.places["file"]["path"])
    rigged.environ["SAME"] = file.read_text()
    copy = rigged.folder / "copy.key"
    copy.write_bytes(base64.b64decode(file.read_text()))
    copy.chmod(0o600)
    before = rigged.everything()
    places = [("file", {"path": str(copy)}), ("environment", {"variable": "SAME"})]
    for keeper, place in places if copied else [("file", rigged.places["file"]), ("file", {})]:
        says = refused(functools.partial(vault.rotate, keeper, place), UsageError)
        assert says == "That is the key that the vault has already."
    assert rigged.everything() == before


def test_nothing_is_rotated_where_there_is_no_vault(rigged: Rig) -> None:
    assert refused(lambda: rigged.vault().rotate("keyring", {})) == "There is no vault yet."
    assert rigged.backend.names() == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("keeper", "place"),
    [
        ("environment", {"variable": "NOT_SET"}),
        ("file", {"path": "/dev/null/new.key"}),
        ("passphrase", {}),
        ("keyring", {}),
    ],
)
def test_a_new_key_that_cannot_be_had_leaves_the_old_one(
    keeper: str, place: dict[str, str], rigged: Rig
) -> None:
    vault = rigged.set_up("file", *MANY[:2])
    rigged.keyring_name = ""
    rigged.environ["MCPGATE_PASSPHRASE"] = "short"
    before = rigged.everything()
    refused(lambda: vault.rotate(keeper, place), MCPGateError)
    assert rigged.everything() == before
    assert len(rigged.opens()) == 2


@pytest.mark.parametrize("keeper", ["keyring", "file"])
def test_a_rotation_that_is_not_written_leaves_the_old_key_and_takes_the_new_one_back(
    keeper: str, rigged: Rig
) -> None:
    vault = rigged.set_up("keyring", *MANY[:2])
    rigged.sql("CREATE TRIGGER full BEFORE INSERT ON credential BEGIN SELECT RAISE(ABORT, 'Canary'); END")
    before = (rigged.rows(), rigged.rows("master_key"), rigged.backend.names())
    refused(lambda: vault.rotate(keeper, key_file(rigged, "new.key")), StoreError)
    assert (rigged.rows(), rigged.rows("master_key"), rigged.backend.names()) == before
    assert len(rigged.opens()) == 2
    # a key file that was made for it is a person's own: it stays, and is taken the next time
    made = rigged.folder / "new.key"
    assert made.exists() == (keeper == "file")
    rigged.sql("DROP TRIGGER full")
    text = made.read_bytes() if made.exists() else b""
    vault.rotate(keeper, key_file(rigged, "new.key"))
    assert (made.read_bytes() if made.exists() else b"") == text
    assert len(rigged.opens()) == 2


@pytest.mark.parametrize("stopped", [True, False])
def test_a_person_who_stops_it_loses_nothing(
    stopped: bool, rigged: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = rigged.set_up("keyring", *MANY[:2])
    names = rigged.backend.names()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # before it is written, and after: there the new key counts, and the old one is still to be removed
    if stopped:
        monkeypatch.setattr("mcpgate.vault.sealed_vault.write", stop)
    else:
        monkeypatch.setattr(SealedVault, "_forget", stop)
    with pytest.raises(KeyboardInterrupt):
        vault.rotate("keyring", {})
    monkeypatch.undo()
    assert len(rigged.opens()) == 2
    assert set(names) <= set(rigged.backend.names())
    assert len(rigged.backend.names()) == (1 if stopped else 2)


@pytest.mark.parametrize("step", ["rotate", "set_up"])
def test_a_key_that_was_recorded_is_never_taken_back_whatever_comes_after(
    step: str, rigged: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of the database may be lost though it has done what it was told."""
    vault = rigged.set_up("keyring", *MANY[:2]) if step == "rotate" else rigged.vault()
    write = Database.write

    @contextmanager
    def lost(database: Database) -> Iterator[Any]:
        with write(database) as connection:
            yield connection
        raise StoreError("lost", "again")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", lost)
        refused(lambda: getattr(vault, step)("keyring", {}), StoreError)
    record = rigged.vault().record()
    assert record is not None
    assert f"master key {record.id}" in rigged.backend.names()
    assert len(rigged.opens()) == (2 if step == "rotate" else 0)
    rigged.vault().unlock()


def test_an_old_key_that_stays_in_the_keyring_is_told_and_the_rotation_counts(
    rigged: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = rigged.set_up("keyring", *MANY[:2])
    (old,) = rigged.backend.names()

    def locked(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(type(rigged.backend), "delete_password", locked)
    with pytest.raises(CredentialError) as caught:
        vault.rotate("keyring", {})
    says = one_line(caught.value)
    assert says.startswith(
        "The vault was rotated, but its old master key is still where it was kept. The Test"
    )
    assert caught.value.hint.endswith(f"Its entry: mcpgate, {old}")
    assert len(rigged.opens()) == 2
    assert len(rigged.backend.names()) == 2


def test_one_that_another_process_has_rotated_meanwhile_is_left_alone(rigged: Rig) -> None:
    vault = rigged.set_up("keyring", *MANY[:2])
    make = FileProvider.make

    class Slow(FileProvider):
        def make(self, key_id: str, place: Any) -> Any:
            rigged.vault().rotate("keyring", {})
            return make(self, key_id, place)

    vault._providers = {**vault._providers, "file": Slow()}
    says = refused(lambda: vault.rotate("file", key_file(rigged, "new.key")))
    assert says == "The vault was rotated meanwhile by another process."
    assert len(rigged.backend.names()) == 1
    assert len(rigged.opens()) == 2


def test_an_old_copy_of_the_database_does_not_open_once_its_key_has_left_the_keyring(rigged: Rig) -> None:
    vault = rigged.set_up("keyring", *MANY[:2])
    rows, record = rigged.rows(), rigged.rows("master_key")
    vault.rotate("keyring", {})
    rigged.put_rows(rows)
    rigged.put_rows(record, "master_key")
    assert refused(lambda: rigged.vault().open("shop", "a00")).startswith("The master key is no longer in")


# --- beside each other -----------------------------------------------------------------------------------


def rotate_on(folder: Path, keepers: list[tuple[str, dict[str, str]]], ready: Any, turns: int) -> None:
    rig = Rig(folder)
    vault = rig.vault()
    for turn in range(turns):
        vault.rotate(*keepers[turn % len(keepers)])
        # by now all that is imported is there, and the key is in a place that is looked at
        ready.set()
    rig.close()


def open_all(folder: Path, answer: Any) -> None:
    """What a fresh process opens, and whether each row opens with exactly one of all the keys there are."""
    rig = Rig(folder)
    try:
        record = rig.vault().record()
        assert record is not None
        texts = [path.read_text() for path in [*folder.glob("*.key"), *(folder / "keyring").glob("master*")]]
        keys = [MasterKey(record.id, base64.b64decode(text)) for text in texts]
        fitting = [tuple(opens(key, row) for key in keys) for row in rig.rows()]
        answer.send((rig.opens(), {sum(each) for each in fitting}, len(set(fitting))))
    except BaseException as error:
        answer.send((repr(error), set(), 0))
    rig.close()


def opens(key: MasterKey, row: dict[str, Any]) -> bool:
    facts = ("id", "connector", "account", "origins", "source", "settings", "mode", "ceiling", "connected")
    try:
        unseal(key, json.dumps([row[name] for name in facts]).encode(), Sealed(row["wrapped"], row["sealed"]))
    except Exception:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
@pytest.mark.parametrize("keepers", ["files", "keyring and file"])
def test_a_kill_in_the_middle_leaves_one_key_that_opens_everything(keepers: str, rigged: Rig) -> None:
    rigged.set_up("keyring" if keepers != "files" else "file")
    rigged.vault().keep_all([(each, {"secret": Secret(f"{CANARY}-{each.account}")}) for each in MANY])
    files = [("file", key_file(rigged, name)) for name in ("one.key", "two.key")]
    chosen = files if keepers == "files" else [("keyring", {}), files[0]]
    chance = random.Random(20260102)
    records: set[str] = set()
    for kill in range(KILLS):
        ready = FORKS.Event()
        # the file that is not in use comes first: the same key would be refused
        now = rigged.vault().record()
        assert now is not None
        order = chosen[::-1] if dict(now.place) == chosen[0][1] else chosen
        process = run(rotate_on, rigged.folder, order, ready, 10_000)
        assert ready.wait(SECONDS)
        time.sleep(chance.uniform(0, 0.06))
        process.kill()
        process.join(SECONDS)
        assert process.exitcode == -9, f"it ended by itself at {kill}"
        ours, theirs = FORKS.Pipe()
        checking = run(open_all, rigged.folder, theirs)
        found, keys, kinds = ours.recv()
        checking.join(SECONDS)
        assert (found, keys, kinds) == (ALL, {1}, 1), f"at kill {kill}"
        records.add(now.id)
    assert len(records) > KILLS // 2, "it was killed before it had rotated anything"


def open_on(folder: Path, stop: Any, answer: Any) -> None:
    """Opens again and again, as a server that runs, and as one that has just started."""
    rig = Rig(folder)
    running, count, seen = rig.vault(), 0, set()
    try:
        while not stop.is_set():
            for vault in (running, rig.vault()):
                kept = vault.open("shop", "a07")
                assert kept is not None
                assert kept.secrets["secret"].reveal() == f"{CANARY}-a07"
                count += 1
            record = running.record()
            seen.add(record and record.id)
            rig.close()
        answer.send((count, len(seen), ""))
    except BaseException as error:
        answer.send((count, len(seen), repr(error)))


@pytest.mark.parametrize("keepers", ["keyring", "files", "both"])
def test_no_open_fails_while_another_process_rotates(keepers: str, rigged: Rig) -> None:
    rigged.set_up("keyring", *MANY[5:10])
    files = [("file", key_file(rigged, name)) for name in ("one.key", "two.key")]
    chosen = {"keyring": [("keyring", {})], "files": files, "both": [("file", files[0][1]), ("keyring", {})]}[
        keepers
    ]
    stop, ready = FORKS.Event(), FORKS.Event()
    ours, theirs = FORKS.Pipe()
    opening = run(open_on, rigged.folder, stop, theirs)
    turns = 60
    rotating = run(rotate_on, rigged.folder, chosen, ready, turns)
    rotating.join(SECONDS)
    stop.set()
    count, seen, fault = ours.recv()
    opening.join(SECONDS)
    assert (rotating.exitcode, fault) == (0, "")
    assert count > 20
    assert seen > 3, "it did not run beside the rotation"
    if keepers == "keyring":
        assert len(rigged.backend.names()) == 1


def keep_on(folder: Path, account: str, stop: Any, answer: Any) -> None:
    rig = Rig(folder)
    vault, count = rig.vault(), 0
    try:
        while not stop.is_set():
            kept = vault.open("shop", account)
            assert kept is not None
            number = int(kept.secrets["secret"].reveal()) + 1
            vault.keep(binding(account), {"secret": Secret(str(number))}, version=kept.version)
            count += 1
        answer.send((count, ""))
    except BaseException as error:
        answer.send((count, repr(error)))
    rig.close()


def test_nothing_that_is_kept_meanwhile_is_lost(rigged: Rig) -> None:
    """Two processes refresh a credential each, by compare-and-set, while a third rotates."""
    vault = rigged.set_up("keyring")
    for account in ("one", "two"):
        vault.keep(binding(account), {"secret": Secret("0")})
    stop, ready = FORKS.Event(), FORKS.Event()
    pipes = {account: FORKS.Pipe() for account in ("one", "two")}
    keeping = [run(keep_on, rigged.folder, account, stop, pipes[account][1]) for account in pipes]
    rotating = run(rotate_on, rigged.folder, [("keyring", {})], ready, 30)
    rotating.join(SECONDS)
    stop.set()
    counts = {account: pipes[account][0].recv() for account in pipes}
    for process in keeping:
        process.join(SECONDS)
    assert rotating.exitcode == 0
    assert {fault for _, fault in counts.values()} == {""}
    assert rigged.opens() == {f"shop/{account}": str(count) for account, (count, _) in counts.items()}
    assert min(count for count, _ in counts.values()) > 3


def set_up_at_once(folder: Path, keeper: str, place: dict[str, str], start: Any, answer: Any) -> None:
    rig = Rig(folder)
    vault = rig.vault()
    start.wait(SECONDS)
    try:
        vault.set_up(keeper, place)
        answer.put("won")
    except MCPGateError as error:
        answer.put(error.message)
    except BaseException as error:
        answer.put(repr(error))
    rig.close()


@pytest.mark.parametrize("keeper", ["keyring", "file", "several files", "environment"])
def test_of_many_that_set_up_one_wins_and_the_others_say_so(keeper: str, tmp_path: Path) -> None:
    for turn in range(3):
        folder = tmp_path / str(turn)
        rig = Rig(folder)
        start, answers = FORKS.Barrier(4), FORKS.Queue()
        processes = []
        for number in range(4):
            name = f"{number if keeper == 'several files' else ''}.key"
            kind = "file" if "file" in keeper else keeper
            place = key_file(rig, name) if kind == "file" else rig.places[kind]
            processes.append(run(set_up_at_once, folder, kind, place, start, answers))
        said = [answers.get(timeout=SECONDS) for _ in processes]
        for process in processes:
            process.join(SECONDS)
        late = [each for each in said if each.startswith("The vault was set up already, on 20")]
        assert (len(late), said.count("won")) == (3, 1), said
        assert len(rig.backend.names()) == (keeper == "keyring")
        vault = rig.vault()
        vault.keep(binding(), {"secret": Secret("kept")})
        assert rig.opens() == {"shop/default": "kept"}
        rig.close()
