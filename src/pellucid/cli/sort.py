"""`pellucid sort MODEL FOLDER --out OUT`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pellucid.workflows.sort import SortResult

EXAMPLES = """  pellucid sort model.safetensors new-photos/ --out sorted/
  pellucid sort runs/photos-lite0-001 new-photos/ --out sorted/ --threshold 0.95
  pellucid sort lite0 holiday/ --out by-thing/ --threshold 0.5

OUT/sorted.csv lists where each photo went. After an interruption, run the same command again.
Nothing is overwritten."""


def sort(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="Model file, run folder, or a backbone: lite0.", show_default=False),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER...", help="Photos: folders, files or patterns.", show_default=False),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the class folders.", show_default=False)],
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Less probable photos go to the folder unsure; 0.8, or the model's own threshold.",
            show_default=False,
        ),
    ] = None,
    move: Annotated[bool, typer.Option("--move", help="Move the photos instead of copying them.")] = False,
    network: Annotated[
        str | None, typer.Option(help="The class of your own network: file.py:Class.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Copy photos into one folder per class, and unsure ones into a folder of their own."""
    from pellucid.cli import console, picture_paths
    from pellucid.cli.predict import backbone_or_model
    from pellucid.records import Findings, Table

    loaded = backbone_or_model(model)
    with tempfile.TemporaryDirectory() as folder:
        gathered = picture_paths.gather([path for path in paths if path != "-"], spool=Path(folder))
    console.notes(gathered.notes)
    for sentence in gathered.problems.values():
        console.say(sentence)
    if not gathered.pictures:
        raise typer.Exit(1)

    from pellucid.workflows import sort as workflow

    result = workflow.sort(loaded, list(gathered.pictures), out, threshold=threshold, move=move, network=network)
    for name, reason in result.unreadable.items():
        console.say(reason if name in reason else f"{name}: {reason}")
    if result.counts or as_json:
        rows = tuple(result.counts.most_common())
        console.emit(Findings((Table("sorted", ("folder", "photos"), rows),)), as_json=as_json)
    say = console.say if as_json else typer.echo
    say(_summary(result, moved=move))
    say(console.plain(f"Sorted  {out}, and what went where: {out / workflow.LOG}"))
    if result.unreadable or gathered.problems:
        raise typer.Exit(1)


def _summary(result: SortResult, *, moved: bool) -> str:
    done, share = f"{'Moved' if moved else 'Copied'}: {sum(result.counts.values()):,}", 100 * result.threshold
    notes = [f"{done}. Photos whose class is less probable than {share:g} % are in unsure."]
    if result.already_sorted:
        notes.append(f"{result.already_sorted:,} had been sorted before.")
    if result.unreadable:
        n = len(result.unreadable)
        notes.append(f"{n:,} could not be read, and stayed where {'they are' if n > 1 else 'it is'}.")
    return " ".join(notes)
