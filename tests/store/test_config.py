"""The configuration as it is kept: what is read back, who overwrites whom, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from mcpgate.activity import Row
from mcpgate.errors import MCPGateError, NotFoundError, StoreError, UsageError
from mcpgate.secrets import Secret
from mcpgate.store.changes import Changes
from mcpgate.store.config import Config, Freeze, StoredApp, StoredGrant, StoredPolicy
from mcpgate.store.config_version import VERSION
from mcpgate.store.database import Database
from mcpgate.store.tables import APP, GRANT

NOW = 1_800_000_000.0
MOMENT = "2027-01-15T08:00:00+00:00"
GRANTED = StoredGrant(
    "/a/shop.yaml",
    "work",
    "read-only",
    {"site": "acme"},
    True,
    {"shop_pay": {"digest": "d", "on": True}, "shop_undo": {"digest": "e", "on": False}},
)
APP_ = StoredApp(
    "billing",
    expires="2028-01-01T00:00:00+00:00",
    discovery=True,
    sandbox=True,
    rules=(StoredPolicy("small", "policy: small # é\n"),),
    grants=(GRANTED, StoredGrant("desk", "", "transact")),
)


class Kept:
    """A configuration, and what it wrote to the activity."""

    def __init__(self, path: Path) -> None:
        self.database = Database(str(path / "mcpgate.db"))
        self.rows: list[Row] = []
        self.fails = False
        self.config = Config(self.database, lambda: self._write, lambda: NOW)

    def _write(self, connection: Connection, row: Row) -> None:
        if self.fails:
            raise RuntimeError("the log cannot be written")
        assert connection.in_transaction()
        self.rows.append(row)

    @property
    def version(self) -> int:
        with self.database.read() as connection:
            return int(connection.exec_driver_sql(VERSION).scalar() or 0)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.database.close()


def test_looking_makes_no_database(kept: Kept) -> None:
    assert (kept.config.all(), kept.config.freezes(), kept.config.account_policy()) == ((), (), "")
    assert kept.config.find("billing") is None
    assert kept.config.by_key("mgw_" + "A" * 43) is None
    assert not kept.database.exists()


def test_an_app_is_read_back_as_it_was_kept_without_its_key(kept: Kept) -> None:
    key = kept.config.create(APP_)
    made = replace(APP_, created=MOMENT)
    assert kept.config.find("billing") == made
    assert kept.config.all() == (made,)
    assert kept.config.by_key(key.reveal()) == made
    assert [grant.name for grant in made.grants] == ["shop", "desk"]
    data = b"".join(path.read_bytes() for path in Path(kept.database.address).parent.glob("mcpgate.db*"))
    assert key.reveal().encode() not in data  # row 23
    assert key.reveal() not in repr(kept.rows)


def test_another_key_is_another_app_and_the_old_one_is_none(kept: Kept) -> None:  # row 23
    first, second = kept.config.create(APP_), kept.config.create(StoredApp("other"))
    found = kept.config.by_key(second.reveal())
    assert found is not None
    assert found.name == "other"
    newer = kept.config.rotate("billing")
    assert kept.config.by_key(first.reveal()) is None
    assert kept.config.by_key(newer.reveal()) == kept.config.find("billing")
    kept.config.delete(found)
    assert kept.config.by_key(second.reveal()) is None


def test_an_expired_or_paused_app_is_found_and_tells_so(kept: Kept) -> None:
    key = kept.config.create(replace(APP_, expires=MOMENT, paused=True))
    found = kept.config.by_key(key.reveal())
    assert found is not None
    assert found.paused
    assert (found.expired(NOW), found.expired(NOW - 1)) == (True, False)


def test_what_is_no_key_never_reaches_the_database(kept: Kept) -> None:
    kept.config.create(APP_)

    class Closed(Database):
        def read(self) -> Any:
            raise AssertionError("the database was asked")

    asked = Config(Closed(kept.database.address), lambda: lambda *_: None)
    for text_ in ("", "mgw_", "mgw_" + "A" * 42, "' OR 1=1 --", "mgw_" + "A" * 43 + "\n"):
        assert asked.by_key(text_) is None


STEPS: list[tuple[Callable[[Changes, StoredApp], object], str]] = [
    (lambda it, app: it.create(StoredApp("new")), "apps create new"),
    (lambda it, app: it.rotate("billing"), "apps rotate billing"),
    (lambda it, app: it.replace(app, replace(app, paused=True), "apps pause billing"), "apps pause billing"),
    (lambda it, app: it.delete(app), "apps delete billing"),
    (lambda it, app: it.set_account_policy("policy: x\n", ""), "policy apply, sha256 "),
    (lambda it, app: it.freeze(), "freeze everything"),
    (lambda it, app: it.freeze("billing", "", "erase"), "freeze app billing, effect erase"),
]


@pytest.mark.parametrize(("step", "says"), STEPS)
def test_a_change_raises_the_version_and_is_written_down_or_is_not_made(
    kept: Kept, step: Callable[[Changes, StoredApp], object], says: str
) -> None:
    kept.config.create(APP_)
    app = kept.config.find("billing")
    assert app is not None
    before = (kept.version, kept.config.all(), kept.config.freezes(), kept.config.account_policy())
    kept.fails = True
    with pytest.raises(RuntimeError), kept.config.changing() as changes:
        step(changes, app)
    assert before == (kept.version, kept.config.all(), kept.config.freezes(), kept.config.account_policy())
    kept.fails = False
    with kept.config.changing() as changes:
        step(changes, app)
    assert kept.version == before[0] + 1
    assert (kept.rows[-1].kind, kept.rows[-1].at) == ("changed", NOW)
    assert kept.rows[-1].says.startswith(says)


def test_several_changes_are_one_version_and_happen_together(kept: Kept) -> None:
    kept.config.create(APP_)
    with kept.config.changing() as it:
        it.create(StoredApp("old"))
        it.freeze("old")
    assert kept.version == 2

    def twice() -> None:
        with kept.config.changing() as it:
            it.create(StoredApp("new"))
            it.create(APP_)

    with pytest.raises(UsageError, match="There is an app billing already"):
        twice()
    assert [app.name for app in kept.config.all()] == ["billing", "old"]
    assert kept.version == 2


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda it, old: it.replace(old, replace(old, sandbox=False), "x"), UsageError),
        (lambda it, old: it.delete(old), UsageError),
        (lambda it, old: it.set_account_policy("policy: mine\n", ""), UsageError),
        (lambda it, old: it.rotate("gone"), NotFoundError),
        (lambda it, old: it.delete(StoredApp("gone")), NotFoundError),
    ],
)
def test_nobody_overwrites_what_somebody_else_has_changed_meanwhile(
    kept: Kept, act: Callable[[Config, StoredApp], object], error: type[MCPGateError]
) -> None:
    kept.config.create(APP_)
    old = kept.config.find("billing")
    assert old is not None
    switched = replace(GRANTED, tools={"shop_pay": {"digest": "d", "on": False}})
    kept.config.replace(old, replace(old, grants=(switched,)), "apps disable")
    kept.config.set_account_policy("policy: theirs\n", "")
    now, version = kept.config.find("billing"), kept.version
    with pytest.raises(error):
        act(kept.config, old)
    assert (kept.config.find("billing"), kept.config.account_policy()) == (now, "policy: theirs\n")
    assert kept.version == version


def test_a_freeze_is_told_with_its_moment_and_ended_by_the_same_words(kept: Kept) -> None:
    assert kept.config.freeze(effect="money_out")
    assert kept.config.freeze()
    version = kept.version
    assert not kept.config.freeze(effect="money_out")
    assert not kept.config.thaw(effect="erase")
    assert kept.version == version
    assert set(kept.config.freezes()) == {Freeze("", "", "money_out", MOMENT), Freeze("", "", "", MOMENT)}
    assert kept.config.thaw()
    assert [each.what for each in kept.config.freezes()] == ["effect money_out"]


@pytest.mark.parametrize(
    "name", ["run", "probe", "", "Billing", "-a", "a_b", "a" * 41, "a b", "é", "a\n", "../x", "a.b"]
)
def test_a_name_that_cannot_be_an_apps_is_refused(kept: Kept, name: str) -> None:
    with pytest.raises(UsageError):
        kept.config.create(StoredApp(name))
    assert kept.config.all() == ()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (GRANT, "tools", "[]"),
        (GRANT, "tools", '{"shop_pay": {"digest": "d", "on": 1}}'),
        (GRANT, "tools", '{"shop_pay": {"on": true}}'),
        (GRANT, "settings", '{"site": 1}'),
        (GRANT, "settings", "{"),
        (APP, "rules", '["policy: x"]'),
        (APP, "rules", "[" * 5000),
        (APP, "rules", "null"),
    ],
)
def test_a_row_that_is_not_as_it_was_written_opens_nothing(
    kept: Kept, table: Any, column: str, value: str
) -> None:
    key = kept.config.create(APP_)
    with kept.database.write() as connection:
        connection.execute(table.update().values({column: value}))
    for read in (kept.config.all, lambda: kept.config.by_key(key.reveal())):
        with pytest.raises(StoreError, match="is not as it was written"):
            read()


def test_the_grants_of_a_deleted_app_go_with_it(kept: Kept) -> None:
    kept.config.create(APP_)
    app = kept.config.find("billing")
    assert app is not None
    kept.config.delete(app)
    with kept.database.read() as connection:
        assert connection.execute(select(GRANT)).all() == []
        assert connection.execute(text("SELECT count(*) FROM app")).scalar() == 0


def test_a_key_is_a_secret_that_does_not_show_itself(kept: Kept) -> None:
    key = kept.config.create(APP_)
    assert isinstance(key, Secret)
    assert repr(key) == "***"
