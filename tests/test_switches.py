"""Tools that are off for an app, and what is frozen: as policies of the first layer. Row 32."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from mcpgate.apps import digest_of, frozen, seen, switch_of, switched_off
from mcpgate.toolset import build_toolset
from mcpgate.values import Policy
from tests.policy.shop import SHOP, app, connector

PAY, NOTE = "shop_create_payout", "shop_send_note"
SINCE = "2027-01-15T08:00:00+00:00"
OWN_KEYS = "settings: { site: { type: string, pattern: '[a-z]+', default: a } }\n"


@dataclass(frozen=True)
class Freeze:
    app: str = ""
    connector: str = ""
    effect: str = ""
    since: str = SINCE


def denied(*policies: Policy) -> set[str]:
    entries = build_toolset(dataclasses.replace(app(), switches=policies)).entries
    return {name for name, entry in entries.items() if entry.denied is not None}


def test_a_tool_is_on_as_it_was_when_it_was_looked_at() -> None:
    kept = seen(connector())
    assert switched_off(kept, connector()) is None
    assert {each["on"] for each in kept.values()} == {True}
    assert len({each["digest"] for each in kept.values()}) == len(connector().tools)


@pytest.mark.parametrize(
    ("kept", "state", "says"),
    [
        ({"on": False}, "off", f"{PAY}: switched off for till"),
        ({"digest": "another"}, "changed", f"{PAY}: off for till: it has changed since it was enabled"),
        (None, "new", f"{PAY}: new since its connector was granted to till"),
        ({"on": 1}, "off", f"{PAY}: switched off for till"),
    ],
)
def test_a_tool_that_is_off_says_why_and_what_enables_it(
    kept: Mapping[str, Any] | None, state: str, says: str
) -> None:  # row 32
    tools = seen(connector())
    tools = {name: each for name, each in tools.items() if name != PAY} | (
        {PAY: {**tools[PAY], **kept}} if kept is not None else {}
    )
    assert switch_of(tools, connector(), connector().tools[PAY]) == state
    policy = switched_off(tools, connector(), "till")
    assert policy is not None
    assert policy.kind == "switches"
    mends = f" (mcpgate apps enable till {PAY})"
    assert [f"{selector.text}: {selector.origin}" for selector in policy.deny] == [says + mends]
    assert denied(policy) == {PAY}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("base_url: https://api.shop.example/v1", "base_url: https://api.shop.example/v2"),
        ("idempotency: Idempotency-Key\n", ""),
        ("idempotency: Idempotency-Key\n", "idempotency: X-Once\n"),
        ("auth: { type: bearer,", "auth: { type: header, name: X-Key,"),
        ("secret: { label: Key }", "secret: { label: Key, kinds: [{ match: 'k_.*', mode: live }] }"),
        ("errors: { message: error }", "errors: { message: error, when: error }"),
        ("request_id: Request-Id", "headers: { X-Version: '2' }"),
        ("request_id: Request-Id", "encoding: form"),
        ("request_id: Request-Id", "lists: comma"),
        ("request_id: Request-Id", "retry: Should-Retry"),
        ("default: a", "default: b"),
        ("description: Pay many out.", "description: Pay everyone out."),
        ("request: POST /payouts", "request: POST /v2/payouts"),
        (
            "effects: [money_out]\n    money: { amount: parts",
            "effects: [message]\n    money: { amount: parts",
        ),
    ],
)
def test_whatever_changes_what_a_call_does_changes_the_digest(old: str, new: str) -> None:  # row 32
    text = SHOP.replace("\ntools:", f"\n{OWN_KEYS}tools:")
    assert old in text
    before, after = connector(text), connector(text.replace(old, new, 1))
    assert digest_of(before, before.tools[PAY]) != digest_of(after, after.tools[PAY])
    assert switch_of(seen(before), after, after.tools[PAY]) == "changed"


def test_what_people_are_told_of_a_connector_leaves_its_tools_as_they_are() -> None:
    after = connector(SHOP.replace("title: Shop", "title: The shop").replace("label: Key", "label: Its key"))
    assert switched_off(seen(connector()), after) is None
    after = connector(SHOP.replace("description: Pay many out.", "description: Other."))
    policy = switched_off(seen(connector()), after)
    assert policy is not None
    assert [selector.text for selector in policy.deny] == [PAY]


EVERY = set(connector().tools)


@pytest.mark.parametrize(
    ("freeze", "gone", "mends"),
    [
        (Freeze(), EVERY, "mcpgate thaw --all"),
        (Freeze(app="till"), EVERY, "mcpgate thaw --app till"),
        (Freeze(connector="shop"), EVERY, "mcpgate thaw --connector shop"),
        (Freeze(effect="message"), {NOTE}, "mcpgate thaw --effect message"),
        (Freeze(app="till", effect="message"), {NOTE}, "mcpgate thaw --app till --effect message"),
        # no selector takes in a connector's tools of one effect, so more is denied rather than less
        (Freeze(connector="shop", effect="message"), EVERY, "--connector shop --effect message"),
        (Freeze(effect="no-such-effect"), EVERY, "--effect no-such-effect"),
    ],
)
def test_what_is_frozen_is_denied_and_says_since_when(freeze: Freeze, gone: set[str], mends: str) -> None:
    (policy,) = frozen([freeze], "till", ["shop"])
    assert policy.kind == "freeze"
    assert mends in policy.description
    assert all(SINCE in selector.origin for selector in policy.deny)
    assert denied(policy) == gone


@pytest.mark.parametrize("freeze", [Freeze(app="other"), Freeze(connector="desk"), Freeze("other", "shop")])
def test_what_is_frozen_for_others_is_not_denied_here(freeze: Freeze) -> None:
    assert frozen([freeze], "till", ["shop"]) == ()
