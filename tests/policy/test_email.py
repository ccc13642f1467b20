"""Who is written to: addresses are taken apart whole or not at all, domains compared in IDNA's ASCII form."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.apps import App, Grant, open_account
from mcpgate.arguments import check_arguments
from mcpgate.errors import SpecError
from mcpgate.policy.call import Call
from mcpgate.policy.decide import decide
from mcpgate.policy.detect import domains
from mcpgate.policy.detect.addresses import parse_addresses
from mcpgate.toolset import Toolset, build_toolset, list_tool
from mcpgate.values import Finding
from tests.policy.shop import EVERYTHING, connector, policy

MAIL = """
connector: mail
base_url: https://mail.example
tools:
  mail_send:
    description: Send a mail.
    category: write
    request: POST /mails
    params:
      to: { type: string, description: Who. }
      cc: { type: array, items: { type: string } }
      more: { type: object, additionalProperties: true }
      others: { type: array, items: { type: object, additionalProperties: true } }
    roles: { recipient: [to, cc, more.bcc] }
    effects: [message]
  mail_wave:
    description: Wave.
    category: write
    request: POST /waves
    params: { to: { type: string } }
    effects: [message]
"""


@cache
def toolset(rule: str) -> Toolset:
    grant = Grant(open_account(connector(MAIL), {}), policy(EVERYTHING))
    return build_toolset(
        App("test", (grant,), rules=(policy(f"guardrails:\n  - {{ for: write, {rule} }}\n"),))
    )


def judge(
    rule: str,
    arguments: Mapping[str, Any],
    tool: str = "mail_send",
    settings: Mapping[str, str] | None = None,
) -> tuple[str, Finding | None]:
    entry = toolset(rule).find(tool)
    canonical = check_arguments(entry.tool, entry.validator, arguments)
    decision = decide(entry.bound, Call(entry.tool, canonical, settings=settings or {}))
    return decision.verdict, decision.reason


def sent(rule: str, to: str) -> str:
    return judge(rule, {"to": to})[0]


ALLOW = "allow_domains: { domains: [example.com, '*.example.net', bücher.example] }"
BLOCK = "block_domains: { domains: [evil.example, '*.half.example', straße.example, bücher.example] }"
ONLY = "allow_addresses: { addresses: [jane@example.com, Joe.Bloggs@bücher.example] }"
NOT = "block_addresses: { addresses: [all@example.com, joe+list@example.com, Max@bücher.example] }"
INSIDE = "block_external: { domain: [example.com, '*.example.com'] }"
ONE = "allow_domains: { domains: [example.com] }"
EVIL = "block_domains: { domains: [evil.example] }"
THREE = "max_recipients: { max: 3 }"
RULES = (ALLOW, BLOCK, ONLY, NOT, INSIDE)


@pytest.mark.parametrize(
    ("rule", "to", "verdict"),
    [
        (ALLOW, "jane@example.com", "allow"),
        (ALLOW, "JANE@EXAMPLE.COM", "allow"),
        (ALLOW, " Jane Doe <jane@example.com> ; \"Dr. O'Neill\" <o'neill@a.example.net>, ", "allow"),
        (ALLOW, "Jörg Müller <joerg@b.a.example.net>", "allow"),
        (
            ALLOW,
            "a@bücher.example, b@bücher.EXAMPLE, c@xn--bcher-kva.example, d@XN--BCHER-KVA.Example",
            "allow",
        ),
        (ALLOW, "jane@mail.example.com", "deny"),
        (ALLOW, "jane@example.net", "deny"),
        (ALLOW, "jane@badexample.net", "deny"),
        (ALLOW, "jane@example.com.evil.example", "deny"),
        (ALLOW, "jane@example.com, joe@evil.example", "deny"),
        (ALLOW, "jane@example.com@evil.example", "deny"),
        (ALLOW, "jane", "deny"),
        (ALLOW, "", "deny"),
        (ALLOW, " ,; ", "deny"),
        # row 9: what looks like the domain and is not, and what is it in other letters
        (ALLOW, "jane@ex\u0430mple.com", "deny"),  # Cyrillic а
        (ALLOW, "jane@xn--exmple-4nf.com", "deny"),  # the same, as punycode
        (ALLOW, "jane@example.c\u043em", "deny"),  # Cyrillic о
        (ALLOW, "jane@exam\u200bple.com", "deny"),  # zero-width
        (ALLOW, "jane@\u202emoc.elpmaxe", "deny"),  # bidi
        (ALLOW, "jane@xn--example-.com", "deny"),  # punycode of nothing
        (ALLOW, "jane＠example.com", "deny"),  # full-width sign
        (ALLOW, "evil＠evil.example <jane@example.com>", "deny"),
        ("allow_domains: { domains: [strasse.example] }", "a@straße.example", "deny"),
        ("allow_domains: { domains: [straße.example] }", "a@straße.example", "deny"),
        ("allow_domains: { domains: [mail_1.example] }", "a@Mail_1.example", "allow"),
        ("allow_addresses: { addresses: [a@strasse.example] }", "a@straße.example", "deny"),
        ("allow_domains: { domains: [straße.example] }", "a@xn--strae-oqa.example", "allow"),
        (BLOCK, "jane@example.com", "allow"),
        (BLOCK, "jane@notevil.example", "allow"),
        (BLOCK, "jane@half.example", "allow"),
        (BLOCK, "no sign in it: evil.example", "allow"),
        (BLOCK, "", "allow"),
        (BLOCK, "jane@EVIL.example", "deny"),
        (BLOCK, "jane@a.b.evil.example.", "deny"),
        (BLOCK, "jane@a.half.example", "deny"),
        (BLOCK, "jane@ｅvil。example", "deny"),
        (BLOCK, "jane@ev\u00adil.example", "deny"),
        (BLOCK, "jane＠evil.example", "deny"),
        (BLOCK, "jane@strasse.example", "deny"),  # ß, as some servers read it
        (BLOCK, "jane@straße.example", "deny"),
        (BLOCK, "jane@xn--strae-oqa.example", "deny"),
        (BLOCK, "jane@a.xn--bcher-kva.example", "deny"),
        (BLOCK, "a@example.com, see jane@evil.example for more", "deny"),
        (BLOCK, "jane@93.184.216.34", "deny"),  # may be any domain's
        (ONLY, "jane@EXAMPLE.com", "allow"),
        (ONLY, "Jane <jane@example.com>, Joe.Bloggs@xn--bcher-kva.example", "allow"),
        (ONLY, "Jane@example.com", "deny"),
        (ONLY, "jane+x@example.com", "deny"),
        (ONLY, "jane@a.example.com", "deny"),
        (ONLY, "j\u0430ne@example.com", "deny"),
        (ONLY, "Joe.Bloggs@example.com", "deny"),
        (ONLY, "jane@example.com jane@evil.example", "deny"),
        (NOT, "jane@example.com", "allow"),
        (NOT, "all@a.example.com", "allow"),
        (NOT, "joe@example.com", "allow"),
        (NOT, "nobody", "allow"),
        (NOT, "ALL@Example.com", "deny"),
        (NOT, "all+a+b@example.com", "deny"),
        (NOT, "joe+LIST@example.com", "deny"),
        (NOT, "Everyone <all@example.com>", "deny"),
        (NOT, "jane@example.com;all@ｅxample.com", "deny"),
        (NOT, "max+1@xn--bcher-kva.example", "deny"),
        (NOT, "al\u200bl@example.com", "deny"),
        (NOT, "ａll@example.com", "deny"),
        (INSIDE, "jane@example.com, joe@a.example.com", "allow"),
        (INSIDE, "", "allow"),
        (INSIDE, "jane@example.com, joe@example.org", "deny"),
        (INSIDE, "jane@notexample.com", "deny"),
        (INSIDE, "jane", "deny"),
    ],
)
def test_who_may_be_written_to(rule: str, to: str, verdict: str) -> None:
    assert sent(rule, to) == verdict


# each of these is read differently by different servers, so no rule takes it
AMBIGUOUS = [
    "jane@example.com\r\nBcc: joe@evil.example",
    "jane@example.com\n",
    "jane@example.com\tjoe@evil.example",
    "jane@example.com\x01@evil.example",
    "jane@example.com joe@evil.example",
    "jane@example.com/joe@evil.example",
    "joe@evil.example@example.com",
    '"joe@evil.example"@example.com',
    '"joe@evil.example "<jane@example.com>',
    "joe@evil.example <jane@example.com>",
    "<joe@evil.example> <jane@example.com>",
    "<@evil.example,@example.com:joe@example.com>",
    "<@evil.example:joe@example.com>",
    "jane(joe@evil.example)@example.com",
    "jane@example.com(comment)",
    "jane@(comment)example.com",
    "joe%evil.example@example.com",
    "evil.example!joe@example.com",
    "joe=evil.example@example.com",
    "jane@[127.0.0.1]",
    "jane@[IPv6:::1]",
    "jane@127.0.0.1",
    "jane@0x7f000001",
    "Friends: jane@example.com, joe@example.com;",
    "mailto:jane@example.com",
    "jane@example.com?cc=joe@evil.example",
    "jane@example..com",
    "jane@.example.com",
    "jane@",
    "@example.com",
    ".jane@example.com",
    "jane..doe@example.com",
    "-oQ@example.com",
    "jane\\@evil.example@example.com",
    "jane @example.com",
    "jane@ example.com",
    "< jane@example.com >",
    '"Doe, Jane" <jane@example.com>',
    "jane@example.com\u2028joe@evil.example",
    "jane@example.com，joe@evil.example",
    "jane@exa℀mple.com",
    "jörg@example.com",
    "j\u200bane@example.com",
    "=?utf-8?q?joe=40evil.example?= <jane@example.com> x",
    "jane@" + "a" * 64 + ".example.com",
    "jane@" + "a." * 200 + "example.com",
]


@pytest.mark.parametrize("to", AMBIGUOUS)
@pytest.mark.parametrize("rule", [*RULES, "max_recipients: { max: 99 }"])
def test_what_cannot_be_taken_apart_is_denied_by_every_rule(rule: str, to: str) -> None:
    for text in (to, f"jane@example.com, {to}"):
        verdict, finding = judge(rule, {"to": text})
        assert verdict == "deny"
        assert finding is not None
        assert finding.says.endswith("what cannot be decided is denied")
        assert finding.field == "to, cc, more.bcc"


def test_the_domain_is_known_in_hundreds_of_disguises() -> None:
    """Row 9: each letter in full width or upper case, each dot in its four forms, a dot at the end or not."""
    wide = {letter: (letter, letter.upper(), chr(ord(letter) + 0xFEE0)) for letter in "evil"}
    names = ["".join(letters) for letters in itertools.product(*(wide[letter] for letter in "evil"))]
    for name, dot, end in itertools.product(names, ".。．｡", ("", ".", "。")):
        domain = f"mail.{name}{dot}example{end}"
        assert domains.readings(domain) == {"mail.evil.example"}
        assert sent(BLOCK, f"jane@{domain}") == "deny"


@pytest.mark.parametrize("letter", "еіѵⅼ\u0430\u0261\u04cf\u1d07")
def test_a_letter_of_another_script_makes_another_domain(letter: str) -> None:
    """Row 9: unless Unicode itself takes it for the same letter, as the Roman numeral ⅼ."""
    for at in range(4):
        domain = f"{'evil'[:at]}{letter}{'evil'[at + 1 :]}.example"
        same = domains.readings(domain) == {"evil.example"}
        assert same == (letter == "ⅼ" and at == 3)
        assert sent("allow_domains: { domains: [evil.example] }", f"a@{domain}") == "deny"


@given(some.text(max_size=40), some.text('@<>,;:%!"() .\r\n＠．', max_size=12), some.integers(0, 40))
def test_no_text_slips_another_recipient_past_a_limit(noise: str, signs: str, at: int) -> None:
    """Whatever is put around and into an address: it is denied, or each @ is one at the domain allowed."""
    text = f"jane@example.com{signs}{noise}"
    text = text[:at] + signs + text[at:]
    try:
        parsed = parse_addresses(text)
    except ValueError:
        return
    assert len(parsed) == text.count("@")
    if sent("allow_domains: { domains: [example.com] }", text) == "allow":
        assert {address.domain.lower() for address in parsed} == {"example.com"}


@pytest.mark.parametrize(
    ("domain", "plain"),
    [
        ("acme。example", "acme.example"),
        ("acme．example", "acme.example"),
        ("acme｡example", "acme.example"),
        ("ａcme.example", "acme.example"),
        ("acme.example.", "acme.example"),
        ("acme.example。", "acme.example"),
        ("１２.example", "12.example"),
        ("BÜCHER.example", "bücher.example"),
        ("Bücher。example", "bücher.example"),
        ("bu\u0308cher.example", "bücher.example"),
        ("xn--bcher-kva。Example", "bücher.example"),
    ],
)
def test_what_is_sent_is_the_text_so_a_limit_takes_a_domain_plainly_written_only(
    domain: str, plain: str
) -> None:
    """Row 9: a mapping that IDNA makes and not every server does; a block still sees through it."""
    for limit in (
        f"allow_domains: {{ domains: [{plain}] }}",
        f"allow_addresses: {{ addresses: [j@{plain}] }}",
        f"block_external: {{ domain: {plain} }}",
    ):
        verdict, finding = judge(limit, {"to": f"j@{domain}"})
        assert verdict == "deny"
        assert finding is not None
        assert finding.passes == f"to, cc, more.bcc j@{plain}"
        assert sent(limit, f"j@{plain}") == "allow"
    assert sent(f"block_domains: {{ domains: [{plain}] }}", f"j@{domain}") == "deny"


# --- places: roles, lists, what is no text ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "arguments", "verdict"),
    [
        # every place of the role counts; a place left out is none, all left out is missing
        (ONE, {"to": "a@example.com"}, "allow"),
        (ONE, {"to": "a@example.com", "cc": ["b@evil.example"]}, "deny"),
        (ONE, {"more": {"bcc": ["a@example.com", 5]}}, "deny"),
        (ONE, {"more": {"bcc": [{"address": "a@example.com"}]}}, "deny"),
        (ONE, {"more": {"bcc": None}}, "deny"),
        (ONE, {}, "deny"),
        (EVIL, {}, "allow"),
        (EVIL, {"more": {"bcc": None}}, "allow"),
        (EVIL, {"more": {"bcc": []}}, "allow"),
        (EVIL, {"more": {"bcc": [None, 5, "U17"]}}, "allow"),
        (EVIL, {"more": {"bcc": [["a@evil.example"]]}}, "deny"),
        (EVIL, {"more": {"bcc": [{"address": "a@evil.example"}]}}, "deny"),
        ("block_external: { domain: example.com }", {"more": {"bcc": None}}, "allow"),
        ("block_external: { domain: example.com }", {"more": {"bcc": []}}, "allow"),
        ("block_external: { domain: example.com }", {"more": {"bcc": [5]}}, "deny"),
        ("block_external: { domain: example.com }", {"to": "a@example.com", "cc": ["a@example.org"]}, "deny"),
        ("block_external: { domain: example.com, field: to }", {"cc": ["a@example.org"]}, "allow"),
        ("block_domains: { domains: [b.c], field: others.at }", {"others": [{"at": "a@b.c"}]}, "deny"),
        # recipients are counted over all places, in texts and in lists
        (THREE, {"to": "a@b.c, d@e.f", "cc": ["g@h.i"]}, "allow"),
        (THREE, {"to": "a@b.c, d@e.f", "cc": ["g@h.i"], "more": {"bcc": ["j@k.l"]}}, "deny"),
        (THREE, {"to": "a@b.c,d@e.f;g@h.i,,;"}, "allow"),
        (THREE, {"cc": ["a@b.c;d@e.f", "g@h.i,j@k.l"]}, "deny"),
        (THREE, {"cc": ["U1", "U2", "U3"]}, "allow"),
        (THREE, {"cc": ["U1", "U2", "U3", ""]}, "deny"),
        (THREE, {"to": "U1,U2;U3,U4"}, "deny"),
        (THREE, {"more": {"bcc": [1, 2, [3, 4]]}}, "deny"),
        (THREE, {"more": {"bcc": [{"to": "a@b.c"}]}}, "deny"),
        (THREE, {}, "deny"),
        ("max_recipients: { max: 1, field: cc }", {"to": "a@b.c, d@e.f", "cc": ["g@h.i"]}, "allow"),
        ("max_recipients: { max: 3, field: others }", {"others": [{"at": "a@b.c"}]}, "deny"),
    ],
)  # fmt: skip
def test_every_place_of_a_recipient(rule: str, arguments: Mapping[str, Any], verdict: str) -> None:
    assert judge(rule, arguments)[0] == verdict


def test_a_tool_without_recipients_is_denied_by_a_limit_and_passed_by_a_block() -> None:
    for rule in (ALLOW, ONLY, "max_recipients: { max: 3 }"):
        assert judge(rule, {"to": "jane@example.com"}, "mail_wave")[0] == "deny"
    for rule in (BLOCK, NOT, INSIDE, "block_external: {}"):
        assert judge(rule, {"to": "joe@evil.example"}, "mail_wave")[0] == "allow"


@pytest.mark.parametrize(
    ("settings", "to", "verdict"),
    [
        ({"domain": "Example.com"}, "jane@example.com", "allow"),
        ({"domain": "example.com"}, "jane@a.example.com", "deny"),
        ({"domain": "example.com"}, "jane@example.org", "deny"),
        ({}, "jane@example.com", "deny"),
        ({"domain": ""}, "jane@example.com", "deny"),
        ({"domain": "https://example.com"}, "jane@example.com", "deny"),
    ],
)
def test_outside_is_outside_the_accounts_own_domain(
    settings: Mapping[str, str], to: str, verdict: str
) -> None:
    got, finding = judge("block_external: {}", {"to": to}, settings=settings)
    assert got == verdict
    if "/" in settings.get("domain", "/"):
        assert finding is not None
        assert "own domain is not known" in finding.says


# --- what is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "to", "says", "passes"),
    [
        (
            "allow_domains: { domains: [example.com] }",
            "J <jane@ex\u0430mple.com>",
            '"jane@exаmple.com" is at xn--exmple-4nf.com, which is not allowed',
            "to, cc, more.bcc at example.com",
        ),
        (
            "block_domains: { domains: [evil.example] }",
            "a@a.evil.example",
            "is at a.evil.example, which is blocked",
            "to, cc, more.bcc not at evil.example",
        ),
        (
            "allow_addresses: { addresses: [a@b.example] }",
            "c@b.example",
            '"c@b.example" (at b.example) is not allowed',
            "to, cc, more.bcc: a@b.example",
        ),
        (
            "block_addresses: { addresses: [a@b.example] }",
            "A+c@b.example",
            '"A+c@b.example" is blocked',
            "to, cc, more.bcc other than a@b.example",
        ),
        (
            "max_recipients: { max: 1 }",
            "a@b.example,c@b.example",
            "has 2 recipients, over the limit of 1",
            "at most 1 recipients in to, cc, more.bcc",
        ),
    ],
)
def test_a_denial_says_what_happened_and_what_would_pass(rule: str, to: str, says: str, passes: str) -> None:
    _, finding = judge(rule, {"to": to})
    assert finding is not None
    assert says in finding.says
    assert finding.passes == passes


@pytest.mark.parametrize(
    "entry",
    ["a@b.example", "@b.example", "https://b.example", "a b", "b.*", "*", "a.*.b", "*.*.b", "b..example",
     "b.example/x", "b.example:25", "10.0.0.1", "[::1]", ".b.example", "xn--b-.example", "b\u2024example"],
)  # fmt: skip
@pytest.mark.parametrize(
    "rule",
    ["allow_domains: {{ domains: ['{}'] }}", "block_domains: {{ domains: [ok.example, '{}'] }}",
     "block_external: {{ domain: '{}' }}", "block_external: {{ domain: [ok.example, '{}'] }}"],
)  # fmt: skip
def test_a_domain_that_is_none_is_refused_at_load(rule: str, entry: str) -> None:
    with pytest.raises(SpecError, match=r"is no domain: write example\.com, or") as raised:
        policy(f"guardrails:\n  - {{ for: write, {rule.format(entry)} }}\n")
    assert f"'{entry}'" in str(raised.value)


@pytest.mark.parametrize(
    "entry", ["jane", "@b.example", "J <a@b.example>", "a@b.example, c@b.example", "a@*.b"]
)
@pytest.mark.parametrize("name", ["allow_addresses", "block_addresses"])
def test_an_address_that_is_none_is_refused_at_load(name: str, entry: str) -> None:
    with pytest.raises(SpecError, match=r"is no address: write jane@example\.com"):
        policy(f"guardrails:\n  - {{ for: write, {name}: {{ addresses: ['{entry}'] }} }}\n")


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("allow_domains: { domains: [a.example, b.example] }", "Only addresses at a.example, b.example."),
        ("block_domains: { domains: [a.example] }", "No addresses at a.example."),
        ("allow_addresses: { addresses: [a@b.example] }", "Only to a@b.example."),
        ("block_addresses: { addresses: [a@b.example] }", "Not to a@b.example."),
        ("max_recipients: { max: 3 }", "At most 3 recipients in all."),
        ("block_external: { domain: b.example }", "Only addresses at b.example."),
        ("block_external: {}", "Only addresses at the account's own domain."),
    ],
)
def test_the_rule_is_told_in_the_schema(rule: str, line: str) -> None:
    entry = toolset(rule).find("mail_send")
    shown = list_tool(entry.tool, entry.bound)["inputSchema"]["properties"]
    assert shown["to"]["description"] == f"Who. {line}"
    assert "maxItems" not in shown["to"]
    assert shown["cc"].get("maxItems") == (3 if "max_" in rule else None)
