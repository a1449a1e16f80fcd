"""`pellucid show DATA`, and `pellucid show operation NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Figure

EXAMPLES = """  pellucid show digits
  pellucid show photos/ --per-class 6 --out photos.png
  pellucid show mnist --split test
  pellucid show operation
  pellucid show operation convolution
  pellucid show operation adam --out adam.png

To show a folder called 'operation', type ./operation."""


def show(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Name of a data set, a folder, or the word 'operation'.",
            show_default=False,
            autocompletion=completion.shown,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="After 'operation': its name. Without it, operations are listed.",
            show_default=False,
            autocompletion=completion.operations,
        ),
    ] = None,
    *,
    split: Annotated[str | None, typer.Option(help="Split: train, validation or test.", show_default="train")] = None,
    per_class: Annotated[int | None, typer.Option(min=1, help="Pictures of each class.", show_default="10")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="PNG file; DATA-SPLIT.png or NAME.png if not given.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Draw pictures of each class, or a worked example of an operation, as one PNG."""
    from pellucid.errors import UsageError

    options = {"--split": split, "--per-class": per_class}
    if data == "operation":
        for option, value in options.items():
            if value is not None:
                raise UsageError(f"{option} is for data, not for operations. Leave it out.")
        if name is None:
            _list(out, as_json=as_json)
        else:
            _operation(name, out, as_json=as_json)
        return
    if name is not None:
        raise UsageError(f"'{name}' is one argument too many: give one data set. Try pellucid show {data}.")
    _data(data, split or "train", per_class or 10, out, as_json=as_json)


def _data(data: str, split: str, per_class: int, out: Path | None, *, as_json: bool) -> None:
    """Draws pictures of each class of a data set."""
    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.errors import UnknownNameError, UsageError

    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"The picture is a PNG file, but --out is '{out.name}'. Try --out {out.stem}.png.")
    try:
        dataset = load(data)
    except UnknownNameError as error:
        from pellucid.operations import OPERATIONS

        if data not in OPERATIONS:
            raise
        raise UsageError(f"'{data}' is an operation, not data. Try pellucid show operation {data}.") from error
    console.notes(dataset.notes)

    from pellucid.report import pictures as drawing

    figure = drawing.class_grid(dataset.split(split), per_class=per_class)
    _draw(figure, out or Path(f"{dataset.name}-{split}.png"), as_json=as_json)


def _list(out: Path | None, *, as_json: bool) -> None:
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


def _operation(name: str, out: Path | None, *, as_json: bool) -> None:
    """Prints the formula and example of an operation, and draws it."""
    from pellucid.errors import UsageError
    from pellucid.operations import check_name, example

    check_name(name)
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"The picture is a PNG file, but --out is '{out.name}'. Try --out {out.stem}.png.")
    figure = example(name)
    if not as_json:
        from pellucid.report.operation_text import text

        typer.echo(text(figure))
        typer.echo(f"Code     {figure.data['code']}")
        typer.echo("Picture  ", nl=False)
    _draw(figure, out or Path(f"{name}.png"), as_json=as_json)


def _draw(figure: Figure, path: Path, *, as_json: bool) -> None:
    """Draws a figure and prints its path; with JSON on standard output, the path goes to standard error."""
    from pellucid.cli import console
    from pellucid.records import Findings
    from pellucid.report import pictures as drawing

    path_text = console.plain(str(drawing.draw(figure, path)))
    if as_json:
        console.emit(Findings((figure,)), as_json=True)
    (console.say if as_json else typer.echo)(path_text)
