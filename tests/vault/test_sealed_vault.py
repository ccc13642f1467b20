"""The sealed vault: what it keeps, and that nothing opens which is not as it was left. Rows 13 and 15."""

from __future__ import annotations

import base64
import dataclasses
import functools
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.tables import CREDENTIAL, MASTER_KEY
from mcpgate.vault import rows as vault_rows
from mcpgate.vault.providers import PLACES
from mcpgate.vault.sealed_vault import SealedVault
from tests.vault.vaults import CANARY, PASSPHRASE, Rig, binding, one_line, secret, told_in_full

pytestmark = pytest.mark.usefixtures("quick")
TWO = (binding(), binding("work", settings={"site": "two"}))
NOT_AS_LEFT = "The vault is not as it was left"
NOT_AS_SEALED = "is not as it was sealed: its row was changed."


def refused(act: Callable[[], object], kind: type[MCPGateError] = CredentialError) -> str:
    with pytest.raises(kind) as caught:
        act()
    return one_line(caught.value)


def opening(rig: Rig, account: str = "default") -> str:
    """Why a fresh process does not open an account; what is kept is not changed by that."""
    before = rig.everything()
    says = refused(lambda: rig.vault().open("shop", account))
    assert rig.everything() == before
    return says


# --- keeping ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeper", PLACES)
def test_what_is_kept_opens_in_every_later_process(keeper: str, rigged: Rig) -> None:
    assert rigged.vault().record() is None
    assert rigged.vault().open("shop", "default") is None
    assert not rigged.path.exists()  # looking makes nothing
    rigged.set_up(keeper, *TWO)
    assert rigged.opens() == {"shop/default": f"{CANARY}-default", "shop/work": f"{CANARY}-work"}
    kept = rigged.vault().open("shop", "work")
    assert kept is not None
    assert kept.binding == TWO[1]
    assert rigged.vault().open("shop", "other") is None
    record = rigged.vault().record()
    assert record is not None
    assert (record.provider, "Canary" in repr(kept)) == (keeper, False)


def test_a_credential_has_several_secrets_and_a_connector_several_accounts(rigged: Rig) -> None:
    vault = rigged.set_up("file")
    secrets = {"access": Secret("ä\udc80\0"), "refresh": Secret("R" * 5000), "": Secret("")}
    for each in (binding("b"), binding("a"), binding("a", "desk")):
        vault.keep(each, secrets)
    assert [(each.connector, each.account) for each in rigged.vault().all()] == [
        ("desk", "a"),
        ("shop", "a"),
        ("shop", "b"),
    ]
    for kept in rigged.vault().opened():
        assert {name: text.reveal() for name, text in kept.secrets.items()} == {
            name: text.reveal() for name, text in secrets.items()
        }
    assert rigged.vault().remove("shop", "a")
    assert not rigged.vault().remove("shop", "a")
    assert [each.account for each in rigged.vault().all()] == ["a", "b"]


def test_one_is_replaced_only_by_whoever_has_seen_it_last(rigged: Rig) -> None:
    ours, theirs = rigged.set_up("file", *TWO), rigged.vault()
    kept = ours.open("shop", "default")
    assert kept is not None
    theirs.keep(binding(), {"secret": Secret("theirs")})
    late = refused(lambda: ours.keep(binding(), {"secret": Secret(CANARY)}, version=kept.version))
    assert late == "The credential of shop/default was changed meanwhile."
    now = ours.open("shop", "default")
    assert now is not None
    ours.keep(binding(), {"secret": Secret("ours")}, version=now.version)
    assert secret(theirs.open("shop", "default")) == "ours"
    # nor one that was removed, even if it was connected anew since
    last = ours.open("shop", "default")
    assert last is not None
    theirs.remove("shop", "default")
    for _ in range(2):
        refused(lambda: ours.keep(binding(), {"secret": Secret(CANARY)}, version=last.version))
        theirs.keep(binding(), {"secret": Secret("anew")})
    assert secret(ours.open("shop", "default")) == "anew"


def test_a_rotation_is_no_change_of_a_credential(rigged: Rig) -> None:
    vault = rigged.set_up("keyring", *TWO)
    kept = vault.open("shop", "default")
    assert kept is not None
    rigged.vault().rotate("keyring", {})
    vault.keep(binding(), {"secret": Secret("refreshed")}, version=kept.version)
    assert secret(rigged.vault().open("shop", "default")) == "refreshed"


def test_many_are_kept_all_or_none(rigged: Rig) -> None:
    vault = rigged.set_up("file", binding())
    before = rigged.everything()
    broken: Any = {"secret": "no secret"}
    with pytest.raises(AttributeError):
        vault.keep_all([(binding("one"), {"secret": Secret(CANARY)}), (binding("two"), broken)])
    assert rigged.everything() == before
    vault.keep_all([(each, {"secret": Secret("new")}) for each in (binding(), binding("one"))])
    assert rigged.opens() == {"shop/default": "new", "shop/one": "new"}


def test_nothing_in_the_folder_says_what_is_sealed(rigged: Rig) -> None:
    vault = rigged.set_up("keyring", *TWO)
    (box,) = rigged.sql("SELECT wrapped, sealed FROM credential WHERE account = 'default'")
    vault.rotate("keyring", {})
    vault.remove("shop", "default")
    rigged.close()
    files = {path.name: path.read_bytes() for path in rigged.folder.rglob("*") if path.is_file()}
    forms = {CANARY.encode(), CANARY.encode()[::-1], base64.b64encode(CANARY.encode())[:20]}
    assert not [name for name, text in files.items() for form in forms if form in text]
    # what was removed is not left behind in a free page either
    assert not [name for name, text in files.items() for part in box if part in text]


# --- what an attacker does to the database ---------------------------------------------------------------


def flipped(value: Any) -> Any:
    """Another value of the same type, as near as may be."""
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, int):
        return value + 1
    return value.replace("a", "b", 1) if "a" in value else f"{value}a"


OTHER_TYPES = [None, 10**12, 1.5, b"\xff", "text", "", "[[", "{}", '{"a": 1}', "[" * 3000]


@pytest.mark.parametrize("column", [column.name for column in CREDENTIAL.columns])
def test_an_edit_of_any_column_of_a_row_is_refused(column: str, rigged: Rig) -> None:
    vault = rigged.set_up("file", *TWO)
    value = rigged.sql(f"SELECT {column} FROM credential WHERE account = 'default'")[0][0]
    rigged.sql(f"UPDATE credential SET {column} = ? WHERE account = 'default'", flipped(value))
    says = opening(rigged, "default") if column in ("id", "connector", "account") else opening(rigged)
    if column in ("id", "connector", "account"):
        assert says.startswith(NOT_AS_LEFT)
        assert opening(rigged, "work").startswith(NOT_AS_LEFT)
        return
    assert says.endswith(NOT_AS_SEALED) or says.startswith("The vault is damaged")
    assert refused(lambda: rigged.vault().rotate("keyring", {})) == says
    assert rigged.backend.names() == []  # the new key was taken back
    assert refused(lambda: list(rigged.vault().opened())) == says
    if says.endswith(NOT_AS_SEALED):
        # the others go on, also in a process that has the key already, and connecting it anew mends it
        assert secret(rigged.vault().open("shop", "work")) == f"{CANARY}-work"
        assert refused(lambda: vault.open("shop", "default")) == says
        vault.keep(binding(), {"secret": Secret("anew")})
        assert rigged.opens() == {"shop/default": "anew", "shop/work": f"{CANARY}-work"}


@pytest.mark.parametrize("table", [CREDENTIAL, MASTER_KEY], ids=str)
def test_columns_of_any_other_type_are_refused_in_a_line(table: Any, rigged: Rig) -> None:
    """SQLite keeps any type in any column, once the schema is written anew."""
    rigged.set_up("file", binding())
    rigged.close()
    good = rigged.rows(table.name)
    names = [column.name for column in table.columns]
    rigged.sql(f"DROP TABLE {table.name}")
    rigged.sql(f"CREATE TABLE {table.name} ({', '.join(names)})")
    for name in names:
        for value in OTHER_TYPES:
            rigged.put_rows([{**good[0], name: value}], table.name)
            refused(lambda: rigged.vault().open("shop", "default"), MCPGateError)
            refused_or_none(rigged.vault().record)
            refused_or_none(rigged.vault().all)
    rigged.put_rows(good, table.name)
    assert rigged.opens() == {"shop/default": f"{CANARY}-default"}


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("credential", "settings", '{"a": 1}'),
        ("credential", "settings", "[]"),
        ("credential", "origins", "[1]"),
        ("credential", "origins", '{"a": "b"}'),
        ("credential", "origins", "null"),
        ("master_key", "place", '{"path": 1}'),
        ("master_key", "place", '["path"]'),
        ("master_key", "provider", "nobody"),
        ("master_key", "provider", "keyring"),
    ],
)
def test_what_is_looked_at_without_the_key_is_damaged_or_what_it_says(
    table: str, column: str, value: str, rigged: Rig
) -> None:
    rigged.set_up("file", binding())
    rigged.sql(f"UPDATE {table} SET {column} = ?", value)
    assert refused(rigged.vault().all).startswith("The vault is damaged")


def refused_or_none(act: Callable[[], object]) -> None:
    try:
        act()
    except MCPGateError as error:
        one_line(error)


@pytest.mark.parametrize("column", [column.name for column in MASTER_KEY.columns])
def test_an_edit_of_any_column_of_the_record_is_refused(column: str, rigged: Rig) -> None:
    vault = rigged.set_up("file", *TWO)
    other = Path(rigged.places["file"]["path"]).with_name("other.key")
    rigged.vault()._providers["file"].make("x", {"path": str(other)})
    value = {"provider": "keyring", "place": f'{{"path": "{other}"}}', "made": "2020-01-01T00:00:00Z"}.get(
        column, flipped(rigged.sql(f"SELECT {column} FROM master_key")[0][0])
    )
    rigged.sql(f"UPDATE master_key SET {column} = ?", value)
    says = opening(rigged)
    assert any(
        part in says
        for part in (NOT_AS_LEFT, "is not the vault's", "The vault is damaged", "has lost the record")
    )
    keeping = {"secret": Secret(CANARY)}
    for opened in (vault, rigged.vault()):
        # also by a process that has had the key before
        for act in (
            lambda opened=opened: opened.open("shop", "default"),
            lambda opened=opened: opened.keep(binding(), keeping),
            lambda opened=opened: opened.keep_all([(binding("new"), keeping)]),
            lambda opened=opened: opened.remove("shop", "default"),
            lambda opened=opened: opened.rotate("keyring", {}),
            lambda opened=opened: opened.unlock(),
        ):
            before = rigged.everything()
            refused(act)
            assert rigged.everything() == before


def test_a_record_elsewhere_with_a_key_that_fits_it_does_not_open_old_rows(rigged: Rig) -> None:
    """A whole vault can be put in place of this one, but nothing of this one opens in it."""
    rigged.set_up("file", *TWO)
    theirs = Rig(rigged.folder / "theirs")
    theirs.set_up("file", binding())
    rigged.put_rows(theirs.rows("master_key"), "master_key")
    assert opening(rigged).startswith(NOT_AS_LEFT)
    theirs.close()


def swap_boxes(rig: Rig) -> None:
    one, two = rig.rows()
    rig.put_rows([{**one, "wrapped": two["wrapped"], "sealed": two["sealed"]}, two])


def swap_documents(rig: Rig) -> None:
    one, two = rig.rows()
    rig.put_rows([{**one, "sealed": two["sealed"]}, {**two, "sealed": one["sealed"]}])


def swap_rows(rig: Rig) -> None:
    one, two = rig.rows()
    rig.put_rows([{**one, "account": two["account"]}, {**two, "account": one["account"]}])


def swap_ids(rig: Rig) -> None:
    one, two = rig.rows()
    rig.put_rows([{**one, "id": two["id"]}, {**two, "id": one["id"]}])


def rename(rig: Rig) -> None:
    rig.sql("UPDATE credential SET account = 'other' WHERE account = 'work'")


def rename_connector(rig: Rig) -> None:
    rig.sql("UPDATE credential SET connector = 'desk' WHERE account = 'work'")


def take_away(rig: Rig) -> None:
    rig.sql("DELETE FROM credential WHERE account = 'default'")


def take_all_away(rig: Rig) -> None:
    rig.sql("DELETE FROM credential")


def take_the_record_away(rig: Rig) -> None:
    rig.sql("DELETE FROM master_key")


def add(rig: Rig) -> None:
    rig.put_rows([*rig.rows(), {**rig.rows()[0], "account": "more", "id": "new"}])


def truncate(rig: Rig) -> None:
    rig.sql("UPDATE credential SET sealed = substr(sealed, 1, 20)")


def no_box(rig: Rig) -> None:
    rig.sql("UPDATE credential SET sealed = x'', wrapped = x''")


@pytest.mark.parametrize(
    "attack",
    [
        *(swap_boxes, swap_documents, swap_rows, swap_ids, rename, rename_connector, take_away),
        *(take_all_away, take_the_record_away, add, truncate, no_box),
    ],
)
def test_rows_that_were_moved_are_refused(attack: Callable[[Rig], None], rigged: Rig) -> None:
    rigged.set_up("file", *TWO)
    attack(rigged)
    says = opening(rigged)
    assert any(part in says for part in (NOT_AS_LEFT, NOT_AS_SEALED, "has lost the record"))
    refused(lambda: rigged.vault().rotate("keyring", {}))
    # nor is another vault set up over what is left
    before = rigged.everything()
    refused(lambda: rigged.vault().set_up("keyring", {}), MCPGateError)
    assert rigged.everything() == before


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("what", ["row", "table", "record", "manifest"])
def test_what_was_replaced_cannot_be_put_back(what: str, rotated: bool, rigged: Rig) -> None:
    vault = rigged.set_up("file", *TWO)
    rows, record = rigged.rows(), rigged.rows("master_key")
    if rotated:
        # the old key is still there for whoever has the old file
        vault.rotate("file", {"path": str(rigged.folder / "new.key")})
    else:
        vault.keep(binding(ceiling=""), {"secret": Secret("less")})
    if what == "row":
        old = next(row for row in rows if row["account"] == "default")
        rigged.put_rows([old, *(row for row in rigged.rows() if row["account"] != "default")])
    elif what == "table":
        rigged.put_rows(rows)
    elif what == "record":
        rigged.put_rows(record, "master_key")
    else:
        rigged.sql("UPDATE master_key SET manifest = ?", record[0]["manifest"])
    says = opening(rigged)
    assert any(part in says for part in (NOT_AS_LEFT, NOT_AS_SEALED))


def test_a_trigger_that_keeps_the_old_row_closes_the_vault(rigged: Rig) -> None:
    """The manifest is of what was meant, so what a database does behind our back is found out."""
    vault = rigged.set_up("file", *TWO)
    (row,) = [row for row in rigged.rows() if row["account"] == "default"]
    rigged.sql("CREATE TABLE old AS SELECT * FROM credential WHERE account = 'default'")
    rigged.sql(
        "CREATE TRIGGER back AFTER INSERT ON credential WHEN new.account = 'default' BEGIN"
        " DELETE FROM credential WHERE id = new.id; INSERT INTO credential SELECT * FROM old; END"
    )
    vault.keep(binding(ceiling="less"), {"secret": Secret("less")})
    assert [each["id"] for each in rigged.rows() if each["account"] == "default"] == [row["id"]]
    assert opening(rigged).startswith(NOT_AS_LEFT)


def test_a_second_record_is_not_looked_at(rigged: Rig) -> None:
    rigged.set_up("file", *TWO)
    (record,) = rigged.rows("master_key")
    rigged.put_rows([{**record, "one": 0, "provider": "keyring"}, record], "master_key")
    assert len(rigged.opens()) == 2


# --- the key is not there --------------------------------------------------------------------------------


def other_passphrase(rig: Rig) -> None:
    rig.environ["MCPGATE_PASSPHRASE"] = "another one of words"


def no_passphrase(rig: Rig) -> None:
    del rig.environ["MCPGATE_PASSPHRASE"]


def other_variable(rig: Rig) -> None:
    rig.environ["VAULT"] = base64.b64encode(os.urandom(32)).decode()


def no_variable(rig: Rig) -> None:
    rig.environ["VAULT"] = " "


def key_file(rig: Rig) -> Path:
    return Path(rig.places["file"]["path"])


def other_file(rig: Rig) -> None:
    key_file(rig).write_bytes(os.urandom(31) + b"\xff")


def no_file(rig: Rig) -> None:
    key_file(rig).unlink()


def empty_file(rig: Rig) -> None:
    key_file(rig).write_text("")


def open_file(rig: Rig) -> None:
    key_file(rig).chmod(0o644)


def no_keyring(rig: Rig) -> None:
    rig.keyring_name = ""


def another_keyring(rig: Rig) -> None:
    rig.keyring_name = "Other keyring"


def no_entry(rig: Rig) -> None:
    for name in rig.backend.names():
        rig.backend.delete_password("mcpgate", name)


def other_entry(rig: Rig) -> None:
    for name in rig.backend.names():
        rig.backend.set_password("mcpgate", name, base64.b64encode(os.urandom(32)).decode())


@pytest.mark.parametrize(
    ("keeper", "change", "says"),
    [
        ("passphrase", other_passphrase, "The passphrase is not the vault's."),
        ("passphrase", no_passphrase, "The vault is locked: its passphrase is not given."),
        ("environment", other_variable, "The key in the environment is not the vault's."),
        ("environment", no_variable, "The vault is locked: VAULT is not set."),
        ("file", other_file, "The key in the key file is not the vault's."),
        ("file", no_file, "cannot be read: No such file or directory."),
        ("file", empty_file, "is not a master key."),
        ("file", open_file, "is open to other users."),
        ("keyring", no_keyring, "The Test keyring cannot be used here."),
        ("keyring", another_keyring, "The Test keyring cannot be used here."),
        ("keyring", no_entry, "The master key is no longer in the Test keyring."),
        ("keyring", other_entry, "The key in the keyring is not the vault's."),
    ],
)
def test_without_its_key_the_vault_is_closed_and_stays_what_it_is(
    keeper: str, change: Callable[[Rig], None], says: str, rigged: Rig
) -> None:
    rigged.set_up(keeper, *TWO)
    change(rigged)
    keeping = {"secret": Secret(CANARY)}
    acts: list[Callable[[SealedVault], object]] = [
        lambda vault: vault.open("shop", "default"),
        lambda vault: vault.unlock(),
        lambda vault: list(vault.opened()),
        lambda vault: vault.keep(binding("new"), keeping),
        lambda vault: vault.keep_all([(binding("new"), keeping)]),
        lambda vault: vault.remove("shop", "default"),
        lambda vault: vault.rotate("keyring", {}),
        lambda vault: vault.rotate("file", {"path": str(rigged.folder / "new.key")}),
    ]
    before = rigged.everything()
    for act in acts:
        assert refused(functools.partial(act, rigged.vault())).endswith(says)
        assert rigged.everything() == before
    assert "set up already" in refused(lambda: rigged.vault().set_up("keyring", {}), UsageError)
    assert rigged.everything() == before
    assert [each.account for each in rigged.vault().all()] == ["default", "work"]


def test_a_wrong_passphrase_that_was_typed_is_not_kept_for_the_next_time(rigged: Rig) -> None:
    rigged.set_up("passphrase", *TWO)
    del rigged.environ["MCPGATE_PASSPHRASE"]
    typed = iter(["wrong words of Canary", PASSPHRASE])
    vault = rigged.vault(lambda _: Secret(next(typed)))
    assert refused(lambda: vault.open("shop", "default")) == "The passphrase is not the vault's."
    assert secret(vault.open("shop", "default")) == f"{CANARY}-default"


def test_the_key_is_asked_for_once(rigged: Rig) -> None:
    rigged.set_up("passphrase", *TWO)
    del rigged.environ["MCPGATE_PASSPHRASE"]
    asked: list[str] = []

    def ask(prompt: str) -> Secret:
        asked.append(prompt)
        return Secret(PASSPHRASE)

    vault = rigged.vault(ask)
    for _ in range(3):
        assert secret(vault.open("shop", "default")) == f"{CANARY}-default"
    vault.keep(binding("new"), {"secret": Secret("x")})
    assert len(asked) == 1


def test_nobody_waits_while_a_person_types(rigged: Rig) -> None:
    """A passphrase is asked for outside of every transaction: another process writes meanwhile."""
    rigged.set_up("passphrase", *TWO)
    other = rigged.vault()
    other.unlock()
    del rigged.environ["MCPGATE_PASSPHRASE"]

    def ask(prompt: str) -> Secret:
        with closing(sqlite3.connect(rigged.path, timeout=0.05)) as database, database:
            database.execute("UPDATE master_key SET made = made")
        return Secret(PASSPHRASE)

    rigged.vault(ask).keep(binding("new"), {"secret": Secret("x")})
    rigged.vault(ask).rotate("passphrase", {})
    assert rigged.vault(ask).remove("shop", "new")
    assert rigged.vault(ask).record() is not None


# --- while it runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "column"),
    [("credential", "wrapped"), ("credential", "ceiling"), ("credential", "id"), ("master_key", "made")],
)
def test_what_is_changed_between_two_openings_is_refused_by_the_second(
    table: str, column: str, rigged: Rig
) -> None:
    vault = rigged.set_up("file", *TWO)
    assert secret(vault.open("shop", "default")) == f"{CANARY}-default"
    rows = rigged.rows(table)
    for _ in range(2):
        kept = "BLOB" if column == "wrapped" else "TEXT"
        rigged.sql(f"UPDATE {table} SET {column} = CAST({column} || 'x' AS {kept})")
        refused(lambda: vault.open("shop", "default"))
        rigged.put_rows(rows, table)
        assert secret(vault.open("shop", "default")) == f"{CANARY}-default"


def test_a_row_that_is_put_back_between_two_openings_is_refused(rigged: Rig) -> None:
    vault = rigged.set_up("file", *TWO)
    old = rigged.rows()
    rigged.vault().keep(binding(), {"secret": Secret("another one")})
    assert secret(vault.open("shop", "default")) == "another one"
    rigged.put_rows(old)
    assert refused(lambda: vault.open("shop", "default")).startswith(NOT_AS_LEFT)


def test_what_was_made_of_the_rows_is_made_once(rigged: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = rigged.set_up("file", *TWO)
    vault.open("shop", "default")
    for name in ("_typed", "_manifest"):
        monkeypatch.setattr(vault_rows, name, lambda *_: pytest.fail("it was looked at again"))
    assert secret(vault.open("shop", "work")) == f"{CANARY}-work"


def test_at_once_nobody_is_asked_for_the_key(rigged: Rig) -> None:
    rigged.set_up("file", *TWO)
    vault, other = rigged.vault(), rigged.vault()
    with pytest.raises(BlockingIOError):
        vault.open("shop", "default", at_once=True)
    vault.unlock()
    assert secret(vault.open("shop", "default", at_once=True)) == f"{CANARY}-default"
    # another process rotates: the key is another one, and has to be asked for again
    other.rotate("file", {"path": str(rigged.folder / "new.key")})
    with pytest.raises(BlockingIOError):
        vault.open("shop", "default", at_once=True)
    assert secret(vault.open("shop", "default")) == f"{CANARY}-default"
    assert secret(vault.open("shop", "default", at_once=True)) == f"{CANARY}-default"


def test_without_a_credential_nobody_is_asked_for_the_key_where_it_may_be_missing(rigged: Rig) -> None:
    assert rigged.vault().open("shop", "default", if_kept=True) is None
    rigged.set_up("file", *TWO)
    Path(rigged.places["file"]["path"]).unlink()
    assert rigged.vault().open("shop", "other", if_kept=True) is None
    refused(lambda: rigged.vault().open("shop", "other"))
    refused(lambda: rigged.vault().open("shop", "default", if_kept=True))


# --- what is told ----------------------------------------------------------------------------------------


def test_what_stops_a_write_shows_no_document(rigged: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's Ctrl-C, at any step that handles what is sealed."""
    vault = rigged.set_up("file", *TWO)
    before = rigged.everything()

    class Stopped(KeyboardInterrupt):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Stopped

    steps = [(vault_rows, "seal"), (sqlalchemy, "insert"), (vault_rows, "unseal"), (dataclasses, "replace")]
    for module, name in steps:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, stop)
            act: Callable[[], object] = lambda: vault.keep(binding(), {"secret": Secret(CANARY)})  # noqa: E731
            if name == "unseal":
                act = lambda: vault.open("shop", "default")  # noqa: E731
            with pytest.raises(Stopped) as caught:
                act()
        assert "Canary" not in told_in_full(caught.value)
        assert rigged.everything() == before


def test_what_a_database_raises_while_it_is_written_shows_nothing(rigged: Rig) -> None:
    vault = rigged.set_up("file", *TWO)
    rigged.sql("CREATE TRIGGER full BEFORE INSERT ON credential BEGIN SELECT RAISE(ABORT, 'Canary'); END")
    says = refused(lambda: vault.keep(binding(), {"secret": Secret(CANARY)}), MCPGateError)
    assert says.startswith(f"The database {rigged.path} cannot be used: ")
    rigged.sql("DROP TRIGGER full")
    assert rigged.opens()["shop/default"] == f"{CANARY}-default"
