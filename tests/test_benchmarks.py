"""The harness counts soundly; what it measures is `make bench`'s to say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import goals, report, site, stub
from benchmarks.figures import Figure, Run, percentile, read_run
from benchmarks.goals import GOALS, Goal
from benchmarks.measuring import SECTIONS
from benchmarks.parts import Stopwatch
from benchmarks.servers import Raw
from benchmarks.subjects import SUBJECTS
from mcpgate.spec.policy import read_policy

ROOT = Path(__file__).parents[1]


def run_of(**medians: float) -> Run:
    run = Run()
    for subject, median in medians.items():
        run.add("T", "ms", subject, [median * 0.9, median, median * 1.2])
    return run


def test_subjects_are_told_apart_and_named_by_the_goals() -> None:
    keys = [(subject.name, subject.wire) for subject in SUBJECTS]
    assert len(keys) == len(set(keys))
    assert all(set(subject.tools) == {goals.BALANCE, goals.CUSTOMERS} for subject in SUBJECTS)
    variants = {"15 tools", "1,000 tools", "0 rules", "50 rules", goals.THE_API}
    named = {name for goal in GOALS for name in (goal.subject, goal.over) if name}
    assert named <= {name for name, _ in keys} | variants


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("", "T", "ms", "a", "b", most=0.5), 0.5, True),
        (Goal("", "T", "ms", "b", "a", most=1.9), 2.0, False),
        (Goal("", "T", "ms", "a", least=10), 10.0, True),
        (Goal("", "T", "ms", "a", least=11), 10.0, False),
        (Goal("", "T", "ms", "nobody", most=1), None, None),
        (Goal("", "T", "ms", "a", "nobody", most=1), None, None),
    ],
)
def test_a_goal_is_met_or_not_or_not_measured(goal: Goal, value: float | None, met: bool | None) -> None:
    found = goal.value(run_of(a=10.0, b=20.0))
    assert found == value
    assert (None if found is None else goal.met(found)) is met


def test_ratios_are_of_the_rounds() -> None:
    # the third round was disturbed for both: the ratio does not see it
    mine, theirs = Figure("T", "ms", "a", (1, 1, 50)), Figure("T", "ms", "b", (2, 2, 100))
    assert mine.over(theirs) == 0.5
    assert percentile(range(100), 0.99) == 99


def test_a_report_names_what_was_found_skipped_and_missed(tmp_path: Path) -> None:
    run = run_of(mcpgate=10.0, other=25.0)
    run.skipped["FastMCP"] = "npm is not installed"
    text = report.markdown(run)
    assert "| other | 2.50 | 25.0 (23.8–27.5) |" in text
    assert "- FastMCP: npm is not installed" in text
    assert report.goal_table(run).count("not measured") == len(GOALS)
    run.write(tmp_path / "run.json")
    assert read_run(tmp_path / "run.json") == run
    assert "| +0% |" in report.comparison(run, run)
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- measured:tables -->\nold\n<!-- /measured -->\nAfter\n")
    report.write(run, page)
    assert page.read_text().startswith("Before\n<!-- measured:tables -->\n**T**")
    assert page.read_text().endswith("npm is not installed\n<!-- /measured -->\nAfter\n")
    assert page.with_suffix(".svg").read_text().startswith("<svg")


def test_the_page_has_a_place_for_all_of_it() -> None:
    text = (ROOT / "docs" / "reference" / "performance.md").read_text()
    assert all(f"<!-- measured:{name} -->" in text for name in ("goals", "tables"))
    assert all(f"`{section}`" in text for section in SECTIONS)


def test_a_stopwatch_gives_each_part_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 2.0, 2.0, 5.0, 5.0, 6.0, 6.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    stopwatch = Stopwatch()
    stopwatch.enter("outer")
    stopwatch.enter("inner")
    stopwatch.leave()
    stopwatch.leave()
    assert stopwatch.spent == {"outer": 3.0, "inner": 3.0}


def test_the_stub_answers_both_requests_and_the_rules_are_sound() -> None:
    with stub.running() as port:
        raw = Raw(port)
        try:
            assert json.loads(raw.call(goals.BALANCE, {})) == stub.balance()
            page: dict[str, Any] = json.loads(raw.call(goals.CUSTOMERS, {"limit": 10}))
        finally:
            raw.close()
    assert len(page["data"]) == 10
    lines = "".join(f"  - {rule}\n" for rule in site.RULES)
    assert len(read_policy("p.yaml", f"policy: p\nguardrails:\n{lines}".encode()).rules) == 10
    described = sum(len(methods) for methods in site.openapi()["paths"].values())
    assert described == len(site.operations()) == len(site.toolbox(1)["tools"]) == 15


def test_an_unknown_section_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "everything"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no section everything" in done.stderr
