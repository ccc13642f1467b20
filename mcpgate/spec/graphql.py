"""What a GraphQL document does: whether any of its operations is more than a query."""

from __future__ import annotations

import re
from typing import Final

# block strings, strings and comments hold no operations (GraphQL specification, section 2.1)
_SILENT: Final = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*', re.DOTALL)
_TOKEN: Final = re.compile(r"[{}()]|[A-Za-z_]\w*")


def is_mutation(document: str) -> bool:
    """Whether a document holds a mutation or a subscription, or is not balanced so that nobody can tell."""
    depth = 0
    for token in _TOKEN.findall(_SILENT.sub(" ", document)):
        if token in "{(":
            depth += 1
        elif token in "})":
            depth -= 1
        elif depth == 0 and token in ("mutation", "subscription"):
            # a fragment or an operation may bear the word as its name: taken for one, which is the safe side
            return True
    return depth != 0
