"""Lists the runs in a folder, from their small files only: it opens no model and no predictions.

A run folder has at least one of `run.json`, `history.csv` and `checkpoint/`; any other folder is not a run. The states
of a run:

  finished      it was trained and scored
  interrupted   the user stopped it, and it saved its best model
  running       a process holds its lock
  unfinished    it has no result, and no process holds its lock: it was killed, or failed
  damaged       a file is missing or cannot be read; `problem` says which
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
    """A summary of one run.

    Attributes:
        path: its folder.
        state: finished, interrupted, running, unfinished or damaged.
        problem: for a damaged run, a sentence on what is damaged.
        changed: modification time of its newest small file, in seconds since 1970.
        data, network: their names; empty if they are not known yet.
        source: for a network of the user's own, `file.py:Class`.
        settings: settings of the network.
        recipe: the recipe, as in `run.json`; empty if it is not known yet.
        seed: the training's seed.
        accuracy: accuracy on the scored split, if one was scored.
        scored: name of that split.
        chosen_epoch: the epoch whose weights became the model; 0 for none, None if unknown.
        epochs: number of finished epochs.
        seconds: their duration, if known.
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
    """The runs in a folder, the newest last, including the folder itself if it is a run.

    Raises:
        MissingDataError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingDataError(
            f"There is no folder of runs at {folder}. `pellucid train` makes run folders in runs/; for other runs, "
            f"type pellucid runs FOLDER."
        )
    summaries = [summary for path in (folder, *folder.iterdir()) if (summary := summarise(path)) is not None]
    return sorted(summaries, key=lambda summary: (summary.changed, summary.path.name))


def summarise(path: Path) -> RunSummary | None:
    """Summarises a run without opening its large files; None if the folder is not a run."""
    run = RunFolder(path)
    files = (run.run_json, run.history, run.checkpoint)
    try:
        existing = [file for file in files if file.exists()]
        if not existing:
            return None
        changed = max(file.stat().st_mtime for file in existing)
    except OSError as error:
        # An unreadable folder may be a run, so it is listed.
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
        state = RUNNING if _is_locked(run) else UNFINISHED
        return RunSummary(run.path, state, changed=changed, epochs=epochs, seconds=seconds)
    description = _description(run)
    findings = run.read_findings()
    accuracy = _accuracy(run, findings["accuracy"]) if "accuracy" in findings else None
    state = INTERRUPTED if description.interrupted else FINISHED if len(findings) else UNFINISHED
    if state != FINISHED and _is_locked(run):  # an interrupted run may be running again
        state = RUNNING
    if state in (FINISHED, INTERRUPTED) and not run.model.exists():
        raise FormatError(f"{run.path} has no {run.model.name}, although its training has ended.")
    return RunSummary(
        path=run.path,
        state=state,
        changed=changed,
        data=description.data.name,
        network=description.network.name,
        source=description.network.source,
        settings=description.network.settings,
        recipe=description.recipe,
        seed=description.seed,
        accuracy=accuracy,
        scored=description.scored if accuracy is not None else "",
        chosen_epoch=description.chosen_epoch,
        epochs=epochs,
        seconds=seconds,
    )


def _is_locked(run: RunFolder) -> bool:
    """Whether a process holds the lock of the run now. It tries to lock for an instant, and makes no file."""
    from filelock import FileLock, Timeout

    if not run.lock.exists():
        return False
    try:
        with FileLock(run.lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # no permission for the lock
        return False


class _NamedPart(BaseModel):
    """The fields of `data` and `network` in `run.json` that a summary needs."""

    model_config = ConfigDict(strict=True)

    name: str
    source: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)


class _Description(BaseModel):
    """The fields of `run.json` that a summary needs."""

    model_config = ConfigDict(strict=True)

    data: _NamedPart
    network: _NamedPart
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
        key = ".".join(str(part) for part in first["loc"]) or "its content"
        raise FormatError(f"{run.run_json} is damaged: {key}: {first['msg'].lower()}.") from error


def _accuracy(run: RunFolder, finding: Any) -> Metric:
    numbers = (finding.value, finding.n) if isinstance(finding, Metric) else ("",)
    if isinstance(finding, Metric) and not finding.low is finding.high is None:
        numbers = (*numbers, finding.low, finding.high)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise FormatError(f"{run.findings} is damaged: its accuracy is not a number with an interval.")
    return finding


def _rows(path: Path, column: str) -> list[float]:
    """The numbers in one column of a CSV file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if column not in (reader.fieldnames or ()):
                raise ValueError("there is no such column")
            return [float(row[column]) for row in reader]
    except (ValueError, TypeError, csv.Error) as error:
        raise FormatError(f"{path} is damaged: it should have numbers in a column '{column}': {error}.") from error


def format_value(value: Any) -> str:
    """Formats a setting briefly: text as it is, lists joined by plus signs, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "+".join(map(format_value, value)) or "none"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
