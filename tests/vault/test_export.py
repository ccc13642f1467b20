"""Exports: a copy that opens with its passphrase alone, and gives nothing else away."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from mcpgate.errors import CredentialError, MCPGateError, UsageError
from mcpgate.secrets import Secret
from mcpgate.vault import export
from mcpgate.vault.export import pack, unpack
from mcpgate.vault.providers import derive
from mcpgate.vault.sealed_vault import Kept
from mcpgate.vault.sealing import seal
from tests.vault.vaults import CANARY, PASSPHRASE, Rig, binding, one_line, secret

pytestmark = pytest.mark.usefixtures("quick")
WORDS = Secret(PASSPHRASE)
KEPT = [
    Kept(binding(), "1", {"secret": Secret(CANARY)}),
    Kept(binding("work", "desk", origins=("https://a.example", "https://b.example")), "2", {"a": WORDS}),
]


def refused(data: bytes, passphrase: str = PASSPHRASE, kind: type[MCPGateError] = CredentialError) -> str:
    with pytest.raises(kind) as caught:
        unpack(data, Secret(passphrase))
    return one_line(caught.value)


def sealed(document: Any) -> bytes:
    """An export of whatever a document holds, as someone writes it who has the passphrase."""
    bundle = json.loads(pack(KEPT, WORDS))
    master = derive("export", WORDS, base64.b64decode(bundle["salt"]))
    text = document if isinstance(document, str) else json.dumps(document)
    box = seal(master, bundle["format"].encode(), Secret(text))
    parts = {"wrapped": box.wrapped, "sealed": box.sealed}
    return json.dumps(
        {**bundle, **{name: base64.b64encode(part).decode() for name, part in parts.items()}}
    ).encode()


def test_what_is_exported_is_imported_with_all_that_it_is_bound_to(rigged: Rig) -> None:
    data = pack(KEPT, WORDS)
    found = unpack(data, WORDS)
    assert [each for each, _ in found] == [kept.binding for kept in KEPT]
    rigged.set_up("file", binding())
    rigged.vault().keep_all(found)
    assert secret(rigged.vault().open("shop", "default")) == CANARY
    assert secret(rigged.vault().open("desk", "work"), "a") == PASSPHRASE
    again = unpack(
        pack(rigged.vault().opened(), Secret("other words of mine")), Secret("other words of mine")
    )
    assert sorted(each.account for each, _ in again) == ["default", "work"]


def test_an_export_shows_neither_secret_nor_account() -> None:
    data = pack(KEPT, WORDS)
    texts = [data, *(base64.b64decode(part) for part in json.loads(data).values() if " " not in part)]
    for hidden in (CANARY, PASSPHRASE, "shop", "desk", "https", "secret"):
        assert not [text for text in texts if hidden.encode() in text]
    assert pack(KEPT, WORDS) != data


def test_a_short_passphrase_is_no_lock_for_a_file_that_travels() -> None:
    with pytest.raises(UsageError, match="has 11 characters, and 12 are the least"):
        pack(KEPT, Secret("elevenchars"))


def test_another_passphrase_or_a_changed_file_opens_nothing() -> None:
    data = pack(KEPT, WORDS)
    says = "The export does not open: another passphrase, or the file was changed."
    assert refused(data, "another one of words") == says
    bundle = json.loads(data)
    for name in ("salt", "wrapped", "sealed"):
        raw = bytearray(base64.b64decode(bundle[name]))
        for at in (0, len(raw) // 2, -1):
            changed = raw.copy()
            changed[at] ^= 1
            text = base64.b64encode(changed).decode()
            assert refused(json.dumps({**bundle, name: text}).encode()) == says
    for name in ("wrapped", "sealed"):
        assert refused(json.dumps({**bundle, name: bundle[name][:-8]}).encode()) == says


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: b"", "this is no export of mcpgate."),
        (lambda _: b"\xff\xfe", "this is no export of mcpgate."),
        (lambda _: b"[" * 100_000, "this is no export of mcpgate."),
        (lambda _: b"[1]", "this is no export of mcpgate."),
        (lambda _: b"null", "this is no export of mcpgate."),
        (lambda _: b"{}", "this is no export of mcpgate."),
        (lambda it: json.dumps({**it, "salt": "AAAA"}).encode(), "this is no export of mcpgate."),
        (lambda it: json.dumps({**it, "salt": 1}).encode(), "this is no export of mcpgate."),
        (lambda it: json.dumps({**it, "sealed": "%"}).encode(), "this is no export of mcpgate."),
        (
            lambda it: json.dumps({**it, "format": "mcpgate export 2"}).encode(),
            "its format is mcpgate export 2, and this mcpgate reads mcpgate export 1.",
        ),
    ],
)
def test_what_is_no_export_is_told(change: Callable[[Any], bytes], says: str) -> None:
    assert refused(change(json.loads(pack(KEPT, WORDS)))) == f"The export cannot be read: {says}"


GOOD = {**binding().facts(), "secrets": {"secret": CANARY}}


@pytest.mark.parametrize(
    "document",
    [
        CANARY,
        "[" * 100_000,
        1,
        [1],
        ["Canary"],
        [{}],
        {"a": GOOD},
        [GOOD, {**GOOD, "account": "../Canary"}],
        [{**GOOD, "account": 1}],
        [{**GOOD, "connector": None}],
        [{**GOOD, "origins": [1]}],
        [{**GOOD, "origins": 1}],
        [{**GOOD, "settings": ["Canary"]}],
        [{**GOOD, "settings": {"a": 1}}],
        [{**GOOD, "secrets": {}}],
        [{**GOOD, "secrets": CANARY}],
        [{**GOOD, "secrets": {"secret": 1}}],
        [{**GOOD, "ceiling": {}}],
        [{name: value for name, value in GOOD.items() if name != "mode"}],
    ],
)
def test_what_opens_and_is_not_ours_is_refused_whole_and_shows_nothing(document: Any) -> None:
    assert unpack(sealed([GOOD]), WORDS)[0][0] == binding()
    says = "The export opens, but what is in it is not what this mcpgate writes."
    assert refused(sealed(document)) == says


def test_what_stops_an_export_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise UsageError("stopped", "again")

    for name in ("seal", "derive", "check_passphrase"):
        with monkeypatch.context() as patch:
            patch.setattr(export, name, stop)
            with pytest.raises(UsageError) as caught:
                pack(KEPT, WORDS)
            assert one_line(caught.value) == "stopped"
