"""The headers that a file may set: never the engine's own, never the credential's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from mcpgate.spec.params import cannot_be_text, unknown
from mcpgate.spec.templates import has_placeholder, whole_placeholder
from mcpgate.spec.yaml_text import Document, Path
from mcpgate.values import Placeholder, Template

ENGINE_HEADERS: Final = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "content-type", "accept-encoding"),
        *("connection", "proxy-connection", "keep-alive", "te", "trailer", "upgrade", "expect"),
        *("cookie", "set-cookie", "authorization", "proxy-authorization"),
    )
)


def read_headers(
    document: Document,
    path: Path,
    spec: Mapping[str, str],
    known: Mapping[str, Any],
    *,
    taken: Collection[str] = (),
) -> dict[str, Template]:
    """Headers of a connector or a tool: each a text, or one `{x}`.

    `taken` are names, in lower case, that the engine sets for this connector.
    """
    headers: dict[str, Template] = {}
    seen: set[str] = set()
    for name, text in spec.items():
        lower, placeholder = name.lower(), whole_placeholder(text)
        if lower in ENGINE_HEADERS or lower in taken:
            document.add((*path, name), f"'{name}' is the engine's own header", at_key=True)
        elif lower in seen:
            document.add((*path, name), f"the header '{name}' stands here twice", at_key=True)
        elif placeholder is not None and placeholder not in known:
            document.add((*path, name), unknown(placeholder, known))
        elif placeholder is not None and cannot_be_text(known[placeholder]):
            document.add((*path, name), f"{{{placeholder}}} is a list or an object, and a header is a text")
        elif placeholder is None and has_placeholder(text):
            document.add((*path, name), 'a header is a text or one "{x}" as a whole')
        elif not text.isascii() or not text.isprintable():
            document.add((*path, name), "a header has printable ASCII characters only")
        seen.add(lower)
        headers[name] = Template((Placeholder(placeholder) if placeholder else text,))
    return headers
