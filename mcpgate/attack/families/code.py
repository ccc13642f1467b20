"""Rules over branches and repositories: the same one, written in another way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.values import LEFT_OUT, name, opened, told
from mcpgate.attack.lenient import decoded, letters
from mcpgate.attack.wire import Wire
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json

_PREFIX: Final = re.compile(r"\+|.*:|/|refs/|heads/|remotes/[^/]+/|origin/|\./")
_SUFFIX: Final = re.compile(r"[~^@{\s].*|[/.]+$|\.lock$")


def _other_branches(target: Target) -> Iterator[tuple[Keys, Json]]:
    yield from ((keys, value) for keys in target.spots for value in ("fix/typo", "a-branch-of-my-own"))


def _protected(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for glob in target.config["branches"][:2]:
            branch = glob.replace("*", "1.2")
            yield Breach(keys, branch)
            spellings = (
                *("refs/heads/{}", "heads/{}", "origin/{}", "refs/remotes/origin/{}", "remotes/origin/{}"),
                *(
                    "+{}",
                    "HEAD:{}",
                    "HEAD:refs/heads/{}",
                    "{}~0",
                    "{}^0",
                    "{}^{{}}",
                    "{}@{{0}}",
                    "{}/",
                    "/{}",
                ),
                *(
                    "./{}",
                    "refs//heads/{}",
                    "refs/heads/./{}",
                    "{}.",
                    "{} ",
                    " {}",
                    "{}\n",
                    "a\n{}",
                    "{}.lock",
                ),
                *("refs/heads/refs/heads/{}", "REFS/HEADS/{}", "x/../{}", "%2e/{}", "refs%2fheads%2f{}"),
            )
            for text in spellings:
                trick = f"written as {text.format('NAME').strip()!r}"
                yield Breach(keys, text.format(branch), row=9, trick=trick)


def _reaches_branch(target: Target, wire: Wire) -> str:
    globs = [letters(branch) for branch in target.config["branches"]]
    for keys in target.spots:
        for value in (inner for found in wire.at(keys) for inner in opened(found)):
            if value is MISSING:
                continue
            for branch in _branches(str(value)):
                if any(fnmatchcase(branch, glob) for glob in globs):
                    return f"{name(keys)} {told(value)} can be read as the branch {branch}"
    return ""


def _branches(text: str) -> set[str]:
    """Every branch that a text may mean."""
    found: set[str] = set()
    for line in re.split(r"[\r\n\0,]", decoded(text)):
        branch = re.sub(r"/{2,}", "/", letters(line))
        branch = re.sub(r"[^/]+/\.\./", "", branch)
        before = ""
        while branch != before:
            found.add(branch)
            before = branch
            branch = _SUFFIX.sub("", _PREFIX.sub("", branch, count=1) if _PREFIX.match(branch) else branch)
    return found


def _listed(target: Target) -> Iterator[tuple[Keys, Json]]:
    for repo in target.config["repos"]:
        parts = repo.replace("*", "site").split("/")
        if len(target.spots) == 1:
            yield target.spots[0], "/".join(parts)
        elif len(target.spots) == len(parts):
            yield from zip(target.spots, parts, strict=True)


def _unlisted(target: Target) -> Iterator[Breach]:
    honest = dict(_listed(target))
    if not honest:
        return
    keys, own = list(honest.items())[-1]
    owner, slash, repo = str(own).rpartition("/")
    start = owner + slash
    yield Breach(keys, f"{start}other-than-listed")
    spellings = (
        *(f"{start}{repo}/../secret", f"{start}{repo}\\..\\secret", f"{start}{repo}%2f..%2fsecret"),
        *(
            f"{start}{repo}-evil",
            f"{start}{repo}.git",
            f"{start}{repo}/x",
            f"{start}{repo}?x",
            f"{start}{repo}#x",
        ),
        *(f"{start}{repo}\nevil/x", f"evil/x#{repo}", f"{start}.", f"{start}..", f"{start}"),
        *((f"evil/{repo}", f"evil@{own}", f"https://evil.example/{own}") if slash else ()),
    )
    yield from (Breach(keys, text, row=9, trick=f"written as {text!r}") for text in spellings)


def _other_repo(target: Target, wire: Wire) -> str:
    found: list[list[Any]] = [wire.at(keys) for keys in target.spots]
    if any(MISSING in values for values in found):
        return f"the repository is {LEFT_OUT}"
    joined = found[0] if len(found) == 1 else [_join(*values) for values in zip(*found, strict=False)]
    for value in joined:
        if not any(_is_repo(letters(str(repo)), str(value).lower()) for repo in target.config["repos"]):
            return f"the repository {told(value)} is not listed"
    return ""


def _join(*values: Any) -> str:
    return "/".join(map(str, values))


def _is_repo(repo: str, value: str) -> bool:
    parts, given = repo.split("/"), value.split("/")
    plain = all(re.fullmatch(r"[\w.~+-]+", piece) and piece.strip(".") for piece in given)
    return plain and len(parts) == len(given) and all(map(fnmatchcase, given, parts))


CODE: Final[dict[str, Assault]] = {
    "protect_branches": Assault("text", _other_branches, _protected, _reaches_branch),
    "allow_repos": Assault("text", _listed, _unlisted, _other_repo),
}
