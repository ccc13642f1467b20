"""What looks like personal data in a text: a few detectors, not a guarantee.

What is encoded, spelt out in words, or spread over several fields is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.folding import bare, outline, seen

_IBANS: Final = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20
EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30
KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23
PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26
UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTHS: Final = {each[:2]: int(each[2:]) for each in _IBANS.split()}

_CARD: Final = (
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11,16}|35[0-9]{14,17}"
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|(?:50|5[6-9]|6[0-9])[0-9]{11,17}"
)
_LABEL: Final = r"[\pL\pN](?:[\pL\pN-]*[\pL\pN])?"
_EMAIL: Final = (
    r"(?:[^\s@<>()\[\],;:\"]+|\"[^\"]+\")(?:@| @ )" + f"(?:{_LABEL}\\.)+" + r"\pL[\pL\pN-]*[\pL\pN]"
)
_INTERNATIONAL: Final = r"\+[- ]*[1-9](?:[- ]{0,3}[0-9]){7,14}"
_AMERICAN: Final = r"[2-9][0-9]{2}[- ]{1,3}[2-9][0-9]{2}[- ]{0,3}[0-9]{4}"
_TRUNK: Final = r"0{1,2}[1-9](?:[- ]{0,2}[0-9]){7,12}"
_DATE: Final = r"^[0-9]{2}-[0-9]{2}-[0-9]{4}(?:[^0-9]|$)"
_PHONE: Final = r"(?i)\b(?:(?:cell|mobile|tele)?phone|tel|telefono?|mobile?|cell|fax|whatsapp)s?\b"
_SSN: Final = r"(?i:\b(?:ssn|social(?:[- ]security)?)s?\b)"


def _finds(pattern: str, text: str) -> Iterator[Any]:
    return iter(compile_pattern(pattern).finditer(text))


def _has_email(text: str, digits: str, key: str) -> bool:
    """An address, `@` and dots also as words in brackets."""
    plain = compile_pattern(r"(?i)\s*[\[({<]\s*at\s*[\])}>]\s*").sub("@", text.replace("。", "."))
    plain = compile_pattern(r"(?i)\s*[\[({<]\s*dot\s*[\])}>]\s*").sub(".", plain)
    return bool(compile_pattern(_EMAIL).search(plain))


def _has_phone(text: str, digits: str, key: str) -> bool:
    """An international number, a grouped national one, or any number beside a word such as phone."""
    if any(_stands_alone(match, after=False) for match in _finds(_INTERNATIONAL, digits)):
        return True
    if any(_stands_alone(match) for match in _finds(_AMERICAN, digits)):
        return True
    for match in _finds(_TRUNK, digits):
        number = match[0]
        if not number.isdigit() and _stands_alone(match) and not compile_pattern(_DATE).search(number):
            return True
    beside = _PHONE + r"[^0-9]{0,20}[0-9](?:[- ]{0,3}[0-9]){6,14}"
    return bool(compile_pattern(beside).search(f"{key}: {digits}"))


def _has_card(text: str, digits: str, key: str) -> bool:
    """13 to 19 digits in the groups that cards are written in, with a check digit that fits."""
    for run in _finds(r"[0-9](?:[-+:' ]{0,3}[0-9])+", digits):
        spans = [(run.start() + start, run.start() + end) for start, end in _groups(run[0])]
        starts = [index for index, (start, _) in enumerate(spans) if digits[start] in "23456"]
        if any(_begins_card(text, digits, spans[first : first + 19]) for first in starts):
            return True
    return False


def _groups(digits: str) -> list[tuple[int, int]]:
    return [match.span() for match in _finds("[0-9]+", digits)]


def _begins_card(text: str, digits: str, spans: list[tuple[int, int]]) -> bool:
    """Whether the first of these groups of digits begins a card's number."""
    number = ""
    for count, (start, end) in enumerate(spans, 1):
        number += digits[start:end]
        if len(number) > 19:
            return False
        if len(number) > 12 and _is_card(number) and _is_grouped(spans[:count], text):
            return True
    return False


def _is_grouped(spans: list[tuple[int, int]], text: str) -> bool:
    """Whether groups make one number: evenly, as 4-6-5, or joined by the same sign throughout."""
    sizes = [end - start for start, end in spans]
    *even, last = sizes
    if (len(set(even)) <= 1 and last <= max(even, default=last)) or sizes in ([4, 6, 5], [4, 6, 4]):
        return True
    signs = {text[end:start] for (_, end), (start, _) in pairwise(spans)}
    return len(signs) == 1 and not signs.pop().isspace()


def _is_card(number: str) -> bool:
    if not compile_pattern(_CARD).fullmatch(number):
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (doubled + sum(map(int, number[::-2]))) % 10 == 0


def _has_iban(text: str, digits: str, key: str) -> bool:
    """A country, its length, and check digits that fit."""
    for match in _finds(r"[A-Za-z]{2}[- ]{0,2}[0-9][- ]{0,2}[0-9]", digits):
        rest = digits[match.start() : match.start() + 130]
        number = "".join(char for char in rest if char not in "- '+:").upper()
        number = number[: _IBAN_LENGTHS.get(number[:2], 0)]
        if number.isascii() and number.isalnum() and len(number) == _IBAN_LENGTHS[number[:2]]:
            moved = number[4:] + number[:4]
            if int("".join(str(int(char, 36)) for char in moved)) % 97 == 1:
                return True
    return False


def _has_ssn(text: str, digits: str, key: str) -> bool:
    """Three, two and four digits set apart, of an area that is given out; bare ones beside the word."""
    for match in _finds(r"[0-9]{3}(?: - |[- ])[0-9]{2}(?: - |[- ])[0-9]{4}", digits):
        if _stands_alone(match) and _is_ssn(match[0]):
            return True
    beside = (
        _SSN + r"[^0-9]{0,30}([0-9](?:[- ]{0,3}[0-9]){8})(?:[^0-9]|$)",
        r"(?:^|[^0-9])([0-9]{9})[^0-9]{1,20}" + _SSN,
    )
    return any(_is_ssn(match[1]) for pattern in beside for match in _finds(pattern, f"{key}: {digits}"))


def _is_ssn(text: str) -> bool:
    number = "".join(char for char in text if char.isdigit())
    return (
        number[:3] not in ("000", "666") and number[0] != "9" and number[3:5] != "00" and number[5:] != "0000"
    )


def _stands_alone(match: Any, *, after: bool = True) -> bool:
    """Whether no further digit touches a match."""
    text, start, end = match.string, match.start(), match.end()
    return not text[max(0, start - 1) : start].isdigit() and not (after and text[end : end + 1].isdigit())


# each is given a text as it looks, its outline, and that of the key it stands under
_ENTITIES: Final[Mapping[str, tuple[str, Callable[[str, str, str], bool]]]] = {
    "email": ("an e-mail address", _has_email),
    "phone": ("a phone number", _has_phone),
    "card": ("a card number", _has_card),
    "iban": ("an IBAN", _has_iban),
    "ssn": ("a social security number", _has_ssn),
}
ENTITIES: Final = tuple(_ENTITIES)


def personal_data(text: str, entities: Iterable[str] = ENTITIES, key: str = "") -> list[str]:
    """What a text under this key looks like to hold, such as "an e-mail address" or "a card number"."""
    copies = [(copy, outline(copy)) for copy in seen(text)]
    named = outline(bare(key))
    return [
        name
        for name, holds in (_ENTITIES[entity] for entity in entities)
        if any(holds(copy, digits, named) for copy, digits in copies)
    ]
