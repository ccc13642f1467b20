"""`mcpgate accounts` and `mcpgate disconnect`: what is shown of a credential, and how it is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, Run, kept, leaks
from tests.standins.keyring import MemoryBackend

LIVE = "sk_live_" + "Canary" * 3
OTHER = "rk_test_other"
PASSPHRASE = "correct horse battery"
DESK = """
connector: desk
base_url: https://{site}.desk.example
settings:
  site: { type: string, pattern: '[a-z]+', description: The first part of its address. }
auth: { type: header, name: X-Token }
tools:
  desk_list_cases: { description: Cases., category: read, request: GET /cases }
"""


def test_accounts_shows_what_each_is_bound_to_and_no_key(
    connect: Run, mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    assert mcpgate("accounts").out == "No account is connected. Connect one: mcpgate connect CONNECTOR\n"
    file = tmp_path / "desk.yaml"
    file.write_text(DESK)
    connect("stripe", "--no-probe", "--allow", "transact", key=LIVE)
    connect(str(file), "--setting", "site=acme", "--account", "work", key="desk-Canary")
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", KEY)
    monkeypatch.setenv("MCPGATE_LATER_KEY", "later-CanaryCanary")
    shown, listed = mcpgate("accounts"), mcpgate("accounts", "--json")
    rows = {(row["connector"], row["account"]): row for row in json.loads(listed.out)}
    assert {key: (row["state"], row["mode"], row["variable"]) for key, row in rows.items()} == {
        ("desk", "work"): ("sealed", "", None),
        ("stripe", "default"): ("sealed", "live", None),
        ("stripe", None): ("set", "test", "MCPGATE_STRIPE_KEY"),
        ("later", None): ("set", "", "MCPGATE_LATER_KEY"),
    }
    assert rows["desk", "work"]["settings"] == {"site": "acme"}
    assert rows["stripe", "default"]["ceiling"] == "transact"
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line.strip()}
    for account, says in {
        "desk/work": ("https://acme.desk.example", "file ", "site=acme", "sealed in the vault"),
        "stripe/default": ("live", "https://api.stripe.com", "shipped", "transact"),
        "stripe": ("in MCPGATE_STRIPE_KEY, goes first",),
    }.items():
        assert [word for word in says if word not in lines[account]] == []
    assert "Canary" not in shown.out + listed.out
    assert leaks(home, shown, listed) == []


@pytest.mark.parametrize(
    ("variable", "state"), [("pk_test_CanaryCanary", "refused"), ("CanaryCanary", "refused"), (" ", None)]
)
def test_accounts_judges_a_variable_without_showing_it(
    variable: str, state: str | None, mcpgate: Run, keyring: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", variable)
    ran = mcpgate("accounts", "--json")
    assert [row["state"] for row in json.loads(ran.out)] == ([state] if state else [])
    assert "Canary" not in ran.out


def test_accounts_of_a_vault_that_does_not_open_are_listed_with_the_remedy(
    connect: Run, mcpgate: Run, keyring: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("stripe", "--no-probe")
    connect("stripe", "--account", "work", "--no-probe")
    monkeypatch.setattr("mcpgate.vault.os_keyring.find_keyring", lambda *_: None)
    rows = json.loads(mcpgate("accounts", "--json").out)
    assert [(row["account"], row["state"]) for row in rows] == [("default", "closed"), ("work", "closed")]
    assert {row["says"] for row in rows} == {"The Test keyring cannot be used here."}
    shown = mcpgate("accounts").out
    assert shown.count("The Test keyring cannot be used here.") == 2
    assert shown.splitlines()[-1] == "See: mcpgate doctor"
    refused = mcpgate("disconnect", "stripe")
    assert (refused.code, refused.err.splitlines()[0]) == (4, "The Test keyring cannot be used here.")
    assert len(json.loads(mcpgate("accounts", "--json").out)) == 2


@pytest.mark.usefixtures("headless")
def test_a_passphrase_is_typed_once_for_all_accounts(
    connect: Run, mcpgate: Run, typed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_PASSPHRASE", PASSPHRASE)
    mcpgate("init", "--passphrase")
    connect("stripe", "--no-probe")
    connect("stripe", "--account", "work", "--no-probe")
    monkeypatch.delenv("MCPGATE_PASSPHRASE")
    for passphrase, count in ((PASSPHRASE, 0), ("another one", 2)):
        ran = typed("accounts", answers=(passphrase,))
        assert ran.code == 0
        assert ran.out.count("(not shown): ") == 1
        assert ran.out.count("The passphrase is not the vault's.") == count
        assert passphrase not in ran.out


def test_disconnect_takes_one_account_and_tells_of_the_variable(
    connect: Run, mcpgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("stripe", "--no-probe")
    connect("stripe", "--account", "work", "--no-probe", key=OTHER)
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", KEY)
    ran = mcpgate("disconnect", "stripe", "--account", "work")
    assert (ran.code, kept()) == (0, {"stripe/default": KEY})
    assert "MCPGATE_STRIPE_KEY is still set." in ran.out


@pytest.mark.parametrize(
    ("words", "code"),
    [("nowhere", 3), ("stripe --account work", 3), ("./nowhere.yaml", 3), ("stripe --account A", 2)],
)
def test_disconnecting_what_is_not_there_is_told(words: str, code: int, connect: Run, mcpgate: Run) -> None:
    assert mcpgate("disconnect", *words.split()).code == code
    assert connect("stripe", "--no-probe").code == 0
    assert mcpgate("disconnect", *words.split()).code == code
    assert kept() == {"stripe/default": KEY}
