"""`mcpgate activity export`: rows with all that is kept of them, as JSONL or CSV, one by one."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from mcpgate.activity import Row
from mcpgate.cli.activity.filter import Filter, check_app, facts, json_lines
from mcpgate.cli.console import plain
from mcpgate.cli.vaults import database, sql_store
from mcpgate.errors import UsageError
from mcpgate.store.chain import Stored

# what makes a spreadsheet take a cell for a formula; some take the wide forms for it too
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MOVES: Final = ("\t", "\r", "\n")
# where a semicolon separates cells, what comes after it begins one
_NEXT: Final = re.compile(rf"(;\s*)(?=[{re.escape(''.join(_FORMULA))}])")
_OWNER_ONLY: Final = 0o600
_COLUMNS: Final = tuple(facts(Stored("", 0, "", "", "none", Row(0.0, "read", "", "", "", "", "", ""))))


def export(wanted: Filter, form: Literal["jsonl", "csv"], output: str) -> None:
    """Write every row that is asked for to a new file of its owner's alone, or to stdout."""
    asked = wanted.asked(time.time())
    rows: Iterable[Stored] = ()
    if database().exists():
        store = sql_store()
        check_app(store, wanted.app)
        rows = store.rows(asked)
    lines = json_lines(rows) if form == "jsonl" else _csv_lines(rows)
    if not output:
        _write(lines, sys.stdout)
        return
    with _new_file(Path(output)) as file:
        count = _write(lines, file) - (form == "csv")
    said = f"Exported {count:,} row{'' if count == 1 else 's'} to {output}. Arguments that open are in it."
    print(plain(said), file=sys.stderr)


def _new_file(path: Path) -> TextIO:
    fault = ""
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        return os.fdopen(made, "w", encoding="utf-8", newline="")
    except FileExistsError:
        fault = "is there already"
    except OSError as error:
        fault = f"cannot be written: {error.strerror}"
    raise UsageError(f"{path} {fault}.", "Name another file.")


def _write(lines: Iterable[str], file: TextIO) -> int:
    count = 0
    for line in lines:
        file.write(f"{line}\n")
        count += 1
    return count


def _csv_lines(rows: Iterable[Stored]) -> Iterator[str]:
    yield _csv_line(_COLUMNS)
    for each in rows:
        yield _csv_line(facts(each).values())


def _csv_line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_cell(value) for value in values])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A cell that a spreadsheet shows as it is, and a terminal too."""
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    quote = "'" if text.startswith(_MOVES) or text.lstrip().startswith(_FORMULA) else ""
    return quote + _NEXT.sub(r"\1'", plain(text).replace("\n", "\\u000a"))
