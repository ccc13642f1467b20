"""A connector as a whole: its address (row 12), its newer files, and what the loader makes of defaults."""
# ruff: noqa: E501

from __future__ import annotations

import pytest

from mcpgate.errors import SpecError
from mcpgate.spec.connector import is_loopback, read_connector
from mcpgate.values import Source
from tests.spec.files import connector, faults, text

SITE = "settings: { site: { type: string, pattern: '[a-z]+' } }\n"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.shop.example",
        "https://api.shop.example/v1/",
        "https://api.shop.example:8443/a/b",
        "https://{site}.shop.example/{site}/x-{site}",
        "https://xn--gre-1na.example",
        "http://127.0.0.1:4242/v1",
        "http://localhost:1",
        "http://[::1]:8080",
        "http://127.9.9.9",
        "https://[2001:db8::1]/v1",
    ],
)
def test_an_address_that_may_be_called(url: str) -> None:
    assert str(connector(text(f"{SITE}base_url: '{url}'")).base_url) == url


PLAIN = "a base_url is https (plain http only on loopback)"
HOST = "a host has lower-case letters, digits, dots and hyphens"
USER = "no user name or password in a base_url; auth says how the secret travels"
QUERY = "a base_url has no query and no fragment"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://shop.example", PLAIN),
        ("http://127.0.0.1.shop.example", PLAIN),
        ("http://10.0.0.1", PLAIN),
        ("http://0.0.0.0", PLAIN),
        ("http://localhost.shop.example", PLAIN),
        ("ftp://shop.example", PLAIN),
        ("HTTPS://shop.example", PLAIN),
        ("shop.example/v1", PLAIN),
        ("https:/shop.example", PLAIN),
        ("https://", HOST),
        ("https:///v1", HOST),
        ("https://API.shop.example", HOST),
        ("https://shop..example", HOST),
        ("https://shop%2eexample", HOST),
        ("https://shop.example:", HOST),
        ("https://shop.example:0443", HOST),
        ("https:// shop.example", HOST),
        ("https://shop.example\\\\@evil.example", USER),
        ("https://me@shop.example", USER),
        ("https://me:secret@shop.example", USER),
        ("https://shop.example?v=1", QUERY),
        ("https://shop.example/v1#a", QUERY),
        ("https://shop.example/?", QUERY),
        ("https://größe.example", "a host is written in ASCII (xn--…)"),
        ("https://shop.example/größe", "a host is written in ASCII (xn--…)"),
        ("https://ｓhop.example", "a host is written in ASCII (xn--…)"),
        ("https://shop.example:443/v1", "leave out the port 443, which goes without saying"),
        ("http://127.0.0.1:80", "leave out the port 80, which goes without saying"),
        ("https://{sitee}.shop.example", "{sitee} is not a setting; did you mean 'site'?"),
        ("https://shop.example/{site...}", "a setting stays inside its segment; write {name}"),
        ("https://shop.example/a/../b", "this is not a base_url ('..': a path has no dot or slash parts of its own)"),
        ("https://shop.example/%2E%2e/b", "this is not a base_url ('%2E%2e': a path has no dot or slash parts of its own)"),
        ("https://shop.example/a%2fb", "this is not a base_url ('a%2fb': a path has no dot or slash parts of its own)"),
        ("https://shop.example/a//b", "this is not a base_url (the path has an empty segment (two slashes together))"),
        ("https://shop.example/{site", "this is not a base_url ('https://shop.example/{site': a placeholder is written {name})"),
        ("https://shop.example:99999", "this is not a base_url (Port out of range 0-65535)"),
        ("https://[::1", "this is not a base_url (Invalid IPv6 URL)"),
    ],
)  # fmt: skip
def test_an_address_that_is_refused(url: str, says: str) -> None:  # row 12
    (found,) = faults(text(f'{SITE}base_url: "{url}"'))
    assert found.startswith(says)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST")),
        *((host, False) for host in ("", "0.0.0.0", "10.0.0.1", "localhost.example", "127.0.0.1.example")),
    ],
)
def test_loopback_is_this_machine_and_nothing_else(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_what_is_left_out_has_a_plain_default() -> None:
    found = connector(text())
    assert (found.title, found.encoding, found.lists, found.timeout) == ("shop", "json", "repeat", 30.0)
    assert (found.auth, found.idempotency, found.private) == (None, "", ())
    assert found.source == Source("file", "shop.yaml", "digest")


def test_a_credential_can_be_proved_by_a_post_that_reads() -> None:
    file = text("auth: { type: bearer, probe: shop_get }", "request: POST /me\nsafe: true")
    assert connector(file).tools["shop_get"].category == "read"
    optional = text("auth: { type: bearer, probe: shop_get }", "request: GET /me?a={a}\nparams: { a: x }")
    assert connector(optional).auth


def test_a_newer_file_is_told_so_and_nothing_that_follows_from_it() -> None:
    assert faults("language: 3\nflow: {}\ntools: 7\n") == [
        "this file is newer: it is written in language 3, and this mcpgate reads 1"
    ]


def test_a_fault_of_shape_hides_no_fault_of_sense_in_the_same_tool() -> None:
    whole = """
connector: shop
base_url: https://shop.example
tools:
  shop_create_order:
    description: x
    category: write
    request: POST /orders
    params:
      amount: { type: integer, minimun: 1 }
      items: { type: array }
    required: [amout]
"""
    with pytest.raises(SpecError) as caught:
        read_connector("shop.yaml", whole.encode(), Source("file", "shop.yaml", ""))
    assert caught.value.problems == [
        "shop.yaml:5:3: a write states its effects; [] says that it has none",
        "shop.yaml:10:32: unknown key 'minimun'; did you mean 'minimum'?",
        "shop.yaml:11:14: an array says its items",
        "shop.yaml:12:16: required names 'amout', which is not a parameter here; did you mean 'amount'?",
    ]
