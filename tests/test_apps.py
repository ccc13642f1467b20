"""Accounts: settings that are checked, and an address that they cannot leave. Row 12."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mcpgate.apps import open_account
from mcpgate.engine.request import build
from mcpgate.errors import UsageError
from tests.policy.shop import app, connector, policy

TENANT = """
connector: tenant
base_url: https://{site}.example.com/{space}/v1
settings:
  site: { pattern: '.*', type: string, description: The first part of the address. }
  space: { pattern: '.*', type: string, default: main }
  size: { enum: [small, large], default: small }
tools:
  tenant_get_it: { description: Get., category: read, request: GET /it }
"""


def opened(**settings: str) -> Any:
    return open_account(connector(TENANT), settings)


def test_the_address_is_filled_in() -> None:
    account = opened(site="acme", size="large")
    assert account.base_url == "https://acme.example.com/main/v1"
    assert account.origin == "https://acme.example.com"
    assert account.settings == {"site": "acme", "space": "main", "size": "large"}
    assert (account.name, account.live) == ("default", False)


@pytest.mark.parametrize(
    "site",
    [
        "",
        "evil.com/",
        "evil.com#",
        "evil.com?",
        "a.b",
        "user@evil",
        "user:pw@evil",
        "127.0.0.1:80",
        "a\\b",
        "a b",
        "a\n",
        "é",
        "ａ",
        "-a",
        "a-",
        "%2e",
        "..",
        "a" * 64,
    ],
)
def test_a_setting_in_the_host_is_one_label(site: str) -> None:  # row 12
    with pytest.raises(UsageError, match=r"(one DNS label|is not accepted)"):
        opened(site=site)


@pytest.mark.parametrize(
    ("space", "path"),
    [
        ("a/b", "/a%2Fb/v1"),
        ("../admin", None),
        ("a\\..\\b", None),
        ("a?b=c", "/a%3Fb%3Dc/v1"),
        ("a#b", "/a%23b/v1"),
        ("a@b", "/a%40b/v1"),
        ("..", None),
        (".", None),
        ("", None),
    ],
)
def test_a_setting_in_the_path_stays_in_its_segment(space: str, path: str | None) -> None:  # row 12
    if path is None:
        with pytest.raises(UsageError, match="an empty or a dot part"):
            opened(site="acme", space=space)
        return
    account = opened(site="acme", space=space)
    assert account.base_url == f"https://acme.example.com{path}"
    request = build(account, account.connector.tools["tenant_get_it"], {})
    assert request.url == account.base_url + "/it"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "tenant needs the setting 'site'"),
        ({"site": "acme", "spaec": "x"}, "tenant has no setting 'spaec'; did you mean 'space'?"),
        ({"site": "acme", "size": "huge"}, "The setting size=huge of tenant is not accepted"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        opened(**settings)
    assert says in raised.value.message


def test_a_setting_that_is_wanted_is_described() -> None:
    with pytest.raises(UsageError) as raised:
        opened()
    assert raised.value.hint == "The first part of the address. Add: --setting site=…"


def test_a_pattern_has_to_match_in_full() -> None:
    strict = connector(TENANT.replace("site: { pattern: '.*'", "site: { pattern: '[a-z]{4}'"))
    assert open_account(strict, {"site": "acme"}).origin == "https://acme.example.com"
    for site in ("acme2", "2acme", "acme\n", "ACME"):
        with pytest.raises(UsageError, match="has to match"):
            open_account(strict, {"site": site})


def test_the_layers_stand_in_their_order() -> None:
    holder = app("deny: [read]\n", account="policy: a\ndeny: [read]\n", switches="policy: s\ndeny: [read]\n")
    grant = dataclasses.replace(holder.grants[0], ceiling=policy("preset: least\nallow: [read]\n"))
    layers = holder.layers(grant)
    assert [(layer.name, [each.name for each in layer.policies]) for layer in layers] == [
        ("app", ["s"]),
        ("account", ["a"]),
        ("ceiling", ["least"]),
        ("preset", ["everything"]),
        ("rules", ["rules"]),
    ]
