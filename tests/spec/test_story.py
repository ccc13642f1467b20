"""Story files."""

from __future__ import annotations

import pytest

from mcpgate.errors import SpecError
from mcpgate.places import MISSING
from mcpgate.spec.story import Case, read_story

STORY = """\
demo: An agent at the till
run: [shop, --preset, transact]
policy: { policy: till, deny: [delete] }
cases:
  - say: >-
      She buys
      a shirt.
    call: { tool: shop_pay, arguments: { amount: 4200 } }
    expect: allow
    show: request
  - call: { tool: shop_refund }
    expect: deny
    rule: preset
"""


def test_a_story_is_a_run_and_its_cases() -> None:
    story = read_story("a.demo.yaml", STORY.encode())
    assert (story.title, story.kind, story.run) == (
        "An agent at the till",
        "demo",
        ("shop", "--preset", "transact"),
    )
    assert story.origin == "a.demo.yaml:2"
    assert story.policy is not None
    assert [selector.text for selector in story.policy.deny] == ["delete"]
    assert story.cases == (
        Case(
            "shop_pay",
            {"amount": 4200},
            "allow",
            "She buys a shirt.",
            shows_request=True,
            origin="a.demo.yaml:5",
        ),
        Case("shop_refund", {}, "deny", rule="preset", origin="a.demo.yaml:11"),
    )


def test_a_test_says_what_a_lookup_would_tell_and_when_and_what_became_of_it() -> None:
    text = (
        "test: The till\nrun: [shop]\npolicy: ./till.yaml\nat: 2026-11-23T10:00:00Z\ncases:\n"
        "  - { call: { tool: a }, expect: deny, before: { amount: 1 } }\n"
        "  - { call: { tool: a }, expect: deny, at: 2026-11-23T12:00+01:00 }\n"
        "  - { call: { tool: a }, expect: allow, outcome: failed }\n"
    )
    story = read_story("till.test.yaml", text.encode())
    assert (story.title, story.kind, story.policy, story.policy_file) == (
        "The till",
        "test",
        None,
        "./till.yaml",
    )
    first, second, third = story.cases
    assert (first.before, first.at) == ({"amount": 1}, 1795428000.0)
    assert (second.before, second.at) == (MISSING, 1795428000.0 + 3600)
    assert [each.outcome for each in story.cases] == ["succeeded", "succeeded", "failed"]
    assert third.at == first.at


@pytest.mark.parametrize("title", ["'é 🙂'", "plain"])
@pytest.mark.parametrize(
    "policy",
    [
        "policy: { policy: till, guardrails: [\n  { for: read,\n    block_delete: {} }] }\n",
        "policy:\n\n  policy: till\n  guardrails:\n    - for: read # é\n      block_delete: {}\n",
    ],
)
def test_a_rule_written_in_place_keeps_its_place(title: str, policy: str) -> None:
    text = f"demo: {title}\nrun: [shop]\n{policy}cases: [{{ call: {{ tool: a }}, expect: allow }}]\n"
    story = read_story("a.demo.yaml", text.encode())
    assert story.policy is not None
    line = text[: text.index("block_delete")].count("\n") + 1
    assert [rule.origin for rule in story.policy.rules] == [f"a.demo.yaml:{line}"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("demo:", "title:", "1:1: unknown key 'title'"),
        ("run: [shop, --preset, transact]", "run: shop", "2:6: expected a list, found 'shop'; write [shop]"),
        ("expect: deny", "expect: denied", "12:13: 'denied' is not one of allow, deny; did you mean 'deny'?"),
        ("show: request", "show: body", "10:11: 'body' is not one of request"),
        ("tool: shop_refund", "name: shop_refund", "11:11: the key 'tool' is missing"),
        ("arguments: { amount: 4200 }", "arguments: 4200", "8:40: expected a mapping, found 4200"),
        ("demo: An", "test: b\ndemo: An", "1:1: say what this file is: `demo: TITLE` or `test: TITLE`, one"),
        (
            "demo: An agent at the till\n",
            "",
            "1:1: say what this file is: `demo: TITLE` or `test: TITLE`, one",
        ),
        ("deny: [delete]", "denny: [delete]", "3:25: unknown key 'denny'; did you mean 'deny'?"),
        ("deny: [delete]", "deny: [delte]", "3:32: 'delte' is no category, effect:NAME, tool name or glob"),
        ("{ policy: till, deny", "{ preset: till, allow", "3:9: a preset has a file of its own, named here"),
        ("{ policy: till, deny: [delete] }", "7", "3:9: expected a mapping or a text, found 7"),
        ("rule: preset", "rule: presett", "13:11: there is no rule 'presett'; did you mean 'preset'?"),
        ("show: request", "rule: preset", "10:11: what is allowed is denied by no rule; leave it out"),
        ("show: request", "at: noon", "10:9: 'noon': a moment is written 2026-11-23T10:00:00Z"),
        (
            "show: request",
            "at: 2026-13-45T10:00:00Z",
            "10:9: '2026-13-45T10:00:00Z' is no moment that there is",
        ),
        ("show: request", "before: 7", "10:13: expected a mapping, found 7"),
        ("show: request", "outcome: fails", "10:14: 'fails' is not one of succeeded, failed, unknown"),
        ("rule: preset", "outcome: failed", "13:14: what is denied is not made, so nothing becomes of it"),
    ],
)
def test_a_wrong_story_is_told_with_its_place(old: str, new: str, says: str) -> None:
    assert old in STORY
    with pytest.raises(SpecError) as caught:
        read_story("a.demo.yaml", STORY.replace(old, new).encode())
    assert any(problem.startswith(f"a.demo.yaml:{says}") for problem in caught.value.problems)


def test_faults_of_the_policy_and_of_the_cases_are_told_together() -> None:
    text = STORY.replace("[delete]", "[delte]").replace("rule: preset", "rule: presett")
    with pytest.raises(SpecError) as caught:
        read_story("a.demo.yaml", text.encode())
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["3", "13"]
