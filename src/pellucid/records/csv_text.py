"""CSV that is safe to open in a spreadsheet.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@` or a tab as a formula. Names of classes and files come
from elsewhere, so such a cell is written with an apostrophe before it, as OWASP advises, and Pellucid's own readers
remove the apostrophe again. Numbers are left alone. Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

__all__ = ["as_text", "guarded", "unguarded"]

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_SEPARATOR = re.compile(r"[;\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def guarded(cell: str) -> str:
    """The cell as text that no spreadsheet takes for a formula: `=1+1` becomes `'=1+1`.

    A cell that looks guarded already gets one more apostrophe, so that `unguarded` gives back any text.
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unguarded(cell: str) -> str:
    """The text that `guarded` made this cell from."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def as_text(rows: Iterable[Sequence[object]]) -> str:
    """The rows as CSV: guarded, separated by commas, with a line feed after each.

    Rows with a semicolon, a tab or a carriage return are quoted throughout: spreadsheets may split cells there.
    """
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [guarded(cell) if isinstance(cell, str) else cell for cell in row]
        separators = any(isinstance(cell, str) and _SEPARATOR.search(cell) for cell in cells)
        (quoted if separators else plain).writerow(cells)
    return text.getvalue()
