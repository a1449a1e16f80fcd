"""`RunFolder`: the folder of a run.

runs/mnist-lenet5-001/
  run.json              everything needed to repeat it
  history.csv           loss and accuracy of every epoch
  times.csv             duration of every epoch (apart, since times never repeat)
  check.json            remarks on the data, from before the training
  quarantine.json       pictures that cannot be read, and why, if there are any
  checkpoint/           while it trains: the plan, the last two states, the best model so far
  model.safetensors     the model
  predictions.parquet   predictions for the test pictures
  findings.json         scores on them
  audit.json            what `pellucid audit` found on the model of this run
  pictures/             PNG files
  report.html           one page with everything
  model_card.md         the same as a model card in Markdown
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pellucid.errors import FormatError, MissingDataError, StorageError
from pellucid.records import atomic, json_text
from pellucid.records.finding import Findings
from pellucid.records.paths import expand_user
from pellucid.records.plan import TrainingPlan, read_plan


class SplitContent(BaseModel):
    """The content of a split when the run began.

    Attributes:
        n: number of pictures.
        pictures: SHA-256 of the pictures, in their order.
        names: SHA-256 of the names of pictures and classes, and of the labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(ge=0)
    pictures: str
    names: str


class RunPlan(TrainingPlan):
    """The plan of a run: everything that is needed to resume it, except its last state.

    Attributes:
        report: whether to draw the pictures and write the page.
        planned: settings of the recipe that were measured before the training: {setting: sentence that explains it}.
        splits: the content of each split, the test split too.
    """

    version: Literal[3] = 3
    report: bool
    splits: dict[str, SplitContent] = Field(default_factory=dict)
    planned: dict[str, str] = Field(default_factory=dict)


_CHECKPOINT_FILE = re.compile(
    r"(launch|epochs)\.json|(start|beginning|model|step-\d+)\.safetensors|\..+\.[0-9a-f]{8}\.part"
)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, and its files."""

    path: Path

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def times(self) -> Path:
        return self.path / "times.csv"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    @property
    def plan(self) -> Path:
        return self.checkpoint / "plan.json"

    @property
    def start(self) -> Path:
        return self.checkpoint / "start.safetensors"

    @property
    def launch(self) -> Path:
        return self.checkpoint / "launch.json"

    @property
    def lock(self) -> Path:
        return self.checkpoint / "lock"

    @property
    def check(self) -> Path:
        return self.path / "check.json"

    @property
    def quarantine(self) -> Path:
        return self.path / "quarantine.json"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.parquet"

    @property
    def findings(self) -> Path:
        return self.path / "findings.json"

    @property
    def audit(self) -> Path:
        return self.path / "audit.json"

    @property
    def model_card(self) -> Path:
        return self.path / "model_card.md"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @classmethod
    def create(cls, data: str, network: str, out: str | Path | None = None) -> RunFolder:
        """Makes a new run folder: `out`, or the next number of `runs/DATA-NETWORK-001`. Never uses an existing folder.

        Raises:
            StorageError: `out` exists, or cannot be written.
        """
        return cls(next_folder("runs", data, network, out))

    def write_json(self, content: dict[str, Any]) -> None:
        """Writes `run.json`."""
        atomic.write_text(self.run_json, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self) -> dict[str, Any]:
        """The content of `run.json`.

        Raises:
            FormatError: it is missing or damaged.
        """
        try:
            return json_text.parse(self.run_json.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FormatError(f"{self.path} is not a run folder: its run.json cannot be read ({error}).") from error

    def write_plan(self, plan: RunPlan) -> None:
        """Writes the plan, which is removed when the training is finished."""
        atomic.make_folder(self.checkpoint)
        atomic.write_text(self.plan, plan.model_dump_json(indent=2) + "\n")

    def read_plan(self) -> RunPlan:
        """The plan of an unfinished training.

        Raises:
            MissingDataError: it is not a run folder, or the run is finished.
            FormatError: the plan is damaged, or of another version.
        """
        if not self.plan.is_file():
            if self.run_json.is_file():
                raise MissingDataError(f"The run {self.path} is finished, so there is nothing to resume.")
            raise MissingDataError(f"{self.path} is not the folder of a run that can be resumed.")
        return read_plan(self.plan, RunPlan, "so the training cannot be resumed. Start a new run.")

    def remove_checkpoints(self) -> None:
        """Removes the files that a training writes into `checkpoint/`, but the lock. What others put there stays.

        The plan comes first: if the process is killed after that, the run counts as finished, and is not resumed
        without its states.
        """
        self.plan.unlink(missing_ok=True)
        for path in self.checkpoint.iterdir():
            if _CHECKPOINT_FILE.fullmatch(path.name) and not path.is_dir():
                path.unlink()

    def write_findings(self, findings: Findings) -> None:
        """Writes `findings.json`."""
        atomic.write_text(self.findings, findings.dumps() + "\n")

    def read_findings(self) -> Findings:
        """The content of `findings.json`; empty if there is none.

        Raises:
            FormatError: it is damaged.
        """
        return _read_findings(self.findings)

    def write_audit(self, findings: Findings) -> None:
        """Writes `audit.json`."""
        atomic.write_text(self.audit, findings.dumps() + "\n")

    def read_audit(self) -> Findings:
        """The content of `audit.json`; empty if there is none.

        Raises:
            FormatError: it is damaged.
        """
        return _read_findings(self.audit)


def _read_findings(path: Path) -> Findings:
    if not path.is_file():
        return Findings()
    try:
        return Findings.from_json(json_text.parse(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{path} is damaged: {error}.") from error


def next_folder(within: str, data: str, network: str, out: str | Path | None = None) -> Path:
    """Makes a new folder: `out`, or the next number of `WITHIN/DATA-NETWORK-001`. Never uses an existing folder.

    Raises:
        StorageError: `out` exists, or cannot be written.
    """
    if out is not None:
        try:
            return atomic.make_folder(expand_user(out), exist_ok=False)
        except FileExistsError as error:
            raise _exists(within, out) from error
    base = Path(within)
    atomic.make_folder(base)
    stem = f"{_slug(data)}-{_slug(network)}"
    taken = [
        int(match[1]) for path in base.iterdir() if (match := re.fullmatch(rf"{re.escape(stem)}-(\d+)", path.name))
    ]
    number = max(taken, default=0) + 1
    while True:
        try:
            return atomic.make_folder(base / f"{stem}-{number:03d}", exist_ok=False)
        except FileExistsError:  # another process took that number
            number += 1


def require_new(within: str, out: str | Path | None) -> None:
    """Raises StorageError if `out` exists already, before the work whose result it would hold."""
    if out is not None and os.path.lexists(expand_user(out)):
        raise _exists(within, out)


def _exists(within: str, out: str | Path) -> StorageError:
    what, instead = {
        "runs": ("a run", " (--out), or leave it out to get the next number in runs/"),
        "tunes": ("a search", " (--out), or leave it out to get the next number in tunes/"),
        "evaluations": ("an evaluation", " (--out)"),
    }[within]
    return StorageError(f"{out} exists already, and {what} is never overwritten. Choose another name{instead}.")


@contextlib.contextmanager
def locked(run: RunFolder) -> Iterator[None]:
    """Locks a run folder within the block, so that no other process trains in it. The lock ends with the process.

    Removes the folder if it is empty at the end.

    Raises:
        StorageError: another process has the lock.
    """
    atomic.make_folder(run.checkpoint)
    try:
        with lock_file(run.lock, f"{run.path} is in use by another process. Wait for it, or start a new run."):
            yield
    finally:
        with contextlib.suppress(OSError):
            run.checkpoint.rmdir()  # fails if anything is left in it
            run.path.rmdir()


@contextlib.contextmanager
def lock_file(path: Path, message: str) -> Iterator[None]:
    """Locks a file within the block, and deletes it at the end.

    Raises:
        StorageError: another process has the lock; its text is `message`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    with atomic.storage_errors(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise StorageError(message) from error
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _slug(name: str) -> str:
    """A name as part of a folder's name: letters, digits and hyphens."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.").lower()[:40] or "data"
