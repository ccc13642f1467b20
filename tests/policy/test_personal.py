"""Personal data: what the detectors find, in which disguise, what they let be; it is never repeated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpgate.errors import SpecError
from mcpgate.policy.decide import explain, structure
from mcpgate.policy.detect.personal_data import ENTITIES, personal_data
from tests.policy.shop import guarded, judge, order, reason

NAMES = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "card": "a card number",
    "iban": "an IBAN",
    "ssn": "a social security number",
}
VISA, AMEX = "4111111111111111", "378282246310005"
IBAN = "DE89370400440532013000"


def rule(**config: Any) -> Any:
    """The shop under one guardrail on orders."""
    return guarded(json.dumps({"for": "shop_create_order", "pii_block": config}))


@pytest.mark.parametrize(
    ("entity", "text"),
    [
        ("email", "anna@shop.example"),
        ("email", "Anna <a.b+c@mail.shop.co.uk>!"),
        ("email", '"anna b"@shop.example'),
        ("email", "jörg@müller.example"),
        ("email", "anna＠shop。example"),
        ("email", "anna@\u200bshop.example"),
        ("email", "anna @ shop.example"),
        ("email", "anna [at] shop (dot) example"),
        ("email", "anna(at)shop.example"),
        ("email", "https://anna@shop.example/"),
        ("phone", "+1 415 555 0132"),
        ("phone", "+14155550132"),
        ("phone", "+49 (0)151 234 567-89"),
        ("phone", "+٤٩١٥١٢٣٤٥٦٧٨٩"),
        ("phone", "＋４４ ２０ ７９４６ ０９５８"),
        ("phone", "(415) 555-0132"),
        ("phone", "415.555.0132"),
        ("phone", "415–555–0132"),
        ("phone", "1-800-555-0132"),
        ("phone", "020 7946 0958"),
        ("phone", "06 12 34 56 78"),
        ("phone", "030/12345678"),
        ("phone", "0049 151 23456789"),
        ("phone", "tel: 5550132"),
        ("phone", "Mobile no. 4155550132"),
        ("phone", "phone\u200b: 4155550132"),
        ("card", VISA),
        ("card", "4111 1111 1111 1111"),
        ("card", "4111-1111-1111-1111"),
        ("card", "4111.1111.1111.1111"),
        ("card", "4111\u00a01111\u20031111\u30001111"),
        ("card", "4111–1111—1111‐1111"),
        ("card", "4111_1111_1111_1111"),
        ("card", "4111\n1111\n1111\n1111"),
        ("card", "4111 - 1111 - 1111 - 1111"),
        ("card", " ".join(VISA)),
        ("card", "-".join(VISA)),
        ("card", "\u200b".join(VISA)),
        ("card", "\u0336".join(VISA)),
        ("card", "\ufe0f\u20e3".join(VISA)),
        ("card", "41-1111-11111-11111"),
        ("card", "４１１１ １１１１ １１１１ １１１１"),
        ("card", "٤١١١ ١١١١ ١١١١ ١١١١"),
        ("card", "❹①①① ①①①① ①①①① ①①①①"),
        ("card", "3782 822463 10005"),
        ("card", AMEX),
        ("card", "5555555555554444 6011111111111117"),
        ("card", "Card 4111 1111 1111 1111 exp 12/28 cvc 123"),
        ("card", "17 4111 1111 1111 1111 12 28"),
        ("card", f"x{VISA}y"),
        ("card", "4222222222222"),
        ("card", "2223003122003222"),
        ("iban", IBAN),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "de89-3704-0044-0532-0130-00, please"),
        ("iban", "IBANDE89370400440532013000"),
        ("iban", "D\u200bE89370400440532013000"),
        ("iban", "GB82 WEST 1234 5698 7654 32 and more"),
        ("iban", "NO93 8601 1117 947"),
        ("iban", "ＤＥ８９３７０４００４４０５３２０１３０００"),
        ("ssn", "219-09-9999"),
        ("ssn", "219 09 9999"),
        ("ssn", "219–09–9999."),
        ("ssn", "000-12-3456 219-09-9999"),
        ("ssn", "SSN 219099999"),
        ("ssn", "social security number: 2190 99999"),
        ("ssn", "219099999 is my social"),
        ("ssn", "x\u200b219-09-9999"),
        ("ssn", "1\u200b219-09-9999"),
        ("ssn", "٢١٩-٠٩-٩٩٩٩"),
    ],
)
def test_personal_data_is_found(entity: str, text: str) -> None:
    assert personal_data(text, [entity]) == [NAMES[entity]]


@pytest.mark.parametrize(
    "text",
    [
        "Two for the price of one: 12.50 at 10:30, see page 4111.",
        "2026-11-23T10:00:00Z 2026-11-23 10:00:00.123",
        "05.01.2026 10:30, 23/11/2026 11",
        "1795428000 1795428000123",  # a moment, in seconds and thousandths
        "20260105123455 41111111111114",  # only the length, or the beginning, is wrong
        "Order 12345678, invoice 202611-0132",
        "4111111111111112",  # the check digit
        "9111111111111111",  # no card begins so
        "0000000000000000",
        "4111 11 1111 111 1111 1 x 1",  # no number is written so
        "550e8400-e29b-41d4-a716-446655440000",
        "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "DE88370400440532013000",  # the check digits
        "XX89370400440532013000",
        "000-12-3456 666-12-3456 912-12-3456 219-00-9999 219-09-0000",
        "219099999",
        "12219-09-99991",
        "@anna, see a@b and pkg@1.2.3",
        "10.0.0.1 192.168.100.200",
        "1,250,000 + 12,000",
        "the hotel 12345678",
        # not seen: what is encoded or in words
        "41 1111 11111 11111",
        "07700900123",
        "four one one one one one one one one one one one one one one one",
        "NDExMTExMTExMTExMTExMQ==",
        "anna at shop dot example",
        "4155550132 or 415555 0132",
        "Anna Smith, 12 High Street, born in May",
    ],
)
def test_what_is_not_taken_for_personal_data(text: str) -> None:
    assert personal_data(text) == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_only_the_entities_that_are_named_are_looked_for(entity: str) -> None:
    every = f"anna@shop.example +14155550132 {VISA}, {IBAN}, 219-09-9999"
    assert personal_data(every, [entity]) == [NAMES[entity]]
    assert personal_data(every) == list(NAMES.values())


@pytest.mark.parametrize(
    "arguments",
    [
        {"note": VISA},
        {"tags": ["x", VISA]},
        {"metadata": {"x": VISA}},
        {"metadata": {VISA: "x"}},
        {"amount": int(VISA)},
        {"ratio": -float(VISA)},
        {"extra": {"a": [{"b": [[int(VISA)]]}]}},
        {"extra": {"phone_number": 4155550132}},
        {"metadata": {"customerPhone": "4155550132"}},
        {"metadata": {"ssn": "219099999"}},
        {"items": [{}, {"codes": ["x", "anna@shop.example"]}]},
    ],
)
def test_personal_data_is_found_wherever_it_stands_and_never_repeated(arguments: dict[str, Any]) -> None:
    finding = reason(rule(), *order(**arguments))
    told = explain(finding) + json.dumps(structure(finding))
    assert not [part for part in (VISA, "4155550132", "219099999", "anna") if part in told]
    assert (finding.rule, finding.value) == ("pii_block", None)


def test_a_key_is_named_up_to_where_it_would_tell() -> None:
    finding = reason(rule(), *order(extra={"a": {"b": {"anna@shop.example": 1}}}))
    assert explain(finding) == (
        "Denied by pii_block: a key of extra.a.b holds what looks like an e-mail address. "
        "Passes: a key of extra.a.b without personal data."
    )


def test_all_that_is_found_is_named_at_once() -> None:
    says = reason(rule(), *order(note=f"anna@shop.example {VISA}")).says
    assert says == "note holds what looks like an e-mail address and a card number"


def test_at_a_field_only_that_is_looked_at_and_missing_passes() -> None:
    app = rule(field="note", entities=["card"])
    assert judge(app, *order(currency=VISA)).verdict == "allow"
    assert judge(app, *order(note="anna@shop.example")).verdict == "allow"
    assert judge(app, *order(note=VISA)).verdict == "deny"


@pytest.mark.parametrize(
    ("entities", "why"),
    [
        ([], "must not be empty"),
        (["name"], "'name' is not one of email, phone, card, iban, ssn"),
        (["card", "card"], "twice"),
        ("card", "expected a list"),
    ],
)
def test_entities_that_are_not_known_are_refused(entities: Any, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        rule(entities=entities)
