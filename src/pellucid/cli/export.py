"""`pellucid export MODEL --to onnx`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Model, Split

EXAMPLES = """  pellucid export runs/digits-convnet-001
  pellucid export model.safetensors --data photos/ --out ants.onnx
  pellucid export model.safetensors --data photos/ --int8
  pellucid export model.safetensors --to torch-export"""


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or run folder.", show_default=False)],
    *,
    to: Annotated[str, typer.Option(help="onnx, or torch-export (a program for torch.export.load).")] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="The file; by default beside the model, as NAME.onnx.", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Pictures to check the export with; by default those that the model was trained on.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Store and compute in 8 bits, if that costs at most one point of accuracy.")
    ] = False,
    network: Annotated[
        str | None, typer.Option(help="The class of your own network: file.py:Class.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Write a model as one file that runs without torch, with classes, preprocessing and calibration.

    The file is compared with the model on real pictures, and is not written if they disagree.
    """
    from pellucid.cli import console
    from pellucid.errors import UnknownNameError, UsageError
    from pellucid.records import Model
    from pellucid.records.model import model_file

    suffixes = {"onnx": ".onnx", "torch-export": ".pt2"}
    if to not in suffixes:
        raise UnknownNameError("export format", to, suffixes)
    if int8 and to != "onnx":
        raise UsageError("--int8 is for ONNX. Use --to onnx, or omit --int8.")
    loaded = Model.load(model)
    file = model_file(model)
    path = out or file.with_name(f"{file.stem}{'-int8' if int8 else ''}{suffixes[to]}")
    if path.suffix.lower() != suffixes[to]:
        raise UsageError(f"Files of this format end in {suffixes[to]}; given: {path.name}.")
    pictures = _pictures(loaded, file.parent, data)

    from pellucid.export.exporting import export as run

    findings = run(loaded, path, pictures, to="onnx" if to == "onnx" else "torch-export", int8=int8, network=network)
    console.emit(findings, as_json=as_json, files={"Model": path})


def _pictures(model: Model, folder: Path, data: str | None) -> Split:
    """The pictures that the export is checked with: validation, else training pictures.

    Args:
        model: the model.
        folder: the folder of the model file, perhaps a run folder.
        data: what the user gave.

    Raises:
        UsageError: they are not known.
    """
    from pellucid.cli.evaluate import with_carved_validation
    from pellucid.data import load
    from pellucid.errors import UsageError

    source = data or _source(model, folder)
    if source is None:
        raise UsageError(
            "The export is checked with real pictures, and where those of this model are is unknown. Add --data FOLDER."
        )
    dataset = load(source)
    dataset = with_carved_validation(dataset, model) or dataset
    for name in ("validation", "train", *dataset.splits):
        if name in dataset.splits:
            return dataset.split(name)
    raise AssertionError("a dataset has a split")


def _source(model: Model, folder: Path) -> str | None:
    """The name or path of the data that the model was trained on; None if unknown, or not there."""
    from pellucid.data.catalogue import DATASETS

    trained = model.specification.training.get("data")
    name = str(trained.get("name")) if isinstance(trained, dict) else ""
    if name in DATASETS:
        return name
    try:
        typed = shlex.split(json.loads((folder / "run.json").read_text(encoding="utf-8"))["command"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # a model file alone
        return None
    named = [one for one in typed if Path(one).name == name and Path(one).exists()]
    return named[0] if name and named else None
