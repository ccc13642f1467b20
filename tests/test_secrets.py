"""Secrets that do not show themselves, and the scrubber. Row 13."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import logging
import marshal
import pickle
import time
import traceback
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.secrets import MASK, Scrubber, Secret
from mcpgate.vault.sealing import MasterKey
from tests.hunting import WRITINGS, Hunt

TEXT = "sk_test_p/q+r=s&t\"u\\v'w%x~y"
SECRET = Secret(TEXT)


@dataclasses.dataclass
class Holder:
    secret: Secret
    name: str = "it"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        "{}".format,
        "{!r:>40}".format,
        "{:s}".format,
        lambda secret: f"{secret}{secret!r}{secret:40}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: repr([secret, {"key": secret}, (secret,)]),
        lambda secret: repr(Holder(secret)),
        lambda secret: str(ValueError(secret)),
        lambda secret: logging.makeLogRecord({"msg": "it is %s", "args": (secret,)}).getMessage(),
        lambda secret: json.dumps({"a": secret}, default=str),
    ],
)
def test_a_secret_never_shows_itself(show: Callable[[Secret], str]) -> None:
    assert MASK in show(SECRET)
    assert "sk_test" not in show(SECRET)


def test_a_traceback_with_every_variable_does_not_show_it() -> None:
    def deep(secret: Secret) -> None:
        held = Holder(secret)
        raise RuntimeError(f"this broke with {held}")

    with pytest.raises(RuntimeError) as raised:
        deep(SECRET)
    told = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    text = "".join(told.format())
    assert "secret = ***" in text
    assert TEXT not in text


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda secret: dataclasses.asdict(Holder(secret)),
        json.dumps,
        vars,
        lambda secret: "".join([secret]),
        lambda secret: secret + "",
        list,
        bytes,
        lambda secret: secret.__getstate__(),
        lambda secret: secret.__reduce_ex__(2),
        lambda secret: secret.__reduce_ex__(1),
        lambda secret: marshal.dumps(secret),
        lambda secret: dataclasses.astuple(Holder(secret)),
    ],
)
def test_a_secret_cannot_be_taken_along(take: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        take(SECRET)
    assert TEXT not in str(raised.value)


KEY = bytes(range(65, 97))
MASTER = MasterKey("its id", KEY)


@pytest.mark.parametrize(
    "show",
    [repr, str, ascii, "{}".format, "{!r:>40}".format, lambda key: f"{key}{key!r}", lambda key: "%s" % key],  # noqa: UP031
)
def test_a_master_key_never_shows_itself(show: Callable[[MasterKey], str]) -> None:
    assert MASK in show(MASTER)
    assert "ABCDEF" not in show(MASTER)


@pytest.mark.parametrize(
    "take",
    [
        *(pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, bytes, list, marshal.dumps),
        lambda key: key.__getstate__(),
    ],
)
def test_a_master_key_cannot_be_taken_along(take: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        take(MASTER)
    assert "ABCDEF" not in str(raised.value)


def test_only_reveal_gives_it() -> None:
    assert SECRET.reveal() == TEXT
    assert Secret(TEXT) != SECRET  # two secrets cannot be compared to guess one
    assert len({SECRET, Secret(TEXT)}) == 2


# --- the scrubber ----------------------------------------------------------------------------------------


def scrubber(*texts: str) -> Scrubber:
    found = Scrubber()
    for text in texts:
        found.learn(text)
    return found


def lower_hex(text: str) -> str:
    return "".join(
        part.lower() if part.startswith("%") else part for part in quote(text, safe="").partition("%")
    )


FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "in a URL": lambda text: quote(text, safe=""),
    "in a URL's path": quote,
    "in a form": quote_plus,
    "in a query": lambda text: urlencode({"key": text}),
    "in JSON": json.dumps,
    "in JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "in HTML": escape,
    "as hexadecimal": lambda text: text.encode().hex(),
    "as HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "reversed": lambda text: text[::-1],
    "Basic, as user": lambda text: base64.b64encode(f"{text}:".encode()).decode(),
    "Basic, as password": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_encoding_is_taken_out(form: str) -> None:
    echoed = FORMS[form](TEXT)
    clean = scrubber(TEXT).text(f"before {echoed} after")
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert MASK in clean
    assert len(clean) < len("before  after") + 20


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("text", ["sk_test_4eC39HqLyjWDarjtT1zd", "Zq3>>>xY7???kL9~~~", "123456"])
def test_base64_at_every_alignment(
    text: str, before: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    """At most the one character on each side that the secret shares with its neighbours is left."""
    echoed = encode(f"{before}{text}{after}".encode()).decode()
    clean = scrubber(text).text(echoed)
    assert MASK in clean
    neighbours = len(base64.b64encode(before.encode())) + len(base64.b64encode(after.encode()))
    assert len(clean) - len(MASK) <= neighbours + 4


def test_the_percent_signs_of_a_url_may_be_in_lower_case() -> None:
    echoed = quote("key/with=more+of&them", safe="").replace("%2F", "%2f").replace("%3D", "%3d")
    echoed = echoed.replace("%2B", "%2b")
    assert scrubber("key/with=more+of&them").text(echoed) == MASK


@pytest.mark.parametrize("length", range(12, 32))
def test_a_secret_that_was_cut_short_is_taken_out_as_well(length: int) -> None:
    """Error pages are cut after so many characters, maybe in the middle of a secret."""
    text = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
    assert scrubber(text).text(f"You sent {text[:length]}") == f"You sent {MASK}"
    assert scrubber(text).text(f"{text[:length]}… – {text}.") == f"{MASK}… – {MASK}."


def test_a_tree_is_scrubbed_in_keys_and_values() -> None:
    tree = {"a": ["x", {TEXT: f"<{TEXT}>"}], "n": 1, "b": None, "t": (TEXT, True)}
    assert scrubber(TEXT).tree(tree) == {
        "a": ["x", {MASK: f"<{MASK}>"}],
        "n": 1,
        "b": None,
        "t": [MASK, True],
    }
    assert scrubber().tree(tree) is tree


def test_several_secrets_and_one_inside_another() -> None:
    both = scrubber("abcdef123456", "abcdef123456789012", "zyxwvuts")
    assert both.text("abcdef123456789012 zyxwvuts abcdef123456") == f"{MASK} {MASK} {MASK}"


def test_what_is_no_secret_stays() -> None:
    text = "Charge 100 usd to cus_1, key sk_test_ and nothing of abcdef12345"
    assert scrubber("sk_test_4eC39HqLyjWDarjtT1zd", "abcdef123456", "short").text(text) == text
    assert scrubber("short").text("short") == "short"  # too short to be told from chance


@given(some.text(some.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40), some.text())
def test_no_secret_is_left_whatever_stands_around_it(text: str, around: str) -> None:
    clean = scrubber(text).text(around + text + around)
    assert text not in clean.replace(MASK, "\0")


LONG = "eyJhbGciOi" + "J9kQ3-x_Z7vB.w2LpYt5" * 60
WRITTEN = ["sk_test_4eC39HqLyjWDarjtT1zdp7dc", TEXT, "p@ss:w0rd/with;more+of=them&%!", LONG]


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("text", WRITTEN, ids=range(len(WRITTEN)))
def test_a_secret_is_known_in_every_writing(text: str, writing: str) -> None:
    shown = f"before {WRITINGS[writing](text)} !"
    clean = scrubber("another_secret", text).text(shown)
    assert MASK in clean
    assert not Hunt(text).sees(clean)
    assert clean.startswith("before ")
    assert clean.endswith(" !")


@pytest.mark.parametrize("start", range(1, 10))
def test_a_secret_whose_beginning_is_missing(start: int) -> None:
    text = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
    clean = scrubber(text).text(f"…{text[start:]} it was")
    assert clean.endswith(f"{MASK} it was")
    assert not Hunt(text, skip=start + 11).sees(clean)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"id": "ch_1", "url": "https://a.example/x%2Fy?z=1&amp;q=%D0%9F", "text": "a\tb\n\u00e9"}),
        "".join(f"&#{ord(char)};" for char in "The quick brown fox jumps over the lazy dog " * 90),
        "".join(f"%{ord(char):02X}" for char in "The quick brown fox jumps over the lazy dog " * 90),
        "".join(f"\\u{ord(char):04x}" for char in "The quick brown fox jumps over the lazy dog " * 90),
        base64.b64encode(bytes(range(256)) * 30).decode(),
        bytes(range(256)).hex(" "),
        str(list(range(2000))),
        "Jeder wackere Bayer vertilgt bequem zwo Pfund Kalbshaxe. Кто сможет, расскажет. " * 50,
    ],
)
def test_what_is_written_alike_and_is_none_stays(text: str) -> None:
    """A letter that is encoded is one all the same: between two of a secret it parts them."""
    assert scrubber("the_jumping_over_lazy", "sk_test_4eC39HqLyjWDarjtT1zd").text(text) == text


def test_a_secret_over_the_neighbouring_texts_of_a_list() -> None:
    known = scrubber("abcdefghijklmnopqrstuvwx")
    assert known.tree({"a": ["x", "abcdefg", "hijklmnop", "qrs"], "b": 1}) == {"a": [MASK], "b": 1}
    assert known.tree(["abcdefgh", ["ijklmnop"], "y"]) == [MASK]
    assert known.tree({"abcdefghijk": "lmnopqrst"}) == {MASK: MASK}
    assert known.text('{"a": ["abcdefg", "hijklmnop"]}') == f'{{"a": ["{MASK}"]}}'


def test_a_text_full_of_secrets_is_shown_in_no_word() -> None:
    known = scrubber("abcdefghijklmnopqrstuvwx")
    assert known.text("abcdefghijklmno; " * 500) == f"{MASK}; " * 500
    assert known.text("abcdefghijklmno; " * 5000) == MASK


def test_half_a_surrogate_pair_stops_nobody() -> None:
    known = scrubber("abcdefghijklmnopqrstuvwx")
    assert known.text("x \ud800 y") == "x \ud800 y"
    assert known.text("x \ud800 abcdefghijklmnopqrstuvwx").endswith(MASK)


@pytest.mark.parametrize("text", ["x<&%=\\ " * 100_000, "%61&#98;\\u0063" * 50_000, "abcdefghijk " * 60_000])
def test_looking_takes_no_longer_for_what_is_made_to_take_long(text: str) -> None:
    began = time.perf_counter()
    scrubber("abcdefghijklmnopqrstuvwx").text(text)
    assert time.perf_counter() - began < 5
