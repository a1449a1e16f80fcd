"""`pellucid evaluate MODEL DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Findings, Predictions

EXAMPLES = """  pellucid evaluate model.safetensors mnist
  pellucid evaluate runs/digits-convnet-001 digits --split validation
  pellucid evaluate model.safetensors photos/ --out scores
  pellucid evaluate model.safetensors mnist --json"""


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or a run folder.", show_default=False)],
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
    split: Annotated[str, typer.Option(help="Which part of the data: train, validation or test.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(help="Write findings, predictions, pictures and a page to this new folder.", show_default=False),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="For a model of your own network: file.py:Class.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="How many pictures at once.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Score a model on labelled pictures: accuracy with its 95 % interval, base rate, loss, each class, mistakes."""
    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.records import Model

    loaded = Model.load(model)
    dataset = load(data)
    console.notes(dataset.notes)
    pictures = dataset.split(split)

    from pellucid import evaluation, inference

    predictions = inference.predict(loaded, pictures, batch_size=batch_size, network=network)
    findings = evaluation.evaluate(predictions, pictures)
    for reason in predictions.unreadable.values():
        console.say(reason)
    page = None if out is None else _write(findings, predictions, out)
    console.emit(findings, as_json=as_json)
    if out is not None:
        console.say(f"Written to {page or out}")
    if predictions.unreadable:
        raise typer.Exit(1)


def _write(findings: Findings, predictions: Predictions, out: Path) -> Path | None:
    """Writes a folder as training does, without what belongs to a training; gives the page, where one is drawn."""
    from pellucid.records import RunFolder, display

    folder = RunFolder.create("", "", out)
    folder.write_findings(findings)
    predictions.save(folder.predictions)
    draw = display.view("run")
    return None if draw is None else draw(folder)
