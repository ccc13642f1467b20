"""Keys of apps: 256 bits, kept as a hash, and until when they count. Row 23."""

from __future__ import annotations

import base64

import pytest

from mcpgate.errors import UsageError
from mcpgate.store.app_key import expiry, hash_of, is_key, is_past, new_key

NOW = 1_800_000_000.0


def test_a_key_has_256_bits_and_never_shows_itself() -> None:  # row 23
    keys = [new_key() for _ in range(20)]
    texts = {key.reveal() for key in keys}
    assert len(texts) == 20
    for text in texts:
        assert is_key(text)
        assert text.startswith("mgw_")
        assert len(base64.urlsafe_b64decode(text.removeprefix("mgw_") + "=")) == 32
        assert text not in f"{keys!r} {keys[0]} {keys[0]:s}"
        assert text[4:] not in hash_of(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: "",
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key + "\n",
        lambda key: " " + key,
        lambda key: key.replace("mgw_", "mgx_"),
        lambda key: key.upper(),
        lambda key: key[:-1] + "=",
        lambda key: key[:-1] + "é",
        lambda key: key[:-1] + "\x00",
        lambda key: key[:-1] + "'",
    ],
)
def test_what_is_no_key_is_known_by_its_looks(change: object) -> None:
    assert not is_key(change("mgw_" + "A" * 43))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("", ""),
        ("never", ""),
        ("90d", "2027-04-15T08:00:00+00:00"),
        ("12h", "2027-01-15T20:00:00+00:00"),
        ("30m", "2027-01-15T08:30:00+00:00"),
        ("2w", "2027-01-29T08:00:00+00:00"),
        ("2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00+00:00"),
    ],
)
def test_an_expiry_is_a_span_or_a_moment(text: str, until: str) -> None:
    assert expiry(text, NOW) == until


@pytest.mark.parametrize(
    "text", ["tomorrow", "0d", "-1d", "90", "1y", "2027-01-31", "2027-01-31T00:00:00", "2020-01-01T00:00:00Z"]
)
def test_what_is_no_expiry_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        expiry(text, NOW)
    assert "90d" in caught.value.hint


@pytest.mark.parametrize(
    ("until", "past"),
    [
        ("", False),
        ("2027-01-15T08:00:00+00:00", True),
        ("2027-01-15T08:00:01+00:00", False),
        ("2027-01-15T07:59:59+00:00", True),
        ("soon", True),
        ("2027-01-16T08:00:00", True),
    ],
)
def test_one_that_cannot_be_read_has_passed(until: str, past: bool) -> None:
    assert is_past(until, NOW) is past
