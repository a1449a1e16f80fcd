"""The HTML page of `pellucid check`: remarks first, then the tables and figures behind them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pellucid.records import Figure, Findings, Remark, Table, atomic
from pellucid.report import page, sections, wording
from pellucid.report.wording import visible

_MARKS = {"error": "Error", "warning": "Warning", "info": "Hint"}
_ROWS = 500
"""Number of rows of a table on the page; `--json` has all."""


def write(findings: Findings, path: str | Path) -> Path:
    """Writes the page of a check as one self-contained HTML file and returns its path.

    Raises:
        StorageError: the file cannot be written.
    """
    path = Path(path)
    atomic.write_text(path, render(findings))
    return path


def render(findings: Findings) -> str:
    """The page of a check as HTML."""
    remarks = [item for item in findings if isinstance(item, Remark)]
    rows = tuple(
        _shortened(item) if isinstance(item, Table) else item for item in findings if isinstance(item, Table | Figure)
    )
    name, _, sizes = visible(findings.title).partition(": ")
    return (
        page.environment()
        .get_template("check.html")
        .render(
            heading=name,
            description=sizes,
            verdict=verdict(remarks),
            remarks=[_remark(item) for level in _MARKS for item in remarks if item.level == level],
            sections=[part for part in sections.sections(Findings(rows), {}, {}) if part["parts"]],
        )
    )


def verdict(remarks: list[Remark]) -> str:
    """The number of remarks at each level: "1 error, 2 warnings and 3 hints"."""
    counts = Counter(item.level for item in remarks)
    parts = [wording.count(counts[level], name.lower()) for level, name in _MARKS.items() if counts[level]]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "No problems found"


def _remark(item: Remark) -> dict[str, Any]:
    names = [visible(name) for name in item.pictures[:_ROWS]]
    more = len(item.pictures) - len(names)
    return {
        "level": item.level,
        "mark": _MARKS[item.level],
        "text": visible(item.text),
        "advice": visible(item.advice),
        "pictures": names + ([f"and {more:,} more"] if more else []),
    }


def _shortened(item: Table) -> Table:
    if len(item.rows) <= _ROWS:
        return item
    note = f"The first {_ROWS:,} of {len(item.rows):,}; --json has all."
    return Table(item.name, item.columns, item.rows[:_ROWS], " ".join(part for part in (item.note, note) if part))
