"""Printing for people: texts are shown as they are, never as markup or control codes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def stdout() -> Console:
    """A console that reads no markup and no emoji codes in what it prints."""
    from rich.console import Console

    return Console(markup=False, emoji=False, soft_wrap=False)


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
