"""Printing for people: texts are shown as they are, never as markup or control codes."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDTH: Final = 160


def stdout() -> Console:
    """A console that takes texts as they are, and is wide where it is no terminal."""
    from rich.console import Console

    class Plain(Console):
        """The console of every command."""

        def on_broken_pipe(self) -> None:
            """Whoever read has left: that is not a failure of the command."""
            raise BrokenPipeError

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH
    return Plain(markup=False, emoji=False, soft_wrap=False, width=wide)


def table(*headings: str) -> Table:
    """A plain table whose first column is never broken; the others fold rather than lose letters."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(headings):
        made.add_column(heading, no_wrap=index == 0, overflow="fold", min_width=len(heading))
    return made


def print_json(value: Any) -> None:
    """Print a value as JSON, for machines."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def plain(text: str) -> str:
    """A text with control and bidirectional characters shown as escapes, line ends aside."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in text)
