"""Rules over texts: a word, a link, a mention or a pattern that is not to be in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.values import LEFT_OUT, name, opened, schema_at, spelled, told
from mcpgate.attack.lenient import compact, decoded, letters, looks, unhidden
from mcpgate.attack.placing import samples
from mcpgate.attack.spelling import text_for
from mcpgate.attack.wire import Wire
from mcpgate.json_schema import compile_pattern
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys
from mcpgate.values import Json

_HARMLESS: Final = ("hello", "a1")
_MENTION: Final = re.compile(r"@(?:everyone|here|channel|all|room)\b|<!(?:everyone|here|channel)\b|<!subteam")


def sent_texts(target: Target, wire: Wire) -> Iterator[str]:
    """The texts that a rule is about: at its field, or all."""
    if "field" not in target.config:
        yield from wire.texts()
        return
    for keys in target.spots:
        for value in (inner for found in wire.at(keys) for inner in opened(found)):
            if value is not MISSING:
                yield spelled(value)


def plain_texts(target: Target) -> Iterator[tuple[Keys, Json]]:
    """Texts with nothing in them."""
    for keys in target.spots:
        yield from ((keys, value) for value in (*_HARMLESS, *samples(schema_at(target, keys))))


# --- words -----------------------------------------------------------------------------------------------


def _with_words(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for word in target.config["keywords"][:3]:
            yield Breach(keys, word)
            yield Breach(keys, f"Please {word} this.", row=9, trick="inside a sentence")
            yield Breach(keys, f"({word})", row=9, trick="in brackets")
            yield Breach(keys, f"a\n{word}\nb", row=9, trick="on a line of its own")
            yield Breach(keys, "-".join(["a", word]), row=9, trick="behind a hyphen")
            for trick, joint in (("space", " "), ("line end", "\n"), ("hyphen and line end", "-\n")):
                yield from (
                    Breach(keys, text, row=9, trick=f"{trick} inside") for text in _halved(word, joint)
                )


def _halved(word: str, joint: str) -> list[str]:
    """A word of eight letters or more in two parts, neither of which is a short word."""
    half = len(word) // 2
    return [f"{word[:half]}{joint}{word[half:]}"] if len(word) >= 8 and word.isalpha() else []


def _has_word(target: Target, wire: Wire) -> str:
    for text in sent_texts(target, wire):
        for word in target.config["keywords"]:
            edge = rf"(?<!\w){re.escape(looks(word))}(?!\w)"
            if re.search(edge, looks(text)) or re.search(edge, looks(text.replace("\0", " "))):
                return f"{told(text)} can be read as {word!r}"
            for halves in _halved(looks(word), "-? "):
                if re.search(rf"(?<!\w){halves}(?!\w)", looks(text)):
                    return f"{told(text)} can be read as {word!r}"
    return ""


# --- patterns and lengths --------------------------------------------------------------------------------


def _whole(target: Target) -> list[str]:
    """Texts that the pattern matches from end to end."""
    pattern = target.config["pattern"]
    return [text for text in text_for(pattern) if compile_pattern(pattern).fullmatch(text)]


def _fitting(target: Target) -> Iterator[tuple[Keys, Json]]:
    yield from ((keys, text) for keys in target.spots for text in _whole(target))


def _unfitting(target: Target) -> Iterator[Breach]:
    pattern = compile_pattern(target.config["pattern"])
    for keys in target.spots:
        for honest in _whole(target)[:2]:
            made = (
                ("", f"{honest}zzz!"),
                ("", f"zzz!{honest}"),
                ("line end behind", f"{honest}\n"),
                ("second line", f"{honest}\nzzz!"),
                ("line before", f"zzz!\n{honest}"),
                ("upper case", honest.upper()),
                ("space behind", f"{honest} "),
                ("zero-width space inside", f"{honest[:1]}\u200b{honest[1:]}"),
                ("full width", "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in honest)),
                ("empty", ""),
            )
            for trick, text in made:
                if not pattern.fullmatch(text):
                    yield Breach(keys, text, row=9 if trick else 0, trick=trick)
            yield Breach(keys, [honest, "zzz!"], row=1, trick="list of two, one of them allowed")


def _does_not_fit(target: Target, wire: Wire) -> str:
    pattern = compile_pattern(target.config["pattern"])
    for keys in target.spots:
        for value in wire.at(keys):
            if value is MISSING:
                return f"{name(keys)} is {LEFT_OUT}"
            if not isinstance(value, str | int | float) or not pattern.fullmatch(spelled(value)):
                return f"{name(keys)} {told(value)} does not match the pattern"
    return ""


def _matching(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for text in list(text_for(target.config["pattern"]))[:3]:
            yield Breach(keys, text)
            yield Breach(keys, f"see {text} now", row=9, trick="inside a sentence")
            yield Breach(keys, f"a\n{text}", row=9, trick="on the second line")


def _matches(target: Target, wire: Wire) -> str:
    pattern = compile_pattern(target.config["pattern"])
    for text in sent_texts(target, wire):
        for reading in (text, letters(text)):
            if pattern.search(reading):
                return f"{told(text)} can be read as {reading!r}, which matches the pattern"
    return ""


# --- beginnings ------------------------------------------------------------------------------------------


def _prefixes(target: Target) -> list[str]:
    prefix = target.config.get("prefix", target.config.get("prefixes", ""))
    return [prefix] if isinstance(prefix, str) else list(prefix)


def _begun(target: Target) -> Iterator[tuple[Keys, Json]]:
    for keys in target.spots:
        for prefix in _prefixes(target):
            yield from ((keys, f"{prefix}{rest}") for rest in ("a1", "1", " hello"))


def _not_begun(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        prefix = _prefixes(target)[0]
        yield Breach(keys, "zzz_1")
        made = (
            ("in the middle", f"zzz{prefix}1"),
            ("space before", f" {prefix}1"),
            ("line before", f"zzz\n{prefix}1"),
            ("upper case", f"{prefix.swapcase()}1"),
            ("zero-width space before", f"\u200b{prefix}1"),
            ("right-to-left mark before", f"\u202e{prefix}1"),
            ("full width", "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in prefix) + "1"),
            ("first letter alone", prefix[:1]),
            ("without its end", prefix[:-1]),
            ("empty", ""),
        )
        yield from (
            Breach(keys, text, row=9, trick=trick) for trick, text in made if not text.startswith(prefix)
        )
        if "/" in prefix:
            for text in ("../x", "a/../../x", "..\\x", "%2e%2e/x", "..%2fx", "%2e%2e%5cx", ".."):
                yield Breach(keys, f"{prefix}{text}", row=9, trick=f"out of it again by {text!r}")
        yield Breach(keys, [f"{prefix}1", "zzz_1"], row=1, trick="list of two, one of them allowed")
        yield Breach(keys, {"value": f"{prefix}1"}, row=1, trick="object")


def _begins_otherwise(target: Target, wire: Wire) -> str:
    for keys in target.spots:
        for value in wire.at(keys):
            if value is MISSING:
                return f"{name(keys)} is {LEFT_OUT}"
            if not isinstance(value, str) or not value.startswith(tuple(_prefixes(target))):
                return f"{name(keys)} {told(value)} does not begin as it must"
            climbs = ".." in re.split(r"[/\\]", decoded(value).partition("?")[0])
            if climbs and any("/" in prefix for prefix in _prefixes(target)):
                return f"{name(keys)} {told(value)} leads out of where it begins"
    return ""


# --- mentions --------------------------------------------------------------------------------------------


def _mentioning(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for mention in ("@everyone", "@here", "@channel", "<!channel>", "<!here>", "<!everyone>"):
            yield Breach(keys, mention, row=0 if mention == "@everyone" else 9,
                         trick="" if mention == "@everyone" else f"as {mention}")  # fmt: skip
            yield Breach(keys, f"Hello {mention}, dinner!", row=9, trick=f"{mention} inside a sentence")
        yield Breach(keys, "<!channel|channel>", row=9, trick="with a label")


def _mentions(target: Target, wire: Wire) -> str:
    found: Any = (text for text in sent_texts(target, wire) if _MENTION.search(letters(text)))
    return next((f"{told(text)} calls everybody" for text in found), "")


# --- secrets and personal data ---------------------------------------------------------------------------

_PERSONAL: Final[dict[str, str]] = {
    "email": "jane.doe@example.com",
    "phone": "+1 415 555 0132",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ssn": "078-05-1121",
}
_SECRETS: Final = (
    "_".join(("sk", "live", "a1B2c3D4e5F6g7H8i9J0k1L2")),
    "_".join(("ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")),
    "password: correct-horse-9",
)


def _samples(target: Target) -> list[str]:
    """What may not be told, one of each kind."""
    if target.rule.template == "secret_block":
        return list(_SECRETS)
    return [_PERSONAL[each] for each in target.config.get("entities", _PERSONAL) if each in _PERSONAL]


def _telling(target: Target) -> Iterator[Breach]:
    for keys in target.spots:
        for text in _samples(target):
            yield Breach(keys, text)
            yield Breach(keys, f"Take this: {text}, please.", row=9, trick="inside a sentence")
            yield Breach(keys, f"a\n{text}\nb", row=9, trick="on a line of its own")
            yield Breach(keys, f"({text})", row=9, trick="in brackets")
            if text[:1].isdigit() or text[:2].isupper():
                for what, joint in {"nothing": "", "hyphens": "-", "dots": ".", "two spaces": "  "}.items():
                    yield Breach(keys, re.sub(r"[ -]", joint, text), row=9, trick=f"{what} between the parts")
        numbers = [int(re.sub(r"\D", "", text)) for text in _samples(target) if text[:2] == "41"]
        yield from (Breach(keys, number, row=1, trick="as a number") for number in numbers)


def _tells(target: Target, wire: Wire) -> str:
    for text in sent_texts(target, wire):
        for sample in _samples(target):
            personal = target.rule.template == "pii_block"
            found = compact(text, digits=personal)
            if sample == _PERSONAL["ssn"] and not re.search(r"\d\D+\d", unhidden(text)):
                continue  # nine digits and nothing between them are any number
            if re.search(rf"(?<!\d){re.escape(compact(sample, digits=personal))}(?!\d)", found):
                return f"{told(text)} holds {sample!r}"
    return ""


TEXTS: Final[dict[str, Assault]] = {
    "keyword_block": Assault("text", plain_texts, _with_words, _has_word),
    "block_pattern": Assault("text", plain_texts, _matching, _matches),
    "allow_pattern": Assault("text", _fitting, _unfitting, _does_not_fit),
    "require_prefix": Assault("text", _begun, _not_begun, _begins_otherwise),
    "allow_prefix": Assault("text", _begun, _not_begun, _begins_otherwise),
    "block_mass_mentions": Assault("text", plain_texts, _mentioning, _mentions),
    "secret_block": Assault("text", plain_texts, _telling, _tells),
    "pii_block": Assault("text", plain_texts, _telling, _tells),
}
