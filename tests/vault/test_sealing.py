"""The envelope: what opens, what does not, and what is never shown."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import hmac
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.secrets import MASK, Secret
from mcpgate.vault.sealing import BrokenSealError, MasterKey, Sealed, check_value, rewrap, seal, unseal
from tests.vault.vaults import CANARY, KEY, told_in_full

MASTER = MasterKey("id-1", KEY)
FACTS = b'["row", "shop"]'
BOX = seal(MASTER, FACTS, Secret(CANARY))


def hkdf(key: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block, by the standard library."""
    extracted = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def broken(box: Sealed, facts: bytes = FACTS, master: MasterKey = MASTER) -> BrokenSealError:
    with pytest.raises(BrokenSealError) as caught:
        unseal(master, facts, box)
    return caught.value


@given(some.text(max_size=300), some.binary(max_size=60))
def test_what_is_sealed_opens_for_its_facts_alone(text: str, facts: bytes) -> None:
    text = text.encode(errors="replace").decode()
    box = seal(MASTER, facts, Secret(text))
    assert unseal(MASTER, facts, box).reveal() == text
    broken(box, facts + b" ")
    broken(box, b" " + facts)


@pytest.mark.parametrize("part", ["wrapped", "sealed"])
def test_a_changed_bit_anywhere_and_any_cut_breaks_it(part: str) -> None:
    data = getattr(BOX, part)
    changed = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    cut = [data[:end] for end in range(len(data))] + [data[1:], data + b"\0", b"\0" + data, data + data]
    for each in changed + cut:
        broken(dataclasses.replace(BOX, **{part: each}))


def test_nothing_of_one_box_fits_into_another() -> None:
    other = seal(MASTER, FACTS, Secret(CANARY))
    broken(Sealed(BOX.wrapped, other.sealed))
    broken(Sealed(BOX.sealed, BOX.wrapped))
    broken(BOX, master=MasterKey("id-2", KEY))
    broken(BOX, master=MasterKey("id-1", KEY[::-1]))
    # the id ends what a key is wrapped for, and cannot be moved over into the facts
    broken(BOX, FACTS[:-1], MasterKey(f"{FACTS[-1:].decode()}id-1", KEY))


def test_no_nonce_and_no_data_key_comes_twice() -> None:
    boxes = [seal(MASTER, FACTS, Secret(CANARY)) for _ in range(500)]
    assert len({part[:12] for box in boxes for part in (box.wrapped, box.sealed)}) == 1000
    assert len({box.sealed[12:] for box in boxes}) == 500
    assert not [box for box in boxes if CANARY.encode() in box.sealed + box.wrapped]


def test_a_box_that_is_wrapped_anew_opens_with_the_new_key_alone() -> None:
    new = MasterKey("id-2", KEY[::-1])
    box = rewrap(MASTER, new, FACTS, BOX)
    assert unseal(new, FACTS, box).reveal() == CANARY
    assert box.sealed == BOX.sealed
    broken(box)
    with pytest.raises(BrokenSealError):
        rewrap(MASTER, new, b"others", BOX)
    with pytest.raises(BrokenSealError):
        rewrap(new, MASTER, FACTS, BOX)
    with pytest.raises(BrokenSealError):
        rewrap(MASTER, new, FACTS, dataclasses.replace(BOX, sealed=BOX.sealed[:-1]))


def test_every_purpose_and_every_id_has_a_key_of_its_own_by_hkdf() -> None:
    assert MASTER.derive("wrap") == hkdf(KEY, b"mcpgate wrap id-1")
    assert (
        MASTER.derive("wrap", "id-2")
        == MasterKey("id-2", KEY).derive("wrap")
        == hkdf(KEY, b"mcpgate wrap id-2")
    )
    purposes = ("wrap", "check", "manifest", "comparison")
    assert len({MASTER.derive(purpose, name) for purpose in purposes for name in ("a", "b")}) == 8
    # kept in databases, so it stays what it is
    assert check_value(MASTER) == hmac.digest(
        hkdf(KEY, b"mcpgate check id-1"), b"mcpgate master key", hashlib.sha256
    )


def test_the_same_key_is_known_whatever_its_id() -> None:
    assert MASTER.same_key(MasterKey("id-2", KEY))
    assert not MASTER.same_key(MasterKey("id-1", KEY[::-1]))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_master_key_has_one_size(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKey("id", bytes(size))


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{:>9}".format, lambda key: f"{[key]}"])
def test_a_master_key_never_shows_itself(show: Callable[[MasterKey], str]) -> None:
    assert MASK in show(MASTER)
    assert "07" not in show(MASTER)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, vars, bytes, list])
def test_a_master_key_cannot_be_taken_along(take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        take(MASTER)


def test_what_breaks_holds_neither_key_nor_document(monkeypatch: pytest.MonkeyPatch) -> None:
    data_key = bytes(range(100, 132))
    monkeypatch.setattr(AESGCM, "generate_key", staticmethod(lambda _: data_key))
    box = seal(MASTER, FACTS, Secret(CANARY))
    wrong_document = dataclasses.replace(box, sealed=BOX.sealed)
    for error in (broken(wrong_document), broken(dataclasses.replace(box, wrapped=BOX.wrapped[:-1]))):
        told = told_in_full(error)
        assert "unseal" in told or "sealing.py" in told
        for hidden in (data_key, MASTER.derive("wrap"), KEY):
            assert repr(hidden)[2:-1] not in told
