"""`pellucid evaluate MODEL DATA`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Dataset, Findings, Model, Predictions, Split

EXAMPLES = """  pellucid evaluate model.safetensors mnist
  pellucid evaluate runs/digits-convnet-001 digits --split validation
  pellucid evaluate model.safetensors photos/ --out scores
  pellucid evaluate model.safetensors mnist --json"""


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or run folder.", show_default=False)],
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
    split: Annotated[
        str | None,
        typer.Option(
            help="Split: train, validation or test. By default test, else validation; all of a folder without splits.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for findings, predictions, pictures and report.", show_default=False),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="The class of your own network: file.py:Class.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures per batch.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Score a model on labelled pictures: accuracy with a 95 % interval, base rate, loss, classes, mistakes."""
    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.records import Model

    loaded = Model.load(model)
    dataset = load(data, test_fraction=1 if split is None else 0.2)
    console.notes(dataset.notes)
    name = split or _usual_split(dataset)
    pictures = _pictures(dataset, name, loaded)

    from pellucid import evaluation, inference

    predictions = inference.predict(loaded, pictures, batch_size=batch_size, network=network)
    findings = evaluation.evaluate(predictions, pictures)
    findings += _without_known(predictions, pictures, loaded)
    if name == "test":
        from pellucid.evaluation.scoring import count_scoring

        findings = count_scoring(findings, pictures, loaded.sha256)
    for reason in predictions.unreadable.values():
        console.say(reason)
    page = None if out is None else _write(findings, predictions, out)
    console.emit(findings, as_json=as_json)
    if out is not None:
        console.say(f"Written to {page or out}")
    if predictions.unreadable:
        raise typer.Exit(1)


def _usual_split(dataset: Dataset) -> str:
    """The split to score if the user names none: test, else validation; never train.

    Raises:
        UsageError: there is only a training split.
    """
    from pellucid.cli import console
    from pellucid.errors import UsageError

    if "test" in dataset.splits:
        return "test"
    if "validation" not in dataset.splits:
        raise UsageError(
            f"'{dataset.name}' has only a training split, and a model is not scored on what models learn from. Give a "
            f"folder of other pictures; or --split train to score these all the same."
        )
    console.notes([f"'{dataset.name}' has no test split; these are its validation pictures."])
    return "validation"


def _pictures(dataset: Dataset, name: str, model: Model) -> Split:
    """The pictures of a split; of a validation split that the model's recipe carves, if the data have none."""
    from pellucid.cli import console

    if name != "validation" or name in dataset.splits:
        return dataset.split(name)
    carved = _with_carved_validation(dataset, model)
    if carved is None:
        return dataset.split(name)
    pictures = carved.split(name)
    source = f"the {len(pictures):,} pictures that the model's recipe set aside from train"
    console.notes([f"'{dataset.name}' has no validation split. These are {source}."])
    return pictures


def _with_carved_validation(dataset: Dataset, model: Model) -> Dataset | None:
    """The data with the validation split that the model's recipe carves; None if that is unknown."""
    from pellucid.data.splitting import with_validation
    from pellucid.errors import PellucidError

    plan = model.specification.training.get("recipe")
    if "train" not in dataset.splits or not isinstance(plan, dict) or plan.get("freeze_backbone"):
        return None
    try:
        return with_validation(dataset, plan["validation_fraction"], plan["split_seed"])
    except (KeyError, TypeError, PellucidError):  # another kind of recipe, or data that cannot be split
        return None


def _without_known(predictions: Predictions, pictures: Split, model: Model) -> Findings:
    """Warns of pictures that the model has learned from, by their content, and scores the others alone."""
    import numpy as np

    from pellucid.cli import console
    from pellucid.data.hashing import are_among, content_hashes
    from pellucid.evaluation.scoring import accuracy_without
    from pellucid.records import Findings

    data = model.specification.training.get("data")
    packed = data.get("hashes") if isinstance(data, dict) else None
    if not isinstance(packed, dict) or not packed:
        return Findings()
    hashes = content_hashes(pictures.pictures)
    try:
        known = {name: are_among(hashes, text) for name, text in packed.items()}
    except (TypeError, ValueError):  # not written by Pellucid
        return Findings()
    learned = known.get("train", np.zeros(len(pictures), dtype=bool))
    chose = known.get("validation", np.zeros(len(pictures), dtype=bool)) & ~learned
    console.notes(_cautions(len(pictures), int(learned.sum()), int(chose.sum())))
    metric = accuracy_without(predictions, pictures.ids.astype(str)[learned | chose])
    return Findings() if metric is None else Findings((metric,))


def _cautions(count: int, learned: int, chose: int) -> Iterable[str]:
    """Warnings, from the number of pictures, of those that the model learned from and of those that chose its epoch."""
    if learned == count:
        yield "the model learned from these pictures, so the numbers are too good."
    elif learned:
        yield (
            f"the model learned from {learned:,} of these {count:,} pictures, so the accuracy on all of them is too "
            f"good; 'accuracy without copies' leaves them out."
        )
    if chose == count:
        yield "these pictures chose the model's epoch, so the numbers are somewhat too good."
    elif chose:
        yield f"{chose:,} of these {count:,} pictures chose the model's epoch, so the numbers are somewhat too good."


def _write(findings: Findings, predictions: Predictions, out: Path) -> Path | None:
    """Writes findings and predictions to a folder, and the report. Gives the path of the report, if one is written."""
    from pellucid.records import RunFolder, display

    folder = RunFolder.create("", "", out)
    folder.write_findings(findings)
    predictions.save(folder.predictions)
    draw = display.view("run")
    return None if draw is None else draw(folder)
