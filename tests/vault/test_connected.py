"""What a connected credential is bound to, and which one a call gets. Rows 15 and 16."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from mcpgate.apps import open_account
from mcpgate.catalog import load_policy
from mcpgate.errors import CredentialError, UsageError
from mcpgate.store.tables import CREDENTIAL
from mcpgate.values import Account
from mcpgate.vault.binding import UNCHOSEN, check_name
from mcpgate.vault.chosen import ChosenVault
from mcpgate.vault.connected import ConnectedVault
from mcpgate.vault.environment import EnvironmentVault
from mcpgate.vault.providers import FileProvider
from mcpgate.vault.sealed_vault import SealedVault
from tests.vault.connected import KEY, SHOP, Rig, account, asking, shop

LIVE = "live_canarycanary"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.database.close()


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


# --- what a credential is bound to: row 15 ---------------------------------------------------------------


def test_a_kept_secret_opens_for_its_account_alone(rig: Rig) -> None:
    rig.keep(account())
    rig.keep(account(name="work", site="two"), "test_other")
    assert rig.opens(account()) == KEY
    assert rig.opens(account(name="work", site="two")) == "test_other"
    assert "has no account 'home'. A person has to run `mcpgate connect shop --account home`" in rig.refuses(
        account(name="home")
    )
    work = rig.sealed.find("shop", "work")
    assert work is not None
    assert (work.origins, dict(work.settings)) == (("https://two.shop.example",), {"site": "two"})
    assert rig.scrubber.text(f"it is {KEY}") == "it is ***"


def test_a_connector_without_auth_needs_none(rig: Rig) -> None:
    wanted = account(dataclasses.replace(shop(), auth=None))
    assert rig.vault.open(wanted, asking(wanted)) is None
    rig.vault.check(wanted)


MOVED = SHOP.replace("shop.example", "evil.example")
FIXED = SHOP.replace("{site}", "www")
MORE = SHOP.replace("GET /ping", "GET /secrets")
OTHER_AUTH = SHOP.replace("type: bearer", "type: query\n  name: key")
FILE = "file", SHOP, "a b/shop.yaml"
AGAIN = "A person has to run `mcpgate connect shop`."
UNDER_ANOTHER = "Connect this one under another name: mcpgate connect 'a b/shop.yaml' --account NAME"


@pytest.mark.parametrize(
    ("kept", "wanted", "says", "type_this"),
    [
        (
            account(),
            account(shop(text=MOVED)),
            "was connected for https://main.shop.example, and The Shop now sends to https://main.evil.example.",
            AGAIN,
        ),
        (
            account(),
            account(shop("own")),
            "was connected for the shipped connector, and this is a connector of one's own.",
            "Connect this one under another name: mcpgate connect shop --account NAME",
        ),
        *(
            (
                account(),
                account(shop("file", text, "a b/shop.yaml")),
                "was connected for the shipped connector, and this is a file.",
                UNDER_ANOTHER,
            )
            for text in (SHOP, MOVED, MORE, OTHER_AUTH)
        ),
        (
            account(shop(*FILE)),
            account(),
            "was connected for a file, and this is the shipped connector.",
            "mcpgate connect shop --account NAME",
        ),
        *(
            (
                account(shop(*FILE)),
                account(shop("file", text, "a b/shop.yaml")),
                "was connected for another version of a b/shop.yaml.",
                "A person has to run `mcpgate connect 'a b/shop.yaml'`.",
            )
            for text in (SHOP + " ", MOVED, MORE, OTHER_AUTH)
        ),
        (
            account(),
            account(site="two"),
            "was connected for https://main.shop.example, and The Shop now sends to https://two.shop.example.",
            AGAIN,
        ),
        (
            account(shop(text=FIXED)),
            account(shop(text=FIXED), site="two"),
            "was connected with site=main, and this is with site=two.",
            AGAIN,
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
    with pytest.raises(CredentialError):
        rig.vault.check(wanted)


@pytest.mark.parametrize(
    "changed",
    [
        {"origins": json.dumps(["https://main.evil.example"])},
        {"source": "own shop"},
        {"settings": json.dumps({"site": "two"})},
        {"mode": ""},
        {"ceiling": ""},
        {"ceiling": '{"preset": "all", "allow": ["read", "write", "delete"]}'},
        {"account": "work"},
    ],
)
def test_whoever_edits_what_a_secret_is_bound_to_opens_nothing(changed: dict[str, str], rig: Rig) -> None:
    kept = account()
    rig.keep(kept, most=None if changed.get("ceiling") else load_policy("read-only", "preset"))
    with rig.database.write() as connection:
        connection.execute(update(CREDENTIAL).values(changed))
    wanted = [
        account(shop(text=MOVED)),
        account(shop("own")),
        account(site="two"),
        account(name=changed.get("account", "default"), live=True),
    ]
    for each in wanted:
        assert "is not as it was" in rig.refuses(
            dataclasses.replace(each, name=changed.get("account", "default"))
        )


def test_a_shipped_connector_may_be_updated(rig: Rig) -> None:
    rig.keep(account())
    assert rig.opens(account(shop(text=SHOP + "# changed"))) == KEY


def test_a_file_with_a_known_name_gets_the_secret_only_for_the_known_place(tmp_path: Path) -> None:
    rig = Rig(tmp_path, known=shop())
    rig.keep(account(shop(*FILE)))
    assert rig.opens(account(shop(*FILE))) == KEY
    moved = account(shop("file", MOVED))
    rig.keep(moved)
    says = "bears the name of the connector shop, but sends to https://main.evil.example"
    assert says in rig.refuses(moved)
    elsewhere = account(shop("file", OTHER_AUTH))
    rig.keep(elsewhere)
    assert "but sends the key another way than that one does" in rig.refuses(elsewhere)
    rig.database.close()


# --- live keys: row 16 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "mode"), [(LIVE, "live"), (LIVE, ""), (KEY, "live")])
def test_a_live_key_runs_only_with_live(text: str, mode: str, rig: Rig) -> None:
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


def test_what_was_found_to_fit_is_judged_anew_for_another_account_and_another_secret(rig: Rig) -> None:
    rig.keep(account())
    fitting = account()
    assert rig.opens(fitting) == rig.opens(fitting) == KEY
    at = "https://elsewhere.example"
    elsewhere = dataclasses.replace(fitting, base_url=at, origin=at)
    for other in (open_account(fitting.connector, {"site": "two"}), elsewhere):
        assert "was connected" in rig.refuses(other)
        assert rig.opens(fitting) == KEY
    rig.keep(account(), LIVE, "live")
    assert "live keys run only with --live" in rig.refuses(fitting)
    assert rig.scrubber.text(LIVE) == "***"


def test_what_fits_is_judged_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.keep(account())
    fitting = account()
    rig.opens(fitting)
    monkeypatch.setattr("mcpgate.vault.connected.judge", lambda *_, **__: pytest.fail("it was judged again"))
    assert rig.opens(fitting) == KEY


# --- which one a call gets -------------------------------------------------------------------------------


def chosen(rig: Rig, variable: str | None = None) -> ChosenVault:
    environ = {} if variable is None else {"MCPGATE_SHOP_KEY": variable}
    environment = EnvironmentVault(environ, lambda _: None, rig.scrubber)
    return ChosenVault(environ, rig.sealed, environment, rig.vault)


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
    vault, wanted = chosen(rig, variable), account(name=name)
    if gets.startswith("test_"):
        secret = vault.open(wanted, asking(wanted))
        assert secret is not None
        assert secret.reveal() == gets
        vault.check(wanted)
        return
    with pytest.raises(CredentialError):
        vault.check(wanted)
    with pytest.raises(CredentialError) as caught:
        vault.open(wanted, asking(wanted))
    assert caught.value.message == gets
    assert "`mcpgate connect shop" in caught.value.hint


@pytest.mark.parametrize("name", [UNCHOSEN, "default"])
def test_at_once_a_call_gets_what_needs_no_asking(name: str, rig: Rig) -> None:
    rig.keep(account())
    wanted = account(name=name)
    assert chosen(rig).open_at_once(wanted, asking(wanted))
    fresh = SealedVault(rig.database, {"file": FileProvider()})
    other = ChosenVault({}, fresh, chosen(rig), ConnectedVault(fresh, lambda _: None, rig.scrubber))
    with pytest.raises(BlockingIOError):
        other.open_at_once(wanted, asking(wanted))
    assert other.open(wanted, asking(wanted))
    assert other.open_at_once(wanted, asking(wanted))


def test_at_once_the_variable_is_there(rig: Rig) -> None:
    wanted = account(name=UNCHOSEN)
    secret = chosen(rig, "test_variable").open_at_once(wanted, asking(wanted))
    assert secret is not None
    assert secret.reveal() == "test_variable"


def test_what_is_connected_or_disconnected_while_it_runs_counts_at_once(rig: Rig) -> None:
    vault, wanted = chosen(rig), account(name=UNCHOSEN)
    with pytest.raises(CredentialError):
        vault.open(wanted, asking(wanted))
    rig.keep(account())
    assert vault.open(wanted, asking(wanted))
    rig.sealed.remove("shop", "default")
    with pytest.raises(CredentialError):
        vault.open(wanted, asking(wanted))
