"""`mcpgate check`: what it prints, where, and with which exit code."""
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.spec.files import text

Run = Callable[..., Ran]

GOOD = {
    "shop.yaml": text(tool="fields: [id, card.brand, lines.0.id, tags]\nsample: { id: 1, card: { brand: x }, lines: [{ id: 1 }], tags: [] }"),
    "house.yaml": "policy: house\ndeny: [delete]\n",
    "mine.yaml": "preset: mine\nextends: read-only\nguardrails: [{ for: write, block_delete: {} }]\n",
    "shop.demo.yaml": "demo: A story\nrun: [shop]\npolicy: { policy: till, deny: [delete] }\ncases: [{ call: { tool: shop_get }, expect: allow }]\n",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, content in GOOD.items():
        (folder / name).write_text(content)
    return folder


def test_good_files_are_told_in_a_line_each(mcpgate: Run, folder: Path) -> None:
    ran = mcpgate("check", *GOOD)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "shop.yaml: connector shop, 1 tool",
        "house.yaml: policy house, 0 guardrails",
        "mine.yaml: preset mine, 1 guardrail",
        "shop.demo.yaml: story, 1 case",
    ]


def test_every_fault_of_every_file_is_told_with_its_place(mcpgate: Run, folder: Path) -> None:
    Path("bad.yaml").write_text(text("timeout: 30s", "request: GET /things/{id}"))
    Path("rules.yaml").write_text("preset: rules\nextends: reed-only\n")
    Path("broken.yaml").write_text("a: b: c\n")
    ran = mcpgate("check", "bad.yaml", "shop.yaml", "rules.yaml", "./broken.yaml", "nowhere.yaml")
    assert ran.code == 3
    assert ran.out.splitlines() == ["shop.yaml: connector shop, 1 tool"]
    assert [line for line in ran.err.splitlines() if ".yaml:" in line] == [
        "bad.yaml:3:10: expected a number, found '30s'",
        "bad.yaml:8:14: {id} is not a parameter here",
        "rules.yaml:1:1: extends: There is no preset 'reed-only'; did you mean 'read-only'?",
        "./broken.yaml:1:5: a colon stands where no key can be; if it belongs to a text, quote it",
    ]
    assert "nowhere.yaml cannot be read: No such file or directory\nCheck the path." in ran.err


@pytest.mark.parametrize(
    ("field", "warned"),
    [
        ("id", False),
        ("name", True),
        ("card.brand", False),
        ("card.brnad", True),
        ("card.*", False),
        ("*.brand", False),
        ("lines.id", False),
        ("lines.nr", True),
        ("lines.0.id", False),
        ("lines.-1.id", False),
        ("lines.0.nr", True),
        ("lines.7.nr", False),
        ("owner.name", False),
        ("tags.name", False),
    ],
)
def test_a_field_that_is_not_in_the_sample_is_warned_of(
    mcpgate: Run, folder: Path, field: str, warned: bool
) -> None:
    """What a sample leaves open (null, an empty list) tells nothing."""
    sample = "{ data: [{ id: 1, card: { brand: x }, lines: [{ id: 1 }, { id: 2, nr: 3 }], owner: null, tags: [] }] }"
    Path("shop.yaml").write_text(
        text(
            "pagination: { items: data, next: url }", f"paginate: true\nfields: ['{field}']\nsample: {sample}"
        )
    )
    ran = mcpgate("check", "shop.yaml")
    warning = f"shop.yaml: warning: shop_get: the field '{field}' is not in its sample\n"
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "shop.yaml: connector shop, 1 tool\n" + (warning if warned else "")


def test_what_a_file_says_is_shown_without_control_characters(mcpgate: Run, folder: Path) -> None:  # row 33
    Path("shop.yaml").write_text(text(tool='fields: ["a\\e[2Jb"]\nsample: { c: 1 }'))
    Path("bad.yaml").write_text('"\\e[31m": 1\n')
    ran = mcpgate("check", "shop.yaml", "bad.yaml")
    assert "\\u001b[2J" in ran.out
    assert "unknown key '\\u001b[31m'" in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_what_a_file_is_follows_from_its_keys(mcpgate: Run, folder: Path) -> None:
    Path("what.yaml").write_text("something: else\n")
    ran = mcpgate("check", "what.yaml")
    assert ran.code == 3
    assert "the key 'connector' is missing" in ran.err
    Path("both.yaml").write_text("preset: a\npolicy: b\n")
    assert "`preset: NAME` or `policy: NAME`, one of them" in mcpgate("check", "both.yaml").err
