"""The curves of a training as TensorBoard's event files: a callback. Importing this module imports no torch.

TensorBoard (https://www.tensorflow.org/tensorboard) is an extra: `pip install "pellucid[tensorboard]"`. To look at the
curves, while they grow or afterwards: `tensorboard --logdir runs`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.records import atomic
from pellucid.training.callbacks import Callback
from pellucid.training.history import History

FOLDER = "tensorboard"
"""What the folder of the event files is called, within the run folder."""

TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "learning_rate": "learning_rate",
}
"""From a column of the history to its curve. What stands before the slash is the panel that it is drawn in."""


class TensorBoard(Callback):
    """Writes one point per epoch and curve, at the epoch's number.

    Args:
        folder: where the event files go; None takes `tensorboard/` in the run folder.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise UsageError(
                "Curves for TensorBoard need TensorBoard, which is not installed. "
                'Install it with: pip install "pellucid[tensorboard]".'
            )
        self.folder = None if folder is None else Path(folder)
        self.writer: Any = None

    def on_folder(self, path: Path) -> None:
        if self.folder is None:
            # There from the start: by it a training that goes on knows that its curves are wanted.
            self.folder = atomic.make_folder(path / FOLDER)

    def on_resumed(self, step: int, history: History) -> None:  # noqa: ARG002 (the protocol's name)
        for row in history.rows:  # a training that was killed may have kept an epoch before its points were written
            self.on_epoch(row)

    def on_epoch(self, row: dict[str, Any]) -> None:
        if self.writer is None:
            self.writer = self._open(row["epoch"])
        for column, tag in TAGS.items():
            if row.get(column) is not None:
                self.writer.add_scalar(tag, row[column], row["epoch"])
        self.writer.flush()  # who follows a training wants to see the epoch when it ends

    def on_end(self, summary: dict[str, Any]) -> None:  # noqa: ARG002 (the protocol's name)
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _open(self, epoch: int) -> Any:
        """The writer; only now, so that a training that fails before its first epoch leaves nothing behind."""
        from torch.utils.tensorboard import SummaryWriter

        if self.folder is None:
            raise UsageError("Where should the event files go? Give TensorBoard(folder), or train into a run folder.")
        # Of a training that goes on after a break, the points from here on replace those that were written before it.
        return SummaryWriter(str(self.folder), purge_step=epoch)
