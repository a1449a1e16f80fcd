"""`pellucid show DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli import completion

EXAMPLES = """  pellucid show digits
  pellucid show photos/ --per-class 6 --out photos.png
  pellucid show mnist --split test"""


def show(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A data set's name, or a folder.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ],
    *,
    split: Annotated[str, typer.Option(help="Which part of the data: train, validation or test.")] = "train",
    per_class: Annotated[int, typer.Option(min=1, help="How many pictures of each class.")] = 10,
    out: Annotated[
        Path | None, typer.Option(help="The PNG to write; otherwise DATA-SPLIT.png here.", show_default=False)
    ] = None,
) -> None:
    """Draw some pictures of each class, as one PNG."""
    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.errors import UsageError

    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"The grid is written as PNG, and '{out.name}' is another kind. Try --out {out.stem}.png.")
    dataset = load(data)
    console.notes(dataset.notes)
    pictures = dataset.split(split)

    from pellucid.report import pictures as drawing

    path = drawing.draw(drawing.class_grid(pictures, per_class=per_class), out or Path(f"{dataset.name}-{split}.png"))
    typer.echo(console.plain(str(path)))
