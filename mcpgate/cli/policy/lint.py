"""`mcpgate policy lint`: what policies leave open, and which of their rules do nothing."""

from __future__ import annotations

from collections.abc import Sequence

from mcpgate.cli.console import plain, print_json
from mcpgate.cli.policy.scope import Scope, open_scopes
from mcpgate.policy.lint import Remark, lint


def lint_files(files: Sequence[str], on: Sequence[str], presets: Sequence[str], *, as_json: bool) -> int:
    """Print what there is to say of each file; 0 when that is nothing, else 1."""
    scopes = open_scopes(files, on, presets)
    found = [(scope, remark) for scope in scopes for remark in _remarks(scope)]
    if as_json:
        print_json([_row(scope, remark) for scope, remark in found])
        return min(1, len(found))
    for scope in scopes:
        lines = [_line(scope, remark) for each, remark in found if each is scope]
        for line in lines or [f"{scope.file}: nothing to say ({_looked_at(scope)})"]:
            print(plain(line))
    if found:
        print(plain(_summary(scopes, len(found), presets)))
    return min(1, len(found))


def _remarks(scope: Scope) -> list[Remark]:
    entries = scope.toolset.entries.values()
    return lint(scope.policy, [(entry.tool, entry.bound) for entry in entries])


def _line(scope: Scope, remark: Remark) -> str:
    return f"{remark.place or scope.file}: {remark.code}: {remark.says}.\n    {remark.remedy}."


def _row(scope: Scope, remark: Remark) -> dict[str, object]:
    return {
        "file": plain(scope.file),
        "code": remark.code,
        "place": plain(remark.place),
        "tools": list(remark.tools),
        "says": plain(remark.says),
        "remedy": plain(remark.remedy),
    }


def _looked_at(scope: Scope) -> str:
    allowed = sum(entry.denied is None for entry in scope.toolset.entries.values())
    connectors = ", ".join(grant.connector.name for grant in scope.toolset.app.grants)
    return f"{_count(allowed, 'tool')} on {connectors or 'no connector'} looked at"


def _summary(scopes: Sequence[Scope], found: int, presets: Sequence[str]) -> str:
    """The count, and how to have a policy file judged under the preset that it will stand on."""
    said = f"{_count(found, 'finding')} in {_count(len(scopes), 'file')}."
    if presets or all(scope.policy.kind == "preset" for scope in scopes):
        return said
    return f"{said} Policy files were judged with everything allowed; --preset NAME judges them on a preset."


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
