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
        typer.Option(help="Write findings.json, predictions.parquet and pictures to this folder.", show_default=False),
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
    if out is not None:
        _write(findings, predictions, out)
    console.emit(findings, as_json=as_json)
    if out is not None:
        console.say(f"Written to {out}.")
    if predictions.unreadable:
        raise typer.Exit(1)


def _write(findings: Findings, predictions: Predictions, folder: Path) -> None:
    from pellucid.records import Figure, atomic, display

    atomic.make_folder(folder)
    atomic.write_text(folder / "findings.json", findings.dumps() + "\n")
    predictions.save(folder / "predictions.parquet")
    draw = display.view("figure")
    if draw is None:
        return
    pictures = atomic.make_folder(folder / "pictures")
    for item in findings:
        if isinstance(item, Figure):
            draw(item, pictures / f"{item.name}.png")
