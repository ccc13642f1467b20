"""Reads placeholders and request lines: `{name}`, `{name...}` and `METHOD /path/{x}?wire={y}`."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from mcpgate.values import Placeholder, RequestTemplate, Template

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
_PLACEHOLDER: Final = re.compile(rf"\{{({NAME})(\.\.\.)?\}}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]*\Z")
_WIRE: Final = re.compile(r"[\x21-\x7e]*\Z")
_REQUEST: Final = re.compile(r"([A-Z]+) (/[^\s?#]*)(?:\?([^\s#]*))?\Z")


def parse_template(text: str) -> Template:
    """Read a text with placeholders; raises `ValueError` for a brace that is none."""
    parts: list[str | Placeholder] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(Placeholder(match[1], slashes=bool(match[2])))
        end = match.end()
    parts.append(text[end:])
    if any("{" in part or "}" in part for part in parts if isinstance(part, str)):
        raise ValueError(f"'{text}': a placeholder is written {{name}}")
    return Template(tuple(part for part in parts if part != ""))


def whole_placeholder(value: Any) -> str | None:
    """The name when a value is just `"{name}"`, else None."""
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match and not match[2] else None


def has_placeholder(text: str) -> bool:
    """Whether a text holds anything that looks like a placeholder."""
    return _PLACEHOLDER.search(text) is not None


def parse_request(text: str) -> RequestTemplate:
    """Read a request line; raises `ValueError` with what is wrong."""
    match = _REQUEST.match(text)
    if not match:
        raise ValueError(f"'{text}': write METHOD /path?query, as in: GET /customers/{{customer}}")
    method, path, query = match.groups()
    if method not in METHODS:
        raise ValueError(f"'{method}' is not one of {', '.join(METHODS)}")
    texts = path[1:].split("/") if path != "/" else []
    # some APIs know /items/ and not /items: the empty last segment is kept
    segments = [_parse_segment(text) for text in (texts if not texts or texts[-1] else texts[:-1])]
    if len(segments) < len(texts):
        segments.append(Template(()))
    return RequestTemplate(method, tuple(segments), _parse_query(query or ""))


def parse_segments(path: str) -> tuple[Template, ...]:
    """Read a path such as that of `base_url`, by segments."""
    return tuple(_parse_segment(segment) for segment in path.strip("/").split("/")) if path.strip("/") else ()


def _parse_segment(text: str) -> Template:
    template = parse_template(text)
    if len(template.names) > 1:
        raise ValueError(f"'{text}': one placeholder in a path segment")
    literal = "".join(part for part in template.parts if isinstance(part, str))
    if not template.parts:
        raise ValueError("the path has an empty segment (two slashes together)")
    if text.startswith(":"):
        raise ValueError(f"'{text}': a placeholder is written {{{text[1:]}}}")
    if not _LITERAL.match(literal):
        raise ValueError(f"'{text}': write characters outside a URL's own percent-encoded")
    if unquote(literal) in (".", "..") or "/" in unquote(literal) or "\\" in unquote(literal):
        raise ValueError(f"'{text}': a path has no dot or slash parts of its own")
    if any(isinstance(part, Placeholder) and part.slashes for part in template.parts) and literal:
        raise ValueError(f"'{text}': a placeholder that keeps its slashes stands alone in its segment")
    return template


def _parse_query(text: str) -> tuple[tuple[str, Template], ...]:
    pairs: list[tuple[str, Template]] = []
    for pair in filter(None, text.split("&")):
        # a wire name may end in = itself only through {x}: DateSent>={after} is the name "DateSent>"
        name, _, value = pair.partition("=")
        if not name or not _WIRE.match(pair) or "{" in name:
            raise ValueError(f"'{pair}': a query is written name=value or name={{x}}, joined by &")
        template = parse_template(value)
        if any(isinstance(part, Placeholder) and part.slashes for part in template.parts):
            raise ValueError(f"'{pair}': {{name...}} is for paths")
        # decoded only now: %7B is a brace that is sent, never a placeholder
        parts = tuple(unquote(part) if isinstance(part, str) else part for part in template.parts)
        pairs.append((unquote(name), Template(parts)))
    return tuple(pairs)
