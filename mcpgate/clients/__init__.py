"""MCP clients: where each keeps its servers, and how an entry gets there without harm to the rest."""

from __future__ import annotations


class TextError(Exception):
    """A configuration that cannot be read, or not be changed without harm: where, and why."""

    def __init__(self, why: str, line: int = 1, column: int = 1) -> None:
        super().__init__(why)
        self.why = why
        self.line = line
        self.column = column
