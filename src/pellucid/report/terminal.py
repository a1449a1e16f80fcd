"""Findings in a terminal: the metrics first, then the mistakes, the files, and the tables. No matplotlib."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pellucid.records import Figure, Findings, Metric, Remark, Table
from pellucid.report import result, wording
from pellucid.report.wording import percent, short, visible

ROWS = {"confusions": 10, "disagreements": 20}
"""Number of rows that are printed of these tables; the JSON has all."""

COMPLETE = {"layers", "sizes"}
"""Tables that are always printed in full, with wide cells for their formulas."""

WORST_FIRST = {"F1 %": "with the lowest F1", "B − A %": "where B is weakest compared with A"}
"""Column by which a long table of classes is sorted → the words for its first rows."""

ONLY_IN_REPORT = {"predicted"}
"""Columns that the report and the JSON have, but a terminal of 80 columns has no room for."""

_CLASSES = 20
_MANY = 40
_MISTAKES = 5

_DEFINED_IN_REPORT = {"loss", "brier", "balanced_accuracy"}
"""Metrics whose note is a definition: the report and the JSON have it."""


def render(findings: Findings, console: Console, files: Mapping[str, str] | None = None) -> None:
    """Prints findings for a person; without colours if the output is no terminal.

    Args:
        findings: the findings to print.
        console: where to print them.
        files: what each file is ("Report") → its path. They are printed before the tables.
    """
    files = files or {}
    if findings.title:
        console.print(Text(visible(findings.title), style="bold"))
    for item in findings:
        if isinstance(item, Remark):
            console.print(Text(f"{item.level.capitalize()}: {visible(item.text)} {visible(item.advice)}".strip()))
    _print_metrics(findings, console)
    rest = "the report has" if "Report" in files else "--json has"
    if "mistakes" in findings and isinstance(findings["mistakes"], Figure):
        _print_mistakes(findings["mistakes"], console, rest)
    if files:
        console.print()
    for name, path in files.items():
        console.print(Text(f"{name:<6}  {visible(path)}"), soft_wrap=True)
    for item in findings:
        if isinstance(item, Table):
            _print_table(item, console, rest)


def _print_metrics(findings: Findings, console: Console) -> None:
    metrics = [item for item in findings if isinstance(item, Metric)]
    if not metrics:
        return
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for item in metrics:
        interval = wording.interval(item)
        certainty = f"({interval}, n = {item.n:,})" if interval else f"(n = {item.n:,})" if item.n else ""
        sentence = result.sentence(findings) if item.name == "accuracy" else ""
        note = "" if item.name in _DEFINED_IN_REPORT else visible(item.note)
        more = "; ".join(part for part in (sentence, note) if part)
        style = "bold" if item.name == "accuracy" else ""
        grid.add_row(
            Text(wording.title(item.name), style=style),
            Text(wording.value(item), style=style),
            Text(" ".join(part for part in (certainty, more) if part)),
        )
    console.print(grid)
    methods = list(dict.fromkeys(item.method for item in metrics if item.method))
    if methods:
        console.print(Text(f"95 % intervals: {'; '.join(methods)}", style="dim"))


def _print_mistakes(item: Figure, console: Console, rest: str) -> None:
    cells = list(item.data["cells"])
    console.print()
    console.print(Text(wording.title(item.name), style="bold"))
    for cell in cells[:_MISTAKES]:
        line = Text("✗ ", style="red")
        line.append(
            f"{visible(str(cell['id']))}: predicted {visible(str(cell['predicted']))} "
            f"({percent(cell['probability'])} sure), label {visible(str(cell['label']))}"
        )
        console.print(line, soft_wrap=True)
    more = f"And {len(cells) - _MISTAKES:,} more: {rest} them. " if len(cells) > _MISTAKES else ""
    console.print(Text(f"{more}{visible(item.note)}", style="dim"))


def _print_table(item: Table, console: Console, rest: str) -> None:
    console.print()
    console.print(Text(wording.title(item.name), style="bold"))
    if not item.rows:
        console.print("None.")
        return
    rows, left_out = _printed_rows(item, rest)
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    columns = [column for column in wording.shown_columns(item.columns) if column[0] not in ONLY_IN_REPORT]
    for name, index, _ in columns:
        is_number = all(row[index] is None or isinstance(row[index], int | float) for row in rows)
        grid.add_column(Text(visible(name)), justify="right" if is_number else "left")
    for row in rows:
        cells = [wording.cell_with_limits(name, row, index, limits) for name, index, limits in columns]
        grid.add_row(*(Text(short(cell, 80 if item.name in COMPLETE else 40)) for cell in cells))
    console.print(grid)
    for note in (left_out, visible(item.note)):
        if note:
            console.print(Text(note, style="dim"))


def _printed_rows(item: Table, rest: str) -> tuple[list[tuple], str]:
    """The rows to print, and a sentence about those left out; of many classes, the worst come first."""
    rows = list(item.rows)
    score = next((name for name in WORST_FIRST if name in item.columns), None)
    if item.name in COMPLETE:
        return rows, ""
    if score is not None and len(rows) > _CLASSES:
        column = item.columns.index(score)
        rows.sort(key=lambda row: (row[column] is None, row[column] or 0.0))
        return rows[:_CLASSES], f"The {_CLASSES} classes {WORST_FIRST[score]}, of {len(rows):,}; {rest} them all."
    most = ROWS.get(item.name, _MANY)
    if len(rows) > most:
        return rows[:most], f"And {len(rows) - most:,} more; {rest} them all."
    return rows, ""
