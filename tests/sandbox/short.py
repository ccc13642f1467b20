"""Connectors for these tests, with the keys that every tool must have in one word."""

from __future__ import annotations

from mcpgate.values import Connector
from tests.engine.rig import load

_WORDS = {
    "READ": ("description: A.", "category: read"),
    "WRITE": ("description: A.", "category: write", "effects: []"),
    "DELETE": ("description: A.", "category: delete", "effects: []"),
}


def load_short(text: str) -> Connector:
    """A connector `t` in whose tools READ, WRITE or DELETE comes first, in a line or in braces."""
    for word, keys in _WORDS.items():
        text = text.replace(f"    {word}\n", "".join(f"    {key}\n" for key in keys))
        text = text.replace(f"{{{word}, ", f"{{{', '.join(keys)}, ")
    return load(text)
