"""Accounts: the index, what a credential is bound to, and which one a call gets."""

from __future__ import annotations

import dataclasses
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mcpgate.apps import open_account
from mcpgate.errors import CredentialError, UsageError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import read_connector
from mcpgate.values import Account, Connector, Source
from mcpgate.vault.accounts import UNCHOSEN, Accounts, Binding, check_name
from mcpgate.vault.chosen import ChosenVault
from mcpgate.vault.environment import EnvironmentVault
from mcpgate.vault.keyring_vault import KeyringVault
from mcpgate.vault.os_keyring import Keyring
from tests.standins.keyring import MemoryBackend

SHOP = """
connector: shop
title: The Shop
base_url: https://{site}.shop.example
settings:
  site: { type: string, pattern: '[a-z]+', default: main }
auth:
  type: bearer
  secret:
    kinds:
      - { match: 'test_\\w+', mode: test }
      - { match: 'live_\\w+', mode: live }
      - { match: 'pub_\\w+', refuse: Public. }
tools:
  shop_ping: { description: Ping., category: read, request: GET /ping }
"""
KEY = "test_canarycanary"
LIVE = "live_canarycanary"
BINDING = Binding("shop", "default", ("https://a.example",), "shipped shop", {"a": "b"}, "test", "2026", "K")


def shop(kind: Any = "shipped", text: str = SHOP, path: str = "shop.yaml") -> Connector:
    data = text.encode()
    return read_connector("shop.yaml", data, Source(kind, path, sha256(data).hexdigest()))


def account(
    connector: Connector | None = None, name: str = "default", *, live: bool = False, **settings: str
) -> Account:
    return open_account(connector or shop(), settings, name, live=live)


class Rig:
    """A vault over a keyring in memory, with its index in a folder of the test."""

    def __init__(self, folder: Path, known: Connector | None = None) -> None:
        self.path = folder / "home" / "accounts.json"
        self.accounts = Accounts(self.path)
        self.backend = MemoryBackend()
        self.scrubber = Scrubber()
        self.name = "Test keyring"
        self.vault = KeyringVault(self.accounts, lambda _: known, self.scrubber, self._find)

    def _find(self, name: str) -> Keyring | None:
        return Keyring(self.name, self.backend) if name in ("", self.name) else None

    def keep(self, kept: Account, text: str = KEY, mode: str = "test") -> None:
        self.vault.keep(kept, Secret(text), mode)

    def opens(self, wanted: Account) -> str:
        secret = self.vault.open(wanted)
        assert secret is not None
        return secret.reveal()

    def refuses(self, wanted: Account) -> str:
        with pytest.raises(CredentialError) as caught:
            self.vault.open(wanted)
        return f"{caught.value.message} {caught.value.hint}"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# --- the index -------------------------------------------------------------------------------------------


def test_the_index_is_private_whole_and_in_order(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "home" / "accounts.json")
    assert accounts.all() == ()
    rows = [dataclasses.replace(BINDING, connector=name, account=it) for name, it in ("b1", "b2", "a9")]
    for row in rows:
        accounts.put(row)
    changed = dataclasses.replace(rows[0], mode="live")
    accounts.put(changed)
    assert accounts.all() == (rows[2], changed, rows[1])
    accounts.drop("b", "2")
    assert accounts.all() == (rows[2], changed)
    assert accounts.find("b", "1") == changed
    assert accounts.find("b", "2") is None
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / "accounts.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["accounts.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"connector": 1},
        {"origins": "https://a.example"},
        {"origins": [1]},
        {"origins": None},
        {"settings": {"a": 1}},
        {"settings": "a=b"},
        {"source": "somewhere shop"},
        {"mode": None},
        {"keyring": ["K"]},
        None,
    ],
)
def test_a_damaged_index_is_told_and_left_as_it_is(change: dict[str, Any] | None, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    rows = [{**BINDING.facts(), **change}] if change is not None else [{"connector": "shop"}]
    text = json.dumps({"accounts": rows})
    path.write_text(text)
    for act in (
        Accounts(path).all,
        lambda: Accounts(path).put(BINDING),
        lambda: Accounts(path).drop("a", "b"),
    ):
        with pytest.raises(CredentialError, match=r"accounts\.json is damaged\."):
            act()
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"accounts": 1}', '{"accounts": [1]}', "[" * 9999, "\xff"]
)
def test_what_is_no_index_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CredentialError, match=r"accounts\.json is damaged\."):
        Accounts(path).all()


def test_an_index_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").mkdir()
    with pytest.raises(CredentialError, match="cannot be read: Is a directory"):
        Accounts(tmp_path / "accounts.json").all()
    (tmp_path / "file").touch()
    with pytest.raises(CredentialError, match="Not a directory"):
        Accounts(tmp_path / "file" / "accounts.json").put(BINDING)


@pytest.mark.parametrize(
    ("name", "good"),
    [("a", True), ("work-2.eu_b", True), ("9" * 40, True)]
    + [(name, False) for name in ("", "-a", ".a", "A", "a/b", "a=b", "a b", "ä", "a\n", "a" * 41)],
)
def test_names_of_accounts(name: str, good: bool) -> None:
    if good:
        assert check_name(name) == name
    else:
        with pytest.raises(UsageError, match="cannot be the name of an account"):
            check_name(name)


# --- what a credential is bound to -----------------------------------------------------------------------


def test_a_kept_secret_opens_for_its_account_alone(rig: Rig) -> None:
    rig.keep(account())
    rig.keep(account(name="work", site="two"), "test_other")
    assert rig.opens(account()) == KEY
    assert rig.opens(account(name="work", site="two")) == "test_other"
    assert "has no account 'home'. A person has to run `mcpgate connect shop --account home`" in rig.refuses(
        account(name="home")
    )
    document = json.loads(rig.backend.kept["mcpgate", "shop/work"])
    assert document["secrets"] == {"secret": "test_other"}
    assert (document["origins"], document["settings"]) == (["https://two.shop.example"], {"site": "two"})
    assert "test_" not in rig.path.read_text()
    assert rig.scrubber.text(f"it is {KEY}") == "it is ***"


def test_a_connector_without_auth_needs_none(rig: Rig) -> None:
    assert rig.vault.open(account(dataclasses.replace(shop(), auth=None))) is None


MOVED = SHOP.replace("shop.example", "evil.example")
FIXED = SHOP.replace("{site}", "www")
FILE = "file", SHOP, "a b/shop.yaml"
CHANGED_FILE = "file", f"{SHOP}# changed", "a b/shop.yaml"


@pytest.mark.parametrize(  # row 15
    ("kept", "wanted", "says", "type_this"),
    [
        (
            account(),
            account(shop(text=MOVED)),
            "was connected for https://main.shop.example, and The Shop now sends to https://main.evil.example.",
            "A person has to run `mcpgate connect shop`.",
        ),
        (
            account(),
            account(shop("own")),
            "was connected for the shipped connector, and this is a connector of one's own.",
            "Connect this one under another name: mcpgate connect shop --account NAME",
        ),
        (
            account(),
            account(shop(*FILE)),
            "was connected for the shipped connector, and this is a file.",
            "Connect this one under another name: mcpgate connect 'a b/shop.yaml' --account NAME",
        ),
        (
            account(shop(*FILE)),
            account(),
            "was connected for a file, and this is the shipped connector.",
            "mcpgate connect shop --account NAME",
        ),
        (
            account(shop(*FILE)),
            account(shop(*CHANGED_FILE)),
            "was connected for another version of a b/shop.yaml.",
            "A person has to run `mcpgate connect 'a b/shop.yaml'`.",
        ),
        (
            account(),
            account(site="two"),
            "was connected for https://main.shop.example, and The Shop now sends to https://two.shop.example.",
            "A person has to run `mcpgate connect shop`.",
        ),
        (
            account(shop(text=FIXED)),
            account(shop(text=FIXED), site="two"),
            "was connected with site=main, and this is with site=two.",
            "A person has to run `mcpgate connect shop`.",
        ),
    ],
)
def test_a_secret_is_bound_to_source_origin_and_settings(
    kept: Account, wanted: Account, says: str, type_this: str, rig: Rig
) -> None:
    rig.keep(kept)
    assert rig.opens(kept) == KEY
    refused = rig.refuses(wanted)
    assert says in refused
    assert type_this in refused
    # whoever may edit the index opens nothing with that
    rig.accounts.put(dataclasses.replace(BINDING, origins=(wanted.origin,), keyring=rig.name))
    assert says in rig.refuses(wanted)


def test_a_shipped_connector_may_be_updated(rig: Rig) -> None:
    rig.keep(account())
    assert rig.opens(account(shop(text=SHOP + "# changed"))) == KEY


def test_a_file_with_a_known_name_gets_the_secret_only_for_the_known_place(tmp_path: Path) -> None:  # row 15
    rig = Rig(tmp_path, known=shop())
    rig.keep(account(shop(*FILE)))
    assert rig.opens(account(shop(*FILE))) == KEY
    moved = account(shop("file", MOVED))
    rig.keep(moved)
    assert "bears the name of the connector shop, but sends to https://main.evil.example" in rig.refuses(
        moved
    )


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (None, "The account shop/default is no longer in the Test keyring."),
        ("", "What the Test keyring has for account shop/default is not mcpgate's."),
        (KEY, "is not mcpgate's."),
        ('{"secrets": {"secret": "x"}}', "is not mcpgate's."),
        (json.dumps({**BINDING.facts(), "secrets": {}}), "is not mcpgate's."),
        (json.dumps({**BINDING.facts(), "secrets": {"secret": ""}}), "is not mcpgate's."),
        (json.dumps({**BINDING.facts(), "secrets": {"secret": 1}}), "is not mcpgate's."),
        (json.dumps({**BINDING.facts(), "secrets": [1]}), "is not mcpgate's."),
    ],
)
def test_an_entry_that_is_gone_or_strange_is_told_with_what_to_type(
    document: str | None, says: str, rig: Rig
) -> None:
    rig.keep(account())
    if document is None:
        rig.backend.kept.clear()
    else:
        rig.backend.kept["mcpgate", "shop/default"] = document
    refused = rig.refuses(account())
    assert says in refused
    assert "A person has to run `mcpgate connect shop`." in refused
    assert "canary" not in refused


def test_an_entry_of_another_account_is_refused(rig: Rig) -> None:
    rig.keep(account())
    rig.keep(account(name="work"), LIVE, "live")
    rig.backend.kept["mcpgate", "shop/default"] = rig.backend.kept["mcpgate", "shop/work"]
    assert "The account shop/default belongs to shop/work." in rig.refuses(account(live=True))


@pytest.mark.parametrize(("text", "mode"), [(LIVE, "live"), (LIVE, ""), (KEY, "live")])
def test_a_live_key_runs_only_with_live(text: str, mode: str, rig: Rig) -> None:  # row 16
    rig.keep(account(), text, mode)
    assert "live keys run only with --live" in rig.refuses(account())
    assert rig.opens(account(live=True)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [("pub_1", "is refused: Public."), ("other", "does not look like"), ("test_ 1", "spaces")],
)
def test_a_secret_is_judged_again_when_it_is_opened(text: str, says: str, rig: Rig) -> None:
    rig.keep(account(), text)
    assert says in rig.refuses(account())


def test_the_keyring_that_has_an_account_is_asked_and_no_other(rig: Rig) -> None:
    rig.keep(account())
    rig.name = "Other keyring"
    assert "shop/default is in the Test keyring, which cannot be reached from here." in rig.refuses(account())


# --- keeping and removing --------------------------------------------------------------------------------


def fail(_: object) -> object:
    raise RuntimeError(KEY)


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("broken", ["get", "set", "forgets", "index"])
def test_when_a_step_fails_what_was_there_stays(broken: str, earlier: bool, rig: Rig) -> None:
    if earlier:
        rig.keep(account(), "test_earlier")
    before, rows = dict(rig.backend.kept), rig.accounts.all()
    if broken == "index":
        rig.path.unlink(missing_ok=True)
        rig.path.mkdir(parents=True)
    elif broken == "forgets":
        rig.backend.forgets = True
    else:
        rig.backend.on[broken] = fail
    with pytest.raises(CredentialError) as caught:
        rig.keep(account())
    assert "canary" not in caught.value.message + caught.value.hint
    rig.backend.on.clear()
    assert rig.backend.kept == before
    if broken != "index":
        assert rig.accounts.all() == rows


def test_a_person_who_stops_it_loses_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.keep(account(), "test_earlier")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rig.accounts, "put", stop)
    with pytest.raises(KeyboardInterrupt):
        rig.keep(account())
    assert rig.opens(account()) == "test_earlier"


def test_removing_takes_the_entry_and_the_account(rig: Rig) -> None:
    rig.keep(account())
    (row,) = rig.accounts.all()
    assert rig.vault.holds(row)
    assert rig.vault.remove("shop", "default")
    assert rig.backend.kept == {}
    assert rig.accounts.all() == ()
    assert not rig.vault.holds(row)
    assert not rig.vault.remove("shop", "default")


def test_removing_finishes_what_was_done_by_half(rig: Rig) -> None:
    rig.keep(account())
    rig.backend.kept.clear()
    assert rig.vault.remove("shop", "default")
    assert rig.accounts.all() == ()
    rig.keep(account())
    rig.path.unlink()
    assert rig.vault.remove("shop", "default")
    assert rig.backend.kept == {}


def test_removing_from_a_keyring_that_fails_changes_nothing(rig: Rig) -> None:
    rig.keep(account())
    rig.backend.on["delete"] = fail
    with pytest.raises(CredentialError, match="failed"):
        rig.vault.remove("shop", "default")
    assert len(rig.accounts.all()) == len(rig.backend.kept) == 1


def test_without_a_keyring_it_says_what_to_type(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = KeyringVault(rig.accounts, lambda _: None, rig.scrubber, lambda _: None)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(CredentialError) as caught:
        vault.keep(account(), Secret(KEY), "test")
    assert "read -rs MCPGATE_SHOP_KEY && export MCPGATE_SHOP_KEY" in caught.value.hint
    assert "apt install gnome-keyring" in caught.value.hint
    assert not vault.remove("shop", "default")


# --- which one a call gets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variable", "connected", "gets"),
    [
        (UNCHOSEN, "test_variable", {"default"}, "test_variable"),
        (UNCHOSEN, " ", {"default"}, "test_default"),
        (UNCHOSEN, None, {"default", "work"}, "test_default"),
        (UNCHOSEN, None, {"work"}, "There is no credential for The Shop."),
        ("default", "test_variable", {"default"}, "test_default"),
        ("work", "test_variable", {"default", "work"}, "test_work"),
        ("work", "test_variable", {"default"}, "The Shop has no account 'work'."),
    ],
)
def test_the_named_account_else_the_variable_else_default(
    name: str, variable: str | None, connected: set[str], gets: str, rig: Rig
) -> None:
    for each in connected:
        rig.keep(account(name=each), f"test_{each}")
    environ = {} if variable is None else {"MCPGATE_SHOP_KEY": variable}
    environment = EnvironmentVault(environ, lambda _: None, rig.scrubber)
    vault = ChosenVault(environ, rig.accounts, environment, rig.vault)
    if gets.startswith("test_"):
        secret = vault.open(account(name=name))
        assert secret is not None
        assert secret.reveal() == gets
        return
    with pytest.raises(CredentialError) as caught:
        vault.open(account(name=name))
    assert caught.value.message == gets
    assert "`mcpgate connect shop" in caught.value.hint


def test_what_is_connected_or_disconnected_while_it_runs_counts_at_once(rig: Rig) -> None:
    environment = EnvironmentVault({}, lambda _: None, rig.scrubber)
    vault = ChosenVault({}, rig.accounts, environment, rig.vault)
    wanted = account(name=UNCHOSEN)
    with pytest.raises(CredentialError):
        vault.open(wanted)
    rig.keep(account())
    assert vault.open(wanted)
    rig.vault.remove("shop", "default")
    with pytest.raises(CredentialError):
        vault.open(wanted)
