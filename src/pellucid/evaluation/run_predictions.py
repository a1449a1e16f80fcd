"""The predictions of a run folder, as `compare` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import FormatError, MissingDataError, UsageError
from pellucid.records import Predictions, RunFolder
from pellucid.records.paths import expand_user


@dataclass(frozen=True)
class RunPredictions:
    """Predictions and where they come from.

    Attributes:
        name: the path, as it was given.
        predictions: the predictions.
        fingerprint: the fingerprint of the data of the run; empty if unknown.
    """

    name: str
    predictions: Predictions
    fingerprint: str = ""


def read(path: str | Path) -> RunPredictions:
    """The predictions of a run folder, or of a predictions file.

    Raises:
        MissingDataError: there is no such file, or no predictions in the folder.
        UsageError: the file is a table for other programs.
    """
    expanded = expand_user(path)
    return RunPredictions(str(path), Predictions.load(_predictions_of(expanded)), _fingerprint(expanded))


def _predictions_of(path: Path) -> Path:
    """The predictions file of a run folder, or the file itself.

    Raises:
        MissingDataError: there is no such file, or no predictions in the folder.
        UsageError: it is a table for other programs.
    """
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
    try:
        description = RunFolder(path).read_json()
    except FormatError:
        return ""
    data = description.get("data") if isinstance(description, dict) else None
    return str(data.get("fingerprint", "")) if isinstance(data, dict) else ""
