"""`RunFolder`: where everything of one training lies.

runs/mnist-lenet5-001/
  run.json              everything needed to repeat it
  history.csv           loss and accuracy of every epoch
  times.csv             how long every epoch took (apart, since times never repeat)
  checkpoint/           the best model so far, while it trains
  model.safetensors     the model
  predictions.parquet   what it says of the test pictures
  findings.json         what was learned from them
  pictures/             PNG
  report.html           one page with all of it
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import FormatError, StorageError
from pellucid.records import atomic
from pellucid.records.finding import Findings


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training, and the names of what lies in it."""

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
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.parquet"

    @property
    def findings(self) -> Path:
        return self.path / "findings.json"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @classmethod
    def create(cls, data: str, network: str, out: str | Path | None = None) -> RunFolder:
        """Makes a new run folder: `out`, or the next number of `runs/DATA-NETWORK-001`. Never takes one that is there.

        Raises:
            StorageError: `out` is there already, or nothing may be written.
        """
        if out is not None:
            try:
                return cls(atomic.make_folder(out, exist_ok=False))
            except FileExistsError as error:
                raise StorageError(
                    f"{out} is there already, and a run is never overwritten. Choose another name with --out, or leave "
                    f"it out to get the next number in runs/."
                ) from error
        base = Path("runs")
        atomic.make_folder(base)
        stem = f"{_slug(data)}-{_slug(network)}"
        taken = [
            int(found[1]) for path in base.iterdir() if (found := re.fullmatch(rf"{re.escape(stem)}-(\d+)", path.name))
        ]
        number = max(taken, default=0) + 1
        while True:
            try:
                return cls(atomic.make_folder(base / f"{stem}-{number:03d}", exist_ok=False))
            except FileExistsError:  # another training took it in this moment
                number += 1

    def write_json(self, content: dict[str, Any]) -> None:
        """Writes `run.json`."""
        atomic.write_text(self.run_json, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self) -> dict[str, Any]:
        """What `run.json` says.

        Raises:
            FormatError: there is none, or it is damaged.
        """
        try:
            return json.loads(self.run_json.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FormatError(f"{self.path} is not a run folder: its run.json cannot be read ({error}).") from error

    def write_findings(self, findings: Findings) -> None:
        """Writes `findings.json`."""
        atomic.write_text(self.findings, findings.dumps() + "\n")

    def read_findings(self) -> Findings:
        """What `findings.json` says; nothing where there is none.

        Raises:
            FormatError: it is damaged.
        """
        if not self.findings.is_file():
            return Findings()
        try:
            return Findings.from_json(json.loads(self.findings.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FormatError(f"{self.findings} is damaged: {error}.") from error


def _slug(name: str) -> str:
    """A name as part of a folder's name: letters, digits and hyphens."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.").lower()[:40] or "data"
