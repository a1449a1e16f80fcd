"""`pellucid evaluate MODEL DATA`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Dataset, ExportedModel, Findings, Model, Predictions, Split

EXAMPLES = """  pellucid evaluate model.safetensors mnist
  pellucid evaluate runs/digits-convnet-001 digits --split validation
  pellucid evaluate model.safetensors photos/ --out scores
  pellucid evaluate model.safetensors mnist --json"""


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model, run or model.onnx.", show_default=False)],
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
    from pellucid.records import load_model
    from pellucid.records.run import require_new

    require_new("evaluations", out)
    loaded = load_model(model)
    dataset = load(data, test_fraction=1 if split is None else 0.2)
    console.notes_of_data(dataset.notes, model)
    name = split or ("test" if "test" in dataset.splits else "validation")
    pictures = _pictures(dataset, name, loaded, is_chosen=split is not None)

    from pellucid import evaluation, inference

    console.note_on_looks(pictures, loaded)
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


def _pictures(dataset: Dataset, name: str, model: Model | ExportedModel, *, is_chosen: bool) -> Split:
    """The pictures of a split. Data without a validation split get the one that the model's recipe carves from train.

    Args:
        dataset: the data.
        name: the split.
        model: the model that is scored.
        is_chosen: whether the user named the split; if not, a note says which it is.

    Raises:
        UsageError: the user named no split, and there is only a training split.
    """
    from pellucid.cli import console
    from pellucid.errors import UsageError
    from pellucid.records.names import counted

    if name != "validation":
        return dataset.split(name)
    lacks = f"'{dataset.name}' has no {'validation' if is_chosen else 'test'} split"
    if name in dataset.splits:
        pictures, source = dataset.split(name), "its validation pictures"
        if is_chosen:
            return pictures
    else:
        carved = with_carved_validation(dataset, model)
        if carved is None and is_chosen:
            return dataset.split(name)  # an error that names the splits
        if carved is None:
            raise UsageError(
                f"'{dataset.name}' has only a training split, from which models learn, so its score would be too "
                f"good. Give a folder of other labelled pictures."
            )
        pictures, source = carved.split(name), "those that the model's recipe sets aside from train"
    console.notes([f"{lacks}, so the {counted(len(pictures), 'picture')} scored here are {source}."])
    return pictures


def with_carved_validation(dataset: Dataset, model: Model | ExportedModel) -> Dataset | None:
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


def _without_known(predictions: Predictions, pictures: Split, model: Model | ExportedModel) -> Findings:
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
    from pellucid.records.names import counted

    if learned == count:
        yield "the model learned from these pictures, so the numbers are too good."
    elif learned:
        yield (
            f"the model learned from {learned:,} of these {counted(count, 'picture')}, so the accuracy on all "
            f"of them is too "
            f"good; 'accuracy without copies' leaves them out."
        )
    if chose == count:
        yield "these pictures chose the model's epoch, so the numbers are somewhat too good."
    elif chose:
        yield (
            f"{chose:,} of these {counted(count, 'picture')} chose the model's epoch, so the numbers are "
            f"somewhat too good."
        )


def _write(findings: Findings, predictions: Predictions, out: Path) -> Path | None:
    """Writes findings and predictions to a folder, and the report. Gives the path of the report, if one is written."""
    from pellucid.records import RunFolder, display

    folder = RunFolder.create("", "", out)
    folder.write_findings(findings)
    predictions.save(folder.predictions)
    draw = display.view("run")
    return None if draw is None else draw(folder)
