"""Printing for people: texts are shown as they are, never as markup or control codes."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_WIDTH: Final = 160
# what Python calls printable and shows nothing: joiners, blank letters, variation selectors
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
_MOST_MARKS: Final = 4


def stdout() -> Console:
    """A console that takes texts as they are, and is wide where it is no terminal."""
    from rich.console import Console

    class Plain(Console):
        """The console of every command."""

        def render_str(self, text: str, **options: Any) -> Text:
            """Every text that is printed comes by here, a table's cells too."""
            return super().render_str(plain(text), **options)

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
    """Print a value as JSON, for machines; what would not show on a terminal is escaped as JSON does it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    sys.stdout.write(_escaped(text, lambda char: json.dumps(char)[1:-1]) + "\n")


def plain(text: str) -> str:
    """A text with all that is no visible character shown as escapes, line ends aside.

    These are control and bidirectional characters, invisible ones, and marks that pile up on one letter.
    """
    return _escaped(text, lambda char: f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}")


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    shown, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        hidden = char != "\n" and (not char.isprintable() or char in _BLANK or marks > _MOST_MARKS)
        shown.append(escape(char) if hidden else char)
    return "".join(shown)
