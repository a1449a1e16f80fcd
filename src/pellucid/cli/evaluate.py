"""`pellucid evaluate MODEL DATA`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Dataset, Findings, Model, Predictions

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
    split: Annotated[str, typer.Option(help="Split: train, validation or test.")] = "test",
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
    dataset = load(data)
    console.notes(dataset.notes)
    learned = _with_carved_validation(dataset, loaded)
    carved = split == "validation" and split not in dataset.splits and learned is not None
    pictures = (learned if carved and learned is not None else dataset).split(split)
    console.notes(_cautions(split, dataset, learned, loaded, carved=carved))

    from pellucid import evaluation, inference

    predictions = inference.predict(loaded, pictures, batch_size=batch_size, network=network)
    findings = evaluation.evaluate(predictions, pictures)
    if split == "test":
        from pellucid.evaluation.scoring import counted

        findings = counted(findings, pictures, loaded.sha256)
    for reason in predictions.unreadable.values():
        console.say(reason)
    page = None if out is None else _write(findings, predictions, out)
    console.emit(findings, as_json=as_json)
    if out is not None:
        console.say(f"Written to {page or out}")
    if predictions.unreadable:
        raise typer.Exit(1)


def _with_carved_validation(dataset: Dataset, model: Model) -> Dataset | None:
    """The data with the validation split that the model's recipe carves; None if that is unknown."""
    from pellucid.data.splitting import with_validation
    from pellucid.errors import PellucidError

    dataset = _readable(dataset, model)
    if "validation" in dataset.splits:
        return dataset
    plan = model.specification.training.get("recipe")
    if "train" not in dataset.splits or not isinstance(plan, dict):
        return None
    if plan.get("freeze_backbone"):  # trained on the whole of train; nothing was carved
        return dataset
    try:
        return with_validation(dataset, plan["validation_fraction"], plan["split_seed"])
    except (KeyError, TypeError, PellucidError):  # another kind of recipe, or data that cannot be split
        return None


def _readable(dataset: Dataset, model: Model) -> Dataset:
    """The data without unreadable training files, if the model learned from fewer files than there are."""
    from dataclasses import replace

    import numpy as np

    from pellucid.records import PictureFiles

    then = model.specification.training.get("data")
    sizes = then.get("sizes") if isinstance(then, dict) and then.get("name") == dataset.name else None
    names = [name for name in ("train", "validation") if name in dataset.splits]
    files = all(isinstance(dataset.split(name).pictures, PictureFiles) for name in names)
    if not isinstance(sizes, dict) or not files or sum(sizes.values()) >= sum(len(dataset.split(one)) for one in names):
        return dataset
    from pellucid.data.checking.checking import look_ahead

    unreadable = look_ahead(dataset).unreadable  # cached since the training
    readable = {
        name: np.flatnonzero(~np.isin(dataset.split(name).ids.astype(str), list(unreadable.get(name, ()))))
        for name in names
    }
    if not all(map(len, readable.values())):
        return dataset
    return replace(
        dataset,
        splits={**dataset.splits, **{name: dataset.split(name).take(indices) for name, indices in readable.items()}},
    )


def _cautions(split: str, dataset: Dataset, learned: Dataset | None, model: Model, *, carved: bool) -> Iterable[str]:
    """Warnings before the numbers: whether the model has learned from these pictures."""
    then = model.specification.training.get("data")
    named_the_same = isinstance(then, dict) and then.get("name") == dataset.name
    same = (split != "test" or named_the_same) and learned is not None and _is_training_data(learned, then)
    used = then.get("sizes", {}) if isinstance(then, dict) else {}
    if carved and learned is not None:
        yield (
            f"'{dataset.name}' has no validation split. These are the {len(learned.validation):,} pictures that the "
            f"model's recipe set aside from train."
        )
    if same and split == "train":
        yield "the model learned from these pictures, or they chose its epoch, so the numbers are too good."
    if same and split == "validation" and split in used:
        yield "these pictures chose the model's epoch, so the numbers are somewhat too good."
    if named_the_same and not same:
        yield (
            f"the training pictures of '{dataset.name}' are not those that this model learned from. If Pellucid made "
            f"its splits, the model may have learned from pictures that are scored here, and the numbers may be too "
            f"good."
        )


def _is_training_data(data: Dataset, then: Any) -> bool:
    """Whether the training and validation pictures are those that a model file records."""
    from dataclasses import replace

    from pellucid.errors import DataError

    if not isinstance(then, dict) or "train" not in data.splits:
        return False
    names = [name for name in ("train", "validation") if name in then.get("sizes", {})]
    if not set(names) <= set(data.splits):
        return False
    used = {name: data.split(name) for name in names}
    if then.get("sizes") != {name: len(split) for name, split in used.items()}:
        return False  # saves reading all of them
    try:
        return replace(data, splits=used).fingerprint == then.get("fingerprint")
    except DataError:  # a file is gone
        return False


def _write(findings: Findings, predictions: Predictions, out: Path) -> Path | None:
    """Writes findings and predictions to a folder, and the report. Gives the path of the report, if one is written."""
    from pellucid.records import RunFolder, display

    folder = RunFolder.create("", "", out)
    folder.write_findings(findings)
    predictions.save(folder.predictions)
    draw = display.view("run")
    return None if draw is None else draw(folder)
