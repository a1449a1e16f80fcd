"""`TuneFolder`: the folder of a search for settings.

tunes/mnist-lenet5-001/
  plan.json           the plan: what is searched, on which data, with which network and seed
  start.safetensors   the model that every trial starts from, if there is one
  trials.json         every trial that has ended: its settings, and its validation accuracy epoch by epoch
  findings.json       the result
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pellucid.errors import FormatError, MissingDataError
from pellucid.records import atomic
from pellucid.records.finding import Findings
from pellucid.records.plan import TrainingPlan, read_plan
from pellucid.records.run import lock_file, next_folder

FINISHED, PRUNED, DIVERGED = "finished", "pruned", "diverged"


class TunePlan(TrainingPlan):
    """The plan of a search: everything that is needed to resume it. Its recipe is where the search starts.

    The trials start from the folder's own copy of the start model: the file named by `start` may change meanwhile.

    Attributes:
        fingerprint: of the training and validation pictures.
        changes: settings of the recipe that the user gave, or that differ from the recipe called `recipe_name`.
        space: what is searched: {setting: text}, as in `pellucid.workflows.search_space`.
        pruner: rule that ends a trial early if it falls behind.
        trials: number of trials.
    """

    version: Literal[3] = 3
    fingerprint: str
    changes: dict[str, Any]
    space: dict[str, str]
    pruner: str
    trials: int = Field(ge=1)


class Trial(BaseModel):
    """A short training with its settings.

    Attributes:
        number: counted from 1.
        chosen: the searched settings: {setting: number, or the text of a choice}.
        state: `finished`, `pruned` (it fell behind, and ended early) or `diverged` (its loss became infinite or NaN).
        accuracies: validation accuracy of each epoch.
        epoch: the epoch that the recipe keeps, counted from 1; 0 if none was finished.
        accuracy: validation accuracy of that epoch; None if none was finished.
        seconds: duration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    chosen: dict[str, int | float | str]
    state: Literal["finished", "pruned", "diverged"]
    accuracies: list[float]
    epoch: int
    accuracy: float | None
    seconds: float


_TRIALS = TypeAdapter(list[Trial])


@dataclass(frozen=True)
class TuneFolder:
    """The folder of a search, and its files."""

    path: Path

    @classmethod
    def create(cls, data: str, network: str, out: str | Path | None = None) -> TuneFolder:
        """Makes a new folder: `out`, or the next number of `tunes/DATA-NETWORK-001`. Never uses an existing folder.

        Raises:
            StorageError: `out` exists, or cannot be written.
        """
        return cls(next_folder("tunes", data, network, out))

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def start(self) -> Path:
        return self.path / "start.safetensors"

    @property
    def trials(self) -> Path:
        return self.path / "trials.json"

    @property
    def findings(self) -> Path:
        return self.path / "findings.json"

    def write_plan(self, plan: TunePlan) -> None:
        """Writes the plan."""
        atomic.write_text(self.plan, plan.model_dump_json(indent=2) + "\n")

    def read_plan(self) -> TunePlan:
        """The plan.

        Raises:
            MissingDataError: the folder is not of a search.
            FormatError: the plan is damaged, or of another version.
        """
        if not self.plan.is_file():
            raise MissingDataError(f"{self.path} is not the folder of a search. `pellucid tune` makes them, in tunes/.")
        return read_plan(self.plan, TunePlan, "so the search cannot be resumed. Start a new one.")

    def write_trials(self, trials: Sequence[Trial]) -> None:
        """Writes the trials that have ended."""
        lines = [json.dumps(trial.model_dump(mode="json"), ensure_ascii=False) for trial in trials]
        atomic.write_text(self.trials, "[\n" + ",\n".join(lines) + "\n]\n")

    def read_trials(self) -> list[Trial]:
        """The trials that have ended.

        Raises:
            FormatError: they are damaged.
        """
        if not self.trials.is_file():
            return []
        try:
            return _TRIALS.validate_json(self.trials.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FormatError(f"{self.trials} is damaged, so the search cannot be resumed. Start a new one.") from error

    def write_findings(self, findings: Findings) -> None:
        """Writes `findings.json`."""
        atomic.write_text(self.findings, findings.dumps() + "\n")

    def locked(self) -> AbstractContextManager[None]:
        """Locks the folder within the block, so that no other process searches in it. The lock ends with the process.

        Raises:
            StorageError: another process has the lock.
        """
        message = f"{self.path} is in use by another process. Wait for it, or start a new search."
        return lock_file(self.path / "lock", message)
