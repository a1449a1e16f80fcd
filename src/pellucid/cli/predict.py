"""`pellucid predict MODEL PATHS...`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pellucid.records import Findings, Model, Predictions

EXAMPLES = """  pellucid predict model.safetensors scan.png
  pellucid predict lite0 photo.jpg
  pellucid predict model.safetensors scans/ --top 3
  pellucid predict model.safetensors 'scans/*.jpg' --out found.csv
  ls scans/*.png | pellucid predict model.safetensors -
  pellucid predict model.safetensors - < scan.png

Exit codes: 0 all pictures were read; 1 some could not be read, and each is named;
2 the command line makes no sense; 130 interrupted."""


def predict(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A model file, a run folder, or a backbone: lite0.", show_default=False),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...",
            help="Pictures: files, folders, patterns, or - for standard input (a list of paths, or one picture).",
            show_default=False,
        ),
    ],
    *,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="How many classes to name for each picture; 1, or 5 of hundreds.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write them to this file too: .csv, .jsonl or .parquet.", show_default=False)
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="For a model of your own network: file.py:Class.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="How many pictures at once.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Say what a model sees in pictures: the class and its probability, for each.

    A picture that cannot be read is named, and the others go on.
    """
    from pellucid.cli import console, picture_paths, prediction_files

    if out is not None:
        prediction_files.writer(out)  # a name that makes no sense is said before the work, not after
    loaded = backbone_or_model(model)
    top = top or (5 if len(loaded.classes) >= _HUNDREDS else 1)
    with tempfile.TemporaryDirectory() as folder:
        gathered = picture_paths.gather(paths, spool=Path(folder))
        console.notes(gathered.notes)
        if not gathered.pictures:
            for sentence in gathered.problems.values():
                console.say(sentence)
            raise typer.Exit(1)
        from pellucid.inference import predict as run

        predictions = run(loaded, list(gathered.pictures), batch_size=batch_size, network=network)
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
        unreadable = len(predictions.unreadable)
        console.say(f"{unreadable} of {len(predictions) + unreadable} pictures could not be read.")
        raise typer.Exit(1)


_HUNDREDS = 100
"""Of so many classes the first guess alone says little."""


def backbone_or_model(name: Path) -> Model:
    """The model in a file or a run folder; or that which a backbone is, where its name and no file is given.

    Raises:
        ModelFileError: it is neither.
    """
    from pellucid.networks.catalogue import BACKBONES
    from pellucid.records import Model

    if str(name) not in BACKBONES or name.exists():
        return Model.load(name)
    from pellucid.inference.building import pretrained

    return pretrained(str(name))


def _renamed(predictions: Predictions, names: Mapping[str, str], problems: Mapping[str, str]) -> Predictions:
    """The predictions with each picture called as the person called it, and with what could not even be opened.

    Names are as text can hold them: what is no valid text in a file's name becomes escapes.
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
"""Longer names stand out of their column, so that one of them does not push all the others apart."""


def _print(predictions: Predictions, top: int) -> None:
    from pellucid.cli.console import plain
    from pellucid.cli.prediction_files import ranked

    names = [plain(name) for name in predictions.ids.tolist()]
    width = max((len(name) for name in names if len(name) <= _WIDEST_NAME), default=0)
    label = max((len(one) for one in map(plain, predictions.classes) if len(one) <= _WIDEST_CLASS), default=0)
    for name, classes in zip(names, ranked(predictions, top), strict=True):
        ranked_text = "  ".join(f"{plain(one):<{label}} {100 * probability:5.1f} %" for one, probability in classes)
        typer.echo(f"{name:<{width}}  {ranked_text}")


def _findings(predictions: Predictions, top: int) -> Findings:
    from pellucid.cli.prediction_files import ranked
    from pellucid.records import Findings, Table

    rows = tuple(
        (name, rank, one, probability)
        for name, classes in zip(predictions.ids.tolist(), ranked(predictions, top), strict=True)
        for rank, (one, probability) in enumerate(classes, start=1)
    )
    unreadable = tuple(predictions.unreadable.items())
    return Findings(
        (
            Table("predictions", ("id", "rank", "class", "probability %"), rows),
            *([Table("unreadable", ("id", "reason"), unreadable)] if unreadable else []),
        )
    )
