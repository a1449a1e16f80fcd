"""`pellucid label MODEL FOLDER`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pellucid.records import Table
    from pellucid.workflows.label import Suggestions

EXAMPLES = """  pellucid label model.safetensors new-photos/
  pellucid label runs/photos-lite0-001 new-photos/ --top 50 --out to-label.csv

Fill in the column `label` of the table, from the top, for as many photos as you like. Then train:
  pellucid train to-label.csv
To train on your earlier photos too, add their lines, or put the new photos into class folders."""


def label(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or run folder.", show_default=False)],
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER...", help="Unlabelled photos: folders, files or patterns.", show_default=False),
    ],
    *,
    top: Annotated[
        int | None, typer.Option(min=1, help="Number of suggestions; all if not given.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Table to fill in.")] = Path("to-label.csv"),
    network: Annotated[
        str | None, typer.Option(help="The class of your own network: file.py:Class.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Suggest which photos to label next: those that the model is unsure of, and that differ from each other."""
    from pellucid.cli import console, picture_paths
    from pellucid.errors import StorageError
    from pellucid.records import Findings, Model

    if out.exists():  # checked before the work
        raise StorageError(f"{out} exists already, and may contain labels. Choose another name with --out.")
    loaded = Model.load(model)
    with tempfile.TemporaryDirectory() as folder:
        gathered = picture_paths.gather([path for path in paths if path != "-"], spool=Path(folder))
    console.notes(gathered.notes)
    for sentence in gathered.problems.values():
        console.say(sentence)
    if not gathered.pictures:
        raise typer.Exit(1)

    from pellucid.records.paths import command_line
    from pellucid.workflows import label as workflow

    suggestions = workflow.suggest(loaded, list(gathered.pictures), count=top, network=network)
    workflow.write_table(suggestions, out)
    for name, reason in suggestions.predictions.unreadable.items():
        console.say(reason if name in reason else f"{name}: {reason}")
    console.emit(Findings((_table(suggestions),)), as_json=as_json)
    say = console.say if as_json else typer.echo
    then = f"pellucid train {command_line(out)}"
    say(console.plain(f"Table  {out}: fill in the column label from the top, then: {then}"))
    if suggestions.predictions.unreadable or gathered.problems:
        raise typer.Exit(1)


_SHOWN = 20


def _table(suggestions: Suggestions) -> Table:
    from pellucid.records import Table

    predictions = suggestions.predictions
    rows = tuple(
        (
            rank,
            str(predictions.ids[index]),
            predictions.classes[predictions.predicted[index]],
            float(predictions.confidence[index]),
        )
        for rank, index in enumerate(suggestions.order[:_SHOWN].tolist(), start=1)
    )
    more = len(suggestions.order) - len(rows)
    note = f"And {more:,} more in the table." if more else ""
    return Table("to_label", ("rank", "photo", "suggestion", "probability %"), rows, note)
