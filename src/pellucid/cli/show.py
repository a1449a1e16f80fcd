"""`pellucid show DATA`, and `pellucid show operation NAME`."""

from __future__ import annotations

import importlib
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


TOPICS = {
    "operation": "pellucid.cli.show_operation",
}
"""Topics besides data: word on the command line → module with the functions `names`, `table` and `figure`."""


def complete_subject(incomplete: str) -> list[str]:
    """For the Tab key: data sets, folders, and the words of `TOPICS`."""
    return completion.datasets(incomplete) + [word for word in TOPICS if word.startswith(incomplete)]


def complete_name(incomplete: str) -> list[str]:
    """For the Tab key: the names within the topics, for example of the operations."""
    names = [name for module in TOPICS.values() for name in importlib.import_module(module).names()]
    return [name for name in names if name.startswith(incomplete)]


def show(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Name of a data set, a folder, or the word 'operation'.",
            show_default=False,
            autocompletion=complete_subject,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="After 'operation': its name. Without it, operations are listed.",
            show_default=False,
            autocompletion=complete_name,
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
    if data in TOPICS:
        for option, value in options.items():
            if value is not None:
                raise UsageError(f"{option} is for data, not for an {data}. Leave it out.")
        topic = importlib.import_module(TOPICS[data])
        if name is None:
            topic.table(out, as_json=as_json)
        else:
            _draw(topic.figure(name, out, as_json=as_json), out or Path(f"{name}.png"), as_json=as_json)
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
        for topic, module in TOPICS.items():
            if data in importlib.import_module(module).names():
                raise UsageError(f"'{data}' is an {topic}, not data. Try pellucid show {topic} {data}.") from error
        raise
    console.notes(dataset.notes)

    from pellucid.report import pictures as drawing

    figure = drawing.class_grid(dataset.split(split), per_class=per_class)
    _draw(figure, out or Path(f"{dataset.name}-{split}.png"), as_json=as_json)


def _draw(figure: Figure, path: Path, *, as_json: bool) -> None:
    """Draws a figure and prints its path; with JSON on standard output, the path goes to standard error."""
    from pellucid.cli import console
    from pellucid.records import Findings
    from pellucid.report import pictures as drawing

    path_text = console.plain(str(drawing.draw(figure, path)))
    if as_json:
        console.emit(Findings((figure,)), as_json=True)
    (console.say if as_json else typer.echo)(path_text)
