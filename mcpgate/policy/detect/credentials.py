"""What looks like a credential in a text: shapes that are known, and values that are called a password.

What is encoded, spelt out in words, or spread over several fields is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.folding import bare, seen

# what it is, its shape, and what the part in brackets must be besides
_Shapes: TypeAlias = tuple[tuple[str, str, Callable[[str], bool]], ...]

_MASK: Final = (
    r"[*x•.…#-]+|\$\{?[A-Z_]+\}?|[<\[({]*(?i:(?:your|the|my)?[ _-]*(?:none|null|true|false|redacted|hidden"
    r"|masked|removed|required|optional|(?:api[ _-]?)?key|token|secret|password)[ _-]*(?:here)?)[>\])}]*"
)


def _is_told(value: str) -> bool:
    """Whether a value is more than a mask or a stand-in for one."""
    return not compile_pattern(_MASK).fullmatch(value)


def _is_mixed(value: str) -> bool:
    """Whether a value is no word of a language: it has digits, or capitals in the middle."""
    return bool(compile_pattern("[0-9]|[a-z][A-Z]").search(value)) and _is_told(value)


_TOKENS: Final[_Shapes] = (
    ("a private key", r"(?i)(-{2,} ?BEGIN[A-Z0-9 ]* PRIVATE KEY)", _is_told),
    ("an access key", r"((?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16})", _is_told),
    ("an API key", r"(?:sk|rk|pk)_(?:live|test|prod)_([A-Za-z0-9]{8,})", _is_mixed),
    ("an API key", r"(?:^|[^A-Za-z0-9])(?:sk|rk|pk)[_-]([A-Za-z0-9_-]{16,})", _is_mixed),
    ("an API key", r"AIza([A-Za-z0-9_-]{35})", _is_mixed),
    ("a signing secret", r"whsec_([A-Za-z0-9+/=_-]{16,})", _is_mixed),
    ("an app key", r"mgw_([A-Za-z0-9_-]{16,})", _is_mixed),
    ("a token", r"(?:gh[a-z]|npm|hf|dop_v1)_([A-Za-z0-9]{30,})", _is_mixed),
    ("a token", r"[a-z]_pat_([A-Za-z0-9_]{20,})", _is_mixed),
    ("a token", r"glpat-([A-Za-z0-9_-]{20,})", _is_mixed),
    ("a token", r"(?:xox[a-z]|xapp)-([A-Za-z0-9-]{10,})", _is_mixed),
    ("a token", r"ya29\.([A-Za-z0-9_-]{20,})", _is_mixed),
    ("a token", r"SG\.([A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})", _is_mixed),
    ("a token", r"(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)", _is_mixed),
    ("a token", r"(?i)bearer[ \t:]+([A-Za-z0-9._~+/=-]{16,})", _is_mixed),
    ("a password", r"(?i)basic[ \t]+([A-Za-z0-9+/]{12,}={0,2})", _is_mixed),
)

_IS: Final = r"[\"'`]?[ \t]*(?:[:=][=>]?|->)[ \t]*[\"'`]?"
_CALLED: Final = r"(?i)(?:pass(?:word|wd|phrase|code)|(?:pass|kenn)wort|mot de passe|contrasena|\bpwd|_pwd)"
_NAME: Final = (
    r"(?i)(?:secret|(?:api|access|private|secret|signing|encryption)[ _-]?key"
    r"|(?:api|access|auth|bearer|refresh|session)[ _-]?token)"
)
_NAMED: Final[_Shapes] = (
    ("a password", _CALLED + _IS + r"([^\s\"'`,;&]{4,})", _is_told),
    ("a password", _CALLED + r"[ \t]+is[ \t]+[\"'`]?([^\s\"'`]{4,})", _is_mixed),
    ("a secret", _NAME + _IS + r"([^\s\"'`,;&]{8,})", _is_mixed),
    ("a token", r"(?i)(?:^|[^a-z0-9_-])token" + _IS + r"([^\s\"'`,;&]{20,})", _is_mixed),
    ("a token", r"(?i)authorization" + _IS + r"(?:[a-z]+[ \t]+)?([^\s\"'`]{16,})", _is_mixed),
    ("a password in an address", r"(?i)[a-z][a-z0-9+.-]*://[^\s/?#:@]*:([^\s/?#@]+)@", _is_told),
)
_LINE_END: Final = r"[\s\pZ]*[\r\n\x{2028}\x{2029}][\s\pZ]*"
# one search tells that most texts hold none of them
_ANY: Final = "|".join(f"(?:{pattern})" for _, pattern, _ in (*_TOKENS, *_NAMED))


def credentials(text: str, key: str = "") -> list[str]:
    """What a text under this key looks like to hold, such as "a private key" or "a token"."""
    found: list[str] = []
    prefix = f"_{bare(key).replace(' ', '_')}=" if key else ""
    for copy in seen(text):
        # what is called by its name ends with its line: the next one is a sentence of its own
        found += _shaped(_TOKENS, compile_pattern(_LINE_END).sub("", copy))
        found += _shaped((*_TOKENS, *_NAMED), copy)
        found += _shaped(_NAMED, prefix + copy)
    return list(dict.fromkeys(found))


def _shaped(shapes: _Shapes, text: str) -> Iterator[str]:
    if compile_pattern(_ANY).search(text):
        for kind, pattern, holds in shapes:
            if any(holds(match[1]) for match in compile_pattern(pattern).finditer(text)):
                yield kind
