"""Whether a keyword stands in a text, also where it is disguised."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Final

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.folding import bare, fold, is_mark, latin, outline

# what stands between the words of a keyword, and counts as one space
_GAP: Final = r"[\s\pZ\p{Pd}_.]"
_SHORTEST_DISGUISED: Final = 4
_BROKEN: Final = range(6, 41)
_SHORT: Final = 4
_VOWELS: Final = frozenset("aeiouy")


def found_keyword(keywords: list[str], text: str) -> str:
    """The first keyword that stands in a text; nothing where none does.

    One of four letters or more is also known without its accents and in letters of other scripts that look
    the same, and, where it begins a word, taken apart: `pass-word`, `p a s s w o r d`. One of six or more is
    known with one break in it, `pass word`. Words that only run into one another (`compass wording`) are not
    taken for it, nor is a break that leaves a short word (`the rapist`).
    """
    copies = [fold(text)] if text.isascii() else [fold(text), fold(bare(latin(text)))]
    outlines = [outline(copy) for copy in copies]
    for keyword in keywords:
        whole, taken_apart = _patterns(fold(keyword))
        if whole.search(copies[0]) or (taken_apart and any(map(taken_apart.search, outlines))):
            return keyword
        if taken_apart and len(copies) > 1 and not any(map(is_mark, unicodedata.normalize("NFD", keyword))):
            whole, taken_apart = _patterns(fold(bare(latin(keyword))))
            if whole.search(copies[-1]) or taken_apart.search(outlines[-1]):
                return keyword
    return ""


@lru_cache(maxsize=4096)
def _patterns(keyword: str) -> tuple[Any, Any]:
    """A keyword anywhere in a folded text, and taken apart in the outline of one if it is long enough."""
    head, core, tail = compile_pattern(rf"(?s)^({_GAP}*)(.*?)({_GAP}*)$").search(keyword).groups()
    words = compile_pattern(f"{_GAP}+").split(core)
    whole = literal(head) + f"{_GAP}+".join(map(literal, words)) + literal(tail)
    letters = [[char for char in outline(word) if char.isalnum()] for word in words]
    spelt = compile_pattern(rf"(?:[\pL\pM\pN]|{_GAP})+").fullmatch(core)
    if not spelt or sum(map(str.isalpha, core)) < _SHORTEST_DISGUISED:
        return compile_pattern(whole), None
    hyphened = "[-+: ]{0,4}".join("[-+:]{0,3}".join(word) for word in letters)
    spaced = "[-+: ]{1,3}".join(char for word in letters for char in word)
    broken = "[-+: ]{1,4}".join(map(_broken, ("".join(word) for word in letters)))
    whole_words = f"(?:^|[-+: ]){broken}(?:$|[-+:' ])"
    return compile_pattern(whole), compile_pattern(f"(?:^|[-+:' ])(?:{hyphened}|{spaced})|{whole_words}")


def _broken(word: str) -> str:
    """A pattern for a word as it is, or with one break where neither part can be a short word of its own."""
    parts = [(word[:at], word[at:]) for at in range(1, len(word))] if len(word) in _BROKEN else []
    ways = [f"{one}-? {{1,9}}{other}" for one, other in parts if not _is_short(one) and not _is_short(other)]
    return f"(?:{'|'.join([word, *ways])})"


def _is_short(part: str) -> bool:
    """Whether letters are so few that they may be any word; without a vowel they are none."""
    return len(part) < _SHORT and (not part.isascii() or bool(_VOWELS & set(part)))


def literal(text: str) -> str:
    """A text as a pattern that matches just it, for RE2 and for the engines of JavaScript alike."""
    return "".join(f"\\{char}" if char in "^$\\.*+?()[]{}|" else char for char in text)
