"""Templates over branches and repositories."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mcpgate.policy.call import Call, Config, Miss, UndecidableError, shown
from mcpgate.policy.fields import is_missing
from mcpgate.policy.folding import fold
from mcpgate.policy.templates.shown import describe, only
from mcpgate.policy.templates.template import FIELD, TEXTS, Schema, Template, takes
from mcpgate.values import Json

# the ways to write a branch in full
_SPELLED_OUT: Final = re.compile(r"refs/heads/|heads/|refs/remotes/[^/]+/|remotes/[^/]+/|origin/")
# what git refuses in the name of a branch, and what it reads as more than a name; `%6d` is an m to some
_NO_BRANCH: Final = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-+/]|[/.]$|(?:^|/)\.|\.lock(?:/|$)|%[0-9A-Fa-f]{2}"
    r"|^@?$|^(?:[a-z]+_)?head$"
)
_LONGEST: Final = 1024
# a part of a repository's name that `*` may stand for
_REPO_PART: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~+-]+")


def off_branches(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No value is one of `branches`, however it is written."""
    field, branches = config["field"], config["branches"]
    protected = [_short(fold(branch)) for branch in branches]
    for value in values:
        if is_missing(value):
            continue
        spellings = _spellings(value) if isinstance(value, str) and len(value) <= _LONGEST else []
        if not spellings or _NO_BRANCH.search(value) or any(map(_NO_BRANCH.search, spellings)):
            raise UndecidableError(f"{field} {shown(value)} is no plain name of a branch", field)
        if any(matches_glob(branch, name) for branch in protected for name in spellings):
            passes = f"{field} other than {', '.join(branches)}"
            return Miss(f"{field} {shown(value)} is protected", passes, field, branches, value)
    return None


def in_repos(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value is one of `repos`, to the letter, where `*` is one part of a name."""
    field, repos = config["field"], config["repos"]
    for value in values:
        if not isinstance(value, str):
            raise UndecidableError(f"{field} {shown(value)} is no name of a repository", field)
        if not any(_is_repo(repo, value) for repo in repos):
            says = f"{field} {shown(value)} is not among the repositories allowed"
            return Miss(says, f"{field}: {', '.join(repos)}", field, repos, value)
    return None


def matches_glob(glob: str, text: str) -> bool:
    """Whether a text is what a glob says, where `*` is any text and nothing else is special; linear."""
    first, *parts = glob.split("*")
    if not parts:
        return glob == text
    last = parts.pop()
    at, end = len(first), len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last) and at <= end):
        return False
    for part in parts:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _spellings(value: str) -> list[str]:
    """A name folded, then with each prefix taken off that says no more than that it is a branch."""
    names = [fold(value)]
    while (found := _SPELLED_OUT.match(names[-1])) is not None:
        names.append(names[-1][found.end() :])
    return names


def _short(name: str) -> str:
    return _spellings(name)[-1]


def _is_repo(repo: str, value: str) -> bool:
    parts, given = repo.split("/"), value.split("/")
    return repo == value or (
        len(parts) == len(given)
        and all(
            part == piece or ("*" in part and bool(_REPO_PART.fullmatch(piece)) and matches_glob(part, piece))
            for part, piece in zip(parts, given, strict=True)
        )
    )


def _no_such_branch(config: Config) -> str:
    """A name that no branch can have would protect nothing."""
    for branch in config["branches"]:
        if _NO_BRANCH.search(_short(branch).replace("*", "x")):
            return f"{shown(branch)} can be no branch; a branch is written as main or release/*"
    return ""


def _no_such_repo(config: Config) -> str:
    for repo in config["repos"]:
        if not all(_REPO_PART.fullmatch(part.replace("*", "x")) for part in repo.split("/")):
            return f"{shown(repo)} can be no repository; one is written as acme/site or acme/*"
    return ""


def _show_protected(config: Mapping[str, Json], schema: Schema) -> None:
    describe(schema, f"Protected, so not: {', '.join(config['branches'])}.")


def _show_allowed(config: Mapping[str, Json], schema: Schema) -> None:
    """The values, where they stand at this one place in full; else a line."""
    repos: list[str] = config["repos"]
    if "/" in config["field"] or any("*" in repo for repo in repos):
        describe(schema, f"Only {config['field']}: {', '.join(repos)}.")
    else:
        only({"values": repos}, schema)


_BRANCHES: Final = ["main", "release/*"]
_REPOS: Final = ["acme/site", "acme/docs-*"]

CODE: Final[dict[str, Template]] = {
    "protect_branches": Template(
        "A branch is none of these, however it is written; * is any text. Without a branch there is nothing"
        " to block: a tool that then takes the main one needs required_fields too.",
        off_branches,
        takes({"field": FIELD}, branches=TEXTS),
        "values",
        allowed=({"branches": _BRANCHES, "field": "branch"}, {"branch": "fix/typo"}),
        denied=({"branches": _BRANCHES, "field": "branch"}, {"branch": "refs/heads/Release/1.2"}),
        block=True,
        role="branch",
        project=_show_protected,
        fault=_no_such_branch,
    ),
    "allow_repos": Template(
        "A repository is one of these, to the letter; * is any text within one part of a name.",
        in_repos,
        takes({"field": FIELD}, repos=TEXTS),
        "values",
        allowed=({"repos": _REPOS, "field": "repo"}, {"repo": "acme/docs-api"}),
        denied=({"repos": _REPOS, "field": "repo"}, {"repo": "acme/billing"}),
        role="repo",
        project=_show_allowed,
        fault=_no_such_repo,
    ),
}
