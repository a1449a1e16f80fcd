"""`pellucid show operation [NAME]`: the textbook operations, as text and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pellucid.records import Figure


def names() -> list[str]:
    """The names of the operations."""
    from pellucid.operations import OPERATIONS

    return list(OPERATIONS)


def table(out: Path | None, *, as_json: bool) -> None:
    """Lists the operations."""
    from pellucid.cli import console
    from pellucid.errors import UsageError
    from pellucid.operations import OPERATIONS
    from pellucid.records import Table

    if out is not None:
        raise UsageError("--out needs the name of an operation. Try pellucid show operation convolution.")
    rows = tuple((name, entry.help, entry.code) for name, entry in OPERATIONS.items())
    note = "`pellucid show operation NAME` prints and draws its formula and an example."
    console.table(Table("operations", ("name", "what it does", "code"), rows, note), as_json=as_json)


def figure(name: str, out: Path | None, *, as_json: bool) -> Figure:
    """Prints the formula and example of an operation, and gives its figure.

    Raises:
        UnknownNameError: the operation is unknown.
        UsageError: `out` is not a PNG file.
    """
    from pellucid.errors import UsageError
    from pellucid.operations import check_name, example

    check_name(name)
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"The picture is a PNG file, but --out is '{out.name}'. Try --out {out.stem}.png.")
    worked = example(name)
    if not as_json:
        from pellucid.report.operation_text import text

        typer.echo(text(worked))
        typer.echo(f"Code     {worked.data['code']}")
        typer.echo("Picture  ", nl=False)
    return worked
