"""What a credential is bound to. Row 15."""

from __future__ import annotations

import dataclasses
import json
from hashlib import sha256
from typing import Any

import pytest

from mcpgate.errors import UsageError
from mcpgate.values import Account
from mcpgate.vault.binding import Binding, check_name, origins_of, said, source_of
from tests.vault.connected import SHOP, account, shop

MOVED = SHOP.replace("shop.example", "evil.example")
FIXED = SHOP.replace("{site}", "www")
FILE = shop("file", path="a b/shop.yaml")
CHANGED = shop("file", f"{SHOP}# changed", "a b/shop.yaml")
ORIGIN = "https://main.shop.example"


def bound(to: Account, **changes: Any) -> Binding:
    """What an account is bound to when it is connected."""
    source, origins = source_of(to.connector), origins_of(to)
    made = Binding(to.connector.name, to.name, origins, source, dict(to.settings), "test", "2026")
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    "to", [account(), account(name="work", site="two"), account(shop("own")), account(FILE)]
)
def test_an_account_is_what_it_was(to: Account) -> None:
    assert bound(to).fault(to) == ""
    assert bound(to).same_kind(to.connector)


def test_a_shipped_or_own_connector_may_be_updated_and_a_file_may_not() -> None:
    for kind in ("shipped", "own"):
        assert bound(account(shop(kind))).fault(account(shop(kind, f"{SHOP}# changed"))) == ""
    assert source_of(shop()) == "shipped shop"
    assert source_of(shop("own")) == "own shop"
    assert source_of(FILE) == f"file {sha256(SHOP.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("kept", "wanted", "says"),
    [
        (
            account(),
            account(shop(text=MOVED)),
            f"was connected for {ORIGIN}, and The Shop now sends to https://main.evil.example",
        ),
        (
            account(),
            account(site="two"),
            f"was connected for {ORIGIN}, and The Shop now sends to https://two.shop.example",
        ),
        (
            account(shop(text=FIXED)),
            account(shop(text=FIXED), site="two"),
            "was connected with site=main, and this is with site=two",
        ),
        (account(), account(shop("own")), "the shipped connector, and this is a connector of one's own"),
        (account(), account(FILE), "was connected for the shipped connector, and this is a file"),
        (account(FILE), account(), "was connected for a file, and this is the shipped connector"),
        (account(shop("own")), account(), "a connector of one's own, and this is the shipped connector"),
        (account(FILE), account(CHANGED), "was connected for another version of a b/shop.yaml"),
        (account(name="work"), account(), "belongs to shop/work"),
    ],
)
def test_another_place_source_setting_or_name_is_another_account(
    kept: Account, wanted: Account, says: str
) -> None:
    assert says in bound(kept).fault(wanted)


@pytest.mark.parametrize("source", ["", "nowhere", "elsewhere shop"])
def test_a_source_that_nobody_knows_is_another_one(source: str) -> None:
    fault = bound(account(), source=source).fault(account())
    assert fault == "was connected for something else, and this is the shipped connector"


def test_one_more_origin_is_another_place() -> None:
    more = bound(account(), origins=(ORIGIN, "https://two.example"))
    assert more.fault(account()).startswith(f"was connected for {ORIGIN}, https://two.example, and")


def test_a_binding_is_json_and_names_no_secret() -> None:
    facts = bound(account(), ceiling="{}").facts()
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {field.name for field in dataclasses.fields(Binding)}
    assert (facts["origins"], facts["settings"]) == ([ORIGIN], {"site": "main"})
    assert said({"b": "2", "a": "1"}) == "a=1, b=2"
    assert said({}) == "no settings"


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
