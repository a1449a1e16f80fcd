"""The history of a training, one row per epoch, as CSV. Times have a file of their own, since they never repeat."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.errors import FormatError
from pellucid.records import atomic

COLUMNS = (
    "epoch",
    "step",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)


@dataclass
class History:
    """One row per epoch.

    The columns are `epoch` and `step` (counted from 1, at the end of the epoch), `learning_rate` (of its last step),
    `train_loss` and `train_accuracy` (means over the training batches, so with augmentation and dropout), and
    `validation_loss` and `validation_accuracy` (at the end of the epoch).
    """

    rows: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def best(self) -> dict[str, Any]:
        """The row with the highest validation accuracy; ties go to the lowest validation loss, then to the first."""
        return max(self.rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"], -row["epoch"]))

    def save(self, path: str | Path) -> None:
        """Writes the rows as CSV, with all digits."""
        _write_csv(path, COLUMNS, self.rows)

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Reads a file that `save` wrote.

        Raises:
            FormatError: the file is not a training history.
        """
        try:
            with Path(path).open(encoding="utf-8", newline="") as stream:
                reader = csv.DictReader(stream)
                columns = tuple(reader.fieldnames or ())
                rows = [
                    {key: int(value) if key in ("epoch", "step") else float(value) for key, value in row.items()}
                    for row in reader
                ]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise FormatError(f"{path} is not a training history: {error}.") from error
        if columns != COLUMNS:
            raise FormatError(f"{path} is not a training history: its columns should be {', '.join(COLUMNS)}.")
        return cls(rows)


def save_times(path: str | Path, seconds: list[float]) -> None:
    """Writes the seconds that each epoch took, validation included, as columns epoch and seconds."""
    _write_csv(path, ("epoch", "seconds"), [{"epoch": i + 1, "seconds": round(s, 3)} for i, s in enumerate(seconds)])


def _write_csv(path: str | Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic.write_text(path, text.getvalue())
