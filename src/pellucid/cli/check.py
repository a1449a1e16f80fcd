"""`pellucid check DATA`."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Findings, Remark

EXAMPLES = """  pellucid check photos/
  pellucid check photos/ --out check.html
  pellucid check scans.csv --strict
  pellucid check mnist --json"""


def check(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Name of a data set, or a folder.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write a page with the pictures, such as check.html.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 on warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Check labelled pictures before training: what is wrong, and what to do about it.

    Finds unreadable pictures; copies across splits and classes, also if rescaled, recompressed, mirrored, brightened or
    cropped; missing, small and unequal classes; outliers; file types that reveal the class. Changes nothing. Exits with
    code 1 if there is an error.
    """
    from pellucid.cli import console
    from pellucid.errors import UsageError
    from pellucid.records import display

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"The page is an HTML file, but --out is '{out.name}'. Try --out {out.stem}.html.")
    write = display.view("check")
    if out is not None and write is None:
        raise UsageError("The report package is not installed. Leave --out out.")

    from pellucid.data.checking.checking import check as check_data
    from pellucid.data.checking.checking import worst_level

    findings = check_data(data)
    if as_json:
        typer.echo(findings.dumps())
    else:
        _print(findings, data)
    if out is not None and write is not None:
        console.say(f"Written to {write(findings, out)}")
    elif write is not None and not as_json and any(item.name in ("copies", "extremes") for item in findings):
        console.say("To see the pictures: --out check.html.")
    if worst_level(findings) in (("error", "warning") if strict else ("error",)):
        raise typer.Exit(1)


_MARKS = {"error": "✗ Error", "warning": "! Warning", "info": "· Hint"}
_MOST_CLASSES = 15


def _print(findings: Findings, data: str) -> None:
    """Prints the numbers of pictures, the remarks, and the next step."""
    from pellucid.cli import console
    from pellucid.records import Remark
    from pellucid.records.names import counted

    typer.echo(console.plain(findings.title))
    if "classes" in findings:
        typer.echo()
        by_class = findings["classes"]
        if len(by_class.rows) <= _MOST_CLASSES:
            console.table(by_class, as_json=False)
        else:
            for column, split in enumerate(by_class.columns[1:], start=1):
                numbers = [row[column] for row in by_class.rows]
                typer.echo(f"{split}: {min(numbers):,} to {max(numbers):,} pictures in each class")
    remarks = [item for item in findings if isinstance(item, Remark)]
    for level in _MARKS:
        for item in remarks:
            if item.level == level:
                typer.echo()
                _remark(item)
    typer.echo()
    counts = {level: sum(item.level == level for item in remarks) for level in _MARKS}
    counts_text = [counted(n, _MARKS[level].split()[1].lower()) for level, n in counts.items() if n]
    typer.echo(f"{', '.join(counts_text) or 'No problems'}. {_next(data, counts)}")


def _remark(item: Remark) -> None:
    from pellucid.cli import console

    width = _width()
    mark = f"{_MARKS[item.level]}: "
    for first, text in ((mark, item.text), ("  → ", item.advice)):
        if text:
            wrapped = textwrap.wrap(
                console.plain(text), max(width - 1, 40), initial_indent=first, subsequent_indent="    ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
            typer.echo("\n".join(wrapped))


def _width() -> int:
    """Width of the terminal; practically unlimited in a pipe or file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000


def _next(data: str, counts: dict[str, int]) -> str:
    from pellucid.cli import console
    from pellucid.records.paths import command_line

    command = console.plain(command_line(data))
    if counts["error"]:
        return f"Fix the errors, then check again: pellucid check {command}"
    first = "Look at the warnings, then" if counts["warning"] else "Next"
    return f"{first}: pellucid train {command}"
