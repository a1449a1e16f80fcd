"""Printing: findings on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import typer

from pellucid.errors import on_one_line as plain
from pellucid.records import ExportedModel, Findings, Model, Split, Table, display
from pellucid.training.processes import is_main


def emit(findings: Findings, *, as_json: bool, files: Mapping[str, Path] | None = None) -> None:
    """Prints findings, for people or as one JSON document.

    Args:
        findings: the findings to print.
        as_json: whether to print JSON.
        files: the written files, as "Report" → path. With JSON they are printed on standard error.
    """
    paths = {name: str(path) for name, path in (files or {}).items()}
    if as_json:
        typer.echo(findings.dumps())
        for name, path in paths.items():
            say(f"{name:<6}  {path}")
        return
    render = display.view("terminal")
    if render is None:  # without the report package: one number a line
        lines = [findings.title, str(findings), *(plain(f"{name:<6}  {path}") for name, path in paths.items())]
        typer.echo("\n".join(line for line in lines if line))
        return
    from rich.console import Console

    terminal = Console(highlight=False)
    if terminal.is_terminal:
        render(findings, terminal, paths)
        return
    # In a file or a pipe, lines are never wrapped and have no trailing blanks.
    page = io.StringIO()
    render(findings, Console(file=page, highlight=False, width=_ENDLESS), paths)
    typer.echo("\n".join(line.rstrip() for line in page.getvalue().split("\n")), nl=False)


_ENDLESS = 100_000
"""Columns, if the output is no terminal."""


def table(rows_table: Table, *, as_json: bool) -> None:
    """Prints one table, in aligned columns or as a JSON document of findings."""
    if as_json:
        typer.echo(Findings((rows_table,)).dumps())
        return
    rows = [list(rows_table.columns)]
    rows += [
        [plain(_text(value, name)) for name, value in zip(rows_table.columns, row, strict=True)]
        for row in rows_table.rows
    ]
    numbers = [all(isinstance(row[i], (int, float)) for row in rows_table.rows) for i in range(len(rows_table.columns))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows_table.columns))]
    for row in rows:
        cells = [
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, numbers, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())
    if rows_table.note:
        typer.echo(f"\n{plain(rows_table.note)}")


@contextlib.contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error. Yields a function of (done, total). There is no bar in a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    terminal = Console(stderr=True)
    if quiet or not terminal.is_terminal:
        yield lambda _done, _total: None
        return
    with Progress(console=terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def notes(sentences: Iterable[str]) -> None:
    """Prints notes on standard error. Of several processes, only the first prints."""
    for sentence in sentences if is_main() else ():
        say(f"Note: {sentence}")


def notes_of_data(sentences: Iterable[str], model: Path) -> None:
    """Prints notes about data, except those that the training of the model printed: its run folder has them."""
    import json

    run_json = (model if model.is_dir() else model.parent) / "run.json"
    try:
        known = json.loads(run_json.read_text(encoding="utf-8"))["data"]["notes"]
    except (OSError, ValueError, KeyError, TypeError):  # a model file alone
        known = []
    notes(sentence for sentence in sentences if not isinstance(known, list) or sentence not in known)


def note_on_looks(pictures: Split, model: Model | ExportedModel) -> None:
    """Prints a note if the pictures do not look like those that the model learned from."""
    from pellucid.data.appearance import difference

    specification = model.specification
    notes(filter(None, [difference(pictures, specification.preprocessing, specification.appearance)]))


def say(sentence: str) -> None:
    """Prints a sentence on standard error. A closed pipe is ignored."""
    with while_read(sys.stderr):
        typer.echo(plain(sentence), err=True)


@contextlib.contextmanager
def while_read(stream: IO[str] | None = None) -> Iterator[None]:
    """Ends the block if the reader of the stream (None: standard output) has closed the pipe. The program continues."""
    try:
        yield
    except BrokenPipeError:
        from pellucid.training.display import discard_output

        discard_output(stream or sys.stdout)


def _text(value: object, column: str) -> str:
    if isinstance(value, int) and column != "year":
        return f"{value:,}"
    return "" if value is None else str(value)
