"""What a folder of run folders holds, read from the small files alone: no model is opened, no prediction read.

A run folder has at least one of `run.json`, `history.csv` and `checkpoint/`; a folder with none of them is no run. How
far a run came is its state:

  finished      it was trained and scored
  interrupted   it was stopped by its user, and kept its best model
  running       a process is at work on it: it holds the lock
  unfinished    it has no result, and no process holds it: it was killed, or failed
  damaged       a file of it is missing or cannot be read; `problem` says which
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pellucid.errors import FormatError, MissingDataError
from pellucid.records.finding import Metric
from pellucid.records.run import RunFolder

FINISHED, INTERRUPTED, RUNNING, UNFINISHED, DAMAGED = "finished", "interrupted", "running", "unfinished", "damaged"


@dataclass(frozen=True)
class RunSummary:
    """One run, in short.

    Attributes:
        path: its folder.
        state: finished, interrupted, running, unfinished or damaged.
        problem: for a damaged run, a sentence that says what is the matter.
        changed: when its newest small file was written, in seconds since 1970.
        data, network: their names; empty where they are not known yet.
        source: for a network of the user's own, `file.py:Class`.
        settings: of the network.
        recipe: the whole training plan, as `run.json` has it; empty where it is not known yet.
        seed: what everything random was drawn from.
        accuracy: on the split that was scored, where one was.
        scored: the name of that split.
        chosen_epoch: which epoch was kept; 0 for none, None where it is not known.
        epochs: how many epochs were finished.
        seconds: how long they took, where that is known.
    """

    path: Path
    state: str
    problem: str = ""
    changed: float = 0.0
    data: str = ""
    network: str = ""
    source: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    accuracy: Metric | None = None
    scored: str = ""
    chosen_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None


def find(folder: str | Path) -> list[RunSummary]:
    """The runs in a folder, the newest last; the folder itself where it is a run.

    Raises:
        MissingDataError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingDataError(
            f"There is no folder of runs at {folder}. `pellucid train` makes run folders in runs/; for others give the "
            f"folder that they lie in: pellucid runs FOLDER."
        )
    found = [summary for path in (folder, *folder.iterdir()) if (summary := summarise(path)) is not None]
    return sorted(found, key=lambda summary: (summary.changed, summary.path.name))


def summarise(path: Path) -> RunSummary | None:
    """What can be said of a run without opening its large files; None where the folder is no run."""
    run = RunFolder(path)
    parts = (run.run_json, run.history, run.checkpoint)
    try:
        there = [part for part in parts if part.exists()]
        if not there:
            return None
        changed = max(part.stat().st_mtime for part in there)
    except OSError as error:
        # Whether a folder that may not be looked into is a run cannot be known; it is named rather than passed over.
        return RunSummary(path, DAMAGED, f"{path} cannot be read: {error.strerror or error}.")
    try:
        return _read(run, changed)
    except (FormatError, OSError) as error:
        problem = str(error)
        return RunSummary(path, DAMAGED, problem if str(path) in problem else f"{path}: {problem}", changed)


def _read(run: RunFolder, changed: float) -> RunSummary:
    epochs = len(_rows(run.history, "epoch")) if run.history.exists() else None
    times = _rows(run.times, "seconds") if run.times.exists() else None
    seconds = None if times is None else sum(times)
    if not run.run_json.exists():
        if run.findings.exists():
            raise FormatError(f"{run.path} was scored, but its run.json is missing.")
        state = RUNNING if _is_held(run) else UNFINISHED
        return RunSummary(run.path, state, changed=changed, epochs=epochs, seconds=seconds)
    said = _description(run)
    findings = run.read_findings()
    accuracy = _accuracy(run, findings["accuracy"]) if "accuracy" in findings else None
    state = INTERRUPTED if said.interrupted else FINISHED if len(findings) else UNFINISHED
    if state != FINISHED and _is_held(run):  # an interrupted one may be gone on with
        state = RUNNING
    if state in (FINISHED, INTERRUPTED) and not run.model.exists():
        raise FormatError(f"{run.path} has no {run.model.name}, though its training is over.")
    return RunSummary(
        path=run.path,
        state=state,
        changed=changed,
        data=said.data.name,
        network=said.network.name,
        source=said.network.source,
        settings=said.network.settings,
        recipe=said.recipe,
        seed=said.seed,
        accuracy=accuracy,
        scored=said.scored if accuracy is not None else "",
        chosen_epoch=said.chosen_epoch,
        epochs=epochs,
        seconds=seconds,
    )


def _is_held(run: RunFolder) -> bool:
    """Whether a process holds the run at this moment. Found by trying for an instant; makes no file."""
    from filelock import FileLock, Timeout

    if not run.lock.exists():
        return False
    try:
        with FileLock(run.lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a lock that this user may not try
        return False


class _Named(BaseModel):
    """The parts of `data` and `network` in `run.json` that are told here."""

    model_config = ConfigDict(strict=True)

    name: str
    source: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)


class _Description(BaseModel):
    """The parts of `run.json` that are told here."""

    model_config = ConfigDict(strict=True)

    data: _Named
    network: _Named
    recipe: dict[str, Any]
    seed: int
    scored: str = ""
    chosen_epoch: int | None = None
    interrupted: bool = False


def _description(run: RunFolder) -> _Description:
    try:
        return _Description.model_validate(run.read_json())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "its content"
        raise FormatError(f"{run.run_json} is damaged: {place}: {first['msg'].lower()}.") from error


def _accuracy(run: RunFolder, found: Any) -> Metric:
    numbers = (found.value, found.n) if isinstance(found, Metric) else ("",)
    if isinstance(found, Metric) and not found.low is found.high is None:
        numbers = (*numbers, found.low, found.high)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise FormatError(f"{run.findings} is damaged: its accuracy is no number with an interval.")
    return found


def _rows(path: Path, column: str) -> list[float]:
    """The numbers of one column of a CSV file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if column not in (reader.fieldnames or ()):
                raise ValueError("there is no such column")
            return [float(row[column]) for row in reader]
    except (ValueError, TypeError, csv.Error) as error:
        raise FormatError(f"{path} is damaged: it should have numbers in a column '{column}': {error}.") from error


def format_value(value: Any) -> str:
    """A setting in a few characters: text as it is, lists joined by a plus sign, everything else as in JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "+".join(map(format_value, value)) or "none"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
