"""What a GraphQL document does: whether any of its operations is more than a query, and its variables."""

from __future__ import annotations

import re
from typing import Final

# block strings, strings and comments hold no operations (GraphQL specification, section 2.1); a block string
# knows one escape, and a bare carriage return ends a line too
_SILENT: Final = re.compile(
    r'"""(?:\\"""|"(?!"")|[^"])*+"""|"(?:[^"\\\n\r]|\\[^\n\r])*+"|#[^\n\r]*', re.DOTALL
)
_WORD: Final = re.compile(r"[{}()]|[A-Za-z_]\w*")
_VARIABLE: Final = re.compile(r"\$([A-Za-z_]\w*)")


def is_mutation(document: str) -> bool:
    """Whether a document holds a mutation or a subscription, or is not balanced so that nobody can tell."""
    depth = 0
    for word in _WORD.findall(_SILENT.sub(" ", document)):
        if word in "{(":
            depth += 1
        elif word in "})":
            depth -= 1
        elif depth == 0 and word in ("mutation", "subscription"):
            # a fragment or an operation may bear the word as its name: taken for one, which is the safe side
            return True
        if depth < 0:
            return True
    return depth != 0


def variables(document: str) -> set[str]:
    """The names of a document's variables."""
    return set(_VARIABLE.findall(_SILENT.sub(" ", document)))
