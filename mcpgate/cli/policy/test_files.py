"""`mcpgate policy test`: the cases of test files, decided; nothing is sent and no credential opened."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcpgate import catalog
from mcpgate.cli.console import plain, print_json, stdout
from mcpgate.cli.stories import Result, open_story, said_call
from mcpgate.errors import MCPGateError, NotFoundError, SpecError
from mcpgate.gateway import Gateway
from mcpgate.spec.yaml_text import load
from mcpgate.values import Finding

if TYPE_CHECKING:
    from rich.console import Console

_FAULTY = 3
_EXAMPLE = "Write them as: test: TITLE, run: [CONNECTOR], policy: {}, cases: [{{ call: …, expect: deny }}]"


@dataclass(frozen=True, slots=True)
class Tested:
    """One test file: what became of its cases, and the guardrails that denied none of them."""

    file: str
    results: tuple[Result, ...]
    untried: tuple[tuple[str, str], ...]


def test_files(files: Sequence[str], *, as_json: bool) -> int:
    """Decide every case of each file; 0 when all came as expected, 1 when not, 3 for a faulty file."""
    code = 0
    seen: set[Path] = set()
    tested: list[Tested] = []
    for file in files:
        try:
            path, policy = _test_file(file)
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            tested.append(_run(path, policy))
        except MCPGateError as error:
            code = _FAULTY
            print(plain(error.message), file=sys.stderr)
            if error.hint:
                print(plain(error.hint), file=sys.stderr)
            continue
        code = max(code, 0 if all(result.passed for result in tested[-1].results) else 1)
        if not as_json:
            _show(tested[-1])
    if as_json:
        print_json([_facts(each) for each in tested])
    return code


def _test_file(file: str) -> tuple[Path, Path | None]:
    """The file that holds the tests, and the policy whose tests they have to be."""
    path = Path(file)
    if path.is_dir():
        hint = f"Name the files in it, such as {path / 'till.test.yaml'}."
        raise NotFoundError(f"{file} is a folder, and not a file of tests.", hint)
    keys = load(file, catalog.read_file(path)).value
    if keys.keys() & {"demo", "test"}:
        return path, None
    if not keys.keys() & {"preset", "policy"}:
        raise SpecError([f"{file}:1:1: these are no tests"], _EXAMPLE.format("./till.yaml"))
    beside = path.with_suffix(f".test{path.suffix}")
    if not beside.is_file():
        raise NotFoundError(f"{file} has no tests: there is no {beside}.", _EXAMPLE.format(path.name))
    return beside, path


def _run(path: Path, policy: Path | None) -> Tested:
    opened = open_story(path)
    if policy is not None and policy.resolve() not in {file.resolve() for file in opened.files}:
        hint = f"Add to it: policy: {policy.name}"
        raise SpecError([f"{opened.story.origin}: what runs here is without {policy}"], hint)
    results = tuple(opened.results())
    return Tested(str(path), results, tuple(_untried(opened.gateway, results)))


def _untried(gateway: Gateway, results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """Each guardrail that denied no case, nor would have, with the place where it was written."""
    found = (finding for result in results for finding in result.trace if finding.verdict != "allow")
    fired = {(finding.rule, finding.source) for finding in found}
    app = gateway.toolset.app
    policies = [policy for grant in app.grants for layer in app.layers(grant) for policy in layer.policies]
    rules = {(rule.template, rule.origin): rule for policy in policies for rule in policy.rules}
    for (template, origin), rule in rules.items():
        if (template, f"{rule.policy} ({origin})") not in fired:
            yield template, origin


def _show(tested: Tested) -> None:
    console = stdout()
    failed = 0
    for number, result in enumerate(tested.results, 1):
        if not result.passed:
            failed += 1
            _show_failed(console, number, result)
    count = f"{len(tested.results)} call{'' if len(tested.results) == 1 else 's'}"
    said = f"{failed} of {count} did not come as expected" if failed else f"{count}, all as expected"
    _print(console, f"{tested.file}: {said}", "red" if failed else "green")
    for template, origin in tested.untried:
        _print(console, f"  not tried: {template} ({origin})", "dim")


def _show_failed(console: Console, number: int, result: Result) -> None:
    case = result.case
    told = f": {case.say}" if case.say else ""
    _print(console, f"{case.origin}: case {number} did not come as expected{told}", "bold")
    _print(console, f"  {said_call(case)}", "cyan")
    _print(console, f"  expected: {_verdict(case.expect, case.rule)}", "green")
    says = f". {result.says}" if result.says else ""
    _print(console, f"  came: {_verdict(result.came, result.rule)}{says}", "red")
    for finding in _matters(result):
        source = f" [{finding.source}]" if finding.source else ""
        line = f"{finding.layer}: {finding.rule}: {finding.verdict}: {finding.says}{source}"
        _print(console, f"  trace: {line}", "dim")
    if case.rule and result.trace and not any(finding.rule == case.rule for finding in result.trace):
        _print(console, f"  trace: no {case.rule} reaches {case.tool}", "dim")


def _matters(result: Result) -> Iterator[Finding]:
    """Of a call that was denied, what is against it and what the case expected to be; else everything."""
    for finding in result.trace:
        if result.came == "allow" or finding.verdict != "allow" or finding.rule == result.case.rule:
            yield finding


def _print(console: Console, line: str, style: str) -> None:
    console.print(line, style=style, soft_wrap=True, highlight=False)


def _verdict(verdict: str, rule: str) -> str:
    return f"{verdict} by {rule}" if rule else verdict


def _facts(tested: Tested) -> dict[str, Any]:
    cases = [
        {
            "number": number,
            "line": int(result.case.origin.rpartition(":")[2]),
            "say": result.case.say,
            "tool": result.case.tool,
            "expect": result.case.expect,
            "expect_rule": result.case.rule,
            "came": result.came,
            "rule": result.rule,
            "says": result.says,
            "passed": result.passed,
        }
        for number, result in enumerate(tested.results, 1)
    ]
    untried = [{"rule": template, "origin": origin} for template, origin in tested.untried]
    return {"file": tested.file, "cases": cases, "not_tried": untried}
