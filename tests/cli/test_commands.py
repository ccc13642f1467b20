"""Help, errors and exit codes: what a person sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mcpgate import __version__
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def test_help_names_every_command(mcpgate: Run) -> None:
    ran = mcpgate("--help")
    assert ran.code == 0
    for command in ("run", "tools", "call", "check", "demo"):
        assert f" {command} " in ran.out
        helped = mcpgate(command, "--help")
        assert helped.code == 0
        assert f"mcpgate {command}" in helped.out


def test_version(mcpgate: Run) -> None:
    assert mcpgate("--version").out == f"mcpgate {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("run strpe", 3, "There is no connector 'strpe'; did you mean 'stripe'?"),
        ("run stripe --preset transakt", 3, "did you mean 'transact'?"),
        ("run stripe --presett transact", 2, "No such option: --presett"),
        ("run", 2, "Give one of these: connectors, --app NAME, --url URL."),
        ("nonsense", 2, "No such command 'nonsense'"),
        ("run stripe stripe", 2, "The same connector was given twice."),
        ("run stripe -p read-only -p transact", 2, "Two presets for the same connectors"),
        ("run stripe -p github=read-only", 2, "the connector 'github' is not run here"),
        ("run stripe -p stripe=transact -p stripe=read-only", 2, "stripe has a preset already (transact)"),
        ("run stripe --setting site", 2, "--setting site: write NAME=VALUE."),
        ("run stripe --setting site=x", 2, "there is no setting 'site' here"),
        ("run stripe --only stripe_refund_all", 2, "no tool is called 'stripe_refund_all'"),
        ("run stripe --without reed", 2, "--without reed: 'reed' is no category"),
        ("run stripe --policy nowhere.yaml", 3, "nowhere.yaml cannot be read: No such file or directory"),
        (
            "call stripe_list_custmers",
            2,
            "Unknown tool: stripe_list_custmers; did you mean 'stripe_list_customers'?",
        ),
        ("call stripe_get_customer customer", 2, "'customer': write KEY=VALUE, or KEY:=JSON."),
        ("call stripe_get_customer customer:={", 2, "this is not JSON"),
        ("check nowhere.yaml", 3, "nowhere.yaml cannot be read"),
        ("demo nowhere.yaml", 3, "nowhere.yaml cannot be read"),
    ],
)
def test_bad_words_are_told_with_a_remedy_and_without_a_traceback(
    mcpgate: Run, words: str, code: int, says: str
) -> None:
    ran = mcpgate(*words.split())
    assert ran.code == code
    assert says in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_a_faulty_file_names_every_place(mcpgate: Run, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("connector: shop\nbase_url: http://example.com\ntools:\n  shop_a: { category: reed }\n")
    ran = mcpgate("run", str(file))
    assert ran.code == 3
    assert [line.split(":")[1] for line in ran.err.splitlines()] == ["2", "4", "4"]
    assert "a base_url is https (plain http only on loopback): 'http://example.com'" in ran.err


def test_a_fault_of_mcpgate_itself_shows_where_and_nothing_else(
    mcpgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("sk_test_canary")

    monkeypatch.setattr("mcpgate.cli.tools.show_tools", broken)
    ran = mcpgate("tools", "stripe")
    assert ran.code == 70
    assert "RuntimeError at test_commands.py:" in ran.err
    assert "canary" not in ran.err
