"""`mcpgate call`, and its dry run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpgate import catalog
from mcpgate.cli.call import read_arguments
from mcpgate.errors import UsageError
from tests.cli.conftest import Ran
from tests.standins.connectors import pointed_at
from tests.standins.loopback import Loopback, Reply

Run = Callable[..., Ran]
CAP = """
policy: cap
guardrails:
  - for: stripe_create_charge
    max_value: { field: amount, max: 50000 }
    allow_values: { field: currency, values: [usd] }
    reason: A person takes larger payments.
"""


@pytest.fixture
def cap(tmp_path: Path) -> str:
    file = tmp_path / "cap.yaml"
    file.write_text(CAP)
    return str(file)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["amount=100", "currency=usd"], {"amount": 100, "currency": "usd"}),
        (["metadata.order=7"], {"metadata": {"order": "7"}}),
        ([r"metadata.a\.b=7"], {"metadata": {"a.b": "7"}}),
        (["expand=data.customer,data.x"], {"expand": ["data.customer", "data.x"]}),
        (["amount=lots"], {"amount": "lots"}),
        (["description=true"], {"description": "true"}),
        (['metadata:={"a": "b"}'], {"metadata": {"a": "b"}}),
        (["description=a=b"], {"description": "a=b"}),
    ],
)
def test_words_become_arguments_by_the_tools_schema(words: list[str], arguments: dict[str, object]) -> None:
    tools = catalog.load_connector("stripe").tools
    tool = tools["stripe_list_subscriptions" if "expand" in arguments else "stripe_create_charge"]
    assert read_arguments(tool, words) == arguments


def test_a_word_that_goes_into_a_value_is_refused() -> None:
    tool = catalog.load_connector("stripe").tools["stripe_create_charge"]
    with pytest.raises(UsageError, match="amount has a value already"):
        read_arguments(tool, ["amount=1", "amount.x=2"])


def test_a_call_in_the_sandbox_shows_what_the_agent_reads(mcpgate: Run) -> None:
    ran = mcpgate("call", "stripe_create_customer", "name=Ada", "--sandbox", "-p", "transact")
    assert ran.code == 0
    assert json.loads(ran.out)["name"] == "Ada"


def test_a_denial_has_an_exit_code_of_its_own(mcpgate: Run, cap: str) -> None:
    words = (
        "call",
        "stripe_create_charge",
        "amount=90000",
        "currency=usd",
        "source=tok_visa",
        "-p",
        "transact",
    )
    ran = mcpgate(*words, "--policy", cap, "--sandbox", "--json")
    assert ran.code == 5
    facts = json.loads(ran.out)
    assert facts["isError"] is True
    assert facts["structured"] == {
        "denied": True,
        "rule": "max_value",
        "field": "amount",
        "limit": 50000,
        "value": 90000,
        "passes": "amount ≤ 50000",
        "reason": "A person takes larger payments.",
    }


def test_without_a_credential_a_call_says_what_a_person_has_to_do(mcpgate: Run) -> None:
    ran = mcpgate("call", "stripe_get_balance")
    assert ran.code == 4
    assert "MCPGATE_STRIPE_KEY" in ran.out
    assert "dashboard.stripe.com/apikeys" in ran.out


def test_a_live_key_runs_only_with_live(mcpgate: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # row 16
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", "rk_live_" + "x" * 24)
    ran = mcpgate("call", "stripe_get_balance")
    assert ran.code == 4
    assert "live keys run only with --live" in ran.out
    assert "x" * 8 not in ran.out + ran.err


def test_a_dry_run_shows_trace_and_request_and_sends_nothing(
    mcpgate: Run, cap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", "sk_test_" + "y" * 24)
    words = (
        "call",
        "stripe_create_charge",
        "amount=4200",
        "currency=usd",
        "source=tok_visa",
        "metadata.o=1 2",
    )
    ran = mcpgate(*words, "-p", "transact", "--policy", cap, "--dry-run", "--json")
    assert ran.code == 0
    facts = json.loads(ran.out)
    assert [(step["layer"], step["rule"], step["verdict"]) for step in facts["trace"]] == [
        ("preset", "preset", "allow"),
        ("rules", "policy", "allow"),
        ("rules", "max_value", "allow"),
        ("rules", "allow_values", "allow"),
    ]
    assert facts["request"]["method"] == "POST"
    assert facts["request"]["url"] == "https://api.stripe.com/v1/charges"
    assert facts["request"]["headers"]["Authorization"] == "Bearer ***"
    assert facts["request"]["body"] == "amount=4200&currency=usd&source=tok_visa&metadata[o]=1+2"
    assert "yyyy" not in ran.out


def test_a_dry_run_of_a_denied_call_keeps_the_whole_trace(mcpgate: Run, cap: str) -> None:
    words = (
        "call",
        "stripe_create_charge",
        "amount=90000",
        "currency=jpy",
        "source=tok_visa",
        "-p",
        "transact",
    )
    ran = mcpgate(*words, "--policy", cap, "--dry-run")
    assert ran.code == 5
    for text in (
        "max_value",
        "allow_values",
        "Passes: amount ≤ 50000",
        'currency "jpy" is not allowed',
        "cap.yaml:5",
    ):
        assert text in ran.out
    assert "POST" not in ran.out


def test_text_from_elsewhere_is_never_markup_or_control_codes(mcpgate: Run) -> None:
    ran = mcpgate(
        "call",
        "stripe_create_customer",
        "name=[red]x[/red]\x1b[2J\u202e:smile:",
        "--sandbox",
        "-p",
        "transact",
    )
    assert "[red]x[/red]" in ran.out
    assert ":smile:" in ran.out
    assert "\x1b[2J" not in ran.out
    assert "\u202e" not in ran.out


def test_an_unknown_outcome_says_what_the_same_command_does_next(
    mcpgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Callable[..., Loopback]
) -> None:
    server = scripted(Reply(400, b"{}"), Reply(200, b"<html>", cut=3))
    file = pointed_at(server.url, tmp_path)
    monkeypatch.setenv("MCPGATE_STRIPE_KEY", "sk_test_" + "y" * 24)
    words = ("call", "stripe_create_charge", "-c", str(file), "amount=100", "currency=usd", "source=tok_visa")
    refused = mcpgate(*words, "-p", "transact")
    assert (refused.code, "Look at what it did first" in refused.out) == (1, False)
    server.then(*[Reply(200, b"{}", cut=1)] * 2)
    unknown = mcpgate(*words, "-p", "transact")
    assert unknown.code == 1
    assert "It is not known whether this was carried out." in unknown.out
    said = "The same call made again within 24 hours is sent under the same idempotency key"
    assert said in " ".join(unknown.out.split())
    server.then(Reply(200, b'{"id": "ch_1"}'))
    again = mcpgate(*words, "-p", "transact")
    assert again.code == 0
    assert "it cannot have acted twice" in " ".join(again.out.split())
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys[1:])) == 1
    assert keys[0] != keys[1]


def test_an_argument_given_twice_is_refused(mcpgate: Run) -> None:
    ran = mcpgate("call", "stripe_create_charge", "amount=100", "amount=90000", "--dry-run")
    assert ran.code == 2
    assert "amount is given twice" in ran.err
