"""`mcpgate demo`: a real server, a real client."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Ran

Run = Callable[..., Ran]
STORY = """
demo: A story that goes wrong
run: [stripe]
cases:
  - say: A refund that nobody expects to be refused.
    call: { tool: stripe_create_refund, arguments: { charge: ch_1 } }
    expect: allow
  - say: Refused, but by another rule than the story says.
    call: { tool: stripe_create_refund, arguments: { charge: ch_1 } }
    expect: deny
    rule: max_value
"""


def test_the_shipped_story_is_played_in_under_ten_seconds(mcpgate: Run) -> None:
    began = time.monotonic()
    ran = mcpgate("demo")
    assert ran.code == 0, ran.out + ran.err
    assert time.monotonic() - began < 10
    for text in (
        "13 of 15 tools",
        "stripe_create_customer(name=Jenny Rosen",
        "Denied by max_value: amount 90000 is over the limit of 50000",
        "Denied by preset: stripe_create_refund",
        "POST https://api.stripe.com/v1/charges",
        "Authorization: Bearer ***",
        "amount=4200&currency=usd",
        "All 5 calls came as the story says",
    ):
        assert text in ran.out


def test_a_story_that_does_not_come_true_fails(mcpgate: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.demo.yaml"
    file.write_text(STORY)
    ran = mcpgate("demo", str(file))
    assert ran.code == 1
    assert "The story expects: allow." in ran.out
    assert "The story expects: deny by max_value." in ran.out
    assert "2 of 2 calls did not come as the story says." in ran.out


def test_a_faulty_story_names_its_places(mcpgate: Run, tmp_path: Path) -> None:
    file = tmp_path / "faulty.demo.yaml"
    file.write_text("demo: x\nrun: [stripe]\ncases:\n  - cal: { tool: a }\n    expect: maybe\n")
    ran = mcpgate("demo", str(file))
    assert ran.code == 3
    assert "faulty.demo.yaml:4:5: unknown key 'cal'; did you mean 'call'?" in ran.err
    assert "faulty.demo.yaml:5:13: 'maybe' is not one of allow, deny" in ran.err
