"""Branches and repositories: however they are written, and what is no name of one."""

from __future__ import annotations

from typing import Any

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.errors import SpecError
from mcpgate.policy.templates.code import matches_glob
from mcpgate.toolset import build_toolset
from mcpgate.values import Finding
from tests.policy.shop import EVERYTHING, connector, judge, policy, reason

FORGE = """
connector: forge
base_url: https://forge.example
tools:
  forge_push:
    description: Push.
    category: write
    request: POST /push
    params:
      branch: { type: [string, 'null'] }
      branches: { type: array, items: { type: string } }
      number: { type: integer }
      owner: { type: string }
      name: { type: string }
      repo: { type: string }
    roles: { branch: [branch, branches], repo: [owner, name] }
    effects: []
"""


def forge(guardrail: str) -> App:
    rules = (policy(f"guardrails:\n  - {{ for: forge_push, {guardrail} }}\n"),)
    return App("test", (Grant(open_account(connector(FORGE), {}), policy(EVERYTHING)),), rules=rules)


def verdict(guardrail: str, **arguments: Any) -> str:
    decision = judge(forge(guardrail), "forge_push", arguments)
    if decision.reason is None:
        return "allowed"
    return "undecidable" if "cannot be decided" in decision.reason.says else "denied"


PROTECTED = "protect_branches: { branches: [main, release/*, refs/heads/Straße] }"


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        *(
            (name, "allowed")
            for name in ("dev", "fix/main", "mains", "main2", "release", "release-1", "maın")
        ),
        *((name, "allowed") for name in ("user@home", "a#1", "refs/tags/main", "50%off")),
        *((name, "denied") for name in ("main", "MAIN", "ｍａｉｎ", "ma\u200bin", "𝐦𝐚𝐢𝐧", "mai\u00adn")),
        *((name, "denied") for name in ("release/1", "release/1/2", "Release/x", "strasse", "STRAẞE")),
        *((f"{prefix}main", "denied") for prefix in ("refs/heads/", "heads/", "origin/", "Refs/Heads/")),
        *((f"{prefix}main", "denied") for prefix in ("refs/remotes/up/", "remotes/up/", "ｒefs/heads/")),
        ("refs/remotes/origin/release/2", "denied"),
        ("refs/heads/refs/heads/main", "denied"),
        *(
            (name, "undecidable")
            for name in ("HEAD", "head", "@", "origin/HEAD", "FETCH_HEAD", "refs/heads/@")
        ),
        *((name, "undecidable") for name in ("+main", "main:other", "dev:main", ":main", "main~0", "main~")),
        *((name, "undecidable") for name in ("main^{}", "main^", "main@{0}", "@{u}", "a..main", "main..")),
        *(
            (name, "undecidable")
            for name in (" main", "main ", "ma in", "main\n", "\tmain", "ma\x01in", "ma\x7f")
        ),
        *(
            (name, "undecidable")
            for name in ("/main", "main/", "refs//heads/main", "refs/heads//main", ".main")
        ),
        *(
            (name, "undecidable")
            for name in ("main.", "main.lock", "x/.main", "-main", "m*", "mai?", "[m]ain")
        ),
        *(
            (name, "undecidable")
            for name in ("m\\ain", "%6dain", "m%61in", "main：x", "", "refs/heads/", "a" * 2000)
        ),
    ],
)
def test_a_branch_however_it_is_written(branch: str, expected: str) -> None:
    assert verdict(PROTECTED, branch=branch) == expected
    assert verdict(PROTECTED, branches=["dev", branch]) == expected
    assert verdict(PROTECTED.replace(" }", ", field: branches }"), branches=[branch]) == expected


def test_a_branch_that_is_not_given_is_nothing_to_block() -> None:
    absent: list[dict[str, Any]] = [{}, {"branch": None}, {"branches": []}]
    for arguments in absent:
        assert verdict(PROTECTED, **arguments) == "allowed"
    assert verdict(PROTECTED.replace(" }", ", field: number }"), number=5) == "undecidable"


@pytest.mark.parametrize(
    ("protected", "branch", "expected"),
    [
        ("origin/main", "main", "denied"),
        ("heads/*", "anything", "denied"),
        ("'*'", "anything", "denied"),
        ("'*-prod'", "eu/web-PROD", "denied"),
        ("v*.*", "v1/2.3", "denied"),
        ("v*.*", "v1", "allowed"),
    ],
)
def test_protected_names_are_read_as_branches_are(protected: str, branch: str, expected: str) -> None:
    assert verdict(f"protect_branches: {{ branches: [{protected}] }}", branch=branch) == expected


REPOS = "allow_repos: { repos: [acme/site, acme/docs-*, open/*], field: repo }"


@pytest.mark.parametrize(
    ("repo", "expected"),
    [
        *(
            (name, "allowed")
            for name in ("acme/site", "acme/docs-", "acme/docs-api", "open/x.y", "open/.github")
        ),
        *(
            (name, "denied")
            for name in ("Acme/site", "acme/SITE", "acme/site.git", "acme/site/x", "site", "acme")
        ),
        *(
            (name, "denied")
            for name in ("acme/docs", "acme/docs-a/b", "open/a/b", "open/", "open", "/site", "")
        ),
        *(
            (name, "denied")
            for name in ("open/.", "open/..", "open/x%2f..", "open/x y", "open/x?a", "open/x#a")
        ),
        *(
            (name, "denied")
            for name in ("open/x\\y", "open/é", "open/x\n", "open/x:y", "https://f.example/open/x")
        ),
        *(
            (name, "denied")
            for name in ("acme/site\u200b", "acme/ｓite", "xopen/y", "acme/../open/x", "open//x")
        ),
    ],
)
def test_a_repository_to_the_letter(repo: str, expected: str) -> None:
    assert verdict(REPOS, repo=repo) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"owner": "acme", "name": "site"}, "allowed"),
        ({"owner": "open", "name": "x"}, "allowed"),
        ({"owner": "evil", "name": "site"}, "denied"),
        ({"owner": "acme/site", "name": ""}, "denied"),
        ({"owner": "open/x", "name": ".."}, "denied"),
        ({"owner": "", "name": "acme/site"}, "denied"),
        ({"name": "acme/site"}, "denied"),
        ({"owner": "acme"}, "denied"),
        ({"repo": "acme/site"}, "denied"),
        ({}, "denied"),
    ],
)
def test_owner_and_name_are_one_repository(arguments: dict[str, Any], expected: str) -> None:
    assert verdict(REPOS.replace(", field: repo", ""), **arguments) == expected


def test_a_number_is_no_repository() -> None:
    assert verdict("allow_repos: { repos: ['5'], field: number }", number=5) == "undecidable"


@pytest.mark.parametrize(
    ("guardrail", "arguments", "finding"),
    [
        (
            PROTECTED,
            {"branch": "heads/main"},
            ('branch, branches "heads/main" is protected', "branch, branches other than main, release/*, "),
        ),
        (
            REPOS,
            {"repo": "acme/x"},
            ('repo "acme/x" is not among the repositories allowed', "repo: acme/site, acme/docs-*, open/*"),
        ),
        (
            REPOS.replace(", field: repo", ""),
            {"owner": "a", "name": "b"},
            ('owner/name "a/b" is not', "owner/name: "),
        ),
    ],
)
def test_a_denial_says_what_and_what_would_pass(
    guardrail: str, arguments: dict[str, Any], finding: tuple[str, str]
) -> None:
    found: Finding = reason(forge(guardrail), "forge_push", arguments)
    assert found.says.startswith(finding[0])
    assert found.passes.startswith(finding[1])
    assert found.value is not None


def test_what_is_shown_of_it() -> None:
    def shown(guardrail: str) -> dict[str, Any]:
        entry = build_toolset(forge(guardrail)).listing()["tools"][0]
        properties: dict[str, Any] = entry["inputSchema"]["properties"]
        return properties

    assert shown(PROTECTED)["branch"]["description"].startswith("Protected, so not: main, release/*")
    assert "Protected" in shown(PROTECTED)["branches"]["items"]["description"]
    assert shown(REPOS)["repo"]["description"] == "Only repo: acme/site, acme/docs-*, open/*."
    assert shown("allow_repos: { repos: [a/b], field: repo }")["repo"]["enum"] == ["a/b"]
    joined = shown("allow_repos: { repos: [a/b] }")
    assert joined["owner"]["description"] == joined["name"]["description"] == "Only owner/name: a/b."
    assert "enum" not in joined["owner"]


@pytest.mark.parametrize(
    ("guardrail", "says"),
    [
        ("protect_branches: { branches: [+main] }", '"+main" can be no branch; a branch is written as main'),
        ("protect_branches: { branches: [HEAD] }", "can be no branch"),
        ("protect_branches: { branches: ['main?'] }", "can be no branch"),
        ("protect_branches: { branches: [refs/heads/] }", "can be no branch"),
        ("protect_branches: { branches: [] }", "must not be empty"),
        ("protect_branches: { branches: [main], role: x }", "role"),
        (
            "allow_repos: { repos: ['https://forge.example/a/b'] }",
            "can be no repository; one is written as acme",
        ),
        ("allow_repos: { repos: [acme/] }", "can be no repository"),
        ("allow_repos: {}", "repos"),
    ],
)
def test_names_that_nothing_can_have_are_refused_when_the_file_is_read(guardrail: str, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        policy(f"guardrails:\n  - {{ for: write, {guardrail} }}\n")
    assert says in raised.value.message


@pytest.mark.parametrize(
    ("glob", "text", "is_it"),
    [
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("*b*b", "bb", True),
        ("*b*b", "b", False),
        ("**", "", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("*a" * 50 + "b", "a" * 200_000, False),  # in linear time
    ],
)
def test_globs(glob: str, text: str, is_it: bool) -> None:
    assert matches_glob(glob, text) is is_it
