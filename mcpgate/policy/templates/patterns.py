"""Templates that hold texts against a pattern or a beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mcpgate.json_schema import compile_pattern
from mcpgate.policy.call import Call, Config, Miss, UndecidableError, shown
from mcpgate.policy.detect.keywords import literal
from mcpgate.policy.folding import fold
from mcpgate.policy.templates.shown import describe
from mcpgate.policy.templates.template import FIELD, TEXT, Schema, Template, takes
from mcpgate.values import Json

# a part of a path that is .., however it is written
_CLIMBS: Final = r"(?i)(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?:$|[/\\?#;]|%2f|%5c)"
_OPEN_HOST: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\]+$"
# patterns that RE2 and the engines of JavaScript, in Unicode mode, read alike
_PORTABLE: Final = (
    r"(?:[^\\\[\](){}]|\\[dDwWsSbBnrtfv^$.*+?()\[\]{}|/\\]|\(\?:|[()]|\{[0-9]+(?:,[0-9]*)?\}"
    r"|\[\^?(?:[^\\\[\]]|\\[dDwWsSnrtfv^$.*+?()\[\]{}|/\\-])+\])*"
)


def begins_with(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """Every value begins with one of the prefixes, to the letter, and does not climb out of it again."""
    field, prefixes = config["field"], _prefixes(config)
    passes = f"{field} beginning with {' or '.join(prefixes)}"
    for value in _texts(field, values):
        prefix = next((prefix for prefix in prefixes if value.startswith(prefix)), None)
        if prefix is None:
            says = f"{field} {shown(value)} does not begin with {' or '.join(prefixes)}"
            return Miss(says, passes, field, prefixes, value)
        if "/" in prefix and compile_pattern(_CLIMBS).search(value):
            says = f"{field} {shown(value)} leads out of {prefix} again (..)"
            return Miss(says, f"{passes}, without ..", field, prefixes, value)
    return None


def unlike(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The pattern matches nowhere in a text, nor in its folded copy without regard to case."""
    field, pattern = config.get("field", ""), config["pattern"]
    for text in values:
        folded = compile_pattern(f"(?i){pattern}")
        if compile_pattern(pattern).search(text) or folded.search(fold(text)):
            # what it matches may be a secret, so it is not repeated
            says = f"{field} matches the blocked pattern {pattern}"
            return Miss(says, f"{field} that does not match {pattern}", field, pattern)
    return None


def like(config: Config, call: Call, values: list[Any]) -> Miss | None:
    """The pattern matches every value as a whole, to the letter."""
    field, pattern = config["field"], config["pattern"]
    for value in _texts(field, values):
        if not compile_pattern(pattern).fullmatch(value):
            says = f"{field} {shown(value)} does not match the pattern {pattern}"
            return Miss(says, f"{field} that matches {pattern} as a whole", field, pattern, value)
    return None


def _texts(field: str, values: list[Any]) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise UndecidableError(f"{field} is not a text", field)
    return values


def _prefixes(config: Config) -> list[str]:
    prefix = config["prefix"]
    return [prefix] if isinstance(prefix, str) else list(prefix)


def _compiles(config: Config) -> str:
    try:
        compile_pattern(config["pattern"])
        compile_pattern(f"(?i){config['pattern']}")
    except ValueError as error:
        return f"'{config['pattern']}' is no pattern that can be used: {error}"
    return ""


def _ends_its_host(config: Config) -> str:
    for prefix in _prefixes(config):
        if compile_pattern(_OPEN_HOST).search(prefix):
            return f"end the prefix with a slash, {prefix}/, or {prefix}.example would begin with it too"
    return ""


def _show_pattern(schema: Schema, pattern: str, line: str) -> None:
    portable = compile_pattern(_PORTABLE).fullmatch(pattern) and not compile_pattern(r"\(\?[^:]").search(
        pattern
    )
    if portable and "pattern" not in schema:
        schema["pattern"] = pattern
    elif schema.get("pattern") != pattern:
        describe(schema, line)


def _show_like(config: Mapping[str, Json], schema: Schema) -> None:
    _show_pattern(schema, f"^(?:{config['pattern']})$", f"Matches {config['pattern']} as a whole.")


def _show_prefix(config: Mapping[str, Json], schema: Schema) -> None:
    prefixes = _prefixes(config)
    escaped = "|".join(map(literal, prefixes))
    pattern = f"^(?:{escaped})" if len(prefixes) > 1 else f"^{escaped}"
    _show_pattern(schema, pattern, f"Begins with {' or '.join(prefixes)}.")


_PREFIX: Final[Schema] = {"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": TEXT}
_BEGINS: Final = Template(
    "A text begins with prefix, or with one of several, to the letter.",
    begins_with,
    takes(field=FIELD, prefix=_PREFIX),
    "values",
    allowed=({"field": "path", "prefix": "docs/"}, {"path": "docs/start.md"}),
    denied=({"field": "path", "prefix": "docs/"}, {"path": "docs/../secrets.md"}),
    project=_show_prefix,
    fault=_ends_its_host,
)

PATTERNS: Final[dict[str, Template]] = {
    "require_prefix": _BEGINS,
    "allow_prefix": replace(
        _BEGINS,
        allowed=({"field": "source", "prefix": ["tok_", "card_"]}, {"source": "card_17"}),
        denied=({"field": "source", "prefix": ["tok_", "card_"]}, {"source": "ba_17"}),
    ),
    "block_pattern": Template(
        "No text matches the RE2 pattern anywhere; case, width and invisible characters aside.",
        unlike,
        takes({"field": FIELD}, pattern=TEXT),
        "texts",
        allowed=({"pattern": r"\bdrop\s+table\b"}, {"note": "the table is set"}),
        denied=({"pattern": r"\bdrop\s+table\b"}, {"note": "DROP  TABLE users"}),
        block=True,
        fault=_compiles,
    ),
    "allow_pattern": Template(
        "A text matches the RE2 pattern as a whole, to the letter.",
        like,
        takes(field=FIELD, pattern=TEXT),
        "values",
        allowed=({"field": "order", "pattern": "[A-Z]{2}-[0-9]{4}"}, {"order": "DE-2041"}),
        denied=({"field": "order", "pattern": "[A-Z]{2}-[0-9]{4}"}, {"order": "DE-2041; all"}),
        project=_show_like,
        fault=_compiles,
    ),
}
