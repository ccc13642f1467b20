"""Links in texts: found in every way that a reader, a link finder or a browser would find one."""

from __future__ import annotations

import itertools
import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.errors import SpecError
from mcpgate.policy.detect.links import copies
from mcpgate.toolset import Toolset, build_toolset, list_tool
from mcpgate.values import Finding
from tests.policy.shop import guarded, judge, policy

NONE = "block_urls: {}"
ALLOW = "block_urls: { allow_domains: [good.example, '*.good.example', good.co] }"
BLOCK = "block_urls: { block_domains: [evil.example, straße.example, 例子.中国] }"
BOTH = "block_urls: { allow_domains: ['*.good.example'], block_domains: [evil.good.example] }"


@cache
def toolset(rule: str) -> Toolset:
    return build_toolset(guarded(f"{{ for: [write], {rule} }}"))


def written(rule: str, text: str) -> Finding | None:
    """Why a text is denied; nothing where it passes."""
    decision = judge(toolset(rule), "shop_send_note", {"text": text})
    assert (decision.verdict == "allow") == (decision.reason is None)
    return decision.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Thank you. See you on 3.4. at 10.30, e.g. in the Dr. Who room v1.0 ...",
        "wait...what? No… really.",
        "Write to jane.doe@evil.example, or joe@evil.example.",
        "a/b and 1/2 and either/or: ratio 3:4, 12.50EUR, #5 @jane",
        "今天天气很好。我们去公园。明天见",
        "http is a protocol; https too. news:foo, metadata:x",
        "wait.\nwhat",
        "what the data: shows",
        "1.2.3",
        "version 1.2.3.4, and 10.0.0.1: it is",
        "mailto: is a scheme, xmailto:a@b is none",
    ],
)
@pytest.mark.parametrize("rule", [NONE, ALLOW, BLOCK, BOTH])
def test_what_is_no_link_passes(rule: str, text: str) -> None:
    assert written(rule, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://good.example/path/report.pdf?x=a.bc#d.ef",
        "See (https://www.good.example), **https://good.example:443** or <https://good.example|here>!",
        "good.example. Yes, good.example, and a.b.GOOD.example/x.pdf",
        "https://good.example/1.2.3.4/x and https://good.example?mailto:x@good.example",
        "mailto:jane@good.example, [x](mailto:joe@www.good.example) or <mailto:joe@good.co>.",
        "//good.example/x and \\\\good.example\\x",
        "https://user:pass@good.example/ and HTTPS:\\\\good.example",
        "[a](https://good.example/a)[b](https://good.example/b)",
        "https://good.example\nhttps://good.example",
        "https://good.example\nThanks for all",
        "https://good.example//a/b and https://good%2Eexample",
        "https://good.example:443/report.pdf or //good.example:443/report.pdf",
        "https://ｇood。example and https://good.example.",
        "https://good.example/?u=https%3A%2F%2Fgood.example",
    ],
)
def test_a_link_to_an_allowed_domain_passes(text: str) -> None:
    assert written(ALLOW, text) is None
    assert written(NONE, text) is not None


# each goes to evil.example, for someone
TO_EVIL = [
    "https://evil.example",
    "HTTP://EVIL.EXAMPLE/x",
    "ftp://evil.example",
    "any+scheme.1-x://evil.example",
    "//evil.example",
    "\\\\evil.example\\share",
    "https:/evil.example",
    "https:evil.example",
    "https:\\/\\evil.example",
    "https://///evil.example",
    "www.evil.example",
    "evil.example",
    "see evil.example.",
    "evil.example.Next sentence",
    "evil.example-",
    "evil.example_x",
    "好evil.example。好",
    "https://good.example@evil.example",
    "https://good.example:80@evil.example:443/",
    "https://good.example;@evil.example/",
    "https://a@b@evil.example",
    "https://good.example\\@evil.example",
    "https://good.example/redirect?u=https://evil.example",
    "https://good.example,evil.example",
    "https://evil.example,joe@good.example/",
    "https://good.example/a)evil.example",
    "[https://good.example](https://evil.example)",
    "<https://good.example/>evil.example",
    "good.example@evil.example/x",
    "https://evil.example.",
    "https://evil%2Eexample",
    "https://%65vil.example",
    "https%3A%2F%2Fevil.example",
    "https%253A%252F%252Fevil.example",
    "h&#116;tps&colon;&sol;&sol;evil&period;example",
    "https://evil&#x2e;example",
    "ev&#8203;il.example",
    "https://e\tvil.exa\nmple",
    "https://good.example\n.evil.example",
    "ht\ntps://ev\nil.example",
    "mailto://evil.example",
    "mailto:joe@evil.example",
    "MAILTO:joe%40evil.example?subject=x",
    "mailto:jane@good.example?cc=joe@evil.example",
    "mailto:jane@good.example,joe@evil。example",
    "[jane@good.example](mailto:joe@evil.example)",
    "mailto:jane(x)@evil.example",
    "view-source:https://evil.example",
    # row 9
    "https://ｅｖｉｌ.example",  # full-width
    "ｅｖｉｌ．ｅｘａｍｐｌｅ",
    "evil。example",  # ideographic dots
    "https://evil｡example",
    "https://ev\u200bil.example",  # zero-width
    "ev\u00adil.ex\u2060ample",
    "ev\ufe0fil.example",
    "\u202ahttps://evil.example\u202c",  # bidi
    "https：／／evil.example",  # full-width punctuation
    "https://good.example＠evil.example",
    "https://good.example／.evil.example",
    "https://good.example？.evil.example",
    "𝐞𝐯𝐢𝐥.example",
    "https://evil\u2024example",  # one dot leader
]


@pytest.mark.parametrize("text", TO_EVIL)
@pytest.mark.parametrize("rule", [NONE, ALLOW, BLOCK])
def test_a_link_is_found_in_every_writing(rule: str, text: str) -> None:
    broken = "\n" in text or "\t" in text  # which a browser closes up, where the URL stands alone
    for whole in (text, f" {text}\n") if broken else (text, f"See {text} now", f"({text})", f"“{text}”"):
        assert written(rule, whole) is not None, whole


@pytest.mark.parametrize(
    "text",
    [
        "https://ev\u0456l.example",  # row 9: Cyrillic і, another domain and so not a known one
        "https://g\u043eod.example",
        "g\u043eod.example",
        "https://xn--god-fdd.example",
        "xn--god-fdd.example",
        "https://good.example.evil.test",
        "https://notgood.example",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.0.0.1:80",
        "https://[::1]/",
        "https://user@[::1]:80/",
        "https://localhost",
        "https://good",
        "https://❤.good.example",
        "i❤.ws",
        "www.❤.ws",
        "https:/localhost",
        "v1.5/evil.example",
        "https://?evil.example",
        "https://!/evil.example",
        "https://x@/evil.example",
        "http:2130706433",
        "https://good.example" + "," * 600 + "@localhost/",
        "https://good.example:80:90",
        "http://good.co\nm",
        "javascript:alert(1)",
        "JavaScript :alert(1)",
        "java\nscript:alert(1)",
        "java&Tab;script:alert(1)",
        "ｊavascript：alert(1)",
        "vbscript:x",
        "[x](data:text/html;base64,AAAA)",
        "data: text/html,<b>",
        "DATA:,x",
        "file:///etc/passwd",
        "пример.рф",
    ],
)  # fmt: skip
def test_only_known_hosts_are_allowed(text: str) -> None:
    assert written(ALLOW, text) is not None
    assert written(NONE, text) is not None


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("https://my-evil.example", True),
        ("my-evil.example and notevil.example or evil.examples", True),
        ("https://evil.example.test", True),
        ("https://good.example/?evil.example", False),
        ("evil.example.Then", False),
        ("javascript:alert(1)", True),
        ("evil. example", True),
        ("größe_x.txt 中文.文件", True),
        ("https://a.b.evil.example", False),
        ("a.b.evil.example", False),
        ("https://straße.example", False),
        ("strasse.example", False),
        ("https://xn--strae-oqa.example", False),
        ("xn--strae-oqa.example", False),
        ("例子。中国", False),
        ("https://a.例子.中国/", False),
        ("xn--fsqu00a.xn--fiqs8s", False),
        # where a figure leads nobody can tell, nor where what is no name does
        ("https://93.184.216.34/", False),
        ("https://[::1]/", False),
        ("https://2130706433/", False),
        ("https://a..b/", False),
        ("%25252525253A", False),
        ("&#" + "9" * 5000, False),
    ],
)
def test_a_blocked_domain_blocks_what_lies_below_it(text: str, passes: bool) -> None:
    assert (written(BLOCK, text) is None) == passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("https://a.good.example", True),
        ("https://good.example", False),
        ("https://evil.good.example", False),
        ("a.evil.good.example", False),
        ("https://a.good.example https://evil.example", False),
    ],
)
def test_both_lists_hold_together(text: str, passes: bool) -> None:
    assert (written(BOTH, text) is None) == passes


@pytest.mark.parametrize(
    "rule",
    [
        "block_urls: { allow_domains: [strasse.example] }",
        "block_urls: { allow_domains: [straße.example] }",
        "block_urls: { block_domains: [strasse.example] }",
        "block_urls: { block_domains: [xn--strae-oqa.example] }",
    ],
)
def test_a_letter_that_is_read_in_two_ways_is_both(rule: str) -> None:
    assert written(rule, "https://straße.example") is not None


def test_hundreds_of_disguises_of_a_blocked_host() -> None:
    """Row 9 and the ways of writing a URL, each with each."""
    schemes = [
        "https://",
        "HTTP:\\\\",
        "//",
        "https:/",
        "ftp://u:p@",
        "https：//",
        "www.",
        "",
        "x https%3A//",
    ]
    hosts = ["evil", "EVIL", "ｅvil", "e\u200bvil", "ev\u00adil", "%65vil", "&#101;vil", "e\ufe0fvil"]
    for scheme, host, dot, end in itertools.product(
        schemes, hosts, ".。．｡", ("", ".", "/x", ":80", " ", ")")
    ):
        text = f"{scheme}{host}{dot}example{end}"
        for rule in (NONE, ALLOW, BLOCK):
            assert written(rule, text) is not None, (rule, text)


def test_every_text_of_a_call_is_looked_at_unless_a_field_is_named() -> None:
    for arguments in (
        {"note": "a.evil.example"},
        {"tags": ["x", "evil.example"]},
        {"extra": {"evil.example": 1}},
    ):
        assert judge(toolset(BLOCK), "shop_create_order", arguments).verdict == "deny"
    here = toolset("block_urls: { block_domains: [evil.example], field: note }")
    assert judge(here, "shop_create_order", {"tags": ["evil.example"]}).verdict == "allow"
    assert judge(here, "shop_create_order", {"note": "evil.example"}).verdict == "deny"
    assert judge(here, "shop_create_order", {}).verdict == "allow"


@pytest.mark.parametrize(
    ("rule", "text", "says", "passes"),
    [
        (NONE, "x.example", 'text has a URL at "x.example", which is not allowed', "text without URLs"),
        (ALLOW, "//x.example", 'text has a URL at "x.example", which is not allowed',
         "text with URLs at good.example, *.good.example, good.co only"),
        (ALLOW, "data:,", "text has a URL that acts by itself (javascript:, data:)",
         "text with URLs at good.example, *.good.example, good.co only"),
        ("block_urls: { block_domains: [evil.example] }", "http://a.evil.example",
         'text has a URL at "a.evil.example", which is blocked', "text without evil.example"),
        ("block_urls: { block_domains: [evil.example] }", "a.evil.example",
         "text names a domain that is blocked", "text without evil.example"),
        (NONE, "see 1.2.3.4/x", 'text has a URL at "1.2.3.4", which is not allowed',
         "text without URLs"),
        (NONE, "(1.2.3.4:8080)", 'text has a URL at "1.2.3.4", which is not allowed',
         "text without URLs"),
        (NONE, "１.2。3.4:8080/x", 'text has a URL at "1.2。3.4", which is not allowed',
         "text without URLs"),
        (NONE, "mailto:?body=x", 'text has a URL at "?body=x", which is not allowed',
         "text without URLs"),
        ("block_urls: { block_domains: [evil.example] }", "1.2.3.4?x",
         "text has a URL at \"1.2.3.4\", which may be any domain's, and what cannot be decided is denied",
         ""),
        ("block_urls: { block_domains: [evil.example] }", "http://1.2.3.4",
         "text has a URL at \"1.2.3.4\", which may be any domain's, and what cannot be decided is denied",
         ""),
    ],
)  # fmt: skip
def test_a_denial_says_what_happened_and_what_would_pass(
    rule: str, text: str, says: str, passes: str
) -> None:
    finding = written(rule, text)
    assert finding is not None
    assert (finding.says, finding.passes, finding.field) == (says, passes, "text")


@pytest.mark.parametrize(
    "entry", ["https://a.example", "a@b.example", "a.*", "a b", "10.0.0.1", "a.example/x"]
)
@pytest.mark.parametrize("key", ["allow_domains", "block_domains"])
def test_a_domain_that_is_none_is_refused_at_load(key: str, entry: str) -> None:
    with pytest.raises(SpecError, match=r"is no domain: write example\.com"):
        policy(f"guardrails:\n  - {{ for: write, block_urls: {{ {key}: ['{entry}'] }} }}\n")


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (NONE, "No URLs."),
        ("block_urls: { allow_domains: [a.example] }", "URLs at a.example only."),
        ("block_urls: { block_domains: [b.example], allow_domains: ['*.a.example'] }",
         "URLs at *.a.example only. No URLs at b.example."),
    ],
)  # fmt: skip
def test_the_rule_is_told_in_the_schema(rule: str, line: str) -> None:
    entry = toolset(rule).find("shop_create_order")
    shown = list_tool(entry.tool, entry.bound)["inputSchema"]["properties"]
    assert shown["note"]["description"] == f"Free text. {line}"


@given(some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_a_text_has_the_same_copies_each_time_and_never_fails_otherwise(text: str) -> None:
    assert copies(text) == copies(text)
    assert copies(text)[0] == text
    for rule in (NONE, ALLOW, BLOCK):
        finding = written(rule, text)
        assert finding is None or "the rule failed" not in finding.says


@given(some.text("evil.example。．/:@\\?#%&;,()<>[]|\t\n good", max_size=30))
def test_no_surroundings_hide_a_host(noise: str) -> None:
    assert written(NONE, f"{noise} https://evil.example/ {noise}") is not None
    assert written(ALLOW, f"{noise} https://evil.example/ {noise}") is not None
    assert written(BLOCK, f"{noise} https://evil.example/ {noise}") is not None


@pytest.mark.parametrize(
    "text",
    ["a." * 60_000, "http://" * 20_000, "a@b/ " * 25_000, "://" * 40_000, "&#" * 60_000, "%25" * 40_000,
     "http://" + "(@" * 60_000, "a:" * 60_000, "ä.ö1 " * 20_000, "data:" * 25_000],
    ids=lambda text: text[:9],
)  # fmt: skip
def test_no_text_makes_it_slow(text: str) -> None:
    start = time.perf_counter()
    for rule in (ALLOW, BLOCK):
        written(rule, text)
    assert time.perf_counter() - start < 20
