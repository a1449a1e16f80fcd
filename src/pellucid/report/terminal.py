"""Findings in a terminal: the metrics first, then the tables. No matplotlib."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pellucid.records import Figure, Findings, Metric, Remark, Table
from pellucid.report import result, wording
from pellucid.report.wording import count, percent, short, visible

ROWS = {"confusions": 10, "disagreements": 20}
"""How many rows of a table are shown; all are in the JSON."""

WHOLE = {"layers", "sizes"}
"""Tables whose every row counts, and whose cells are formulas."""

_MANY = 40
_MISTAKES = 5


def render(findings: Findings, console: Console) -> None:
    """Prints findings for a person; plain when the console is piped to something else."""
    if findings.title:
        console.print(Text(visible(findings.title), style="bold"))
    for item in findings:
        if isinstance(item, Remark):
            console.print(Text(f"{item.level.capitalize()}: {visible(item.text)} {visible(item.advice)}".strip()))
    _metrics(findings, console)
    for item in findings:
        if isinstance(item, Table):
            _table(item, console)
    if "mistakes" in findings and isinstance(findings["mistakes"], Figure):
        _mistakes(findings["mistakes"], console)


def _metrics(findings: Findings, console: Console) -> None:
    metrics = [item for item in findings if isinstance(item, Metric)]
    if not metrics:
        return
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for item in metrics:
        interval = wording.interval(item)
        aside = f"({interval}, n = {item.n:,})" if interval else f"(n = {item.n:,})" if item.n else ""
        sentence = result.sentence(findings) if item.name == "accuracy" else ""
        more = "; ".join(part for part in (sentence, visible(item.note)) if part)
        style = "bold" if item.name == "accuracy" else ""
        grid.add_row(
            Text(wording.title(item.name), style=style),
            Text(wording.value(item), style=style),
            Text(" ".join(part for part in (aside, more) if part)),
        )
    console.print(grid)


def _table(item: Table, console: Console) -> None:
    console.print()
    console.print(Text(wording.title(item.name), style="bold"))
    if not item.rows:
        console.print("None.")
        return
    rows, left = _shown(item)
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(item.columns):
        number = all(row[index] is None or isinstance(row[index], int | float) for row in rows)
        grid.add_column(Text(name), justify="right" if number else "left")
    for row in rows:
        cells = [wording.cell(column, value) for column, value in zip(item.columns, row, strict=True)]
        grid.add_row(*(Text(short(cell, 80 if item.name in WHOLE else 40)) for cell in cells))
    console.print(grid)
    for note in (left, visible(item.note)):
        if note:
            console.print(Text(note, style="dim"))


def _shown(item: Table) -> tuple[list[tuple], str]:
    """The rows to show, and a sentence on those that are not."""
    rows = list(item.rows)
    if item.name in ROWS and len(rows) > ROWS[item.name]:
        left = len(rows) - ROWS[item.name]
        return rows[: ROWS[item.name]], f"And {left:,} more; --json has them all."
    if item.name in WHOLE:
        return rows, ""
    if len(rows) > _MANY and "F1 %" in item.columns:
        f1_column = item.columns.index("F1 %")
        rows.sort(key=lambda row: (row[f1_column] is None, row[f1_column] or 0.0))
        return rows[:_MANY], f"The {_MANY} with the lowest F1 of {len(item.rows):,}; --json has them all."
    if len(rows) > _MANY:
        return rows[:_MANY], f"And {len(rows) - _MANY:,} more; --json has them all."
    return rows, ""


def _mistakes(item: Figure, console: Console) -> None:
    cells = list(item.data["cells"])
    console.print()
    console.print(Text(wording.title(item.name), style="bold"))
    for cell in cells[:_MISTAKES]:
        line = Text("✗ ", style="red")
        line.append(visible(str(cell["id"])))
        line.append(
            f": {visible(str(cell['predicted']))} ({percent(cell['probability'])} sure), "
            f"given {visible(str(cell['given']))}"
        )
        console.print(line, soft_wrap=True)
    if len(cells) > _MISTAKES:
        console.print(
            Text(f"And {count(len(cells) - _MISTAKES, 'more', 'more')}: --json has them. ", style="dim"), end=""
        )
    console.print(Text(visible(item.note), style="dim"))
