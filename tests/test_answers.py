"""What an agent reads of a call that was refused or broke, and the last look at all that it reads."""

from __future__ import annotations

import pytest

from mcpgate.answers import broken, clean, refused, with_key
from mcpgate.engine.request import build
from mcpgate.errors import ArgumentsError, CredentialError, StoreError
from mcpgate.plan import Started
from mcpgate.secrets import Scrubber
from mcpgate.toolset import build_toolset
from mcpgate.values import Fate, Outcome, Reply
from tests.policy.shop import app

SECRET = "sk_" + "test_" + "9fK2mQ7xWb4Tn8Rz"


@pytest.fixture
def scrubber() -> Scrubber:
    scrubber = Scrubber()
    scrubber.learn(SECRET)
    return scrubber


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome('{"id":"o_1"}'),
        Outcome("Denied.", {"denied": True, "list": ["a", 1, None]}, is_error=True, note="A note."),
        Outcome("It broke.", is_error=True, exit_code=4),
    ],
)
def test_what_shows_nothing_passes_as_it_is(outcome: Outcome, scrubber: Scrubber) -> None:
    assert clean(outcome, scrubber) is outcome


def test_a_secret_is_taken_out_of_everything_that_is_read(scrubber: Scrubber) -> None:
    told = Outcome(f"It said {SECRET}.", {"error": SECRET, SECRET: [SECRET]}, True, f"Under {SECRET}.", 4)
    seen = clean(told, scrubber)
    assert SECRET not in repr(seen)
    assert (seen.text, seen.note, seen.is_error, seen.exit_code) == ("It said ***.", "Under ***.", True, 4)


def test_what_does_not_show_leaves_an_error_before_secrets_are_looked_for() -> None:
    scrubber, signs = Scrubber(), "%$-_!*~^@#=+"
    scrubber.learn(signs)
    broken_up = "\u200b".join(f"a{signs}b")
    assert scrubber.text(broken_up) == broken_up
    seen = clean(Outcome(broken_up, {"error": broken_up}, is_error=True), scrubber)
    assert (seen.text, seen.structured) == ("a***b", {"error": "a***b"})


def test_a_refusal_says_what_is_wrong_and_what_to_do() -> None:
    told = refused(CredentialError("There is none.", "Ask a person."))
    assert (told.text, told.is_error, told.exit_code) == ("There is none. Ask a person.", True, 4)
    assert told.structured == {"error": "There is none.", "hint": "Ask a person."}
    assert refused(ArgumentsError("No.")).structured == {"error": "No."}


def test_what_broke_after_a_call_says_what_became_of_it() -> None:
    assert broken("succeeded", KeyError(SECRET)).text == (
        "The call succeeded, but mcpgate itself failed after it (KeyError): look at what it did."
    )
    assert "mcpgate doctor" in broken("failed", StoreError("the disk is full")).text
    assert "is not known" in broken("unknown", ValueError()).text


@pytest.mark.parametrize(
    ("repeated", "fate", "says"),
    [
        (False, "succeeded", []),
        (False, "failed", []),
        (False, "unknown", ["within 24 hours"]),
        (True, "succeeded", ["made before"]),
        (True, "unknown", ["made before", "within 24 hours"]),
    ],
)
def test_what_a_key_means_is_told_where_it_means_something(
    repeated: bool, fate: Fate, says: list[str]
) -> None:
    entry = build_toolset(app()).find("shop_create_order")
    request = build(entry.grant.account, entry.tool, {})
    reply = Reply(request, fate, None, {}, None)
    outcome = Outcome("done")
    told = with_key(outcome, Started("call", "the-key", repeated), reply)
    assert [each for each in ("made before", "within 24 hours") if each in told.note] == says
    assert ("the-key" in told.note) == bool(says)
    assert (told is outcome) == (not says)
