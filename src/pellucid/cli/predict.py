"""`pellucid predict MODEL PATHS...`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pellucid.records import ExportedModel, Findings, Model, Predictions

EXAMPLES = """  pellucid predict model.safetensors scan.png
  pellucid predict lite0 photo.jpg
  pellucid predict model.onnx scan.png
  pellucid predict model.safetensors scans/ --top 3
  pellucid predict model.safetensors 'scans/*.jpg' --out predictions.csv
  ls scans/*.png | pellucid predict model.safetensors -
  pellucid predict model.safetensors - < scan.png

Exit codes: 0 success; 1 some pictures could not be read (each is named); 2 wrong command line; 130 interrupted."""


def predict(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="Model file, run folder, model.onnx, or lite0.", show_default=False),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...",
            help="Files, folders, patterns, or - for standard input (a list of paths, or one picture).",
            show_default=False,
        ),
    ],
    *,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Classes for each picture; default 1, or 5 of 100 or more.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write them to this file: .csv, .jsonl or .parquet.", show_default=False),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="The class of your own network: file.py:Class.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures per batch.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Predict the class of each picture, with its probability.

    A picture that cannot be read is named, and the others are predicted.
    """
    from pellucid.cli import console, picture_paths, prediction_files

    if out is not None:
        prediction_files.writer(out)  # refuses an unknown file type before the work
    loaded = backbone_or_model(model)
    top = top or (5 if len(loaded.classes) >= _MANY_CLASSES else 1)
    with tempfile.TemporaryDirectory() as folder:
        gathered = picture_paths.gather(paths, spool=Path(folder))
        console.notes(gathered.notes)
        if not gathered.pictures:
            for sentence in gathered.problems.values():
                console.say(sentence)
            raise typer.Exit(1)
        from pellucid.inference import predict as run
        from pellucid.inference.pictures import as_split

        pictures = as_split(list(gathered.pictures), loaded.specification)
        console.note_on_looks(pictures, loaded)
        predictions = run(loaded, pictures, batch_size=batch_size, network=network)
    predictions = _renamed(predictions, gathered.pictures, gathered.problems)
    if as_json:
        console.emit(_findings(predictions, top), as_json=True)
    else:
        _print(predictions, top)
    for name, reason in predictions.unreadable.items():
        console.say(reason if name == "-" or name in reason else f"{name}: {reason}")
    if out is not None:
        prediction_files.write(predictions, out, top)
    if predictions.unreadable:
        console.say(_unreadable(predictions))
        raise typer.Exit(1)


_MANY_CLASSES = 100
"""From this number of classes on, one guess says little."""


def backbone_or_model(name: Path) -> Model | ExportedModel:
    """Loads a model file, run folder or exported model, or a backbone by its name.

    Raises:
        ModelFileError: there is no such file or backbone.
    """
    from pellucid.networks.catalogue import BACKBONES
    from pellucid.records import load_model

    if str(name) not in BACKBONES or name.exists():
        return load_model(name)
    from pellucid.inference.building import pretrained

    return pretrained(str(name))


def _unreadable(predictions: Predictions) -> str:
    from pellucid.records.names import counted

    unreadable = len(predictions.unreadable)
    return f"{unreadable:,} of {counted(len(predictions) + unreadable, 'picture')} could not be read."


def _renamed(predictions: Predictions, names: Mapping[str, str], problems: Mapping[str, str]) -> Predictions:
    """The predictions under the names that the user gave, with the files that could not be opened.

    Bytes of a file name that are not valid text become escapes.
    """
    import numpy as np

    from pellucid.records.predictions import valid_text

    ids = np.array([valid_text(names.get(name, name)) for name in predictions.ids.tolist()], dtype=str)
    unreadable = {
        names.get(name, name): reason.replace(name, "standard input" if names.get(name) == "-" else name)
        for name, reason in predictions.unreadable.items()
    }
    reasons_by_name = {valid_text(name): valid_text(reason) for name, reason in {**unreadable, **problems}.items()}
    return replace(predictions, ids=ids, unreadable=reasons_by_name)


_WIDEST_NAME, _WIDEST_CLASS = 80, 24
"""Longer names overflow their column, so that one of them does not widen it for all."""


def _print(predictions: Predictions, top: int) -> None:
    from pellucid.cli.console import plain
    from pellucid.cli.prediction_files import ranked

    names = [plain(name) for name in predictions.ids.tolist()]
    width = max((len(name) for name in names if len(name) <= _WIDEST_NAME), default=0)
    label = max((len(one) for one in map(plain, predictions.classes) if len(one) <= _WIDEST_CLASS), default=0)
    for name, classes, sure in zip(names, ranked(predictions, top), predictions.accepted, strict=True):
        ranked_text = "  ".join(f"{plain(one):<{label}} {100 * probability:5.1f} %" for one, probability in classes)
        typer.echo(f"{name:<{width}}  {ranked_text}{'' if sure else '  not sure'}")


def _findings(predictions: Predictions, top: int) -> Findings:
    from pellucid.cli.prediction_files import ranked
    from pellucid.records import Findings, Table

    abstains = predictions.abstain_below is not None
    answers = zip(predictions.ids.tolist(), ranked(predictions, top), predictions.accepted.tolist(), strict=True)
    rows = tuple(
        (name, rank, one, probability, *(["sure" if sure else "not sure"] if abstains else []))
        for name, classes, sure in answers
        for rank, (one, probability) in enumerate(classes, start=1)
    )
    columns = ("id", "rank", "class", "probability %", *(["answer"] if abstains else []))
    unreadable = tuple(predictions.unreadable.items())
    return Findings(
        (
            Table("predictions", columns, rows),
            *([Table("unreadable", ("id", "reason"), unreadable)] if unreadable else []),
        )
    )
