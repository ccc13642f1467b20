"""Row 3: the same figure in another currency, in the same one otherwise written, or in none. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mcpgate.attack.attempt import Attempt, Shot
from mcpgate.attack.placing import at
from mcpgate.places import MISSING
from mcpgate.policy.fields import Keys

_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def currencies(keys: Keys, honest: Shot) -> Iterator[Attempt]:
    """Other currencies for an honest call whose amount stays."""
    found = at(honest.arguments, keys)
    code = found if isinstance(found, str) and found else "usd"
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in code)
    for other in ("jpy", "kwd", "bhd", "clf", "krw", "chf", "xau", "btc", "zzz"):
        yield Attempt(3, "another currency with the same figure", honest.put(keys, other))
    for trick, value in (
        ("upper case", code.upper()),
        ("mixed case", code.capitalize()),
        ("spaces around", f" {code} "),
        ("space behind", f"{code} "),
        ("line end behind", f"{code}\n"),
        ("full width", wide),
        ("zero-width space inside", f"{code[0]}\u200b{code[1:]}"),
        ("symbol", _SYMBOLS.get(code, "¤")),
        ("symbol of another", "¥"),
        ("number of ISO 4217", "392"),
        ("number of ISO 4217, as a number", 392),
        ("empty", ""),
        ("null", None),
        ("two in a list", [code, "jpy"]),
        ("two in a list, turned", ["jpy", code]),
        ("list of one", ["jpy"]),
        ("two, comma between", f"{code},jpy"),
        ("two, space between", f"{code} jpy"),
        ("two, slash between", f"{code}/jpy"),
        ("object", {"code": "jpy"}),
        ("true", True),
        ("the word null", "null"),
        ("Cyrillic letters", code.replace("s", "ѕ").replace("e", "е").replace("p", "р")),
        ("another currency, upper case", "JPY"),
    ):
        yield Attempt(3, trick, honest.put(keys, value))
    yield Attempt(3, "none", honest.drop(keys))
    if at(honest.arguments, keys) is MISSING:
        yield Attempt(3, "one where none was", honest.put(keys, "kwd"))
