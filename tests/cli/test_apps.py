"""`mcpgate apps`: apps are made, shown, changed, applied from a file, and taken away."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcpgate.cli.vaults import config
from mcpgate.store.config import StoredApp
from tests.cli.conftest import Ran, Run
from tests.policy.shop import SHOP

KEY = re.compile(r"mgw_[A-Za-z0-9_-]{43}")
SMALL = """\
policy: small
deny: [shop_send_note]
guardrails:
  - { for: effect:money_in, max_amount: { usd: 5 } }
"""
DESK = """
connector: desk
base_url: https://{site}.desk.example
settings: { site: { type: string, pattern: '[a-z]+', description: The first part of its address. } }
tools:
  desk_list_cases: { description: Cases., category: read, request: GET /cases }
"""


@pytest.fixture
def shop(home: Path) -> Path:
    """A connector of one's own, that is known by its name."""
    folder = home / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text(SHOP)
    return folder / "shop.yaml"


@pytest.fixture
def billing(mcpgate: Run, shop: Path) -> str:
    """An app with the shop under `transact`, and its key."""
    ran = mcpgate("apps", "create", "billing", "--connector", "shop", "-p", "transact", "--json")
    assert ran.code == 0, ran.err
    return str(json.loads(ran.out)["key"])


def kept(name: str = "billing") -> StoredApp:
    app = config().find(name)
    assert app is not None
    return app


def tools(mcpgate: Run, name: str = "billing") -> dict[str, tuple[str, bool]]:
    """The switch of each tool, and whether it is listed."""
    facts = json.loads(mcpgate("apps", "show", name, "--json").out)
    return {row["tool"]: (row["switch"], row["listed"]) for row in facts["tools"]}


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out


def test_the_key_is_shown_once_with_how_it_is_used_and_is_nowhere_else(
    mcpgate: Run, shop: Path, home: Path
) -> None:  # row 23
    made = mcpgate("apps", "create", "billing", "-c", "shop", "-p", "transact", "--expires", "90d")
    (key,) = KEY.findall(ok(made))
    assert made.err == ""
    assert "Authorization: Bearer KEY" in made.out
    assert "4 of 6 tools" in made.out
    app = config().by_key(key)
    assert app is not None
    assert app.expires > app.created
    commands = (
        ("list",),
        ("list", "--json"),
        ("show", "billing"),
        ("show", "billing", "--json"),
        ("export",),
        ("rules", "show", "billing"),
        ("pause", "billing"),
        ("resume", "billing"),
    )
    shown = [mcpgate("apps", *words) for words in commands]
    for ran in shown:
        assert key[4:20] not in ok(ran) + ran.err
    for path in home.rglob("*"):
        assert not path.is_file() or key[4:20].encode() not in path.read_bytes(), path


def test_rotating_gives_another_key_and_the_old_one_counts_no_more(mcpgate: Run, billing: str) -> None:
    newer = json.loads(ok(mcpgate("apps", "rotate", "billing", "--expires", "12h", "--json")))["key"]
    assert config().by_key(billing) is None
    assert config().by_key(newer) == kept()
    assert kept().expires
    assert "passed already" in mcpgate("apps", "rotate", "billing", "--expires", "2020-01-01T00:00:00Z").err
    config().replace(kept(), replace(kept(), expires="2020-01-01T00:00:00+00:00"), "so that it is over")
    assert mcpgate("apps", "list", "--json").out.count('"state": "expired"') == 1
    assert "--expires 90d, or never" in mcpgate("apps", "rotate", "billing").err
    assert config().by_key(newer) == kept()
    ok(mcpgate("apps", "rotate", "billing", "--expires", "never"))
    assert kept().expires == ""
    ok(mcpgate("apps", "delete", "billing", "--yes"))
    assert config().all() == ()


def test_an_app_with_several_connectors_has_what_each_was_given(
    mcpgate: Run, shop: Path, tmp_path: Path
) -> None:
    desk = tmp_path / "desk.yaml"
    desk.write_text(DESK)
    words = ("-c", "shop", "-c", str(desk), "-p", "shop=transact", "-p", "read-only", "--live")
    more = ("--setting", "site=acme", "--account", "desk=work", "--discovery", "--sandbox")
    ok(mcpgate("apps", "create", "both", *words, *more))
    app = kept("both")
    assert (app.discovery, app.sandbox, app.paused) == (True, True, False)
    by_name = {grant.name: grant for grant in app.grants}
    found = {name: (each.connector, each.account, each.preset) for name, each in by_name.items()}
    assert found == {"shop": ("shop", "", "transact"), "desk": (str(desk), "work", "read-only")}
    assert by_name["desk"].settings == {"site": "acme"}
    assert all(grant.live for grant in app.grants)
    ok(mcpgate("apps", "grant", "both", "desk", "--preset", "full-access", "--no-live"))
    assert [(grant.name, grant.preset, grant.live) for grant in kept("both").grants] == [
        ("desk", "full-access", False),
        ("shop", "transact", True),
    ]
    ok(mcpgate("apps", "revoke", "both", str(desk)))
    assert [grant.name for grant in kept("both").grants] == ["shop"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "-c", "shop"), "The name 'run' is mcpgate's own."),
        (("Billing", "-c", "shop"), "'Billing' cannot be the name of an app."),
        (("a", "-c", "shopp"), "There is no connector 'shopp'; did you mean 'shop'?"),
        (("a", "-c", "shop", "-p", "transactt"), "There is no preset 'transactt'; did you mean 'transact'?"),
        (("a", "-c", "shop", "-c", "shop"), "The same connector was given twice."),
        (("a", "-c", "shop", "--setting", "site=x"), "there is no setting 'site' here"),
        (("a", "-c", "shop", "--account", "A b"), "cannot be the name of an account"),
        (("a", "-c", "shop", "--expires", "soon"), "'soon' is no moment"),
        (("a", "-c", "shop", "--rules", "{bad}"), "did you mean 'max_value'?"),
        (("a", "-c", "shop", "--rules", "{typo}"), "no tool is called 'shop_send_not'"),
        (("a", "-c", "shop", "--rules", "{based}"), "extends: ./other.yaml is a path"),
        (
            ("a", "-c", "shop", "--rules", "{small}", "--rules", "{small}"),
            "Two of the rules are called small.",
        ),
        (("a",), "Missing option '--connector'"),
    ],
)
def test_what_does_not_fit_is_told_and_makes_nothing(
    mcpgate: Run, shop: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    texts = {
        "bad": "policy: bad\nguardrails: [{ for: write, max_valu: {} }]\n",
        "typo": "policy: typo\ndeny: [shop_send_not]\n",
        "based": "policy: based\nextends: ./other.yaml\n",
        "small": SMALL,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    ran = mcpgate("apps", "create", *(word.format(**{n: tmp_path / n for n in texts}) for word in words))
    assert ran.code in (2, 3)
    assert says in " ".join(re.sub(r"[│╭╮╰╯─]", "", ran.err).split())
    assert not KEY.search(ran.out)
    assert config().all() == ()


def test_a_tool_is_switched_off_and_on_by_name_or_glob(mcpgate: Run, billing: str) -> None:
    ok(mcpgate("apps", "disable", "billing", "shop_create_*", "shop_list_orders"))
    assert {name for name, (switch, _) in tools(mcpgate).items() if switch == "off"} == {
        "shop_create_order",
        "shop_create_payout",
        "shop_create_refund",
        "shop_list_orders",
    }
    ran = mcpgate("apps", "enable", "billing", "shop_create_refund", "shop_create_order")
    assert "Still denied: shop_create_refund is denied by the preset transact" in ok(ran)
    found = tools(mcpgate)
    assert found["shop_create_order"] == ("on", True)
    assert found["shop_create_refund"] == ("on", False)
    assert found["shop_list_orders"] == ("off", False)
    ran = mcpgate("apps", "enable", "billing", "shop_list_order")
    assert (ran.code, "did you mean 'shop_list_orders'?" in ran.err) == (3, True)


def test_a_tool_that_is_new_or_was_changed_is_off_until_it_is_enabled(
    mcpgate: Run, billing: str, shop: Path
) -> None:  # row 32
    new = "  shop_get_order: { description: One., category: read, request: GET /orders/a }\n"
    text = SHOP.replace("description: List orders.", "description: List all orders.")
    shop.write_text(text.replace("tools:\n", f"tools:\n{new}"))
    found = tools(mcpgate)
    assert found["shop_get_order"] == ("new", False)
    assert found["shop_list_orders"] == ("changed", False)
    assert found["shop_create_order"] == ("on", True)
    assert "mcpgate apps enable billing TOOL" in mcpgate("apps", "show", "billing").out
    ok(mcpgate("apps", "enable", "billing", "shop_get_order", "shop_list_orders"))
    assert tools(mcpgate)["shop_get_order"] == tools(mcpgate)["shop_list_orders"] == ("on", True)
    shop.write_text(shop.read_text().replace("https://api.shop.example", "https://evil.example"))
    assert {switch for switch, _ in tools(mcpgate).values()} == {"changed"}


def test_switching_off_works_without_the_connectors_file(mcpgate: Run, billing: str, shop: Path) -> None:
    shop.write_text("connector: [")
    ran = mcpgate("apps", "show", "billing")
    assert ran.code == 3
    assert "It offers nothing" in ran.out
    ok(mcpgate("apps", "disable", "billing", "shop_list_orders"))
    shop.write_text(SHOP)
    assert tools(mcpgate)["shop_list_orders"] == ("off", False)


def test_rules_are_added_replaced_shown_and_removed(mcpgate: Run, billing: str, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    ok(mcpgate("apps", "rules", "add", "billing", str(file)))
    assert tools(mcpgate)["shop_send_note"] == ("on", False)
    assert ok(mcpgate("apps", "rules", "show", "billing")) == SMALL
    file.write_text(SMALL.replace("usd: 5", "usd: 7"))
    ran = mcpgate("apps", "rules", "add", "billing", str(file))
    assert "usd: 7" in ok(ran)
    assert [rules.name for rules in kept().rules] == ["small"]
    file.write_text("policy: small\ndeny: [shop_send_not]\n")
    assert "did you mean 'shop_send_note'?" in mcpgate("apps", "rules", "add", "billing", str(file)).err
    file.unlink()
    assert tools(mcpgate)["shop_send_note"] == ("on", False)
    assert "did you mean 'small'?" in mcpgate("apps", "rules", "remove", "billing", "smal").err
    ok(mcpgate("apps", "rules", "remove", "billing", "small"))
    assert tools(mcpgate)["shop_send_note"] == ("on", True)


def test_what_was_done_stands_in_the_activity(mcpgate: Run, billing: str) -> None:
    ok(mcpgate("apps", "grant", "billing", "shop", "--preset", "full-access", "--live"))
    ok(mcpgate("apps", "pause", "billing"))
    from mcpgate.cli.vaults import sql_store

    says = [json.dumps(each, default=str, ensure_ascii=False) for each in sql_store().rows()]
    assert any("apps create billing: + grant shop: preset transact" in each for each in says)
    assert any("preset: transact → full-access; ~ shop, live: no → yes" in each for each in says)
    assert any("apps pause billing" in each for each in says)
    assert not any(billing[4:20] in each for each in says)


# --- as code -----------------------------------------------------------------------------------------


def apply(mcpgate: Run, file: Path, text: str, *words: str) -> Ran:
    file.write_text(text)
    return mcpgate("apps", "apply", "-f", str(file), *words)


APPS = """\
apps:
  billing:
    grants:
      - { connector: shop, preset: transact, without: [shop_send_note] }
    rules: [small.yaml]
  desk:
    grants:
      - { connector: ./desk.yaml, preset: ./mine.yaml, settings: { site: acme } }
    paused: true
    expires: 2027-01-31T00:00:00Z
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "code"
    made.mkdir()
    (made / "small.yaml").write_text(SMALL)
    (made / "desk.yaml").write_text(DESK)
    (made / "mine.yaml").write_text("preset: mine\nallow: [read]\n")
    return made


def test_a_file_is_shown_then_asked_for_and_then_done_at_once(mcpgate: Run, shop: Path, folder: Path) -> None:
    file = folder / "apps.yaml"
    ran = apply(mcpgate, file, APPS)
    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert "+ billing" in ran.out
    assert "+ grant shop: preset transact, without shop_send_note" in ran.out
    assert config().all() == ()
    ran = apply(mcpgate, file, APPS, "--yes")
    keys = dict(re.findall(r"  (billing|desk)  (mgw_\S+)", ok(ran)))
    assert [config().by_key(keys[name]) for name in ("billing", "desk")] == [kept(), kept("desk")]
    desk = kept("desk")
    assert (desk.grants[0].connector, desk.grants[0].preset) == (
        str(folder / "desk.yaml"),
        str(folder / "mine.yaml"),
    )
    assert (desk.paused, desk.expires) == (True, "2027-01-31T00:00:00+00:00")
    assert apply(mcpgate, file, APPS).out == "Nothing to do.\n"


def test_an_export_applies_to_nothing_to_do(mcpgate: Run, shop: Path, folder: Path) -> None:
    ok(apply(mcpgate, folder / "apps.yaml", APPS, "--yes"))
    ok(mcpgate("apps", "disable", "billing", "shop_create_order"))
    new = "  shop_get_order: { description: One., category: read, request: GET /orders/a }\n"
    text = SHOP.replace("description: List orders.", "description: List all orders.")
    shop.write_text(text.replace("tools:\n", f"tools:\n{new}"))
    before = config().all()
    exported = ok(mcpgate("apps", "export"))
    ran = apply(mcpgate, folder / "elsewhere.yaml", exported, "--prune")
    assert "Nothing to do." in ok(ran)
    assert "shop_list_orders (changed)" in ran.out
    assert config().all() == before
    for each in ("shop_create_order", "shop_get_order", "shop_list_orders", "shop_send_note"):
        assert f"- {each}\n" in exported
    assert "mgw_" not in exported
    # a file does not enable what nobody has looked at
    free = re.sub(r"        without:\n(          - \w+\n)+", "", exported)
    ok(apply(mcpgate, folder / "elsewhere.yaml", free, "--yes"))
    found = tools(mcpgate)
    assert found["shop_create_order"] == ("on", True)
    assert (found["shop_list_orders"], found["shop_get_order"]) == (("changed", False), ("new", False))


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("preset: transact", "preset: read-only", ["~ shop, preset: transact → read-only"]),
        ("without: [shop_send_note]", "live: true", ["~ shop, live: no → yes", "~ shop_send_note: off → on"]),
        ("paused: true", "discovery: true", ["~ paused: yes → no", "~ discovery: no → yes"]),
        ("    expires: 2027-01-31T00:00:00Z\n", "", ["~ expires: 2027-01-31T00:00:00+00:00 → none"]),
        ("site: acme", "site: other", ["~ desk, settings: site=acme → site=other"]),
        ("    rules: [small.yaml]\n", "", ["- rules small"]),
        ("    rules: [small.yaml]\n", "    rules: ['policy: other']\n", ["- rules small", "+ rules other"]),
        (
            "[small.yaml]",
            '["' + SMALL.replace("5", "6").replace("\n", "\\n") + '"]',
            ["-  - { for", "+  - {"],
        ),
    ],
)
def test_a_change_is_told_field_by_field(
    mcpgate: Run, shop: Path, folder: Path, old: str, new: str, lines: list[str]
) -> None:
    file = folder / "apps.yaml"
    ok(apply(mcpgate, file, APPS, "--yes"))
    assert old in APPS
    ran = apply(mcpgate, file, APPS.replace(old, new), "--yes")
    for line in lines:
        assert line in ok(ran)
    assert "Applied: changed" in ran.out
    assert not KEY.search(ran.out)
    assert "Nothing to do." in apply(mcpgate, file, APPS.replace(old, new)).out


def test_what_the_file_does_not_name_stays_but_for_prune(mcpgate: Run, billing: str, folder: Path) -> None:
    file = folder / "apps.yaml"
    text = APPS.replace("billing:", "other:")
    ran = apply(mcpgate, file, text, "--yes", "--json")
    assert {step["app"]: step["does"] for step in json.loads(ok(ran))["steps"]} == {
        "other": "create",
        "desk": "create",
    }
    assert [app.name for app in config().all()] == ["billing", "desk", "other"]
    ran = apply(mcpgate, file, text, "--yes", "--prune")
    assert "- billing: deleted" in ok(ran)
    assert config().by_key(billing) is None
    assert [app.name for app in config().all()] == ["desk", "other"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("connector: ./desk.yaml", "connector: ./gone.yaml", "apps.yaml:8: "),
        ("shop_send_note", "shop_send_not", "apps.yaml:4: shop has no tool 'shop_send_not'; did you mean"),
        ("{ site: acme }", "{}", "desk needs the setting 'site'"),
        ("[small.yaml]", "[gone.yaml]", "apps.yaml:5: "),
        ("preset: transact", "preset: transactt", "There is no preset 'transactt'; did you mean 'transact'?"),
        ("[small.yaml]", "['policy: x']\n    discovry: true", "unknown key 'discovry'; did you mean"),
        ("[small.yaml]", "[small.yaml, small.yaml]", "two of the rules of billing are called small"),
    ],
)
def test_a_file_with_a_fault_does_nothing_at_all(
    mcpgate: Run, shop: Path, folder: Path, old: str, new: str, says: str
) -> None:
    assert old in APPS
    ran = apply(mcpgate, folder / "apps.yaml", APPS.replace(old, new), "--yes")
    assert ran.code == 3
    assert says in ran.err
    assert config().all() == ()


def test_a_change_that_somebody_else_was_quicker_with_undoes_all(
    mcpgate: Run, shop: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "apps.yaml"
    ok(apply(mcpgate, file, APPS, "--yes"))
    before = kept()

    def meanwhile(*_: Any, **__: Any) -> None:
        mcpgate("apps", "disable", "desk", "desk_list_cases")

    monkeypatch.setattr("mcpgate.cli.apps.apply.agree", meanwhile)
    changed = APPS.replace("preset: transact", "preset: read-only").replace("paused: true", "paused: false")
    ran = apply(mcpgate, file, changed)
    assert ran.code == 2
    assert "The app desk was changed meanwhile." in ran.err
    assert kept() == before


class Terminal(io.StringIO):
    """A terminal at which this was typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "left"), [("y\n", 0), ("Yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1), ("yup\n", 1)]
)
def test_a_person_at_a_terminal_is_asked(
    mcpgate: Run, billing: str, monkeypatch: pytest.MonkeyPatch, typed: str, left: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    ran = mcpgate("apps", "delete", "billing")
    assert "Delete billing and its key for good? [y/N]" in ran.out
    assert (ran.code, len(config().all())) == (2 if left else 0, left)
