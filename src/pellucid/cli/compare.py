"""`pellucid compare A B`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """  pellucid compare runs/digits-mlp-001 runs/digits-convnet-001
  pellucid compare first/predictions.parquet second/predictions.parquet
  pellucid compare runs/mnist-lenet5-001 runs/mnist-lenet5-002 --json"""


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Run folder or predictions file.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another run folder or predictions file.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Test whether B is better than A on the same test pictures, and show where they differ."""
    from pellucid.cli import console
    from pellucid.records import Predictions

    paths = (_predictions_of(a), _predictions_of(b))

    from pellucid.evaluation.comparing import compare as compare_predictions

    fingerprints = (_fingerprint(a), _fingerprint(b))
    findings = compare_predictions(
        Predictions.load(paths[0]),
        Predictions.load(paths[1]),
        names=(str(a), str(b)),
        same_data=bool(fingerprints[0]) and fingerprints[0] == fingerprints[1],
    )
    if all(fingerprints) and fingerprints[0] != fingerprints[1]:
        console.notes([_OTHER_DATA])
    console.emit(findings, as_json=as_json)


_OTHER_DATA = (
    "the two runs were trained on different pictures or splits (the fingerprints of their data differ). The comparison "
    "uses the pictures with the same ids and labels."
)


def _predictions_of(path: Path) -> Path:
    """The predictions file of a run folder, or the file itself.

    Raises:
        MissingDataError: there is no such file, or no predictions in the folder.
        UsageError: it is a table for other programs.
    """
    from pellucid.errors import MissingDataError, UsageError
    from pellucid.records import RunFolder

    if not path.is_dir():
        if not path.exists():
            raise MissingDataError(
                f"{path} does not exist. Give a run folder or a predictions file. `pellucid runs` lists runs."
            )
        if path.suffix.lower() in (".csv", ".jsonl"):
            raise UsageError(
                f"{path} is a table for other programs, but predictions are compared as Parquet. "
                f"Try: pellucid evaluate MODEL DATA --out FOLDER, and compare that folder."
            )
        return path
    path_in_run = RunFolder(path).predictions
    if not path_in_run.is_file() and not RunFolder(path).model.is_file():
        raise MissingDataError(
            f"{path} has neither a model nor {path_in_run.name}: it is no run folder, or its training is not over. "
            f"`pellucid runs FOLDER` lists runs."
        )
    if not path_in_run.is_file():
        raise MissingDataError(
            f"{path} has no {path_in_run.name}: it is no run folder, or its training is not over or was interrupted. "
            f"Score its model on the data first: pellucid evaluate {path} DATA --out FOLDER."
        )
    return path_in_run


def _fingerprint(path: Path) -> str:
    """Fingerprint of the data of a run; empty if unknown."""
    from pellucid.errors import FormatError
    from pellucid.records import RunFolder

    try:
        description = RunFolder(path).read_json()
    except FormatError:
        return ""
    data = description.get("data") if isinstance(description, dict) else None
    return str(data.get("fingerprint", "")) if isinstance(data, dict) else ""
