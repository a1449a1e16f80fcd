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

A folder of yours that is called 'operation' is shown with ./operation."""


TOPICS = {
    "operation": "pellucid.cli.show_operation",
}
"""What `show` draws besides data: from the word for it to the module with its `names`, `table` and `figure`."""


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
            help="A data set's name, or a folder; or the word 'operation'.",
            show_default=False,
            autocompletion=complete_subject,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="After 'operation': which; without it they are listed.",
            show_default=False,
            autocompletion=complete_name,
        ),
    ] = None,
    *,
    split: Annotated[
        str | None, typer.Option(help="Which part of the data: train, validation or test.", show_default="train")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(min=1, help="How many pictures of each class.", show_default="10")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The PNG to write; otherwise DATA-SPLIT.png or NAME.png here.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Draw some pictures of each class, or a worked example of an operation, as one PNG."""
    from pellucid.errors import UsageError

    options = {"--split": split, "--per-class": per_class}
    if data in TOPICS:
        for option, value in options.items():
            if value is not None:
                raise UsageError(f"{option} is for data, and an operation has none. Leave it out.")
        topic = importlib.import_module(TOPICS[data])
        if name is None:
            topic.table(out, as_json=as_json)
        else:
            _draw(topic.figure(name, out, as_json=as_json), out or Path(f"{name}.png"), as_json=as_json)
        return
    if name is not None:
        raise UsageError(
            f"'{name}' is one argument too many: one data set is shown at a time. Try pellucid show {data}."
        )
    _data(data, split or "train", per_class or 10, out, as_json=as_json)


def _data(data: str, split: str, per_class: int, out: Path | None, *, as_json: bool) -> None:
    """The grid of a data set."""
    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.errors import UnknownNameError, UsageError

    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"The grid is written as PNG, and '{out.name}' is another kind. Try --out {out.stem}.png.")
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
    """Draws it, and says where; as JSON the findings stand on standard output, and the place on standard error."""
    from pellucid.cli import console
    from pellucid.records import Findings
    from pellucid.report import pictures as drawing

    where = console.plain(str(drawing.draw(figure, path)))
    if as_json:
        console.emit(Findings((figure,)), as_json=True)
    (console.say if as_json else typer.echo)(where)
