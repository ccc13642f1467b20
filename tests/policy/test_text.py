"""The templates that look into texts: what each finds, in which disguise, what it lets be, what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mcpgate.errors import SpecError
from mcpgate.json_schema import build_validator, compile_pattern
from mcpgate.policy.decide import explain, structure
from mcpgate.policy.detect.credentials import credentials
from mcpgate.policy.detect.keywords import found_keyword, literal
from mcpgate.toolset import build_toolset, list_tool
from mcpgate.values import Finding
from tests.policy.shop import guarded, judge, order, policy, reason


def rule(template: str, **config: Any) -> Any:
    """The shop under one guardrail on orders."""
    return guarded(json.dumps({"for": "shop_create_order", template: config}))


def passes(app: Any, **arguments: Any) -> bool:
    """Whether an order passes."""
    return judge(app, *order(**arguments)).verdict == "allow"


def told(finding: Finding) -> str:
    """All that a denial tells, to the agent and to the log."""
    return explain(finding) + json.dumps(structure(finding), ensure_ascii=False)


def shown(template: str, **config: Any) -> dict[str, Any]:
    """The properties that are listed under one guardrail."""
    entry = build_toolset(rule(template, **config)).find("shop_create_order")
    listed: dict[str, Any] = list_tool(entry.tool, entry.bound)["inputSchema"]["properties"]
    return listed


# --- keyword_block ---------------------------------------------------------------------------------------

KEYWORDS = ["password", "wire transfer", "api_key", ".env", "rm -rf", "fee", "ärger", "пароль", "退款"]


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("password", "your PASSWORD please"),
        ("password", "xpasswordx"),
        ("password", "ｐａｓｓｗｏｒｄ"),
        ("password", "pass\u200bword"),
        ("password", "\u202epass\u202cword"),
        ("password", "pa\u00adss\ufe0fwo\u034frd"),
        ("password", "pass\u2800word"),
        ("password", "pass\U000e0061wo\U000e0002rd"),
        ("password", "𝓹𝓪𝓼𝓼𝔀𝓸𝓻𝓭"),
        ("password", "ⓟⓐⓢⓢⓦⓞⓡⓓ"),
        ("password", "pássẅord"),
        ("password", "p\u0336a\u0336s\u0336s\u0336w\u0336o\u0336r\u0336d\u0336"),
        ("password", "раsswоrd"),  # Cyrillic
        ("password", "ΡΑSSWΟRD"),  # Greek
        ("password", "РАЅЅ\u200bԜОRD"),
        ("password", "ᴘᴀssᴡᴏʀᴅ"),
        ("password", "the 🅿🅰🆂🆂🆆🅾🆁🅳!"),
        ("password", "🅟🅐🅢🅢🅦🅞🅡🅓"),
        ("password", "🇵🇦🇸🇸🇼🇴🇷🇩"),
        ("password", "ƥaʂʂⱳoɍđ"),
        ("password", "p" + "\u036d" * 5 + "assword"),  # letters on letters are marks
        ("password", "pass word"),
        ("password", "my PASS\n  word."),
        ("password", "ᴘᴀss ᴡᴏʀᴅ"),
        ("password", "p assword"),
        ("password", "passwor d"),
        ("password", "pass-\nword"),
        ("refund", "r efund"),
        ("wire transfer", "wire tran sfer"),
        ("chargeback", "a charge back, please"),
        ("password", "p a s s w o r d"),
        ("password", "P.A.S.S.W.O.R.D."),
        ("password", "p - a - s - s - w - o - r - d"),
        ("password", "pass-word"),
        ("password", "pass_word"),
        ("password", "my pass.wo*rd!"),
        ("password", "p\u200ba\u200bs\u200bs w o r d\npass\u2010word"),
        ("wire transfer", "a wire   transfer"),
        ("wire transfer", "wire\n\ttransfer"),
        ("wire transfer", "wire\u3000transfer"),
        ("wire transfer", "WIRE_TRANSFER"),
        ("wire transfer", "wire – transfer"),
        ("wire transfer", "wire.transfer"),
        ("wire transfer", "wiretransfer"),
        ("wire transfer", "wire/**/transfer"),
        ("wire transfer", "w i r e t r a n s f e r"),
        ("wire transfer", "wire\u200btransfer"),
        ("wire transfer", "rewire \n transfer"),
        ("a b", "xa_b"),
        ("api_key", "the API key"),
        ("api_key", "apikey"),
        (".env", "cat prod/.ENV"),
        ("rm -rf", "rm  -rf /"),
        ("fee", "coffee"),
        ("ärger", "A\u0308RGER"),
        ("пароль", "ПАРОЛЬ"),
        ("пароль", "пapoль"),  # with Latin letters
        ("退款", "请退款"),
    ],
)
def test_a_keyword_is_found_in_disguise(keyword: str, text: str) -> None:
    assert found_keyword([keyword], text) == keyword
    assert not passes(rule("keyword_block", keywords=[keyword]), note=text)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        # words that only run into one another
        ("therapist", "the rapist"),
        ("therapist", "the\nrapist"),
        ("invoice", "in voice mail"),
        ("nowhere", "we are now here"),
        ("island", "is land"),
        ("amount", "a mount"),
        ("password", "compass wording"),
        ("password", "pass words, pass the word"),
        ("selection", "the president's election"),
        ("наказание", "на казание"),
        ("refund", "re fund, more-funds"),
        ("hell", "he'll call"),
        ("wire transfer", "wire the transfer"),
        (".env", "environment, prod env"),
        ("fee", "f-e-e"),  # too short to be looked for in disguise
        ("fee", "fée"),
        ("schön", "schon é"),  # its accent is part of the word
        ("c++ code", "c code"),
        # not seen: other spellings, other scripts' sounds, parts set apart unevenly, encodings
        ("password", "p4ssw0rd pa55word"),
        ("password", "pa ss wo rd"),
        ("password", "cGFzc3dvcmQ="),
        ("password", "пассворд"),
    ],
)
def test_what_is_not_taken_for_a_keyword(keyword: str, text: str) -> None:
    assert found_keyword([keyword], text) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        {"tags": ["a", "the pass-word"]},
        {"metadata": {"password": "x"}},
        {"metadata": {"x": "password"}},
        {"metadata": {"ＰＡＳＳ\u200bword": "x"}},
        {"extra": {"a": [{"b": [["password"]]}]}},
        {"extra": {"a": {"pass_word": {}}}},
        {"items": [{}, {"codes": ["x", "password"]}]},
        {"address": {"country": "password"}},
    ],
)
def test_every_text_and_every_free_key_is_looked_at(arguments: dict[str, Any]) -> None:
    assert not passes(rule("keyword_block", keywords=["password"]), **arguments)
    assert passes(rule("keyword_block", keywords=["password"], field="note"), **arguments)


def test_a_text_in_any_alternative_is_looked_at() -> None:
    app = rule("keyword_block", keywords=["gt", "usd"])
    assert passes(app, created={"gt": 5}, note="x")  # a name of the schema is not the agent's text
    assert not passes(app, created={"gt": 5}, currency="usd")


def test_a_keyword_at_a_field_is_looked_for_there() -> None:
    app = rule("keyword_block", keywords=["vip"], field="metadata")
    assert not passes(app, metadata={"tier": "VIP"})
    assert passes(app, note="vip")
    finding = reason(app, *order(metadata={"tier": "VIP"}))
    assert (finding.field, finding.value) == ("metadata.tier", "vip")
    assert explain(finding).endswith(
        'metadata.tier holds the blocked keyword "vip". Passes: metadata.tier without vip.'
    )


@pytest.mark.parametrize("keyword", ["\u200b", " ", "x" * 100_000])
def test_a_keyword_that_cannot_be_looked_for_is_refused_at_load(keyword: str) -> None:
    with pytest.raises(SpecError, match="keyword"):
        rule("keyword_block", keywords=["fine", keyword])


@given(some.sampled_from(KEYWORDS), some.text(max_size=20), some.text(max_size=20))
def test_a_keyword_is_found_wherever_it_stands(keyword: str, before: str, after: str) -> None:
    assert found_keyword([keyword], f"{before} {keyword} {after}")


# --- content_length --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fine"),
    [
        ({"note": "x" * 20}, True),
        ({"note": "x" * 21}, False),
        ({"note": "💶" * 20}, True),  # characters, neither bytes nor UTF-16 units
        ({"note": "\u200b" * 21}, False),  # as it is sent
        ({"tags": ["x", "x" * 21]}, False),
        ({"metadata": {"k" * 21: ""}}, False),
        ({"amount": 10**15}, True),
    ],
)
def test_content_length_counts_characters(arguments: dict[str, Any], fine: bool) -> None:
    assert passes(rule("content_length", max_length=20), **arguments) is fine


def test_content_length_at_a_field_is_a_limit() -> None:
    app = rule("content_length", max_length=3, field="note")
    assert not passes(app)
    assert passes(app, note="abc", currency="long")
    finding = reason(app, *order(note="abcd"))
    assert (finding.field, finding.limit, finding.value) == ("note", 3, 4)


def test_content_length_is_shown() -> None:
    listed = shown("content_length", max_length=20)
    assert listed["note"]["maxLength"] == 20
    assert listed["tags"]["items"]["maxLength"] == 20
    assert "maxLength" not in listed["size"]
    at_field = shown("content_length", max_length=20, field="tags")
    assert at_field["tags"]["items"]["maxLength"] == 20
    assert "maxLength" not in at_field["note"]


# --- prefixes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["require_prefix", "allow_prefix"])
@pytest.mark.parametrize(
    ("prefix", "arguments", "fine"),
    [
        ("tok_", {"note": "tok_1"}, True),
        ("tok_", {"note": "tok_"}, True),
        (["tok_", "card_"], {"note": "card_1"}, True),
        ("tok_", {"note": "TOK_1"}, False),
        ("tok_", {"note": " tok_1"}, False),
        ("tok_", {"note": "\u200btok_1"}, False),
        ("tok_", {"note": "ｔok_1"}, False),
        ("tok_", {}, False),
        # what leads out again
        ("docs/", {"note": "docs/a/b.md"}, True),
        ("docs/", {"note": "docs/a..b/..c"}, True),
        ("docs/", {"note": "docs/../keys"}, False),
        ("docs/", {"note": "docs/a/.."}, False),
        ("docs/", {"note": "docs/%2E%2e%2fkeys"}, False),
        ("docs/", {"note": "docs/..\\keys"}, False),
        ("docs/", {"note": "docs/..?x"}, False),
        ("v1.", {"note": "v1.. and so on /../"}, True),
    ],
)
def test_a_prefix(template: str, prefix: Any, arguments: dict[str, Any], fine: bool) -> None:
    assert passes(rule(template, field="note", prefix=prefix), **arguments) is fine


@pytest.mark.parametrize("template", ["require_prefix", "allow_prefix", "allow_pattern"])
@pytest.mark.parametrize(
    ("field", "arguments"),
    [("amount", {"amount": 5}), ("metadata", {"metadata": {"a": "5"}}), ("created", {"created": {"gt": 5}})],
)
def test_what_is_no_text_cannot_be_decided(template: str, field: str, arguments: dict[str, Any]) -> None:
    what = {"pattern": ".*"} if template == "allow_pattern" else {"prefix": "5"}
    finding = reason(rule(template, field=field, **what), *order(**arguments))
    assert finding.says == f"{field} is not a text, and what cannot be decided is denied"


@pytest.mark.parametrize("template", ["require_prefix", "allow_prefix", "allow_pattern"])
def test_every_element_of_a_list_is_held_to_it(template: str) -> None:
    app = rule(template, field="tags", **({"pattern": "a.*"} if "pattern" in template else {"prefix": "a"}))
    assert passes(app, tags=["a1", "a2"])
    assert not passes(app, tags=["a1", "b2"])
    assert not passes(app, tags=[])


def test_a_prefix_says_what_would_pass() -> None:
    finding = reason(rule("require_prefix", field="note", prefix=["a/", "b/"]), *order(note="c/"))
    assert explain(finding) == (
        'Denied by require_prefix: note "c/" does not begin with a/ or b/. '
        "Passes: note beginning with a/ or b/."
    )


@pytest.mark.parametrize("prefix", ["https://a.example", "https://a.example:8", ["x", "https://a"]])
def test_a_prefix_that_ends_in_a_host_is_refused_at_load(prefix: Any) -> None:
    with pytest.raises(SpecError, match="end the prefix with a slash"):
        rule("allow_prefix", field="note", prefix=prefix)
    assert passes(rule("allow_prefix", field="note", prefix="https://a.example/"), note="https://a.example/x")
    assert passes(rule("allow_prefix", field="note", prefix="https://"), note="https://a.example/x")


@pytest.mark.parametrize("prefix", ["", [], [""], 5, ["a", 5]])
def test_a_prefix_is_a_text_or_a_list_of_texts(prefix: Any) -> None:
    with pytest.raises(SpecError, match=r"expected|empty"):
        rule("require_prefix", field="note", prefix=prefix)


def test_a_prefix_is_shown_as_a_pattern() -> None:
    assert shown("require_prefix", field="note", prefix="a.b/")["note"]["pattern"] == r"^a\.b/"
    assert (
        shown("allow_prefix", field="tags", prefix=["a", "b$"])["tags"]["items"]["pattern"] == r"^(?:a|b\$)"
    )


@given(some.text(some.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_literal_matches_just_itself(text: str) -> None:
    assert compile_pattern(f"^{literal(text)}").fullmatch(text)


# --- patterns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "fine"),
    [
        (r"\bdrop\s+table\b", "raindrop table", True),
        (r"\bdrop\s+table\b", "please DROP\n TABLE users", False),
        (r"\bdrop\s+table\b", "d\u200brop ｔable", False),
        (r"DROP", "drop", False),
        (r"a|b", "xB", False),
        (r"^x", "\u200bx", False),
        (r"[0-9]{4}", "１２３４", False),
        (r"ß", "Straße", False),  # in the text as it is, which the folded copy has lost
        (r"\x{200b}", "a\u200b", False),
        (r"(?-i:DROP)", "drop", True),
    ],
)
def test_block_pattern_looks_into_the_text_and_its_folded_copy(pattern: str, text: str, fine: bool) -> None:
    assert passes(rule("block_pattern", pattern=pattern), note=text) is fine


def test_a_blocked_pattern_never_repeats_what_it_matches() -> None:
    finding = reason(rule("block_pattern", pattern="acct-[0-9]+"), *order(note="acct-12345"))
    assert "12345" not in told(finding)
    assert (finding.field, finding.limit) == ("note", "acct-[0-9]+")


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("DE-2041", True),
        ("de-2041", False),
        ("DE-2041\n", False),
        (" DE-2041", False),
        ("DE-２０４１", False),
        ("DE-2041\u200b", False),
        ("xDE-2041x", False),
    ],
)
def test_allow_pattern_is_exact_and_whole(text: str, fine: bool) -> None:
    assert passes(rule("allow_pattern", field="note", pattern="[A-Z]{2}-[0-9]{4}|none"), note=text) is fine


@pytest.mark.parametrize("template", ["block_pattern", "allow_pattern"])
@pytest.mark.parametrize(
    ("pattern", "why"), [("a(?=b)", "RE2"), (r"(a)\1", "RE2"), ("a(", "missing [)]"), (".{1000}" * 9, "arge")]
)
def test_what_re2_cannot_take_is_refused_at_load(template: str, pattern: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        rule(template, pattern=pattern, field="note")


@pytest.mark.parametrize("pattern", ["[a-z]+", r"\d{2,4}", "(?:a|b)?c", r"a\.b|[^\]x]", "a+?"])
def test_a_pattern_that_others_read_alike_is_shown(pattern: str) -> None:
    assert shown("allow_pattern", field="note", pattern=pattern)["note"]["pattern"] == f"^(?:{pattern})$"


@pytest.mark.parametrize(
    "pattern",
    ["(?i)a", r"\pL", "[[:alpha:]]", "(?P<x>a)", r"\Aa\z", r"\Qa.b\E", "a{", "(?s:.)", r"\-", r"\a"],
)
def test_a_pattern_that_others_read_otherwise_is_told_in_words(pattern: str) -> None:
    note = shown("allow_pattern", field="note", pattern=pattern)["note"]
    assert "pattern" not in note
    assert note["description"] == f"Free text. Matches {pattern} as a whole."


@given(some.sampled_from(["[a-z]+", r"\d{2,4}", "(?:a|b)?c"]), some.text("abc12\n ", max_size=4))
def test_what_passes_a_pattern_fits_what_is_shown(pattern: str, text: str) -> None:
    schema = {"properties": {"note": shown("allow_pattern", field="note", pattern=pattern)["note"]}}
    fits = not list(build_validator(schema).iter_errors({"note": text}))
    assert passes(rule("allow_pattern", field="note", pattern=pattern), note=text) is fits


def test_two_patterns_are_both_shown() -> None:
    both = json.dumps(
        {
            "for": "shop_create_order",
            "allow_pattern": {"field": "note", "pattern": "[a-z]+"},
            "require_prefix": {"field": "note", "prefix": "a"},
        }
    )
    entry = build_toolset(guarded(both)).find("shop_create_order")
    note = list_tool(entry.tool, entry.bound)["inputSchema"]["properties"]["note"]
    assert note["pattern"] == "^(?:[a-z]+)$"
    assert note["description"] == "Free text. Begins with a."


# --- block_mass_mentions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "@here",
        "hi @Channel!",
        "(@everyone)",
        "lunch,@all",
        "@all-hands",
        "＠here",
        "﹫here",
        "@he\u200bre",
        "@\u2066here",
        "@ｈｅｒｅ",
        "x\u200b@here",
        "@all\u200bison",
        "@here.",
        "@here\u0020now",
        "<!channel>",
        "<!here|here>",
        "<!everyone>",
        "<!subteam^S123>",
        "<\u200b!subteam^S123|@ops>",
        "<@&123456>",
        "mail a@b.example and @here",
    ],
)
def test_a_mass_mention_is_found(text: str) -> None:
    app = rule("block_mass_mentions")
    assert not passes(app, note=text)
    assert not passes(app, metadata={text: "x"})


@pytest.mark.parametrize(
    "text",
    [
        "all@here.example",
        "é@here.example",
        "@anna",
        "@allison",
        "@heretic",
        "here, everyone",
        "a_@all",
        "<!date>",
    ],
)
def test_what_mentions_nobody_or_one_passes(text: str) -> None:
    assert passes(rule("block_mass_mentions"), note=text)


# --- secret_block ----------------------------------------------------------------------------------------

RANDOM = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2b"
SECRETS = [
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE",
    "-----BEGIN " + "PRIVATE KEY-----",
    "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
    "AKIA" + "IOSFODNN7EXAMPL3",
    "gh" + "p_" + RANDOM,
    "some" + "hub_pat_" + RANDOM,
    "xox" + "b-2345-" + RANDOM,
    "AIza" + "Sy" + RANDOM[:33],
    "sk_" + "live_" + RANDOM[:24],
    "rk_" + "test_" + RANDOM[:24],
    "pk_" + "live_" + RANDOM[:24],
    "sk-" + "proj-" + RANDOM,
    "whsec_" + RANDOM[:24],
    "mgw_" + RANDOM,
    "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0." + RANDOM,
    "eyJ" + "hbGciOiJub25lIn0." + "eyJ" + "zdWIiOiIxMjM0In0.",
    "Authorization: Bearer " + RANDOM,
    "Basic " + "dXNlcjpwYXNzd29yZA==",
    "Authorization: Token " + RANDOM,
    "password=" + "hunter22",
    "Password: " + "swordfish",
    '{"password": "' + 'swordfish"}',
    "DB_PASSWORD => " + "swordfish",
    "the password is " + "hunter22",
    "api_key: " + RANDOM[:12],
    "API-Key = '" + RANDOM[:12] + "'",
    "client_secret=" + RANDOM[:12],
    "token=" + RANDOM[:24],
    "postgres://anna:" + "swordfish@db.example/shop",
    "https://:" + "swordfish@db.example/",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_credential_is_found_and_never_repeated(secret: str) -> None:
    for text in (secret, f"Use {secret} today", f"\n{secret}\n"):
        finding = reason(rule("secret_block"), *order(metadata={"x": text}))
        assert finding.field == "metadata.x"
        assert finding.says.startswith("metadata.x holds what looks like a")
        assert not {part for part in ("swordfish", "hunter22", RANDOM[:12], secret) if part in told(finding)}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("hide", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u0336"])
def test_a_credential_is_found_with_invisible_characters_in_it(secret: str, hide: str) -> None:
    assert credentials(hide.join(secret))


@pytest.mark.parametrize(
    "text",
    [
        "x\u200bsk-" + RANDOM,
        "gh" + "p_" + RANDOM[:10] + "  \r\n " + RANDOM[10:],
        "Bearer " + RANDOM[:20] + "\u2028" + RANDOM[20:],
        "AKIA" + "IOSF\nODNN\n7EXAMPL3",
        "ｐａｓｓｗｏｒｄ＝" + "swordfish",
        "раsswоrd: " + "swordfish",
    ],
)
def test_a_credential_is_found_in_disguise(text: str) -> None:
    assert credentials(text)


@pytest.mark.parametrize(
    ("arguments", "fine"),
    [
        ({"metadata": {"password": "hunter22"}}, False),
        ({"metadata": {"DB-Pass\u200bword": "swordfish"}}, False),
        ({"metadata": {"apiKey": RANDOM[:12]}}, False),
        ({"extra": {"a": [{"client_secret": [RANDOM[:12]]}]}}, False),
        ({"metadata": {"password": "****"}}, True),
        ({"metadata": {"page_token": RANDOM[:30]}}, True),
        ({"metadata": {"order": RANDOM[:12]}}, True),
    ],
)
def test_the_key_of_a_value_is_the_name_of_it(arguments: dict[str, Any], fine: bool) -> None:
    assert passes(rule("secret_block"), **arguments) is fine


def test_a_key_that_is_a_credential_is_not_repeated() -> None:
    secret = "sk_" + "live_" + RANDOM[:24]
    finding = reason(rule("secret_block"), *order(extra={"a": {f"my.{secret}": 1}}))
    assert secret not in told(finding)
    assert finding.field == "a key of extra.a"


@pytest.mark.parametrize(
    "text",
    [
        "Reset your password, please. Passwords: 8 or more.",
        "password: ********",
        "password=<redacted> secret: ${API_SECRET}",
        "token: your_token_here",
        "api_key=yourApiKey",
        "The password is expired.",
        "She is the bearer of responsibilities",
        "a basic understanding of things",
        "task_test_integration and disk_create_something",
        "cus_NffrFeUfNV2Hib pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "550e8400-e29b-41d4-a716-446655440000",
        "https://shop.example/a:b@c and anna@shop.example",
        "-----BEGIN PUBLIC KEY-----",
        # not seen: what is encoded, spelt apart, or in words
        "c2tfbGl2ZV9hQjNkRTVmRzdoSjlrTDFt",
        "password%3Dswordfish",
        "A K I A I O S F O D N N 7 E X A M P L 3",
    ],
)
def test_what_is_not_taken_for_a_credential(text: str) -> None:
    assert not credentials(text)


@pytest.mark.parametrize(
    ("template", "config", "line"),
    [
        ("keyword_block", {"keywords": ["a", "b"]}, "Without: a, b."),
        ("secret_block", {}, "Without credentials."),
        ("pii_block", {}, "Without personal data."),
        ("block_mass_mentions", {}, "Without mentions of everyone, such as @all."),
    ],
)
def test_a_block_is_shown_at_the_field_it_names_and_not_at_every_text(
    template: str, config: dict[str, Any], line: str
) -> None:
    assert shown(template, field="note", **config)["note"]["description"] == f"Free text. {line}"
    assert shown(template, **config)["note"]["description"] == "Free text."


@pytest.mark.parametrize("template", ["block_pattern", "secret_block", "block_mass_mentions"])
def test_a_block_passes_where_its_field_is_missing(template: str) -> None:
    config = {"pattern": "."} if template == "block_pattern" else {}
    assert passes(rule(template, field="note", **config))


def test_a_rule_file_with_a_key_too_many_is_refused() -> None:
    with pytest.raises(SpecError, match="fields"):
        policy('guardrails: [{ for: write, secret_block: { fields: ["a"] } }]\n')
