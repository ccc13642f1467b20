"""Keys of mcpgate's own in the vault: made once, there after a rotation, and no credential of anyone."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault.providers import PLACES
from tests.vault.vaults import CANARY, Rig, binding, one_line

FORKS: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
FORKS.set_forkserver_preload([__name__])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("keeper", PLACES)
def test_it_is_made_once_and_each_name_has_its_own(keeper: str, rigged: Rig) -> None:
    vault = rigged.set_up(keeper)
    key = vault.own_key("activity")
    assert len(key) == 32
    assert rigged.vault().own_key("activity") == vault.own_key("activity") == key
    assert vault.own_key("other") not in (key, b"")
    assert key.hex() not in str(rigged.everything())


def test_it_outlives_rotation(rigged: Rig) -> None:
    vault = rigged.set_up("file", binding())
    key = vault.own_key("activity")
    assert vault.rotate("file", {"path": str(rigged.folder / "new.key")}) == 1
    assert rigged.vault().own_key("activity") == vault.own_key("activity") == key
    assert rigged.opens() == {"shop/default": f"{CANARY}-default"}


def test_it_is_no_credential(rigged: Rig) -> None:
    vault = rigged.set_up("file", binding())
    vault.own_key("activity")
    assert len(rigged.rows()) == 2
    assert [each.connector for each in vault.all()] == ["shop"]
    assert [each.binding.connector for each in vault.opened()] == ["shop"]
    assert vault.find("-activity", "") is None
    assert vault.open("-activity", "") is None
    assert not vault.remove("-activity", "")
    assert len(rigged.rows()) == 2


def test_an_import_does_not_replace_it(rigged: Rig) -> None:
    vault = rigged.set_up("file")
    key = vault.own_key("activity")
    forged = binding("", "-activity"), {"key": Secret("0" * 64)}
    with pytest.raises(UsageError) as kept:
        vault.keep(*forged)
    with pytest.raises(UsageError) as imported:
        vault.keep_all([forged])
    assert one_line(kept.value) == one_line(imported.value)
    assert rigged.vault().own_key("activity") == key


@pytest.mark.parametrize("change", ["set sealed = x'00'", "set key_id = 'x'", "set source = 'mine'"])
def test_a_changed_one_is_refused(change: str, rigged: Rig) -> None:
    vault = rigged.set_up("file")
    vault.own_key("activity")
    rigged.sql(f"UPDATE credential {change}")
    with pytest.raises(CredentialError) as caught:
        rigged.vault().own_key("activity")
    assert one_line(caught.value) == (
        "The vault's activity key is not as it was sealed: its row was changed."
    )


def test_one_that_was_taken_out_is_not_made_anew(rigged: Rig) -> None:
    rigged.set_up("file").own_key("activity")
    rigged.sql("DELETE FROM credential")
    with pytest.raises(CredentialError, match="not as it was left"):
        rigged.vault().own_key("activity")


@pytest.mark.parametrize("state", ["no vault", "locked"])
def test_without_an_open_vault_there_is_none(state: str, rigged: Rig) -> None:
    if state == "locked":
        rigged.set_up("file")
        Path(rigged.places["file"]["path"]).unlink()
    with pytest.raises(CredentialError) as caught:
        rigged.vault().own_key("activity")
    one_line(caught.value)
    assert not rigged.path.exists() or rigged.rows() == []


def ask(folder: str, start: Any, answers: Any) -> None:
    rig = Rig(Path(folder))
    start.wait(30)
    answers.put(rig.vault().own_key("activity"))
    rig.close()


def test_many_who_ask_first_get_the_same(rigged: Rig) -> None:
    rigged.set_up("file")
    start, answers = FORKS.Barrier(4), FORKS.Queue()
    processes = [FORKS.Process(target=ask, args=(str(rigged.folder), start, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    found = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(60)
    assert len(found) == 1
    assert len(rigged.rows()) == 1
