"""Story files."""

from __future__ import annotations

import pytest

from mcpgate.errors import SpecError
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
    assert (story.title, story.run) == ("An agent at the till", ("shop", "--preset", "transact"))
    assert story.policy == {"policy": "till", "deny": ["delete"]}
    assert story.cases == (
        Case("shop_pay", {"amount": 4200}, "allow", "She buys a shirt.", shows_request=True),
        Case("shop_refund", {}, "deny", rule="preset"),
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("demo:", "title:", "1:1: unknown key 'title'"),
        ("run: [shop, --preset, transact]", "run: shop", "2:6: expected a list, found 'shop'; write [shop]"),
        ("expect: deny", "expect: denied", "12:13: 'denied' is not one of allow, deny; did you mean 'deny'?"),
        ("show: request", "show: body", "10:11: 'body' is not one of request"),
        ("tool: shop_refund", "name: shop_refund", "11:11: the key 'tool' is missing"),
        ("arguments: { amount: 4200 }", "arguments: 4200", "8:40: expected a mapping, found 4200"),
    ],
)
def test_a_wrong_story_is_told_with_its_place(old: str, new: str, says: str) -> None:
    assert old in STORY
    with pytest.raises(SpecError) as caught:
        read_story("a.demo.yaml", STORY.replace(old, new).encode())
    assert any(problem.startswith(f"a.demo.yaml:{says}") for problem in caught.value.problems)
