"""Files of apps: what they say, every fault with its place, and that what is written is read back."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mcpgate.errors import SpecError
from mcpgate.spec.apps_file import AppSpec, GrantSpec, RuleSpec, read_apps, write_apps

FILE = """\
apps:
  billing:
    grants:
      - { connector: shop, preset: transact, settings: { site: acme }, without: [shop_undo] }
      - { connector: ./desk.yaml, preset: read-only, account: work, live: true }
    rules:
      - ./small.yaml
      - |
        # a comment
        policy: small
        guardrails:
          - { for: write, max_value: { field: amount, max: 3 } }
    discovery: true
    sandbox: true
    paused: true
    expires: 2027-01-31T00:00:00Z
  other:
    grants: []
"""
SMALL = """\
# a comment
policy: small
guardrails:
  - { for: write, max_value: { field: amount, max: 3 } }
"""


def bare(apps: Any) -> Any:
    """Apps without the places where they stand."""
    return [
        dataclasses.replace(
            app,
            origin="",
            grants=tuple(dataclasses.replace(grant, origin="") for grant in app.grants),
            rules=tuple(dataclasses.replace(rule, origin="") for rule in app.rules),
        )
        for app in apps
    ]


def test_a_file_says_what_each_app_has() -> None:
    billing, other = read_apps("apps.yaml", FILE.encode())
    assert billing == AppSpec(
        "billing",
        (
            GrantSpec("shop", "transact", "", {"site": "acme"}, False, ("shop_undo",), "apps.yaml:4"),
            GrantSpec("./desk.yaml", "read-only", "work", {}, True, (), "apps.yaml:5"),
        ),
        (RuleSpec("./small.yaml", "", "apps.yaml:7"), RuleSpec("", SMALL, "apps.yaml:8")),
        discovery=True,
        sandbox=True,
        paused=True,
        expires="2027-01-31T00:00:00Z",
        origin="apps.yaml:3",
    )
    assert other == AppSpec("other", origin="apps.yaml:18")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("apps:\n", "app:\n", "apps.yaml:1:1: unknown key 'app'; did you mean 'apps'?"),
        ("  other:", "  run:", "apps.yaml:17:3: an app's name has lower-case letters"),
        ("  other:", "  Other:", "apps.yaml:17:3: an app's name has lower-case letters"),
        ("preset: transact, ", "", "apps.yaml:4:9: the key 'preset' is missing"),
        ("site: acme", "site: 1", "apps.yaml:4:64: expected a text, found 1; if it is a text, quote it"),
        ("live: true", "live: 'yes'", "apps.yaml:5:75: expected true or false, found 'yes'"),
        ("without: [shop_undo]", "off: [shop_undo]", "apps.yaml:4:72: unknown key 'off'"),
        ("./desk.yaml", "shop", "apps.yaml:5:9: shop stands here twice; one account of each"),
        ("account: work", "account: a b", "an account's name has lower-case letters"),
        ("max_value", "max_valu", "apps.yaml:12:27: unknown key 'max_valu'; did you mean 'max_value'?"),
        ("policy: small", "preset: small\n        allow: [read]", "apps.yaml:8:9: this is a preset"),
        ("./small.yaml", '"policy: x\\nden: [read]"', "apps.yaml:8:1: unknown key 'den'"),
        ("00:00Z", "00:00", "apps.yaml:16:14: '2027-01-31T00:00:00': a moment is written"),
        ("expires:", "expire:", "apps.yaml:16:5: unknown key 'expire'; did you mean 'expires'?"),
        ("grants: []", "grants: {}", "apps.yaml:18:13: expected a list, found a mapping"),
    ],
)
def test_every_fault_has_its_place(old: str, new: str, says: str) -> None:
    assert old in FILE
    with pytest.raises(SpecError) as caught:
        read_apps("apps.yaml", FILE.replace(old, new).encode())
    assert any(says in problem for problem in caught.value.problems), caught.value.problems


def test_several_faults_are_told_at_once() -> None:
    text = FILE.replace("max_value", "max_valu").replace("site: acme", "site: 1").replace("other", "run")
    with pytest.raises(SpecError) as caught:
        read_apps("apps.yaml", text.encode())
    assert len(caught.value.problems) >= 2


def test_what_is_written_is_read_back() -> None:
    apps = read_apps("apps.yaml", FILE.encode())
    written = write_apps(apps)
    assert bare(read_apps("b.yaml", written.encode())) == bare(apps)
    assert "      - |\n        # a comment\n        policy: small\n" in written


@pytest.mark.parametrize(
    "value",
    ["on", "no", "0o17", "1e3", "1", "null", "~", "", " a", "a: b", "- a", "é", "#x", "=", "<<", "\t"],
)
def test_a_setting_stays_a_text(value: str) -> None:
    apps = [AppSpec("a", (GrantSpec("shop", "p", settings={"site": value}),))]
    assert read_apps("a.yaml", write_apps(apps).encode())[0].grants[0].settings == {"site": value}


@pytest.mark.parametrize(
    "text",
    [
        "policy: x\n",
        "policy: x",
        "policy: x\n\n\n",
        "\npolicy: x\n  \n",
        "policy: x # é\n",
        'policy: x\ndescription: "\u202eevil"\n',
        "policy: x\r\ndeny: [read]\r\n",
        "policy: x\ndescription: 'a  '   \n",
    ],
)
def test_a_rules_text_is_kept_to_the_letter_and_hides_nothing(text: str) -> None:  # row 33
    written = write_apps([AppSpec("a", rules=(RuleSpec(text=text),))])
    assert read_apps("a.yaml", written.encode())[0].rules[0].text == text
    assert all(line.isprintable() for line in written.splitlines())
