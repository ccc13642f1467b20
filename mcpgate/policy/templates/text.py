"""Templates that look into texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.call import Call, Check, Config, Miss, shown
from mcpgate.policy.detect.credentials import credentials
from mcpgate.policy.detect.keywords import found_keyword
from mcpgate.policy.fields import split_field
from mcpgate.policy.folding import apart, fold
from mcpgate.policy.templates.patterns import PATTERNS
from mcpgate.policy.templates.shown import at_most, describe
from mcpgate.policy.templates.template import COUNT, FIELD, TEXTS, Projection, Schema, Template, takes
from mcpgate.values import Json


def without_keywords(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No text holds a keyword."""
    field, keywords = config.get("field", ""), config["keywords"]
    for text in values:
        if keyword := found_keyword(keywords, text):
            says = f"{field} holds the blocked keyword {shown(keyword)}"
            return Miss(says, f"{field} without {', '.join(keywords)}", field, keywords, keyword)
    return None


def not_too_long(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No text is longer than `max_length` characters."""
    field, limit = config.get("field", ""), config["max_length"]
    for text in values:
        if len(text) > limit:
            says = f"{field} is {len(text)} characters long, over the limit of {limit}"
            return Miss(says, f"{field} of at most {limit} characters", field, limit, len(text))
    return None


def without_mentions(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """No text mentions everyone at once."""
    field = config.get("field", "")
    for text in values:
        if any(compile_pattern(_EVERYONE).search(fold(copy)) for copy in (text, apart(text))):
            return Miss(f"{field} mentions everyone at once", f"{field} without such a mention", field)
    return None


def nothing_like(finds: Callable[[Config, str, str], list[str]], words: str) -> Check:
    """No text holds what is found in it; neither that nor a key that holds it is ever repeated."""

    def check(config: Config, call: Call, values: list[Any]) -> Miss | None:
        field = config.get("field", "")
        key = split_field(field)[-1]
        for text in values:
            found = finds(config, text, "" if key == text else _in_words(key))
            if found:
                place = _safe(field, lambda part: finds(config, part, ""))
                says = f"{place} holds what looks like {' and '.join(found)}"
                return Miss(says, f"{place} without {words}", place)
        return None

    return check


def _safe(field: str, finds: Callable[[str], object]) -> str:
    """The field as far as no key of it holds what must not be told."""
    keys: list[str] = []
    for key in split_field(field):
        if finds(key):
            return f"a key of {'.'.join(keys)}"
        keys.append(key.replace(".", "\\."))
    return field


def _in_words(key: str) -> str:
    return str(compile_pattern("([a-z])([A-Z])").sub(r"\1 \2", key))


_EVERYONE: Final = (
    r"(?:^|[^\pL\pM\pN_])@(?:channel|here|everyone|all)(?:$|[^\pL\pM\pN_])"
    r"|<!(?:channel|here|everyone|group|subteam\b)|<@&[0-9]"
)


def _are_words(config: Config) -> str:
    for keyword in config["keywords"]:
        if not fold(keyword):
            return f"the keyword {shown(keyword)} shows nothing, so it would be found everywhere"
        try:
            found_keyword([keyword], "")
        except ValueError:
            return f"the keyword {shown(keyword)} is too long"
    return ""


def said_at_field(line: Callable[[Mapping[str, Json]], str]) -> Projection:
    """Adds a line at the field that a rule names; one that looks at every text would repeat it everywhere."""

    def project(config: Mapping[str, Json], schema: Schema) -> None:
        if "field" in config:
            describe(schema, line(config))

    return project


_credentials = nothing_like(lambda config, text, key: credentials(text, key), "credentials")

TEXT: Final[dict[str, Template]] = {
    "keyword_block": Template(
        "No text holds any of these words; case, width, invisible characters, accents, look-alike letters,"
        " letters set apart and one break (pass word) aside. Other spellings (p4ssword) are not seen, nor a"
        " break that leaves a short word (re fund).",
        without_keywords,
        takes({"field": FIELD}, keywords=TEXTS),
        "texts",
        allowed=({"keywords": ["wire transfer", "password"]}, {"note": "Transfer the call."}),
        denied=({"keywords": ["wire transfer", "password"]}, {"note": "A P.a.s.s-word, please"}),
        block=True,
        project=said_at_field(lambda config: f"Without: {', '.join(config['keywords'])}."),
        fault=_are_words,
    ),
    "content_length": Template(
        "No text is longer than max_length characters.",
        not_too_long,
        takes({"field": FIELD}, max_length=COUNT),
        "texts",
        allowed=({"max_length": 20}, {"note": "Thank you."}),
        denied=({"max_length": 20}, {"note": "Thank you very much. And more."}),
        project=at_most("maxLength", "max_length"),
    ),
    "secret_block": Template(
        "No text holds what looks like a credential: private keys, known shapes of keys and tokens, and"
        " values that are called a password. Encoded ones are not seen.",
        _credentials,
        takes({"field": FIELD}),
        "texts",
        allowed=({}, {"note": "Reset your password, please."}),
        denied=({}, {"note": "password: correct-horse"}),
        block=True,
        project=said_at_field(lambda config: "Without credentials."),
    ),
    "block_mass_mentions": Template(
        "No text mentions everyone at once: @channel, @here, @everyone, @all, or a group.",
        without_mentions,
        takes({"field": FIELD}),
        "texts",
        allowed=({}, {"text": "Thanks, @anna. Write to all@here.example."}),
        denied=({}, {"text": "@here lunch is ready"}),
        block=True,
        project=said_at_field(lambda config: "Without mentions of everyone, such as @all."),
    ),
    **PATTERNS,
}
