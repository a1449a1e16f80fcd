"""What commands print: findings on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import typer

from pellucid.records import Findings, Table, display
from pellucid.training.processes import is_main


def emit(findings: Findings, *, as_json: bool) -> None:
    """Prints findings: as exactly one JSON document, or for a person to read."""
    if as_json:
        typer.echo(findings.dumps())
        return
    render = display.view("terminal")
    if render is None:  # nothing is there that lays them out: the numbers alone, one a line
        typer.echo("\n".join(text for text in (findings.title, str(findings)) if text))
        return
    from rich.console import Console

    terminal = Console(highlight=False)
    if terminal.is_terminal:
        render(findings, terminal)
        return
    # To a file or another program each line goes whole, however long, and without blanks that fill it up.
    page = io.StringIO()
    render(findings, Console(file=page, highlight=False, width=_ENDLESS))
    typer.echo("\n".join(line.rstrip() for line in page.getvalue().split("\n")), nl=False)


_ENDLESS = 100_000
"""Columns, for what is not read on a screen."""


def table(rows_table: Table, *, as_json: bool) -> None:
    """Prints one table: as a JSON document of findings, or as columns that line up."""
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
        typer.echo(f"\n{rows_table.note}")


@contextlib.contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left on standard error, told (how many are done, of how many); none where that is piped."""
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
    """Says on standard error what a person should know of the data; of several processes only the first says it."""
    for sentence in sentences if is_main() else ():
        say(f"Note: {sentence}")


def say(sentence: str) -> None:
    """Says something on standard error, where it is in nobody's way; nothing where nobody reads that any more."""
    with while_read(sys.stderr):
        typer.echo(plain(sentence), err=True)


@contextlib.contextmanager
def while_read(stream: IO[str] | None = None) -> Iterator[None]:
    """Ends the block where nobody reads the stream (standard output) any more; what comes after it goes on."""
    try:
        yield
    except BrokenPipeError:
        from pellucid.training.display import discard_output

        discard_output(stream or sys.stdout)


def plain(text: str) -> str:
    """Text on one line, without characters that move the cursor: file names may hold any."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _text(value: object, column: str) -> str:
    if isinstance(value, int) and column != "year":
        return f"{value:,}"
    return "" if value is None else str(value)
