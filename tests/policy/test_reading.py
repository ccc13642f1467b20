"""What a rule looks at: the field it names, the places of its role, spans, and what a lookup has told."""

from __future__ import annotations

from typing import Any

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.places import MISSING
from mcpgate.policy.call import Call, UndecidableError
from mcpgate.policy.decide import asks_lookup
from mcpgate.policy.reading import Reading, read, readings
from mcpgate.policy.rule import BoundRule
from mcpgate.toolset import build_toolset
from mcpgate.values import Rule
from tests.policy.shop import EVERYTHING, connector, judge, policy, reason

DESK = """
connector: desk
base_url: https://desk.example
tools:
  desk_send:
    description: Send.
    category: write
    request: POST /mails
    params:
      to: { type: array, items: { properties: { address: { type: string }, user: { type: integer } } } }
      cc: { type: array, items: { properties: { address: { type: string }, user: { type: integer } } } }
      bcc: { type: [string, 'null'] }
      others: { type: object, additionalProperties: { properties: { address: { type: string } } } }
    roles: { recipient: [to.address, cc.address, bcc, others.*.address] }
    effects: [message]
  desk_commit:
    description: Commit.
    category: write
    request: POST /commits
    params:
      branch: { type: string }
      owner: { type: [string, array], items: { type: string } }
      name: { type: [string, integer] }
      since: { type: string }
    roles: { branch: branch, repo: [owner, name], start: since }
    effects: []
  desk_fork:
    description: Fork.
    category: write
    request: POST /forks
    params: { full_name: { type: string } }
    roles: { repo: full_name }
    effects: []
  desk_note:
    description: Note.
    category: write
    request: POST /notes
    params: { text: { type: string }, before: { type: string }, end: { type: string } }
    roles: { end: end }
    effects: []
  desk_refund:
    description: Refund.
    category: write
    request: POST /refunds
    params: { order: { type: string } }
    lookup: GET /orders/{order}
    effects: [money_out]
"""

COMMIT, REFUND = ("desk_commit", {"branch": "dev"}), ("desk_refund", {"order": "o"})


def desk(*guardrails: str) -> App:
    lines = "".join(f"  - {line}\n" for line in guardrails)
    grant = Grant(open_account(connector(DESK), {}), policy(EVERYTHING))
    return App("test", (grant,), rules=(policy(f"guardrails:\n{lines}"),))


def verdict(guardrail: str, tool: str, arguments: dict[str, Any], **facts: Any) -> str:
    return judge(desk(guardrail), tool, arguments, **facts).verdict


def listed(guardrail: str) -> set[str]:
    return {tool["name"] for tool in build_toolset(desk(guardrail)).listing()["tools"]}


# --- roles -----------------------------------------------------------------------------------------------


def people(*addresses: str | None) -> list[dict[str, Any]]:
    return [{"user": 5} if address is None else {"address": address} for address in addresses]


@pytest.mark.parametrize(
    ("arguments", "values", "missing"),
    [
        ({"to": people("a")}, ["a"], False),
        ({"to": people("a", "b"), "bcc": "c"}, ["a", "b", "c"], False),
        ({"cc": people("b"), "others": {"x": {"address": "d"}}}, ["b", "d"], False),
        ({"to": people("a"), "cc": []}, ["a"], False),
        ({"to": people("a"), "bcc": None}, ["a"], False),
        ({"to": people("a"), "others": {}}, ["a"], False),
        ({}, [], True),
        ({"to": [], "cc": []}, [], True),
        # an element without it is missing, whatever stands at the other places
        ({"to": people("a", None)}, ["a"], True),
        ({"to": people("a"), "cc": people("b", None)}, ["a", "b"], True),
        ({"to": people(None), "cc": people("b")}, ["b"], True),
        ({"to": people(None, None), "bcc": "c"}, ["c"], True),
        ({"to": people("a"), "others": {"x": {}}}, ["a"], True),
        ({"to": people("a"), "others": {"x": {"address": "d"}, "y": {}}}, ["a", "d"], True),
    ],
)
def test_a_role_is_read_at_all_of_its_places(
    arguments: dict[str, Any], values: list[Any], missing: bool
) -> None:
    tool = connector(DESK).tools["desk_send"]
    label = ", ".join(place.text for place in tool.roles["recipient"])
    reading = Reading(label, tuple(place.keys for place in tool.roles["recipient"]))
    assert read(reading, Call(tool, arguments), opened=True, nulls=False) == (values, missing)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"owner": "acme", "name": "site"}, (["acme/site"], False)),
        ({"owner": "", "name": "site"}, (["/site"], False)),
        ({"owner": "acme"}, ([], True)),
        ({"name": "site"}, ([], True)),
        ({"owner": [], "name": "site"}, ([], True)),
        ({"owner": ["acme", "evil"], "name": "site"}, None),
        ({"owner": "acme", "name": 5}, None),
    ],
)
def test_owner_and_name_make_one_value(
    arguments: dict[str, Any], expected: tuple[list[Any], bool] | None
) -> None:
    tool = connector(DESK).tools["desk_commit"]
    (reading,), lacking = readings(Rule("allow_repos", {"repos": ["acme/site"]}, (), "", ""), tool)
    assert (reading, lacking) == (Reading("owner/name", (("owner",), ("name",)), "/"), "")
    if expected is None:
        with pytest.raises(UndecidableError, match="owner/name is not one text") as raised:
            read(reading, Call(tool, arguments), opened=True, nulls=False)
        assert raised.value.field == "owner/name"
    else:
        assert read(reading, Call(tool, arguments), opened=True, nulls=False) == expected


def test_a_repository_at_one_place_or_at_two() -> None:
    guardrail = "{ for: [desk_commit, desk_fork], allow_repos: { repos: [acme/site] } }"
    for repo, expected in (("acme/site", "allow"), ("acme/other", "deny")):
        owner, _, name = repo.partition("/")
        assert verdict(guardrail, "desk_fork", {"full_name": repo}) == expected
        assert verdict(guardrail, "desk_commit", {"owner": owner, "name": name}) == expected
    lenient = guardrail.replace(" } }", " }, when_missing: allow }")
    assert verdict(lenient, "desk_commit", {"owner": "evil"}) == "allow"


@pytest.mark.parametrize(
    ("guardrail", "denied", "says"),
    [
        (
            "allow_repos: { repos: [a/b] }",
            {"desk_send", "desk_note", "desk_refund"},
            "has no repo (see roles",
        ),
        (
            "allow_repos: { repos: [a/b], field: owner }",
            {"desk_send", "desk_note", "desk_refund", "desk_fork"},
            "has no field owner, which allow_repos must guard",
        ),
        ("deny_past_dates: {}", {"desk_send", "desk_note", "desk_refund", "desk_fork"}, "has no start (see"),
        (
            "max_duration: { max: 5 }",
            {"desk_send", "desk_refund", "desk_fork", "desk_note", "desk_commit"},
            "(see roles, or name a field), which max_duration must guard",
        ),
        (
            "max_duration: { start: since, max: 5 }",
            {"desk_send", "desk_refund", "desk_fork", "desk_note", "desk_commit"},
            "must guard",
        ),
        # a block has nothing to block there, nor has a limit on what may be missing
        ("protect_branches: { branches: [main] }", set(), ""),
        ("allow_repos: { repos: [a/b] }, when_missing: allow", set(), ""),
        ("max_duration: { max: 5 }, when_missing: allow", set(), ""),
        ("max_duration: { max: 5 }, mode: observe", set(), ""),
    ],
)
def test_a_limit_denies_a_tool_that_has_nothing_for_it_to_guard(
    guardrail: str, denied: set[str], says: str
) -> None:
    every = set(connector(DESK).tools)
    assert listed(f"{{ for: write, {guardrail} }}") == every - denied
    for name in denied:
        found = reason(
            desk(f"{{ for: write, {guardrail} }}"), name, {"order": "o"} if "refund" in name else {}
        )
        assert says in found.says
        assert found.says.startswith(f"{name} has no ")


@pytest.mark.parametrize(
    ("guardrail", "tool", "arguments", "said"),
    [
        (
            "allow_repos: { repos: [a/b] }",
            "desk_note",
            {},
            "observe: desk_note has no repo (see roles, or name",
        ),
        (
            "allow_repos: { repos: [a/b] }",
            "desk_fork",
            {},
            "observe: full_name is missing, and allow_repos guards",
        ),
        (
            "allow_repos: { repos: [a/b] }",
            "desk_fork",
            {"full_name": "c/d"},
            'observe: full_name "c/d" is not among',
        ),
        ("allow_repos: { repos: [a/b] }", "desk_fork", {"full_name": "a/b"}, "allow: full_name passes"),
        (
            "max_duration: { max: 5 }",
            "desk_note",
            {"end": "2026-11-23"},
            "observe: desk_note has no start (see",
        ),
        ("protect_branches: { branches: [main] }", "desk_note", {}, "allow: the call passes"),
        ("protect_branches: { branches: [main] }", *COMMIT, "allow: branch passes"),
        (
            "max_value: { field: before.total, max: 5 }",
            *REFUND,
            "observe: before.total is not known: nothing",
        ),
        (
            "time_window: { tz: UTC, days: [sun], from: 09:00, to: 17:00 }",
            "desk_note",
            {},
            "observe: it is mon",
        ),
    ],
)
def test_a_rule_that_observes_says_what_it_would_have_denied(
    guardrail: str, tool: str, arguments: dict[str, Any], said: str
) -> None:
    decision = judge(desk(f"{{ for: write, {guardrail}, mode: observe }}"), tool, arguments)
    assert decision.verdict == "allow"
    assert f"{decision.trace[-1].verdict}: {decision.trace[-1].says}".startswith(said)


# --- spans -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected", "lenient"),
    [
        ({"text": "2026-11-23", "end": "2026-11-23"}, "allow", "allow"),
        ({"text": "2026-11-23", "end": "2026-11-24"}, "deny", "deny"),
        ({"text": "2026-11-23"}, "deny", "allow"),
        ({"end": "2026-11-23"}, "deny", "allow"),
        ({}, "deny", "allow"),
    ],
)
def test_a_span_has_one_end_by_name_and_one_by_role(
    arguments: dict[str, Any], expected: str, lenient: str
) -> None:
    guardrail = "for: desk_note, max_duration: { start: text, max: 86400 }"
    assert verdict(f"{{ {guardrail} }}", "desk_note", arguments) == expected
    assert verdict(f"{{ {guardrail}, when_missing: allow }}", "desk_note", arguments) == lenient
    # where the tool has no start at all, none is ever given
    guardrail = "for: desk_note, max_duration: { max: 5 }"
    assert verdict(f"{{ {guardrail} }}", "desk_note", arguments) == "deny"
    assert verdict(f"{{ {guardrail}, when_missing: allow }}", "desk_note", arguments) == "allow"


# --- before ----------------------------------------------------------------------------------------------

LIMIT = "{ for: desk_refund, allow_values: { field: before.currency, values: [usd] } }"
BLOCK = "{ for: desk_refund, block_values: { field: before.currency, values: [jpy] } }"


@pytest.mark.parametrize(
    ("before", "limit", "block"),
    [
        ({"currency": "usd"}, "allow", "allow"),
        ({"currency": "jpy"}, "deny", "deny"),
        ({"currency": "JPY"}, "deny", "deny"),
        ({"currency": None}, "deny", "allow"),
        ({}, "deny", "allow"),
        ({"currency": ["usd", "jpy"]}, "deny", "deny"),
        ([{"currency": "usd"}, {"currency": "jpy"}], "deny", "deny"),
        ([{"currency": "usd"}, {}], "deny", "allow"),
        ([], "deny", "allow"),
        ("usd", "deny", "allow"),
        (None, "deny", "allow"),
        (MISSING, "deny", "deny"),
    ],
)
def test_a_rule_may_look_at_what_the_lookup_told(before: Any, limit: str, block: str) -> None:
    assert verdict(LIMIT, *REFUND, before=before) == limit
    assert verdict(BLOCK, *REFUND, before=before) == block


@pytest.mark.parametrize("guardrail", [LIMIT, BLOCK, LIMIT.replace(" }", " }, when_missing: allow", 1)])
def test_without_the_reply_of_the_lookup_nothing_is_decided(guardrail: str) -> None:
    found = reason(desk(guardrail), *REFUND)
    assert found.says == (
        "before.currency is not known: nothing was looked up, and what cannot be decided is denied"
    )
    assert found.field == "before.currency"


def test_a_parameter_called_before_is_an_argument_like_any_other() -> None:
    guardrail = "{ for: desk_note, allow_values: { field: before, values: [noon] } }"
    assert verdict(guardrail, "desk_note", {"before": "noon"}) == "allow"
    assert verdict(guardrail, "desk_note", {"before": "dusk"}) == "deny"
    assert verdict(guardrail, "desk_note", {}, before="noon") == "deny"
    entry = build_toolset(desk(guardrail)).find("desk_note")
    assert not asks_lookup(entry.bound, Call(entry.tool, {"before": "noon"}))


@pytest.mark.parametrize(
    ("guardrail", "asks"),
    [
        (LIMIT, True),
        (BLOCK, True),
        ("{ for: desk_refund, required_fields: { fields: [order, before.id] } }", True),
        (LIMIT.replace(" } }", " }, mode: observe }"), True),
        ("{ for: desk_refund, required_fields: { fields: [order] } }", False),
        ("{ for: desk_refund, block_fields: { fields: [order] } }", False),
        ("{ for: desk_note, required_fields: { fields: [before] } }", False),
    ],
)
def test_a_lookup_is_asked_for_where_a_rule_looks_at_before(guardrail: str, asks: bool) -> None:
    entry = build_toolset(desk(guardrail)).find("desk_refund")
    assert any(isinstance(step, BoundRule) for step in entry.bound) is ("for: desk_refund" in guardrail)
    assert asks_lookup(entry.bound, Call(entry.tool, {"order": "o"})) is asks


def test_what_stands_in_before_is_not_asked_of_the_agent() -> None:
    (shown,) = (t for t in build_toolset(desk(LIMIT)).listing()["tools"] if t["name"] == "desk_refund")
    assert shown["inputSchema"] == connector(DESK).tools["desk_refund"].schema
